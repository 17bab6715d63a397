"""Canonical line ends for DATA, piece by piece.

A bare CR or LF is made CRLF before the dots are stuffed, so that nothing we send can be read by
a laxer server as an end of data that is not one (RFC 5321 2.3.8).
"""

import re

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class CanonicalLines:
    """`feed` each piece, then `finish`. Keeps at most one octet: a CR that may become CRLF."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        data = self._held + piece if self._held else piece
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        lines = data.count(b"\r\n")
        if data.count(b"\n") != lines or data.count(b"\r") != lines:
            data = _BARE.sub(b"\r\n", data)
        return data

    def finish(self) -> bytes:
        return b"\r\n" if self._held else b""
