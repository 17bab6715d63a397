"""The input buffer and dot stuffing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BareLineEnding, Flood, LineTooLong
from protocols.lines import END, NEED_DATA, DotStuffer, DottedData, InputBuffer, Longer, has_bare


def lines_of(pieces: list[bytes], limit: int = 20) -> list[object]:
    buffer = InputBuffer()
    seen: list[object] = []
    for piece in pieces:
        buffer.feed(piece)
        while True:
            try:
                line = buffer.line(limit)
            except (LineTooLong, BareLineEnding) as error:
                seen.append(type(error))
                continue
            if line is NEED_DATA:
                break
            seen.append(line)
    return seen


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (b"NOOP\r\n", [b"NOOP"]),
        (b"\r\n", [b""]),
        (b"a\r\nb\r\nc", [b"a", b"b"]),
        (b"NOOP\nQUIT\r\n", [BareLineEnding, b"QUIT"]),
        (b"a\rb\r\nQUIT\r\n", [BareLineEnding, b"QUIT"]),
        (b"a\0b\r\nQUIT\r\n", [BareLineEnding, b"QUIT"]),
        (b"x" * 18 + b"\r\n", [b"x" * 18]),
        (b"x" * 19 + b"\r\nQUIT\r\n", [LineTooLong, b"QUIT"]),
        (b"x" * 500 + b"\r\nQUIT\r\n", [LineTooLong, b"QUIT"]),
    ],
)
def test_lines(wire: bytes, expected: list[object]) -> None:
    assert lines_of([wire]) == expected
    assert lines_of([wire[i : i + 1] for i in range(len(wire))]) == expected


@pytest.mark.parametrize("size", [1, 3, 50, 600])
def test_a_refused_line_tells_how_it_began_and_ended(size: int) -> None:
    for wire, kind in (
        (b"a1 LOGIN " + b"x" * 500 + b" {5+}\r\n", LineTooLong),
        (b"a1 LOGIN {5+}\n", BareLineEnding),
    ):
        buffer = InputBuffer()
        with pytest.raises(kind) as caught:
            for start in range(0, len(wire), size):
                buffer.feed(wire[start : start + size])
                buffer.line(100)
        assert caught.value.start.startswith(b"a1 LOGIN ")
        assert caught.value.tail.endswith(b" {5+}")


def test_an_endless_line_is_a_flood_and_costs_no_memory() -> None:
    buffer = InputBuffer()
    with pytest.raises(Flood):
        for _ in range(1000):
            buffer.feed(b"x" * 4096)
            buffer.line(512)
            assert len(buffer) <= 4096


def undot(pieces: list[bytes]) -> tuple[bytes, bool, bool, bytes]:
    """Content, whether bare line endings were seen, whether it ended, and what is left."""
    buffer = InputBuffer()
    dotted = DottedData(buffer)
    content = b""
    ended = False
    for piece in pieces:
        buffer.feed(piece)
        while not ended:
            taken = dotted.take()
            if taken is NEED_DATA:
                break
            if taken is END:
                ended = True
            else:
                content += taken
    return content, dotted.bare, ended, buffer.peek(100)


@pytest.mark.parametrize(
    ("wire", "content", "bare", "ended", "rest"),
    [
        (b".\r\nQUIT\r\n", b"", False, True, b"QUIT\r\n"),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", False, True, b"QUIT\r\n"),
        (b"..a\r\n...\r\n.\r\n", b".a\r\n..\r\n", False, True, b""),
        (b".a\r\n.\r\n", b"a\r\n", False, True, b""),
        (b"a\n.\nMAIL", b"a\n.\nMAIL", True, False, b""),
        (b"a\n.\r\nMAIL", b"a\n.\r\nMAIL", True, False, b""),
        (b"a\r\n.\nMAIL", b"a\r\n\nMAIL", True, False, b""),
        (b"a\r\n.\rMAIL", b"a\r\n\rMAIL", True, False, b""),
        (b"a\r.\rMAIL", b"a\r.\rMAIL", True, False, b""),
        (b"a\r\n.\r\r\nx", b"a\r\n\r\r\nx", True, False, b""),
        (b"a\r.\r\n\r\n.\r\n", b"a\r.\r\n\r\n", True, True, b""),
    ],
)
def test_only_crlf_dot_crlf_ends_data(
    wire: bytes, content: bytes, bare: bool, ended: bool, rest: bytes
) -> None:
    assert undot([wire]) == (content, bare, ended, rest)
    assert undot([wire[i : i + 1] for i in range(len(wire))]) == (content, bare, ended, rest)


line_ends = st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"x", b"\r\n.", b"\r\n.\r\n"])


@given(st.lists(line_ends), st.lists(st.integers(1, 5)))
def test_any_split_gives_the_same_data(parts: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(parts) + b"\r\n.\r\n"
    pieces, rest = [], wire
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert undot([*pieces, rest]) == undot([wire])


@given(st.lists(st.sampled_from([b"\r\n", b".", b"x", b"\r\n.", b"ab"])))
def test_stuffing_is_undone_by_unstuffing(parts: list[bytes]) -> None:
    stuffer = DotStuffer()
    wire = b"".join(stuffer.stuff(part) for part in parts) + stuffer.finish()
    content = b"".join(parts)
    expected = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
    assert undot([wire])[0] == expected
    assert undot([wire])[2:] == (True, b"")


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b"\xff"]), max_size=12))
def test_bare_line_ends_are_those_outside_of_crlf(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    left = data.replace(b"\r\n", b"")
    # A CR and a LF that meet only because what stood between them went are bare both.
    expected = b"\r" in left or b"\n" in left
    assert has_bare(data) is expected


@pytest.mark.parametrize("data", [b"a\rb\nc", b"\r\r\n\n", b"\n\r", b"x\n.\r\n", b"\r.\n"])
def test_one_cr_and_one_lf_apart_are_bare(data: bytes) -> None:
    assert has_bare(data)


@pytest.mark.parametrize(
    ("wire", "whole"),
    [
        (b"AUTH " + b"x" * 30 + b"\r\n", True),
        (b"auth " + b"x" * 30 + b"\r\n", True),
        (b"AUTHX " + b"x" * 30 + b"\r\n", False),
        (b"NOOP " + b"x" * 30 + b"\r\n", False),
        (b"AUTH " + b"x" * 60 + b"\r\n", False),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100])
def test_some_lines_may_be_longer(wire: bytes, whole: bool, step: int) -> None:
    buffer = InputBuffer()
    seen: list[object] = []
    for at in range(0, len(wire), step):
        buffer.feed(wire[at : at + step])
        try:
            seen.append(buffer.line(20, Longer(b"AUTH ", 50)))
        except LineTooLong:
            seen.append(LineTooLong)
    assert seen[-1] == (wire[:-2] if whole else LineTooLong)
    assert all(one is NEED_DATA for one in seen[:-1])
    assert not len(buffer)


@pytest.mark.parametrize("rest", [b"", b"QUIT\r\n"])
def test_the_end_of_data_is_told_each_time_and_takes_nothing_more(rest: bytes) -> None:
    buffer = InputBuffer()
    buffer.feed(b"x\r\n.\r\n" + rest)
    data = DottedData(buffer)
    assert [data.take(), data.take(), data.take()] == [b"x\r\n", END, END]
    assert buffer.peek(100) == rest
