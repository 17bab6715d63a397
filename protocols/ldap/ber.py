"""Basic Encoding Rules as RFC 4511 5.1 restricts them: definite lengths, primitive strings.

Reading is by offsets into one bytes object, nothing is copied before a value is taken. Two
kinds of refusal: BadEncoding, after which nothing that follows can be trusted (the server ends
the session, RFC 4511 4.1.1), and BadValue, a well-formed element that holds what the operation
does not allow (the operation is answered with protocolError).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocols.errors import BadSyntax

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31

LENGTH_OCTETS: Final = 8
"""Octets of a long-form length; leading zeros are allowed, as some clients send them."""


class BadEncoding(BadSyntax):
    """Not BER, or not the elements RFC 4511 prescribes."""


class BadValue(BadSyntax):
    """BER, but a value out of its range."""


# Reading -------------------------------------------------------------------------------


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and stop of the contents of the element at `at`, which must end by `end`."""
    start = at + 2
    if start > end:
        raise BadEncoding("a tag and a length", at)
    size = data[at + 1]
    if size >= 0x80:
        start, size = _long_length(data, start, size - 0x80, end)
    stop = start + size
    if stop > end:
        raise BadEncoding("a length that fits", at)
    return data[at], start, stop


def _long_length(data: bytes, at: int, octets: int, end: int) -> tuple[int, int]:
    if not 0 < octets <= LENGTH_OCTETS:
        raise BadEncoding("a definite length", at - 1)
    if at + octets > end:
        raise BadEncoding("the octets of a length", at)
    return at + octets, int.from_bytes(data[at : at + octets], "big")


class Cursor:
    """Takes elements off the contents of one constructed element, in order."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    @property
    def more(self) -> bool:
        return self.at < self.end

    def next(self, tag: int) -> bytes | None:
        """`tag` if the next element has it, without taking it; for OPTIONAL and CHOICE."""
        return self.octets(tag) if self.more and self.data[self.at] == tag else None

    def take(self) -> tuple[int, bytes]:
        """Any element: its tag and contents."""
        tag, start, self.at = element(self.data, self.at, self.end)
        return tag, self.data[start : self.at]

    def octets(self, tag: int = OCTETS) -> bytes:
        found, start, stop = element(self.data, self.at, self.end)
        if found != tag:
            raise BadEncoding(f"tag {tag:#04x}", self.at)
        self.at = stop
        return self.data[start:stop]

    def text(self, tag: int = OCTETS) -> str:
        """An LDAPString: UTF-8 (RFC 4511 4.1.2)."""
        at = self.at
        try:
            return self.octets(tag).decode()
        except UnicodeDecodeError:
            raise BadValue("UTF-8", at) from None

    def integer(self, tag: int = INTEGER, low: int = 0, high: int = 0x7FFFFFFF) -> int:
        at = self.at
        raw = self.octets(tag)
        if not 0 < len(raw) <= 8:
            raise BadEncoding("an integer of one to eight octets", at)
        value = int.from_bytes(raw, "big", signed=True)
        if not low <= value <= high:
            raise BadValue(f"a number from {low} to {high}", at)
        return value

    def boolean(self, tag: int = BOOLEAN) -> bool:
        """FF is true; so is what else is not 00, as BER has it."""
        at = self.at
        raw = self.octets(tag)
        if len(raw) != 1:
            raise BadEncoding("a boolean of one octet", at)
        return raw != b"\0"

    def enter(self, tag: int = SEQUENCE) -> Cursor:
        """A cursor inside the next element, which is taken."""
        found, start, stop = element(self.data, self.at, self.end)
        if found != tag:
            raise BadEncoding(f"tag {tag:#04x}", self.at)
        self.at = stop
        return Cursor(self.data, start, stop)

    def rest(self) -> None:
        """What follows the known elements of an extensible SEQUENCE is ignored, if BER
        (RFC 4511 4)."""
        while self.more:
            _, _, self.at = element(self.data, self.at, self.end)


# Writing -------------------------------------------------------------------------------


def length(size: int) -> bytes:
    """The shortest form."""
    if size < 0x80:
        return b"%c" % size
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return b"%c%b" % (0x80 | len(raw), raw)


def wrap(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return b"%c%c%b" % (tag, size, body)
    return b"%c%b%b" % (tag, length(size), body)


def octets(value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return b"\x04%c%b" % (size, value)
    return b"\x04%b%b" % (length(size), value)


def text(value: str) -> bytes:
    return octets(value.encode())


def integer(value: int, tag: int = INTEGER) -> bytes:
    if 0 <= value < 0x80:
        return b"%c\x01%c" % (tag, value)
    magnitude = value if value >= 0 else ~value
    return wrap(tag, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    return b"%c\x01%c" % (tag, 0xFF if value else 0)


def sequence(parts: Iterable[bytes], tag: int = SEQUENCE) -> bytes:
    return wrap(tag, b"".join(parts))
