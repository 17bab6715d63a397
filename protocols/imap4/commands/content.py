"""Sections of a stored message as octets to send: ranges of prefix and blob, or decoded.

1. A section is worked out to its exact size before the first octet of it goes out, because
   a literal announces its size. Ranges know theirs; a decoded part is decoded twice when it
   is large, once to count and once to send, so that it is never held whole.
2. Up to SMALL octets are read at once; more is streamed while the peer takes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from protocols.imap4.channel import Channel
from protocols.imap4.responses import No
from protocols.imap4.urls import MessageUrl
from protocols.imap4.values import Needs
from protocols.message import sections, transfer
from protocols.message.sections import Extent, Kind, Section

SMALL: Final = 256 * 1024


class Form(Enum):
    """BODY[...] as stored, BINARY[...] decoded, BINARY.SIZE[...] its size."""

    BODY = "BODY"
    BINARY = "BINARY"
    SIZE = "BINARY.SIZE"


@dataclass(frozen=True, slots=True)
class Item:
    """One section of a FETCH.

    name: the data item name of the response, with `<origin>`. partial: offset and count.
    peek: \\Seen is not set by it.
    """

    name: bytes
    section: Section
    form: Form = Form.BODY
    partial: tuple[int, int] | None = None
    peek: bool = False

    @property
    def in_header(self) -> bool:
        """The message's own header block is enough for it."""
        return not self.section.path and self.section.kind in (Kind.HEADER, Kind.FIELDS, Kind.FIELDS_NOT)

    @property
    def whole(self) -> bool:
        """It is the whole message."""
        return not self.section.path and self.section.kind is Kind.ALL

    def extent(self, message: Any) -> Extent | None:
        """Its octets; the part tree is asked only where it has to be."""
        if self.whole:
            return Extent(message.prefix, 0, message.size)
        if self.in_header:
            kind = self.section.kind
            fields = None if kind is Kind.HEADER else self.section.fields
            return Extent(message.prefix, 0, len(message.header), fields, kind is Kind.FIELDS_NOT)
        return sections.resolve(message.scan, self.section, message.prefix)


async def send(item: Item, message: Any, channel: Channel) -> None:
    """Sends `name value` of one section."""
    if item.form is Form.BODY:
        await _send_body(item, message, channel)
        return
    extent = item.extent(message)
    if extent is None:
        # msg-att-static: a size is a number (RFC 9051 9).
        channel.send(item.name + (b" 0" if item.form is Form.SIZE else b" NIL"))
        return
    # RFC 9051 6.4.5: BINARY of the whole message, or of what is no leaf, is sent as it is.
    part = None if item.whole else message.scan.part(item.section.path)
    encoding = part.content.encoding if part is not None and not part.children else b"BINARY"
    if not transfer.known(encoding):
        raise No(b"UNKNOWN-CTE", "Unknown content transfer encoding")
    if item.form is Form.SIZE:
        size = extent.size if encoding in _IDENTITY else await _decoded_size(message, extent, encoding)
        channel.send(b"%b %d" % (item.name, size))
    elif encoding in _IDENTITY:
        await _send_extent(item, _cut(extent, item.partial), message, channel, binary=True)
    else:
        await _send_decoded(item, extent, encoding, message, channel)


class NoSuchPart(Exception):
    """A URL names what is not there: the mailbox, the message or the part (RFC 4469 4.1)."""


async def octets(opening: Callable[[Needs], Awaitable[Any]], target: MessageUrl) -> AsyncIterator[bytes]:
    """What a URL names, in pieces, as FETCH BODY.PEEK would give it (RFC 4469 3).

    opening: gives the message, or None. Raises NoSuchPart, and refusals that may pass.
    """
    item = Item(b"", target.section, partial=target.partial)
    message = await opening(needs([item]))
    extent = None if message is None else item.extent(message)
    if extent is None:
        raise NoSuchPart
    if extent.fields is not None:
        data = extent.pick(await _read(message, extent))
        yield data if item.partial is None else sections.window(data, *item.partial)
        return
    extent = _cut(extent, item.partial)
    if extent.prefix:
        yield extent.prefix
    if extent.stop - extent.start <= SMALL:
        yield await _read(message, extent)
        return
    async for piece in message.stream(extent.start, extent.stop):
        yield piece


