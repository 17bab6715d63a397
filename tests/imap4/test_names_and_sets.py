"""Mailbox names, list patterns, sequence sets."""

from __future__ import annotations

import re
import time
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.imap4 import mailboxnames
from protocols.imap4.commands.listing import common_prefix, superiors
from protocols.imap4.sets import SequenceSet, compact, contains, encode_numbers, merge

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("INBOX", b"INBOX"),
        ("A&B", b"A&-B"),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("☺!", b"&Jjo-!"),
        ("\U0001f600", b"&2D3eAA-"),
        ("Entwürfe", b"Entw&APw-rfe"),
    ],
)
def test_modified_utf7(name: str, wire: bytes) -> None:
    assert mailboxnames.encode_modified(name) == wire
    assert mailboxnames.decode(wire, utf8=False) == name


@given(names, st.booleans())
def test_names_come_back(name: str, utf8: bool) -> None:
    expected = mailboxnames.with_inbox(normalize("NFC", name))
    assert mailboxnames.decode(mailboxnames.encode(name, utf8), utf8) == expected


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("a/%", "a/b", True),
        ("a/%", "a/b/c", False),
        ("a*", "a/b/c", True),
        ("*c", "a/b/c", True),
        ("%/%/%", "a/b/c", True),
        ("inbox", "INBOX", True),
        ("inbox/*", "INBOX/x", True),
        ("a", "b", False),
        ("a%b*c", "axb/c", True),
        ("%%*%", "x/y", True),
        ("*%", "x/y", True),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert mailboxnames.matcher(pattern)(name) is expected


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
@example("inbox*", "inboxes")
@example("INBOX*", "INBOX")
def test_patterns_agree_with_regular_expressions(pattern: str, name: str) -> None:
    oracle = re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*")
    assert mailboxnames.matcher(pattern)(name) is bool(re.fullmatch(oracle, name))
    if mailboxnames.matcher(pattern)(name):
        assert name.startswith(mailboxnames.literal_prefix(pattern))


def test_no_pattern_is_slow() -> None:
    matches = mailboxnames.matcher("*a" * 500)
    start = time.process_time()
    for _ in range(100):
        assert not matches("a" * 450 + "b")
    assert time.process_time() - start < 1


def test_common_prefix_and_superiors() -> None:
    assert common_prefix(["foo/*", "fox/%"]) == "fo"
    assert common_prefix(["*", "foo"]) == ""
    assert common_prefix([]) == ""
    assert superiors("a/b/c") == ["a", "a/b"]


@pytest.mark.parametrize(
    ("ranges", "largest", "resolved"),
    [
        (((2, 2), (4, 7), (9, 9), (12, 0)), 15, ((2, 2), (4, 7), (9, 9), (12, 15))),
        (((0, 4), (5, 7)), 10, ((4, 10),)),
        (((3291, 0),), 100, ((100, 3291),)),
        (((7, 4),), 10, ((4, 7),)),
        (((1, 2), (3, 4)), 10, ((1, 4),)),
    ],
)
def test_sets_resolve(
    ranges: tuple[tuple[int, int], ...], largest: int, resolved: tuple[tuple[int, int], ...]
) -> None:
    assert SequenceSet(ranges).resolve(largest) == resolved


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=8))
def test_merged_ranges_hold_the_same_numbers(ranges: list[tuple[int, int]]) -> None:
    expected = {n for a, b in ranges for n in range(min(a, b), max(a, b) + 1)}
    merged = merge(ranges)
    assert {n for n in range(1, 61) if contains(merged, n)} == expected
    assert compact(sorted(expected)) == merged


def test_numbers_are_written_compactly() -> None:
    assert encode_numbers([1, 2, 3, 7, 9, 10]) == b"1:3,7,9:10"
    assert encode_numbers([]) == b""
