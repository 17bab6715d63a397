"""The reader: frames, literals, staying in step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax, Flood
from protocols.imap4.reader import Bounds, Frame, Reader, Refused
from protocols.lines import NEED_DATA, InputBuffer

BOUNDS = Bounds(line=60, command=120)


def read(pieces: list[bytes]) -> list[object]:
    """What a reader gives that collects every literal."""
    buffer = InputBuffer()
    reader = Reader(buffer, lambda: BOUNDS)
    seen: list[object] = []
    for piece in pieces:
        buffer.feed(piece)
        while True:
            try:
                frame = reader.next()
                if frame is NEED_DATA:
                    break
                if frame.pending is not None:
                    seen.append(("asked", frame.pending.size))
                    reader.collect()
                    continue
                seen.append((frame.data, *frame.literals.items()))
            except Refused as error:
                seen.append(("refused", error.tag, error.code == b"TOOBIG"))
            except Flood:
                return [*seen, "flood"]
    return seen


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"a NOOP\r\nb NOOP\r\n", [(b"a NOOP",), (b"b NOOP",)]),
        (b"a X {3}\r\nabc y\r\n", [("asked", 3), (b"a X {3} y", (7, b"abc"))]),
        (b"a X {2+}\r\n\r\n\r\nb Y\r\n", [("asked", 2), (b"a X {2+}", (8, b"\r\n")), (b"b Y",)]),
        (b"a {0+}\r\n {1+}\r\nx\r\n", [("asked", 0), ("asked", 1), (b"a {0+} {1+}", (6, b""), (11, b"x"))]),
        # Too big: a synchronizing one is not sent, another is skipped with the rest of the command.
        (b"a X {200}\r\nb Y\r\n", [("asked", 200), ("refused", b"a", True), (b"b Y",)]),
        (
            b"a X {150+}\r\n" + b"z" * 150 + b" more\r\nb Y\r\n",
            [("asked", 150), ("refused", b"a", True), (b"b Y",)],
        ),
        (b"a X {4294967296+}\r\n", [("asked", 4294967296), "flood"]),
        # Lines that cannot be used, with what they announce.
        (b"a " + b"x" * 100 + b"\r\nb Y\r\n", [("refused", b"a", False), (b"b Y",)]),
        (
            b"a " + b"x" * 100 + b" {9+}\r\nz NOOP\r\n \r\nb Y\r\n",
            [("refused", b"a", False), (b"b Y",)],
        ),
        (b"a X\nb Y\r\n", [("refused", b"a", False), (b"b Y",)]),
        (b"a X {8+}\nz NOOP\r\n\r\nb Y\r\n", [("refused", b"a", False), (b"b Y",)]),
        (b"a X\0\r\nb Y\r\n", [("refused", b"a", False), (b"b Y",)]),
        (b"a {1+}\r\nx" + b"y" * 100 + b"\r\nb Y\r\n", [("asked", 1), ("refused", b"a", False), (b"b Y",)]),
    ],
)  # fmt: skip
def test_reads(wire: bytes, expected: list[object]) -> None:
    assert read([wire]) == expected
    assert read([wire[i : i + 1] for i in range(len(wire))]) == expected


LINES = st.sampled_from(
    [
        b"a NOOP",
        b"b X {3}",
        b"c X {3+}",
        b"d {150+}",
        b"",
        b"e " + b"x" * 90,
        b"f ~{2+}",
        b"abc",
        b" y",
        b"g\0",
        b"{1+}",
    ]
)


@given(st.lists(LINES, max_size=12), st.lists(st.integers(1, 40), max_size=30))
def test_any_split_gives_the_same(lines: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(line + b"\r\n" for line in lines)
    pieces, position = [], 0
    for cut in cuts:
        pieces.append(wire[position : position + cut])
        position += cut
    assert read([*pieces, wire[position:]]) == read([wire])


@given(st.binary(max_size=300))
def test_garbage_is_read_or_refused(wire: bytes) -> None:
    read([wire])


def test_a_command_of_many_literals_is_bounded() -> None:
    seen = read([b"a X"] + [b" {1+}\r\nx"] * 500 + [b"\r\n", b"b Y\r\n"])
    assert ("refused", b"a", True) in seen
    assert seen[-1] == (b"b Y",)


def test_the_rest_behind_a_literal_that_was_taken() -> None:
    buffer = InputBuffer()
    reader = Reader(buffer, lambda: BOUNDS)
    buffer.feed(b"a APPEND x {3+}\r\nabc\r\nb APPEND x {1+}\r\nz {4+}\r\nevil\r\nc NOOP\r\n")
    frame = reader.next()
    assert isinstance(frame, Frame)
    reader.taken()
    assert buffer.exactly(3) == b"abc"
    assert reader.rest() == b""
    reader.next()
    reader.taken()
    assert buffer.exactly(1) == b"z"
    with pytest.raises(BadSyntax):
        reader.rest()
    assert reader.next() == Frame(b"c NOOP")
    assert reader.next() is NEED_DATA
