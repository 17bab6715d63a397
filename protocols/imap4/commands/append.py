"""APPEND (RFC 9051 6.3.12, RFC 4315 3, RFC 3516 4.4), of several messages (RFC 3502), put together
from parts of others (RFC 4469), with UTF-8 headers (RFC 6855 4); REPLACE (RFC 8508).

A command is a list of steps. It is read up to its next literal, what was read is done, the
literal is poured into the message under way, and what stands behind it is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

from protocols.errors import BadSyntax, Flood
from protocols.imap4 import responses, urls
from protocols.imap4.channel import Channel
from protocols.imap4.commands.content import NoSuchPart, octets
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import Announced, Cursor, LiteralPending
from protocols.imap4.responses import Completed, No
from protocols.imap4.sets import SequenceSet
from protocols.imap4.urls import MessageUrl
from protocols.imap4.values import Needs

PARTS: Final = 1000
"""Parts of the messages of one command (RFC 4469): TEXT and URL together."""


class Inside(Enum):
    """Where in a command a literal stands; what may follow it."""

    PLAIN = "a message"
    UTF8 = "UTF8 (...)"
    CATENATE = "CATENATE (...)"
    CATENATE_UTF8 = "UTF8 (...) in CATENATE (...)"


@dataclass(frozen=True, slots=True)
class Begin:
    """A message begins. size: octets that are announced of it so far; whole: that is all of it."""

    flags: tuple[bytes, ...]
    internal_date: int | None
    size: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Text:
    """Octets that come as a literal: always the last step of what was read."""

    literal: Announced
    inside: Inside

    @property
    def utf8(self) -> bool:
        """Its header may have more than ASCII (RFC 6855 4)."""
        return self.inside in (Inside.UTF8, Inside.CATENATE_UTF8)


@dataclass(frozen=True, slots=True)
class Url:
    """Octets that are here already (RFC 4469 3)."""

    url: bytes


Step = Begin | Text | Url


def steps(cursor: Cursor, inside: Inside | None = None, several: bool = True) -> tuple[Step, ...]:
    """What to do in order, up to the next literal or the end of the command.

    inside: where the literal before it stood, None at the beginning. several: more messages
    may follow (RFC 3502).
    """
    found: list[Step] = []
    if inside in (Inside.UTF8, Inside.CATENATE_UTF8):
        cursor.expect(b")")
    if inside in (Inside.CATENATE, Inside.CATENATE_UTF8):
        _parts(cursor, found, first=False)
    while not (found and isinstance(found[-1], Text)):
        if inside is not None and not (several and cursor.at(b" ")):
            break
        if inside is not None:
            cursor.need(b"MULTIAPPEND")
        inside = inside or Inside.PLAIN
        _message(cursor, found)
    cursor.end()
    return tuple(found)


def _message(cursor: Cursor, found: list[Step]) -> None:
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
    # append-data =/ "CATENATE" SP "(" cat-part *(SP cat-part) ")"
    if cursor.keyword(b"CATENATE"):
        cursor.need(b"CATENATE")
        cursor.space()
        cursor.expect(b"(")
        parts: list[Step] = []
        _parts(cursor, parts, first=True)
        size = parts[-1].literal.size if isinstance(parts[-1], Text) else 0
        found += [Begin(flags, internal_date, size, whole=False), *parts]
        return
    # append-data =/ "UTF8" SP "(" literal8 ")"
    text = _utf8(cursor, Inside.UTF8) or Text(cursor.message_literal(), Inside.PLAIN)
    if text.inside is Inside.PLAIN and text.literal.binary:
        cursor.need(b"BINARY")
    found += [Begin(flags, internal_date, text.literal.size, whole=True), text]


def _parts(cursor: Cursor, found: list[Step], first: bool) -> None:
    """cat-part = "TEXT" SP literal / "URL" SP astring / "UTF8" SP "(" literal8 ")", up to a
    literal or the `)` behind the last."""
    while first or not cursor.skip(b")"):
        if not first:
            cursor.space()
        first = False
        text = _utf8(cursor, Inside.CATENATE_UTF8)
        if text is None and cursor.keyword(b"TEXT"):
            cursor.space()
            text = Text(cursor.message_literal(), Inside.CATENATE)
            if text.literal.binary:
                cursor.need(b"BINARY")
        if text is not None:
            found.append(text)
            return
        if not cursor.keyword(b"URL"):
            raise cursor.fail("TEXT or URL")
        cursor.space()
        found.append(Url(cursor.astring()))
        if len(found) > PARTS:
            raise cursor.fail(f"at most {PARTS} parts")


def _utf8(cursor: Cursor, inside: Inside) -> Text | None:
    if not cursor.keyword(b"UTF8"):
        return None
    cursor.need(b"UTF8=ACCEPT")
    cursor.space()
    cursor.expect(b"(")
    literal = cursor.message_literal()
    if not literal.binary:
        raise cursor.fail("a literal8")
    return Text(literal, inside)


class _HeaderCheck:
    """Refuses a header with more than ASCII from who has not enabled UTF-8 (RFC 6855 4)."""

    __slots__ = ("_over", "_tail")

    def __init__(self) -> None:
        self._over = False
        self._tail = b""

    def look(self, piece: bytes, allowed: bool) -> None:
        if self._over:
            return
        data = self._tail + piece
        end = data.find(b"\r\n\r\n")
        if data.startswith(b"\r\n") and not self._tail:
            end = 0
        header = data if end < 0 else data[:end]
        if not (allowed or header.isascii()):
            raise No(b"CANNOT", "UTF-8 in header fields needs ENABLE UTF8=ACCEPT")
        self._over = end >= 0
        self._tail = data[-3:]


class _Receiver:
    """Takes the messages of a command, all or none (RFC 3502 6.3.11).

    What can be refused is refused before a synchronizing literal is asked for; octets that
    come all the same are skipped with the rest of the command.
    """

    def __init__(
        self, begin: Callable[[Begin], Awaitable[Any]], account: Any, channel: Channel, several: bool
    ) -> None:
        self._begin = begin
        self._account = account
        self._channel = channel
        self._several = several
        self._sink: Any = None
        self._check = _HeaderCheck()
        self._parts = 0

    async def run(self, todo: tuple[Step, ...]) -> Any:
        """The Appended."""
        try:
            while todo:
                todo = await self._all(todo)
            return await self._sink.finish()
        except BaseException:
            if self._sink is not None:
                self._sink.abandon()
            raise

    async def _all(self, todo: tuple[Step, ...]) -> tuple[Step, ...]:
        """Does what was read; what is to be done next."""
        last = todo[-1]
        try:
            for step in todo:
                await self._one(step)
        except Exception:
            if isinstance(last, Text):
                await self._skip(last)
            raise
        return await self._take(last) if isinstance(last, Text) else ()

    async def _one(self, step: Step) -> None:
        self._parts += not isinstance(step, Begin)
        if self._parts > PARTS:
            raise No(b"LIMIT", f"At most {PARTS} parts in one command")
        if isinstance(step, Url):
            await self._copy(step)
        elif isinstance(step, Text):
            if step.utf8 and not self._channel.dialect.utf8:
                raise No(b"CANNOT", "ENABLE UTF8=ACCEPT first")
        else:
            self._check = _HeaderCheck()
            if self._sink is None:
                self._sink = await self._begin(step)
            else:
                await self._sink.another(step.flags, step.internal_date, step.size, step.whole)

    async def _copy(self, step: Url) -> None:
        """The octets of a URL, as FETCH BODY.PEEK would give them."""
        try:
            target, opening = self._named(step.url)
            async for piece in octets(opening, target):
                self._check.look(piece, allowed=True)
                await self._write(piece)
                await self._channel.breathe()
        except (BadSyntax, NoSuchPart):
            raise No(b"BADURL " + urls.shown(step.url), "That is not there") from None

    def _named(self, url: bytes) -> tuple[MessageUrl, Callable[[Needs], Awaitable[Any]]]:
        """What a URL means, and how that is opened: as this session may, or by what the URL itself
        allows (RFC 4467 1)."""
        if url[:7].lower() == b"imap://" and b"URLAUTH" in self._channel.capabilities():
            authorized = urls.authorized(url, True)
            return authorized.target, partial(self._account.url_message, authorized)
        view = self._channel.view
        target = urls.message(url, None if view is None else view.name)
        return target, partial(self._account.message, target.mailbox, target.validity, target.uid)

    async def _write(self, piece: bytes) -> None:
        pause = self._sink.write(piece)
        if pause is not None:
            await pause

    async def _take(self, step: Text) -> tuple[Step, ...]:
        """Takes a literal; the steps that follow it in the command."""
        refusal: Exception | None = None
        allowed = self._channel.dialect.utf8 or step.utf8 or self._channel.raw_headers
        async for piece in self._channel.octets(step.literal):
            if refusal is None:
                try:
                    self._check.look(piece, allowed)
                    if not step.literal.binary and b"\0" in piece:
                        raise BadSyntax("a literal without NUL")
                    await self._write(piece)
                except Exception as error:
                    # The rest of the literal is on its way all the same.
                    refusal = error
        following = await self._following(step.inside)
        if refusal is not None:
            if following and isinstance(following[-1], Text):
                await self._skip(following[-1])
            raise refusal
        return following

    async def _following(self, inside: Inside) -> tuple[Step, ...]:
        cursor = await self._channel.more()
        while True:
            try:
                return steps(cursor, inside, self._several)
            except LiteralPending:
                # A URL that comes as a literal.
                cursor = await self._channel.more(collect=True)
            except BadSyntax as error:
                await self._channel.give_up(cursor, error.what)

    async def _skip(self, step: Text) -> None:
        try:
            await self._channel.discard(step.literal)
        except Flood:
            # What comes now must not be taken for commands: the connection ends.
            raise
        except BadSyntax:
            # More messages followed, or what closes a list: skipped too.
            pass


@dataclass(frozen=True, slots=True)
class Append:
    name: str
    todo: tuple[Step, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Append:
        return cls(named(cursor), steps(cursor))

    async def run(self, account: Any, channel: Channel) -> Completed:
        async def begin(step: Begin) -> Any:
            return await account.append(self.name, step.flags, step.internal_date, step.size, step.whole)

        done = await _Receiver(begin, account, channel, several=True).run(self.todo)
        code = responses.appenduid(done, channel.dialect.off)
        return Completed(code, "Appended") if done.uid else Completed()


@dataclass(frozen=True, slots=True)
class Replace:
    """RFC 8508 3.2, 3.3: APPENDUID comes untagged, before the EXPUNGE."""

    which: SequenceSet
    name: str
    todo: tuple[Step, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Replace:
        cursor.space()
        # seq-number: one, no set.
        which = cursor.sequence_set(uid)
        if which.saved or len(which.ranges) != 1 or which.ranges[0][0] != which.ranges[0][1]:
            raise cursor.fail("one message")
        return cls(which, named(cursor), steps(cursor, several=False))

    async def run(self, view: Any, channel: Channel) -> Completed:
        async def begin(step: Begin) -> Any:
            which = channel.chosen(self.which)
            return await view.replace(which, self.name, step.flags, step.internal_date, step.size, step.whole)

        done = await _Receiver(begin, channel.account, channel, several=False).run(self.todo)
        if done.uid:
            channel.say(b"*", b"OK", responses.appenduid(done), "Replacement is there")
        return Completed(b"", "Replaced")