def size(item: Item, message: Any) -> int:
    """Octets that a BODY item gives, at most."""
    extent = item.extent(message)
    return 0 if extent is None else _cut(extent, item.partial).size


def needs(items: Iterable[Item], summary: bool = False, identity: bool = False) -> Needs:
    """What has to be read for these sections."""
    items = list(items)
    return Needs(
        summary=summary,
        header=any(item.in_header for item in items),
        scan=any(not item.in_header and not item.whole for item in items),
        content=any(not item.in_header for item in items),
        identity=identity,
    )


_IDENTITY: Final = frozenset({b"7BIT", b"8BIT", b"BINARY"})


def _cut(extent: Extent, partial: tuple[int, int] | None) -> Extent:
    return extent if partial is None else extent.partial(*partial)


async def _send_body(item: Item, message: Any, channel: Channel) -> None:
    extent = item.extent(message)
    if extent is None:
        channel.send(item.name + b" NIL")
    elif extent.fields is not None:
        data = extent.pick(await _read(message, extent))
        if item.partial is not None:
            data = sections.window(data, *item.partial)
        channel.send(b"%b {%d}\r\n%b" % (item.name, len(data), data))
    else:
        await _send_extent(item, _cut(extent, item.partial), message, channel)


async def _read(message: Any, extent: Extent) -> bytes:
    header: bytes = message.header
    if extent.start >= extent.stop:
        return b""
    if extent.stop <= len(header):
        return header[extent.start : extent.stop]
    data: bytes = await message.read(extent.start, extent.stop)
    return data


async def _send_extent(
    item: Item, extent: Extent, message: Any, channel: Channel, binary: bool = False
) -> None:
    """A literal; literal8 when the octets may hold NUL (RFC 3516 4.3)."""
    size = extent.size
    if size <= SMALL:
        data = extent.prefix + await _read(message, extent)
        mark = b"~" if binary and b"\0" in data else b""
        channel.send(b"%b %b{%d}\r\n%b" % (item.name, mark, size, data))
        return
    channel.send(b"%b %b{%d}\r\n%b" % (item.name, b"~" if binary else b"", size, extent.prefix))
    await _pour(message.stream(extent.start, extent.stop), extent.stop - extent.start, channel)


async def _pour(pieces: AsyncIterator[bytes], size: int, channel: Channel) -> None:
    """Sends exactly `size` octets; a source that fails or falls short ends the connection,
    because the literal cannot be completed."""
    whole = False
    try:
        left = size
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            channel.send(piece)
            await channel.breathe()
        whole = left == 0
    finally:
        if not whole:
            channel.abort()


async def _decoded(message: Any, extent: Extent, encoding: bytes) -> AsyncIterator[bytes]:
    """The decoded part in pieces."""
    decoder = transfer.decoder(encoding)
    if extent.stop - extent.start <= SMALL:
        yield decoder.feed(await _read(message, extent))
    else:
        async for piece in message.stream(extent.start, extent.stop):
            yield decoder.feed(piece)
    yield decoder.finish()


async def _decoded_size(message: Any, extent: Extent, encoding: bytes) -> int:
    size = 0
    async for piece in _decoded(message, extent, encoding):
        size += len(piece)
    return size


async def _send_decoded(item: Item, extent: Extent, encoding: bytes, message: Any, channel: Channel) -> None:
    offset, count = item.partial or (0, 1 << 62)
    if extent.size <= SMALL:
        whole = b"".join([piece async for piece in _decoded(message, extent, encoding)])
        data = whole[offset : offset + count]
        channel.send(b"%b %b{%d}\r\n%b" % (item.name, b"~" if b"\0" in data else b"", len(data), data))
        return
    total = await _decoded_size(message, extent, encoding)
    size = max(0, min(count, total - offset))
    channel.send(b"%b ~{%d}\r\n" % (item.name, size))
    await _pour(_windowed(_decoded(message, extent, encoding), offset, size), size, channel)


async def _windowed(pieces: AsyncIterator[bytes], offset: int, count: int) -> AsyncIterator[bytes]:
    """The octets from `offset` on, `count` of them."""
    position = 0
    async for piece in pieces:
        start, position = position, position + len(piece)
        if position > offset and start < offset + count:
            yield piece[max(0, offset - start) : offset + count - start]
