"""Writing content for DATA: dot stuffing piece by piece (RFC 5321 4.5.2).

Theory: only a dot that starts a line is doubled, and a line starts after CRLF alone. What is not
CRLF (a bare CR or LF) is made CRLF first, so that nothing we send can be read by a laxer server
as an end of data that is not one.
"""

import re

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class DotStuffer:
    """`feed` each piece, then `finish` for the end of data. Keeps at most one octet."""

    __slots__ = ("_at_start", "_held")

    def __init__(self) -> None:
        self._at_start = True
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        data = self._held + piece
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        if not data:
            return b""
        return self._stuff(data)

    def finish(self) -> bytes:
        tail = self._stuff(self._held) if self._held else b""
        return tail + (b".\r\n" if self._at_start else b"\r\n.\r\n")

    def _stuff(self, data: bytes) -> bytes:
        lines = data.count(b"\r\n")
        if data.count(b"\n") != lines or data.count(b"\r") != lines:
            data = _BARE.sub(b"\r\n", data)
        start = self._at_start
        self._at_start = data.endswith(b"\r\n")
        if b"\r\n." in data:
            data = data.replace(b"\r\n.", b"\r\n..")
        return b"." + data if start and data.startswith(b".") else data
