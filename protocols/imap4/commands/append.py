"""APPEND (RFC 9051 6.3.12, RFC 4315 3, RFC 3516 4.4), of several messages (RFC 3502), with UTF-8
headers (RFC 6855 4); REPLACE (RFC 8508)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from protocols.errors import BadSyntax
from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import Announced, Cursor
from protocols.imap4.responses import Completed, No
from protocols.imap4.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of an APPEND: what stands before its octets.

    utf8: it came as UTF8 (~{n}...), so that its header may have more than ASCII.
    """

    flags: tuple[bytes, ...]
    internal_date: int | None
    message: Announced
    utf8: bool = False

    @classmethod
    def parse(cls, cursor: Cursor) -> Incoming:
        # append-message = [SP flag-list] [SP date-time] SP append-data
        cursor.space()
        flags: tuple[bytes, ...] = ()
        internal_date = None
        if cursor.at(b"("):
            flags = cursor.flag_list()
            cursor.space()
        if cursor.at(b'"'):
            internal_date = cursor.date_time()
            cursor.space()
        # append-data =/ "UTF8" SP "(" literal8 ")"
        utf8 = cursor.keyword(b"UTF8")
        if utf8:
            cursor.space()
            cursor.expect(b"(")
        message = cursor.message_literal()
        if utf8 and not message.binary:
            raise cursor.fail("a literal8")
        return cls(flags, internal_date, message, utf8)


class _HeaderCheck:
    """Refuses a header with more than ASCII from who has not enabled UTF-8 (RFC 6855 4)."""

    __slots__ = ("_over", "_tail")

    def __init__(self, allowed: bool) -> None:
        self._over = allowed
        self._tail = b""

    def look(self, piece: bytes) -> None:
        if self._over:
            return
        data = self._tail + piece
        end = data.find(b"\r\n\r\n")
        if data.startswith(b"\r\n") and not self._tail:
            end = 0
        header = data if end < 0 else data[:end]
        if not header.isascii():
            raise No(b"CANNOT", "UTF-8 in header fields needs ENABLE UTF8=ACCEPT")
        self._over = end >= 0
        self._tail = data[-3:]


async def receive(
    begin: Callable[[Incoming], Awaitable[Any]], first: Incoming, channel: Channel, several: bool
) -> Any:
    """Takes the messages of a command, all or none (RFC 3502 6.3.11), and gives the Appended.

    What can be refused is refused before a synchronizing literal is asked for; octets that
    come all the same are skipped with the rest of the command.
    """
    sink: Any = None
    item: Incoming | None = first
    try:
        while item is not None:
            try:
                if item.utf8 and not channel.dialect.utf8:
                    raise No(b"CANNOT", "ENABLE UTF8=ACCEPT first")
                if sink is None:
                    sink = await begin(item)
                else:
                    await sink.another(item.flags, item.internal_date, item.message.size)
            except Exception:
                await _skip(item, channel)
                raise
            item = await _octets(item, sink, channel, several)
        return await sink.finish()
    except BaseException:
        if sink is not None:
            sink.abandon()
        raise


async def _octets(item: Incoming, sink: Any, channel: Channel, several: bool) -> Incoming | None:
    """Takes one message; the one that follows it in the command."""
    refusal: Exception | None = None
    check = _HeaderCheck(channel.dialect.utf8 or item.utf8)
    async for piece in channel.octets(item.message):
        if refusal is None:
            try:
                check.look(piece)
                if not item.message.binary and b"\0" in piece:
                    raise BadSyntax("a literal without NUL")
                pause = sink.write(piece)
                if pause is not None:
                    await pause
            except Exception as error:
                # The rest of the literal is on its way all the same.
                refusal = error
    cursor = await channel.more()
    following = None
    try:
        if item.utf8:
            cursor.expect(b")")
        if several and cursor.at(b" "):
            following = Incoming.parse(cursor)
        cursor.end()
    except BadSyntax as error:
        await channel.give_up(cursor, error.what)
    if refusal is not None:
        if following is not None:
            await _skip(following, channel)
        raise refusal
    return following


async def _skip(item: Incoming, channel: Channel) -> None:
    try:
        await channel.discard(item.message)
    except BadSyntax:
        # More messages followed, or what closes UTF8 (...): skipped too.
        pass


@dataclass(frozen=True, slots=True)
class Append:
    name: str
    first: Incoming

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Append:
        return cls(named(cursor), Incoming.parse(cursor))

    async def run(self, account: Any, channel: Channel) -> Completed:
        async def begin(item: Incoming) -> Any:
            return await account.append(self.name, item.flags, item.internal_date, item.message.size)

        done = await receive(begin, self.first, channel, several=True)
        return Completed(responses.appenduid(done), "Appended") if done.uid else Completed()


@dataclass(frozen=True, slots=True)
class Replace:
    """RFC 8508 3.2, 3.3: APPENDUID comes untagged, before the EXPUNGE."""

    which: SequenceSet
    name: str
    first: Incoming

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Replace:
        cursor.space()
        # seq-number: one, no set.
        which = cursor.sequence_set(uid)
        if which.saved or len(which.ranges) != 1 or which.ranges[0][0] != which.ranges[0][1]:
            raise cursor.fail("one message")
        return cls(which, named(cursor), Incoming.parse(cursor))

    async def run(self, view: Any, channel: Channel) -> Completed:
        async def begin(item: Incoming) -> Any:
            which = channel.chosen(self.which)
            return await view.replace(which, self.name, item.flags, item.internal_date, item.message.size)

        done = await receive(begin, self.first, channel, several=False)
        if done.uid:
            channel.send(responses.condition(b"*", b"OK", responses.appenduid(done), "Replacement is there"))
        return Completed(b"", "Replaced")
