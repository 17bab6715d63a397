"""Whatever content holds, no server, strict or lax, sees a second message in it (RFC 5321 2.3.8, 4.1.1.4)."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.smtp.test_client import connected, pieces

ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\n\n", b"\r\n\r\n", b"\0\r\n", b"\x85", b"\xe2\x80\xa8")
COMMANDS = (
    b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nSubject: second\r\n\r\nx\r\n.\r\n"
)

PIECE = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0"]), max_size=8).map(b"".join)
LINE = rb"\r\n|\n|\r"
LAX = re.compile(rb"(?:\A|%b)\.(?:%b)" % (LINE, LINE))
"""The end of data for a server that takes any line end."""


def sent(*content: bytes, chunks: bool) -> bytes:
    """What goes over the wire between DATA (or BDAT's line) and the reply."""
    link, client = connected()
    if not chunks:
        del client.extensions["CHUNKING"]
    written = bytearray()
    write = link.client_side.write

    def tee(data: bytes) -> None:
        written.extend(data)
        write(data)

    link.run(client.envelope("", ["b@example.test"]))
    link.client_side.write = tee  # type: ignore[method-assign]
    assert link.run(client.data(pieces(*content))).code == 250
    assert len(link.door.accepted) == 1
    if not chunks:
        return bytes(written).partition(b"DATA\r\n")[2]
    data = b""
    rest = bytes(written)
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.split()[1])
        data, rest = data + rest[:size], rest[size:]
    return data


@pytest.mark.parametrize(("before", "after"), list(product(ENDS, ENDS)), ids=str)
def test_no_end_of_data_but_the_last(before: bytes, after: bytes) -> None:
    content = b"Subject: first\r\n\r\nx" + before + b"." + after + COMMANDS
    wire = sent(content, chunks=False)
    assert [match.end() for match in LAX.finditer(wire)] == [len(wire)]
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", wire)
    # Somebody who takes chunks may pass them on by DATA, his way.
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", sent(content, chunks=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0"]), max_size=8).map(b"".join), max_size=6
    )
)
def test_wherever_the_pieces_are_cut(parts: list[bytes]) -> None:
    wire = sent(*parts, chunks=False)
    assert [match.end() for match in LAX.finditer(wire)] == [len(wire)]
    chunked = sent(*parts, chunks=True)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", chunked)
    assert chunked == b"" or chunked.endswith(b"\r\n")
