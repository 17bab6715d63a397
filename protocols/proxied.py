"""The header of the PROXY protocol, versions 1 and 2: who is at the far end of a load balancer.

Specification: proxy-protocol.txt of HAProxy, 2.1 (text) and 2.2 (binary). Which of the two it is, the
first octet tells. What a header says of TLS (PP2_TYPE_SSL and other TLVs) is skipped: what our own
transport protects is all that counts as protected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal

from protocols.errors import BadSyntax
from protocols.lines import NEED_DATA, NeedData
from protocols.security import address_text

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_TEXT: Final = 107
LONGEST: Final = 16 + 2048
"""Octets of a binary header with all its TLVs; more is nobody's (2.2: up to 65,535 could be said)."""

_TEXT: Final = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})")
_ADDRESSES: Final = {0x11: 4, 0x21: 16}
"""Octets of an address, by family and protocol: TCP over IPv4, TCP over IPv6."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends as the proxy sees them; ::ffff:a.b.c.d is an address of IPv4. source "": it speaks for
    itself, or knows nothing."""

    source: str = ""
    source_port: int = 0
    target: str = ""
    target_port: int = 0


def parse(data: bytes | bytearray) -> tuple[Ends, int] | Literal[NeedData.NEED_DATA]:
    """The header that data begins with, and its length. Raises BadSyntax."""
    if data[:1] == b"\r":
        return _binary(bytes(data[:LONGEST]))
    return _text(bytes(data[:LONGEST_TEXT]))


def _text(data: bytes) -> tuple[Ends, int] | Literal[NeedData.NEED_DATA]:
    """PROXY (TCP4 / TCP6) SP src SP dst SP sport SP dport CRLF; PROXY UNKNOWN ... CRLF"""
    word = b"PROXY "
    if data[: len(word)] != word[: len(data)]:
        raise BadSyntax("PROXY header expected")
    end = data.find(b"\r\n")
    if end < 0:
        if len(data) >= LONGEST_TEXT:
            raise BadSyntax("PROXY header is too long")
        return NEED_DATA
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return Ends(), end + 2
    match = _TEXT.fullmatch(line)
    if match is None:
        raise BadSyntax("PROXY header expected")
    kind = IPv4Address if match[1] == b"TCP4" else IPv6Address
    try:
        source, target = (address_text(kind(text.decode("ascii"))) for text in match.group(2, 3))
    except ValueError:
        raise BadSyntax("PROXY header has no such address") from None
    ports = int(match[4]), int(match[5])
    if max(ports) > 65_535:
        raise BadSyntax("PROXY header has no such port")
    return Ends(source, ports[0], target, ports[1]), end + 2


def _binary(data: bytes) -> tuple[Ends, int] | Literal[NeedData.NEED_DATA]:
    """signature, version and command, family and protocol, length, addresses, TLVs"""
    if data[:12] != SIGNATURE[: len(data)]:
        raise BadSyntax("PROXY header expected")
    if len(data) < 16:
        return NEED_DATA
    version, command = data[12] >> 4, data[12] & 15
    if version != 2 or command > 1:
        raise BadSyntax("PROXY header of another version")
    length = int.from_bytes(data[14:16], "big")
    if 16 + length > LONGEST:
        raise BadSyntax("PROXY header is too long")
    if len(data) < 16 + length:
        return NEED_DATA
    size = _ADDRESSES.get(data[13])
    if command == 0 or size is None:
        # LOCAL: a health check. Another family: nothing that we could use (2.2).
        return Ends(), 16 + length
    if length < 2 * size + 4:
        raise BadSyntax("PROXY header is too short")
    source, target = data[16 : 16 + size], data[16 + size : 16 + 2 * size]
    ports = data[16 + 2 * size : 20 + 2 * size]
    return (
        Ends(
            address_text(ip_address(source)),
            int.from_bytes(ports[:2], "big"),
            address_text(ip_address(target)),
            int.from_bytes(ports[2:], "big"),
        ),
        16 + length,
    )
