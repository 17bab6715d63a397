"""The IMAP4 conversation: frames to commands, commands to tagged responses.

Rules:

1. One command at a time, in order; what it changed is durable before its tagged response.
2. State is what is held: the door, then the account, then a view. A verb says what it needs.
3. News of the selected mailbox is sent in one place, `tell`, behind each command's own
   responses and before its tagged one, and while IDLE lasts; with NOTIFY between commands too
   (`telling`). A command says whether EXPUNGE
   may be among it (RFC 9051 7.5.1); so numbers a client uses are never stale.
4. An error becomes a reply in one place, `_refused`.
5. A literal is asked for when the command stands at its turn and can be parsed so far.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Literal
from uuid import uuid4

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from protocols.connection import Connection
from protocols.conversation import Conversation
from protocols.deflate import Deflate
from protocols.errors import BadSyntax, Flood
from protocols.imap4 import responses, switches, verbs
from protocols.imap4.contexts import Contexts
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.events import Wanted
from protocols.imap4.grammar import Announced, Cursor, LiteralPending
from protocols.imap4.progress import Progress
from protocols.imap4.reader import SKIP_LIMIT, Bounds, Frame, Reader, Refused, leading_tag
from protocols.imap4.responses import No
from protocols.imap4.sets import STAR, Ranges, SequenceSet
from protocols.imap4.telling import Teller
from protocols.imap4.values import Explained
from protocols.imap4.verbs import VERBS, Command, Held, Verb
from protocols.languages import DEFAULT, translate
from protocols.lines import NEED_DATA, NeedData
from protocols.sasl import MAX_RESPONSE_LINE, BadExchange

_COMMAND: Final = re.compile(rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,256}) ([A-Za-z0-9-]+)")
_SECOND: Final = re.compile(rb" ([A-Za-z]+)")

MANY: Final = 100
"""Batches of notices that are told before a command gets its turn again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """bounds, login_bounds: of commands, after and before login. idle: seconds without
    a command (RFC 9051 5.4: at least 30 minutes after login). unread: seconds that answers may wait
    to be read. login: seconds to log in. bad_commands: in a
    row, before the connection is ended; failed_logins: likewise. unauthenticate: a login may be
    given up for another (RFC 8437 8 wants this to be switched off where a proxy stands before).
    raw_headers: see Channel.
    messages: that one command may be about, 0 for no limit; saved_messages: that one COPY or
    APPEND may be about, where there is no limit for all (RFC 9738 3).
    language: what "default" means for LANGUAGE (RFC 5255 3.2)."""

    bounds: Bounds = field(default_factory=Bounds)
    login_bounds: Bounds = field(default_factory=lambda: Bounds(line=16 * 1024, command=32 * 1024))
    login: float = 120.0
    idle: float = 1860.0
    unread: float = 300.0
    bad_commands: int = 25
    failed_logins: int = 5
    unauthenticate: bool = True
    off: frozenset[bytes] = frozenset()
    raw_headers: bool = False
    messages: int = 0
    saved_messages: int = 0
    language: str = "en"


