"""Content without 8-bit lines, for servers without 8BITMIME or BINARYMIME (RFC 6152 3, RFC 2045).

Every part that says 8bit or binary, and every part that is 8-bit without saying so, is encoded
anew, text as quoted-printable and the rest as base64, and its header says so; what surrounds it
passes as it is. Content that named no type becomes text in an unknown character set (RFC 1428 3).
The content streams through: a piece and a line are all that is held. A signature over such a part
does not survive this, as it does not survive any conversion (RFC 8551 3.1.3 is why signed mail is
7bit). Octets above 127 in header fields, between parts and in parts that say they are encoded
are no text anybody could convert: `Unconvertible` is raised when they come (RFC 3463 X.6.3).

`without_nul` does less: parts with NUL become base64, for what is kept here (`imsd.mail.nul`).
"""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Awaitable, Callable

from protocols.message import compose, headers
from protocols.message.part import LEAF, Part, Scan

Read = Callable[[int, int], Awaitable[bytes]]
Stream = Callable[[int, int], AsyncIterator[bytes]]

_EIGHT = frozenset((b"8BIT", b"BINARY"))
_SEVEN = frozenset((b"7BIT", b""))
_LONG = 16_384


class Unconvertible(Exception):
    """There are 8-bit octets, or NUL, where no encoding can carry them."""


async def seven_bit(tree: Scan, read: Read, stream: Stream) -> AsyncIterator[bytes]:
    """The content of a blob converted. read(start, length) and stream(start, stop) give its octets.

    Raises Unconvertible instead of giving an octet above 127.
    """

    async def choose(part: Part) -> bytes:
        return _encoding(part) if await _needs(part, stream) else b""

    async for piece in _converted(tree, read, stream, choose):
        if not piece.isascii():
            raise Unconvertible
        yield piece


async def is_seven_bit(tree: Scan, stream: Stream) -> bool:
    """Whether the content would stay as it is."""
    for part in tree.walk():
        if await _needs(part, stream):
            return False
    return True


async def without_nul(tree: Scan, read: Read, stream: Stream) -> AsyncIterator[bytes]:
    """The content with parts in base64 that hold NUL, and nothing else another; what they are in
    is not binary then.

    Raises Unconvertible for NUL in header fields, between parts and in parts that are encoded.
    """
    holding: set[int] = set()
    # Children before what they are in.
    for part in reversed(list(tree.walk())):
        if part.kind == LEAF:
            found = part.content.encoding in _EIGHT | _SEVEN and await _any_nul(stream(part.body, part.stop))
        else:
            found = any(id(child) in holding for child in part.children)
        if found:
            holding.add(id(part))

    async def choose(part: Part) -> bytes:
        if id(part) not in holding:
            return b""
        if part.kind == LEAF:
            return b"base64"
        return b"8bit" if part.content.encoding == b"BINARY" else b""

    async for piece in _converted(tree, read, stream, choose):
        if b"\0" in piece:
            raise Unconvertible
        yield piece


async def _any_nul(pieces: AsyncIterator[bytes]) -> bool:
    found = False
    async for piece in pieces:
        found = found or b"\0" in piece
    return found


async def _converted(
    tree: Scan, read: Read, stream: Stream, choose: Callable[[Part], Awaitable[bytes]]
) -> AsyncIterator[bytes]:
    """choose: the encoding a part is to have, b"" for the one it has."""
    at = 0
    for part in tree.walk():
        encoding = await choose(part)
        if not encoding:
            continue
        async for piece in stream(at, part.start):
            yield piece
        header = _said(await read(part.start, part.body - part.start), encoding)
        if part.kind == LEAF and part.content.encoding not in _EIGHT:
            header = _described(header, part is tree.root, encoding)
        yield header
        at = part.body
        if part.kind == LEAF:
            encode = Quoted() if encoding == b"quoted-printable" else Base64()
            async for piece in stream(part.body, part.stop):
                yield encode.feed(piece)
            yield encode.finish()
            at = part.stop
    async for piece in stream(at, tree.size):
        yield piece


async def _needs(part: Part, stream: Stream) -> bool:
    """Whether a part is 8-bit: it says so, or it is."""
    if part.content.encoding in _EIGHT:
        return True
    if part.kind != LEAF or part.content.encoding not in _SEVEN:
        return False
    async for piece in stream(part.body, part.stop):
        if not piece.isascii():
            return True
    return False


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


def _described(header: bytes, is_message: bool, encoding: bytes) -> bytes:
    """The header block of what was sent without saying so much, with the fields that MIME needs.

    They come last: the trace lines stay on top (RFC 5321 4.4).
    """
    names = {field.name.lower() for field in headers.fields(header)}
    added = []
    if is_message and b"mime-version" not in names:
        added.append(b"MIME-Version: 1.0\r\n")
    if b"content-type" not in names:
        added.append(b"Content-Type: text/plain; charset=unknown-8bit\r\n")
    if b"content-transfer-encoding" not in names:
        added.append(b"Content-Transfer-Encoding: " + encoding + b"\r\n")
    end = len(header) - 2 if header == b"\r\n" or header.endswith(b"\r\n\r\n") else len(header)
    return header[:end] + b"".join(added) + (header[end:] or b"\r\n")


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
