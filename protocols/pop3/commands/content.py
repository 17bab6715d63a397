"""RETR and TOP: messages, streamed and dot-stuffed (RFC 1939 5, 7)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import ClassVar, Final

from protocols.lines import CanonicalLines, DotStuffer
from protocols.pop3 import responses
from protocols.pop3.commands.command import Channel, Command, Refused, Session, opened
from protocols.pop3.grammar import Cursor
from protocols.pop3.surrogate import surrogate

_MOST_HEADER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Retr(Command):
    name: ClassVar[str] = "RETR"

    number: int

    @classmethod
    def parse(cls, cursor: Cursor) -> Retr:
        number = cursor.number("message number")
        cursor.nothing()
        return cls(number)

    async def run(self, session: Session, channel: Channel) -> None:
        await send_content(session, channel, self.number, None)


@dataclass(frozen=True, slots=True)
class Top(Command):
    """The header, the empty line and so many lines of the body."""

    name: ClassVar[str] = "TOP"

    number: int
    lines: int

    @classmethod
    def parse(cls, cursor: Cursor) -> Top:
        number = cursor.number("message number")
        lines = cursor.number("number of lines")
        cursor.nothing()
        return cls(number, lines)

    async def run(self, session: Session, channel: Channel) -> None:
        await send_content(session, channel, self.number, self.lines)

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        return ["TOP"]


async def send_content(session: Session, channel: Channel, number: int, lines: int | None) -> None:
    """Answer with a message; lines: of the body, None for all of it.

    Once +OK is sent a failure can only be told by ending the connection: half a message must
    not look like a whole one.
    """
    maildrop = opened(session)
    index = maildrop.index(number)
    content = maildrop.drop.content(index)
    pieces = _canonical(content)
    try:
        first = await anext(pieces, b"")
        octets = maildrop.drop.sizes[index]
        if not session.utf8:
            first, more = await _in_ascii(first, pieces)
            octets += more
        channel.send(responses.ok(f"{octets} octets", channel.language))
        try:
            await _stream(session, channel, first, pieces, lines)
        except BaseException:
            channel.abort()
            raise
    finally:
        await pieces.aclose()
        await content.aclose()


async def _canonical(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Nothing but CRLF ends a line (RFC 1939 3). Clients take LF for an end of line as well:
    a dot between two of them would end the answer early for these, and what follows it in the
    message would be taken for answers."""
    lines = CanonicalLines()
    async for piece in pieces:
        whole = lines.feed(piece)
        if whole:
            yield whole
    rest = lines.finish()
    if rest:
        yield rest


async def _in_ascii(first: bytes, pieces: AsyncIterator[bytes]) -> tuple[bytes, int]:
    """The beginning of a message for a client without UTF-8 mode, and how much longer it became."""
    end = _header_end(first)
    while end == len(first) and (more := await anext(pieces, b"")):
        first += more
        end = _header_end(first)
        if len(first) > _MOST_HEADER:
            raise Refused("The message has a long UTF-8 header: UTF8 first", b"UTF8")
    if not needs_utf8(first[:end]):
        return first, 0
    header = surrogate(first[:end])
    return header + first[end:], len(header) - end


async def _stream(
    session: Session, channel: Channel, piece: bytes, pieces: AsyncIterator[bytes], lines: int | None
) -> None:
    stuffer = DotStuffer()
    cut = None if lines is None else Cut(lines)
    while piece:
        if session.ended:
            channel.abort()
            return
        channel.send(stuffer.stuff(piece if cut is None else cut.take(piece)))
        if cut is not None and cut.done:
            break
        await channel.breathe()
        piece = await anext(pieces, b"")
    channel.send(stuffer.finish())


def needs_utf8(header: bytes) -> bool:
    """Is this the header of an internationalized message (RFC 6532)?

    Octets over 127 that are not UTF-8 are somebody's old mistake, and are sent as they are.
    """
    if header.isascii():
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header_end(data: bytes) -> int:
    """Where the body begins, or the end of the data."""
    if data.startswith(b"\r\n"):
        return 2
    end = data.find(b"\r\n\r\n")
    return len(data) if end < 0 else end + 4


class Cut:
    """Takes the header, the empty line and a number of lines off a stream of pieces."""

    __slots__ = ("_left", "_tail", "done")

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._tail: bytes | None = b"\r\n"  # what came before, None once in the body
        self.done = False

    def take(self, piece: bytes) -> bytes:
        """What of this piece is wanted."""
        start = 0
        if self._tail is not None:
            seen = self._tail + piece
            end = seen.find(b"\r\n\r\n")
            if end < 0:
                self._tail = seen[-3:]
                return piece
            start = end + 4 - len(self._tail)
            self._tail = None
        while self._left:
            end = piece.find(b"\n", start)
            if end < 0:
                return piece
            self._left -= 1
            start = end + 1
        self.done = True
        return piece[:start]
