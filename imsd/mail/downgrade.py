"""Content without 8-bit lines, for servers without 8BITMIME or BINARYMIME (RFC 6152 3, RFC 2045).

Every part that says 8bit or binary is encoded anew, text as quoted-printable and the rest as
base64, and its header says so; what surrounds it passes as it is. The content streams through:
a piece and a line are all that is held. A signature over such a part does not survive this, as
it does not survive any conversion (RFC 8551 3.1.3 is why signed mail is 7bit).
"""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Awaitable, Callable

from protocols.message import compose, headers
from protocols.message.part import LEAF, Part, Scan

Read = Callable[[int, int], Awaitable[bytes]]
Stream = Callable[[int, int], AsyncIterator[bytes]]

_EIGHT = frozenset((b"8BIT", b"BINARY"))
_LONG = 16_384


async def seven_bit(tree: Scan, read: Read, stream: Stream) -> AsyncIterator[bytes]:
    """The content of a blob converted. read(start, length) and stream(start, stop) give its octets."""
    at = 0
    for part in tree.walk():
        if part.content.encoding not in _EIGHT:
            continue
        async for piece in stream(at, part.start):
            yield piece
        encoding = _encoding(part)
        yield _said(await read(part.start, part.body - part.start), encoding)
        at = part.body
        if part.kind == LEAF:
            encode = Quoted() if encoding == b"quoted-printable" else Base64()
            async for piece in stream(part.body, part.stop):
                yield encode.feed(piece)
            yield encode.finish()
            at = part.stop
    async for piece in stream(at, tree.size):
        yield piece


def _encoding(part: Part) -> bytes:
    if part.kind != LEAF:
        return b"7bit"
    return b"quoted-printable" if part.content.type == b"TEXT" else b"base64"


def _said(header: bytes, encoding: bytes) -> bytes:
    """The header block with another Content-Transfer-Encoding."""
    kept: list[bytes] = []
    at = 0
    for field in headers.fields(header):
        if field.name.lower() == b"content-transfer-encoding":
            kept.append(header[at : field.start])
            if len(kept) == 1:
                kept.append(b"Content-Transfer-Encoding: " + encoding + b"\r\n")
            at = field.stop
    kept.append(header[at:])
    return b"".join(kept)


class Quoted:
    """Quoted-printable, line by line; a line without end is broken softly."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        cut = data.rfind(b"\r\n") + 2
        if cut >= 2:
            self._held = data[cut:]
            return compose.quoted_printable(data[:cut])
        if len(data) > _LONG:
            # Not between CR and LF.
            cut = len(data) - 1
            self._held = data[cut:]
            return compose.quoted_printable(data[:cut]) + b"=\r\n"
        self._held = data
        return b""

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return compose.quoted_printable(held)


class Base64:
    """Base64 in lines of 76."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = self._held + data
        cut = len(data) - len(data) % 57
        self._held = data[cut:]
        return compose.base64(data[:cut])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return binascii.b2a_base64(held, newline=False) if held else b""
