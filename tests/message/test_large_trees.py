"""Ten thousand parts and a thousand levels: served right, and made with pauses."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from protocols.message import scan as scanning
from protocols.message import sections, structure
from protocols.message.part import LEAF, Scan
from protocols.message.sections import Section
from protocols.message.summary import Summarizer, summarize, summarizing

PARTS, LEVELS = 10_000, 1_000


def flat(count: int) -> bytes:
    head = b"Subject: many\r\nContent-Type: multipart/mixed; boundary=B\r\n"
    return head + b"".join(b"\r\n--B\r\n\r\n%d" % n for n in range(1, count + 1)) + b"\r\n--B--\r\n"


def nested(levels: int) -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels)
    )
    tail = b"".join(b"\r\n--b%d--" % n for n in reversed(range(levels)))
    return head + b"\r\nat the end" + tail


def forwarded(levels: int) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" * levels + b"Subject: x\r\n\r\nat the end"


def octets(data: bytes, tree: Scan, *path: int) -> bytes | None:
    extent = sections.resolve(tree, Section(path))
    return None if extent is None else data[extent.start : extent.stop]


def test_ten_thousand_parts_are_parts() -> None:
    data = flat(PARTS)
    tree = scanning.scan(data)
    assert len(tree.root.children) == PARTS
    for number in (1, 2, 4711, PARTS):
        assert octets(data, tree, number) == b"%d" % number
    assert octets(data, tree, PARTS + 1) is None
    made = summarize(data)
    assert made.bodystructure.count(b'("TEXT" "PLAIN"') == PARTS
    assert octets(data, Scan.unpack(made.packed), PARTS) == b"%d" % PARTS


@pytest.mark.parametrize("make", [nested, forwarded])
def test_a_thousand_levels_are_levels(make: Any) -> None:
    data = make(LEVELS)
    tree = scanning.scan(data)
    path = (1,) * (LEVELS if make is nested else LEVELS + 1)
    assert octets(data, tree, *path) == b"at the end"
    assert octets(data, tree, *path, 1) is None
    assert structure.bodystructure(tree.root).count(b"(") == structure.bodystructure(tree.root).count(b")")


@pytest.mark.parametrize(
    ("data", "beyond"),
    [(flat(PARTS + 100), PARTS + 2), (nested(LEVELS + 100), 0), (forwarded(LEVELS + 100), 0)],
    ids=["parts", "levels", "messages"],
)
def test_what_is_beyond_is_content_without_structure(data: bytes, beyond: int) -> None:
    tree = scanning.scan(data)
    assert sum(1 for _ in tree.walk()) <= scanning.MAX_PARTS
    assert octets(data, tree, beyond) is None
    deepest = max(tree.walk(), key=lambda part: part.start)
    assert deepest.kind == LEAF
    assert deepest.content.type in (b"TEXT", b"APPLICATION")
    assert tree.size == len(data) and Scan.unpack(tree.pack()).size == len(data)


def test_levels_and_parts_together_stay_linear() -> None:
    # The structure of a thousand levels is not copied a thousand times.
    data = nested(LEVELS).replace(b"\r\nat the end", b"\r\n" + b"\r\n--b999\r\n\r\nx" * 5000)
    body, extended = structure.both(scanning.scan(data).root)
    assert len(body) < 1_000_000 and len(extended) < 2_000_000


def pauses(work: Generator[None, None, Any]) -> int:
    return sum(1 for _ in work)


def test_all_of_it_is_done_with_pauses() -> None:
    data = flat(PARTS)
    least = PARTS // scanning.PAUSE - 1
    summarizer = Summarizer()
    assert pauses(summarizer.feeding(data)) >= least
    assert pauses(summarizer.finishing()) >= 2 * least
    assert pauses(summarizing(data)) >= 3 * least
    # Lines that are nearly delimiters take their time too.
    false = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b"
    )
    false += b"\r\n\r\n" + b"--c\r\n" * 100_000
    assert pauses(Summarizer().feeding(false)) >= 100_000 // scanning.PAUSE // scanning.MISSES - 1
    tree = scanning.scan(data)
    assert pauses(Scan.unpacking(tree.pack())) >= least
    assert pauses(structure.making(tree.root)) >= least
