"""Headers of the PROXY protocol, both versions (proxy-protocol.txt 2.1, 2.2)."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.lines import NEED_DATA
from protocols.proxied import LONGEST, SIGNATURE, Ends, parse


def binary(
    source: str = "192.0.2.7",
    target: str = "198.51.100.1",
    *,
    command: int = 0x21,
    family: int = 0,
    tlvs: bytes = b"",
) -> bytes:
    kind = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(kind, source) + socket.inet_pton(kind, target)
    ends += (4321).to_bytes(2, "big") + (25).to_bytes(2, "big") + tlvs
    family = family or (0x21 if ":" in source else 0x11)
    return SIGNATURE + bytes([command, family]) + len(ends).to_bytes(2, "big") + ends


FOUR = Ends("192.0.2.7", 4321, "198.51.100.1", 25)
SIX = Ends("2001:db8::7", 4321, "2001:db8::1", 25)

GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 25\r\n", FOUR),
    (b"PROXY TCP6 2001:DB8:0::7 2001:db8::1 4321 25\r\n", SIX),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", None),
    (b"PROXY UNKNOWN\r\n", Ends()),
    (b"PROXY UNKNOWN ffff::ffff ffff::ffff 65535 65535\r\n", Ends()),
    (binary(), FOUR),
    (binary("2001:db8::7", "2001:db8::1"), SIX),
    # A proxy whose socket is of both families.
    (binary("::ffff:192.0.2.7", "::ffff:198.51.100.1"), FOUR),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::FFFF:c633:6401 4321 25\r\n", FOUR),
    (binary("::ffff:127.0.0.1", "::1"), Ends("127.0.0.1", 4321, "::1", 25)),
    # What is said of TLS, and whatever else, is skipped.
    (binary(tlvs=b"\x20\x00\x05\x01\x00\x00\x00\x00" + b"\x02\x00\x04host"), FOUR),
    (binary(command=0x20), Ends()),
    (binary(family=0x12), Ends()),
    (SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216), Ends()),
    (SIGNATURE + b"\x20\x00\x00\x00", Ends()),
]

BAD = [
    b"EHLO x\r\n",
    b"proxy TCP4 192.0.2.7 198.51.100.1 4321 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 65536\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 4321 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4321 25\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 4321 25\r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 4321 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4321\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 4321 25\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP4 " + b"1" * 120,
    b"\r\nEHLO x\r\n",
    binary(command=0x11),
    binary(command=0x22),
    SIGNATURE + b"\x21\x11\x00\x0b" + bytes(11),
    SIGNATURE + b"\x21\x11\xff\xff",
]


@pytest.mark.parametrize(("header", "ends"), GOOD)
def test_header_and_what_follows(header: bytes, ends: Ends | None) -> None:
    found = parse(header + b"EHLO x\r\n")
    assert found is not NEED_DATA
    assert found[1] == len(header)
    assert ends is None or found[0] == ends
    for cut in range(len(header)):
        assert parse(header[:cut]) is NEED_DATA


@pytest.mark.parametrize("header", BAD)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse(header)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=200).map(lambda tail: SIGNATURE + tail)))
def test_garbage_raises_one_error_and_is_bounded(data: bytes) -> None:
    try:
        found = parse(data)
    except BadSyntax:
        return
    if found is NEED_DATA:
        assert len(data) < LONGEST