class Imap4Server(Conversation):
    """One client. `tls` gives the context factory for STARTTLS, None when there is none."""

    def __init__(
        self,
        clock: IReactorTime,
        door: Any,
        tls: Callable[[], Any] | None = None,
        limits: Callable[[], Limits] = Limits,
        greeting: str = "IMAP4 server ready",
    ) -> None:
        super().__init__(clock)
        self.door = door
        self.account: Any = None
        self.view: Any = None
        self.tag = b"*"
        self.saved: Ranges = ()
        self.dialect: Dialect = PLAIN
        self.reader = Reader(self.input, self._bounds)
        self._progress = Progress(clock.seconds, self._send_now)
        self._tls = tls
        self._limits = limits
        self._greeting = greeting
        self._uid = False
        self._removes = False
        self._teller = Teller(self, clock.seconds, self.nudge)
        self._lowered = False
        self._bad = 0
        self._failures = 0
        self._why: Explained | None = None
        self._client: Mapping[str, str | None] = {}
        self._named_off: frozenset[bytes] = frozenset()
        self._quitting = False
        self._login_by = 0.0

    def _bounds(self) -> Bounds:
        limits = self._limits()
        return limits.login_bounds if self.account is None else limits.bounds

    # The loop ----------------------------------------------------------------------------

    async def converse(self) -> None:
        try:
            self._login_by = self.clock.seconds() + self._limits().login
            code = responses.capability(self.capabilities())
            self.say(b"*", b"OK", code, self._greeting)
            while not self.closing:
                if self.leaving:
                    self._leave(timed_out=False)
                    break
                try:
                    await self._one()
                except Flood:
                    self._bye(b"TOOBIG", "Too much input")
                await self.breathe()
        finally:
            self.select(None)
            self._teller.end()
            if self.account is not None:
                self.account.close()

    async def _one(self) -> None:
        """Reads and runs one command."""
        self.idle_time_out = self.patience()
        self.stall_time_out = self._limits().unread
        try:
            tag, verb, command = await self._read()
        except Refused as refused:
            self._answer_bad(refused.tag, refused)
            return
        self.tag = tag
        self._uid, self._removes = verb.uid, verb.removes
        Connection.doing.verb = verb.label
        # RFC 7162 3.2.10.2: a UID SEARCH by message numbers keeps them as they are.
        expunges = verb.expunges and not getattr(command, "numbered", False)
        self._progress.begin(tag, self.dialect.language)
        try:
            done = await command.run(self._held(verb), self)
        except CancelledError:
            raise
        except Flood:
            raise
        except Exception as error:
            self._progress.end()
            await self._tell_all(expunges)
            self._refused(verb, error)
            return
        self._progress.end()
        self._bad = 0
        await self._tell_all(expunges)
        if verb.answers_itself:
            return
        if done is None:
            self.say(tag, b"OK", b"", verb.completed)
        else:
            self.say(tag, b"OK", done.code, done.text or verb.completed)
        if self._quitting:
            self.close()

    def patience(self) -> float:
        if self.account is None:
            # Who does not log in does not stay, whatever else he says meanwhile.
            return max(0.0, self._login_by - self.clock.seconds())
        return self._limits().idle

    async def _read(self) -> tuple[bytes, Verb, Command]:
        """The next command whose parsing is done. Raises Refused for one that cannot be."""
        while True:
            frame = await self.pull(self._next, between=self.reader.between)
            if frame is None:
                await self._news()
                continue
            tag = leading_tag(frame.data)
            try:
                tag, verb, cursor = self._begin(frame)
                if frame.pending is None or verb.streams:
                    command = verb.command.parse(cursor, verb.uid)
                    cursor.end()
                    return tag, verb, command
            except LiteralPending:
                pass
            except BadSyntax as error:
                if frame.pending is None:
                    raise Refused(error.what, tag, error.position, error.code) from None
                self.reader.refuse(error.what, error.position, error.code)
                continue
            self._collect()
            # A command is looked at again behind each of its literals, of which it may have many.
            await self.breathe()

    def _collect(self) -> None:
        """Take the pending literal into the command."""
        pending = self.reader.pending
        assert pending is not None
        if self.reader.collect() and pending.synchronizing:
            self.send(b"+ Ready\r\n")

    def _next(self) -> Frame | Literal[NeedData.NEED_DATA] | None:
        """A frame, or None: there is news between two."""
        frame = self.reader.next()
        if frame is NEED_DATA and self._teller.heard and self._teller.between and self.reader.between:
            return None
        return frame

    def _begin(self, frame: Frame) -> tuple[bytes, Verb, Cursor]:
        """Tag and verb of a frame; that the verb may be given now."""
        found = _COMMAND.match(frame.data)
        if found is None:
            raise BadSyntax("a tag and a command")
        name, position = found[2].upper(), found.end()
        if name == b"UID":
            second = _SECOND.match(frame.data, position)
            if second is not None:
                name, position = b"UID " + second[1].upper(), second.end()
        verb = VERBS.get(name)
        off = self._switched_off()
        if verb is None or (off and not switches.usable(verb, VERBS, off)):
            raise BadSyntax("a known command")
        if verb.held is Held.DOOR and self.account is not None:
            raise BadSyntax(verb.held.value)
        if (verb.held is Held.ACCOUNT and self.account is None) or (
            verb.held is Held.VIEW and self.view is None
        ):
            raise BadSyntax(f"{verb.held.value} first")
        if self.dialect.uidonly and verb.numbers:
            raise BadSyntax(f"UID {verb.label}, once UIDONLY is enabled", code=b"UIDREQUIRED")
        if verb.secret and frame.pending is not None and not self.door.takes_login(self.security):
            raise BadSyntax("TLS before a password")
        return found[1], verb, Cursor(frame.data, position, frame.literals, self.dialect, frame.pending)

    def _held(self, verb: Verb) -> Any:
        if verb.held is Held.VIEW:
            return self.view
        return self.account if verb.held is Held.ACCOUNT else self.door

    def _send_now(self, data: bytes) -> None:
        self.send(data)
        self.flush()

    # Refusals ----------------------------------------------------------------------------

    def _refused(self, verb: Verb, error: Exception) -> None:
        """The one place where an error becomes a reply."""
        if isinstance(error, BadSyntax):
            self._answer_bad(self.tag, error)
            return
        self._bad = 0
        if isinstance(error, No):
            explained: Explained | None = Explained(error.code, error.text)
        else:
            explained = self.door.explain(error)
        if explained is None:
            number = uuid4().hex[:12]
            self.log.failure(
                "{verb} failed, error {number}", verb=verb.name.decode(), number=number, event_id=4037
            )
            explained = Explained(b"SERVERBUG", f"Internal error {number}")
        code = verb.codes.get(explained.code, explained.code)
        if explained.bye:
            self.say(b"*", b"BYE", code, explained.text)
        self.say(self.tag, b"NO", code, explained.text)
        if explained.bye:
            self.close()
        if verb.held is Held.DOOR:
            self._failures += 1
            if self._failures >= self._limits().failed_logins:
                self._bye(b"LIMIT", "Too many failed logins")

    def _answer_bad(self, tag: bytes, error: BadSyntax) -> None:
        if isinstance(error, BadExchange):
            text = translate(error.what, self.dialect.language)
            text = text[:1].upper() + text[1:]
        else:
            text = f"Expected {error.what}" + (f" at octet {error.position}" if error.position >= 0 else "")
        self.say(tag, b"BAD", error.code, text)
        self._bad += 1
        if self._bad >= self._limits().bad_commands:
            self._bye(b"CLIENTBUG", "Too many bad commands")

    def _bye(self, code: bytes, text: str) -> None:
        self.say(b"*", b"BYE", code, text)
        self.close()

    def farewell(self, timed_out: bool) -> bytes:
        if self._why is not None:
            code, text = self._why.code, self._why.text
        elif timed_out:
            code, text = b"", "Idle for too long"
        else:
            code, text = b"UNAVAILABLE", "The service ends here for now"
        return responses.condition(b"*", b"BYE", code, text, self.dialect.language)

    # News of the mailbox -------------------------------------------------------------------

    def tell(self, expunge: bool) -> None:
        view = self.view
        if view is None:
            return
        self._teller.tell(expunge, self._uid, self._removes)
        self._tell_where(view)
        if view.gone:
            self._bye(b"UNAVAILABLE", "The selected mailbox is gone")

    def _tell_where(self, view: Any) -> None:
        """RFC 7162 3.2: mod-sequences above a VANISHED that is held back may have been sent."""
        if self.dialect.qresync and (view.holds_back or self._lowered):
            self._lowered = view.holds_back
            self.say(b"*", b"OK", b"HIGHESTMODSEQ %d" % view.highest_modseq, "Highest")

    async def _tell_all(self, expunge: bool, most: int = 1) -> None:
        """News, and what has to be read for it; most: batches of that, of other mailboxes."""
        self.tell(expunge)
        if not self._teller.rests or self.closing:
            return
        try:
            await self._teller.rest(most)
            if self.view is not None and self.view.holds_back:
                self._tell_where(self.view)
        except CancelledError:
            raise
        except Exception as error:
            if self.door.explain(error) is None:
                self.log.failure("News could not be told")
            self._teller.give_up()

    async def _news(self) -> None:
        """There may be news between commands, or in IDLE; the client has its time to read it."""
        self._teller.heard = False
        self._uid = self._removes = False
        await self.breathe()
        await self._tell_all(self._teller.expunges, MANY)

    def idle(self, on: bool) -> None:
        self._teller.idle(on)

    async def follow_metadata(self) -> None:
        await self._teller.follow_metadata()

    async def notify(self, wanted: Wanted) -> None:
        await self._teller.notify(wanted)

    @property
    def contexts(self) -> Contexts:
        return self._teller.contexts

    def say(self, tag: bytes, kind: bytes, code: bytes, text: str) -> None:
        self.send(responses.condition(tag, kind, code, text, self.dialect.language))

    # For commands --------------------------------------------------------------------------

    async def line(self) -> bytes:
        while (line := await self.pull(self._line, between=self._teller.idling)) is None:
            await self._news()
        return line

    def _line(self) -> bytes | Literal[NeedData.NEED_DATA] | None:
        """A line, or None: there is news in IDLE."""
        line = self.input.line(MAX_RESPONSE_LINE)
        return None if line is NEED_DATA and self._teller.idling and self._teller.heard else line

    async def ask(self, challenge: bytes) -> bytes:
        self.send(b"+ %b\r\n" % challenge)
        return await self.line()

    async def octets(self, announced: Announced) -> AsyncIterator[bytes]:
        self.reader.taken()
        if announced.synchronizing:
            self.send(b"+ Ready\r\n")
        left = announced.size
        while left:
            piece = await self.pull(partial(self.input.some, left))
            left -= len(piece)
            yield piece

    async def literal_end(self) -> None:
        await self.pull(self.reader.rest)

    async def more(self, collect: bool = False) -> Cursor:
        if collect:
            self._collect()
        return (await self.pull(self.reader.next)).cursor(self.dialect)

    async def give_up(self, cursor: Cursor, what: str) -> None:
        if cursor.pending is not None:
            # Refused is raised once the literal has been skipped.
            self.reader.refuse(what)
            await self.pull(self.reader.next)
        raise BadSyntax(what)

    async def discard(self, announced: Announced) -> None:
        if announced.synchronizing:
            self.reader.taken()
            return
        if announced.size > SKIP_LIMIT:
            raise Flood
        async for _ in self.octets(announced):
            pass
        await self.literal_end()

    def logged_in(self, account: Any) -> None:
        self.account = account
        self.idle_time_out = self._limits().idle
        account.watch(self._ended)
        account.progress = self._report

    def _report(self, done: int, goal: int) -> None:
        if b"INPROGRESS" not in self.dialect.off:
            self._progress.report(done, goal)

    def logged_out(self) -> None:
        if not self._limits().unauthenticate:
            raise BadSyntax("a known command")
        if self.layer is not None:
            # Where the client's packing ends cannot be seen (RFC 8437 3 lets a server close).
            self._bye(b"", "Connect again for another login")
            raise CancelledError
        self.select(None)
        self._teller.end()
        self.account.close()
        self.account = None
        self.dialect = replace(PLAIN, off=self.dialect.off)
        self._login_by = self.clock.seconds() + self._limits().login

    def _ended(self, why: Explained) -> None:
        self._why = why
        self.goodbye()

    def select(self, view: Any) -> None:
        if self.view is not None:
            self._teller.leave()
            self.view.close()
        self.view = view
        self._teller.attend()
        self.saved = ()
        self._lowered = False

    @property
    def preferred_language(self) -> str:
        return self._limits().language

    def speak(self, language: str) -> None:
        self.dialect = replace(self.dialect, language=language)

    def enable(self, **features: bool | str) -> None:
        changes: dict[str, Any] = dict(features)
        before, self.dialect = self.dialect, replace(self.dialect, **changes)
        if self.dialect.condstore and not before.condstore and self.view is not None:
            # RFC 7162 3.1: the client now wants to know where it stands.
            self.say(b"*", b"OK", b"HIGHESTMODSEQ %d" % self.view.highest_modseq, "Highest")

    def chosen(self, which: SequenceSet) -> SequenceSet:
        if which.saved:
            return SequenceSet(self.saved, uid=True)
        if not which.uid:
            exists = self.view.exists
            for low, high in which.ranges:
                if low > exists or high > exists or (not exists and (low == STAR or high == STAR)):
                    raise BadSyntax(f"message numbers up to {exists}")
        return which

    def _switched_off(self) -> frozenset[bytes]:
        """What is off for the site, the account and the client, now; the dialect has it too."""
        named = self._limits().off
        if self.account is not None and self.account.capabilities_off:
            named |= self.account.capabilities_off
        if self._client:
            named |= self.door.capabilities_off(self._client)
        if named != self._named_off:
            self._named_off = named
            self.dialect = replace(self.dialect, off=switches.closed(named))
        return self.dialect.off

    def identified(self, client: Mapping[str, str | None]) -> None:
        before = self.capabilities()
        self._client = client
        after = self.capabilities()
        if after != before:
            self.send(responses.untagged(responses.capability(after)))

    @property
    def raw_headers(self) -> bool:
        return self._limits().raw_headers

    def capabilities(self) -> Sequence[bytes]:
        off = self._switched_off()
        if not off:
            return self._capabilities()
        return [name for name in self._capabilities() if not switches.is_off(name, off)]

    def _capabilities(self) -> Sequence[bytes]:
        if self.account is not None:
            limits = self._limits()
            names = list(verbs.AFTER_LOGIN)
            if not limits.unauthenticate:
                names.remove(b"UNAUTHENTICATE")
            if limits.raw_headers:
                names.remove(b"UTF8=ACCEPT")
            # RFC 9738 3: one or the other.
            if limits.messages:
                names.append(b"MESSAGELIMIT=%d" % limits.messages)
            elif limits.saved_messages:
                names.append(b"SAVELIMIT=%d" % limits.saved_messages)
            return names
        mechanisms = self.door.authenticator.mechanisms(self.security)
        return verbs.before_login(self.tls_available, self.door.takes_login(self.security), mechanisms)

    @property
    def message_limit(self) -> int:
        return self._limits().messages

    @property
    def save_limit(self) -> int:
        limits = self._limits()
        return limits.messages or limits.saved_messages

    @property
    def tls_available(self) -> bool:
        return self._tls is not None and not self.security.encrypted

    async def begin_tls(self) -> None:
        assert self._tls is not None
        # What was chosen before may have been chosen by somebody else (RFC 5255 7).
        self.speak(DEFAULT)
        await self.discard_and_start_tls(self._tls())

    def compress(self) -> None:
        if self.layer is not None:
            raise BadSyntax("one COMPRESS")
        if len(self.input):
            raise BadSyntax("nothing behind COMPRESS before its answer")
        self.say(self.tag, b"OK", b"", "DEFLATE active")
        self.begin_layer(Deflate())

    def quit(self) -> None:
        self._quitting = True
