"""Content-Transfer-Encodings undone (RFC 2045 6; x-uuencode as found), whole or in pieces.

Garbage decodes to something: only an encoding that is not known is refused, because its
content cannot be given to BINARY (RFC 3516 4.3).
"""

import binascii
import re
import string

_DIGITS = string.ascii_letters + string.digits + "+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_DIGITS.encode()))
_TRAILING = re.compile(rb"[ \t]++(?=\r?\n)")
_LINE_LIMIT = 8192


class UnknownEncoding(ValueError):
    """The Content-Transfer-Encoding is none that can be undone."""


_IDENTITY = frozenset((b"", b"7BIT", b"8BIT", b"BINARY"))
_UUENCODE = frozenset((b"X-UUENCODE", b"X-UUE", b"UUENCODE"))


def known(encoding: bytes) -> bool:
    """Whether `decoder` can undo this encoding (upper case)."""
    return encoding in _IDENTITY or encoding in _UUENCODE or encoding in (b"BASE64", b"QUOTED-PRINTABLE")


def decode(data: bytes, encoding: bytes) -> bytes:
    """A whole body decoded. Raises UnknownEncoding."""
    if encoding in _IDENTITY:
        return data
    undo = decoder(encoding)
    return undo.feed(data) + undo.finish()


class Identity:
    """7bit, 8bit and binary."""

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class Base64:
    """Characters outside the alphabet are skipped (RFC 2045 6.8); padding may stand anywhere."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        clean = self._held + data.translate(None, _NOT_BASE64)
        pieces: list[bytes] = []
        while (pad := clean.find(b"=")) >= 0:
            pieces.append(_digits(clean[:pad]))
            clean = clean[pad:].lstrip(b"=")
        even = len(clean) - len(clean) % 4
        pieces.append(binascii.a2b_base64(clean[:even]))
        self._held = clean[even:]
        return b"".join(pieces)

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return _digits(held)


def _digits(digits: bytes) -> bytes:
    over = len(digits) % 4
    if over == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


class QuotedPrintable:
    """RFC 2045 6.7: white space before a line end goes; what is no escape stays as it is."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        # A soft line break or trailing white space is only known with the line end after it.
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _LINE_LIMIT:
            stop = len(data)
            while stop > cut and len(data) - stop < 80 and data[stop - 1] in b" \t=\r":
                stop -= 1
            escape = data.rfind(b"=", max(cut, stop - 2), stop)
            cut = escape if escape >= 0 else stop
        self._held = data[cut:]
        return _quoted(data[:cut])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return _quoted(held)


def _quoted(data: bytes) -> bytes:
    if b" \r" in data or b"\t\r" in data or b" \n" in data or b"\t\n" in data:
        data = _TRAILING.sub(b"", data)
    return binascii.a2b_qp(data) if b"=" in data else data


class Uuencode:
    """Lines between "begin" and "end"; what stands outside, and lines that are broken, are skipped."""

    def __init__(self) -> None:
        self._held = b""
        self._inside = False

    def feed(self, data: bytes) -> bytes:
        lines = (self._held + data).split(b"\n")
        self._held = lines.pop()[-_LINE_LIMIT:]
        return b"".join([self._line(line.rstrip(b"\r")) for line in lines])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return self._line(held.rstrip(b"\r"))

    def _line(self, line: bytes) -> bytes:
        if not self._inside:
            self._inside = line.startswith(b"begin ")
            return b""
        if line == b"end":
            self._inside = False
            return b""
        if not line:
            return b""
        try:
            return binascii.a2b_uu(line)
        except binascii.Error:
            # Some encoders pad lines wrongly: decode by the length the first character gives.
            wanted = ((line[0] - 32) & 63) * 4 // 3 + 3
            try:
                return binascii.a2b_uu(line[: wanted + 1])
            except binascii.Error:
                return b""


Decoder = Identity | Base64 | QuotedPrintable | Uuencode


def decoder(encoding: bytes) -> Decoder:
    """An incremental decoder. Raises UnknownEncoding."""
    if encoding in _IDENTITY:
        return Identity()
    if encoding == b"BASE64":
        return Base64()
    if encoding == b"QUOTED-PRINTABLE":
        return QuotedPrintable()
    if encoding in _UUENCODE:
        return Uuencode()
    raise UnknownEncoding(encoding.decode("ascii", "replace"))
