"""The SMTP server: one conversation per connection (RFC 5321).

Rules:

1. A line is a verb of the table or 500 5.5.1 (RFC 5321 4.2.4); a line that is too long or does
   not end in CRLF is 500 5.5.2 and nothing of it is run.
2. Every command gets exactly one final reply, in order (RFC 2920 3.2).
3. One place turns errors into replies: `_run`. What the door cannot explain is a bug, logged
   once with an id, answered with 451.
4. Errors are counted. Too many and the connection ends with 421.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from protocols.connection import Connection
from protocols.conversation import Conversation
from protocols.errors import BadSyntax, BareLineEnding, Flood, LineTooLong
from protocols.lines import NEED_DATA, Longer
from protocols.smtp import responses
from protocols.smtp.commands.command import EARLY, Command, NotSynchronized, OutOfStep, Refused, Session
from protocols.smtp.commands.security import AUTH_LINE, Auth
from protocols.smtp.grammar import BadPath, Cursor
from protocols.smtp.interfaces import Client, Role
from protocols.smtp.parameters import UnknownParameter
from protocols.smtp.responses import Reply
from protocols.smtp.turning import Pressed, Use
from protocols.smtp.verbs import VERBS, table

HARD_LINE = 4096
"""Octets of any command line but AUTH's."""
LONGER = Longer(b"AUTH ", AUTH_LINE)


NOWHERE = "0.0.0.0"
"""The address of a client that its proxy does not know (RFC 6890 2.2.2)."""


class Server(Conversation):
    """One connection. door: protocols.smtp.interfaces.IDoor."""

    def __init__(self, door: Any, clock: IReactorTime) -> None:
        super().__init__(clock)
        self._door = door
        self._session: Session | None = None
        self._errors = 0
        self._announced: dict[str, Any] = {}
        self._verbs = table(door.role)
        self._wire: Pressed | None = None

    # The conversation ----------------------------------------------------------------------

    async def converse(self) -> None:
        limits = self._door.limits()
        self.idle_time_out = limits.idle
        session = self._session = Session(self._door, self._door.session(self.security), limits)
        take_line = partial(self.input.line, HARD_LINE, LONGER)
        try:
            if session.own.patience and not await self._silent(session):
                return
            self.answer(self._greeting())
            while not self.closing:
                try:
                    line = await self.pull(take_line, True)
                except BadSyntax as error:
                    self._bad(_syntax_reply(error))
                    if isinstance(error, Flood):
                        self.close()
                    continue
                await self._run(session, line)
                if self.congested or len(self.input):
                    await self.breathe()
        finally:
            session.reset()
            session.own.closed()

    async def _silent(self, session: Session) -> bool:
        """Does the peer wait for the greeting, as it must (RFC 5321 3.1)? If not, it is sent away."""
        over = []

        def enough() -> None:
            over.append(True)
            self.nudge()

        timer = self.clock.callLater(session.own.patience, enough)
        try:
            await self.pull(lambda: True if over or len(self.input) else NEED_DATA, True)
        finally:
            if timer.active():
                timer.cancel()
        if not len(self.input):
            return True
        session.own.talked_early(self.input.peek(EARLY))
        self.answer(responses.TALKED_EARLY)
        self.close()
        return False

    async def _run(self, session: Session, line: bytes) -> None:
        word, _, _ = line.partition(b" ")
        verb = self._verbs.get(word) or self._verbs.get(word.upper())
        trace = session.own.trace
        if trace is not None:
            trace.heard(line, verb is not None)
        if verb is None:
            # RFC 2645 5.4: what port 25 knows is told apart from what nobody knows.
            elsewhere = self._door.role is Role.ODMR and word.upper() in VERBS
            self._bad(responses.NOT_IMPLEMENTED if elsewhere else responses.UNKNOWN_COMMAND)
            if word.upper() in _OTHER_PROTOCOLS:
                self.close()
            return
        Connection.doing.verb = verb.name
        try:
            self._admit(session, verb, len(line))
            await verb.parse(Cursor(line, len(word), session.limits.lenient)).run(session, self)
        except CancelledError:
            raise
        except Refused as refused:
            self._bad(refused.reply)
        except BadSyntax as error:
            self._bad(_syntax_reply(error, verb))
            if isinstance(error, (OutOfStep, Flood)):
                self.close()
        except Exception as error:
            self._explain(error, verb)
        if session.refused > session.limits.refused and not self.closing:
            self.answer(responses.TOO_MANY_ERRORS)
            self.close()

    def _admit(self, session: Session, verb: type[Command], length: int) -> None:
        if length + 2 > verb.longest:
            raise LineTooLong(verb.longest)
        if verb.greeted and session.client is None:
            raise Refused(responses.NEED_HELLO)
        if session.submission and not verb.free and session.identity is None:
            # RFC 3207 4 and RFC 4954 6: TLS first, where it can be had, then AUTH.
            offered = session.own.authenticator.mechanisms(self.security)
            raise Refused(responses.NEED_AUTH if offered else responses.NEED_TLS)

    def explained(self, error: Exception) -> Reply:
        """The reply for what went wrong; a bug is logged."""
        if isinstance(error, Refused):
            return error.reply
        reply: Reply | None = self._door.explain(error)
        if reply is None:
            label = secrets.token_hex(4)
            verb, failure = Connection.doing.verb, Failure(error)
            self.log.failure("bug {label} in {verb}", failure, label=label, verb=verb, event_id=4037)
            reply = Reply(451, "4.3.0", f"Local error {label}")
        return reply

    def _explain(self, error: Exception, verb: type[Command]) -> None:
        reply = self.explained(error)
        if verb is Auth:
            self._bad(reply)
        else:
            self.answer(reply)
        if reply.code == 421:
            self.close()

    def _bad(self, reply: Reply) -> None:
        self.answer(reply)
        if reply.code in _COUNTED:
            self._errors += 1
            limit = self._session.limits.bad_commands if self._session else 1
            if self._errors > limit and not self.closing:
                self.answer(responses.TOO_MANY_ERRORS)
                self.close()

    def _greeting(self) -> Reply:
        limits = self._session.limits if self._session is not None else self._door.limits()
        role = self._door.role
        ready = "LMTP ready" if role is Role.LMTP else _READY[limits.esmtp or role is not Role.MX]
        return Reply(220, "", f"{self._door.hostname} {limits.banner or ready}")

    def announce(self, said: Mapping[str, str]) -> Reply:
        """Somebody else is there. What is not known of him is not what the proxy is."""
        session, now = self._session, self.security
        assert session is not None
        peer = said.get("ADDR", now.peer) or NOWHERE
        self._announced = {
            "peer": peer,
            "peer_port": int(said.get("PORT") or 0),
            "local": said.get("DESTADDR") or now.local,
            "local_port": int(said.get("DESTPORT") or now.local_port),
            # Whatever it says, the octets came over a network.
            "loopback": False,
        }
        self.security = replace(now, **self._announced)
        session.renew(self._door.session(self.security))
        if "NAME" in said:
            session.own.named(said["NAME"])
        if said.get("HELO"):
            esmtp = said.get("PROTO") != "SMTP"
            cipher = now.cipher if now.encrypted else ""
            session.client = Client(said["HELO"], esmtp, peer, False, now.encrypted, cipher)
        return self._greeting()

    def start_tls(self, context_factory: Any) -> None:
        super().start_tls(context_factory)
        if self._announced:
            self.security = replace(self.security, **self._announced)
        assert self._session is not None
        self._session.own.secured(self.security)

    # What commands use ---------------------------------------------------------------------

    def answer(self, reply: Reply) -> None:
        session = self._session
        if session is not None and session.own.trace is not None:
            session.own.trace.said(reply.wire)
        self.send(reply.wire)

    def finish(self) -> None:
        self.close()

    def now(self) -> float:
        return self.clock.seconds()

    async def turn(self, use: Use) -> None:
        """What comes from here on is for a client of ours; it is over when that is (RFC 2645 5.3)."""
        self.flush()
        wire = self._wire = Pressed(self.clock, self)
        early = self.input.peek(len(self.input))
        self.input.clear()
        if early:
            wire.dataReceived(early)
        await use(wire, self.security.encrypted, self.security.peer)
        self.close()

    def received(self, data: bytes) -> None:
        if self._wire is None:
            super().received(data)
        else:
            self._wire.dataReceived(data)

    def lost(self) -> None:
        if self._wire is None:
            super().lost()
        else:
            # Whoever uses it hears of it, and has to write down what became of what was sent.
            self._wire.connectionLost()

    def farewell(self, timed_out: bool) -> bytes:
        if timed_out and self._session is not None:
            self._session.own.timed_out(self._session.mail is not None)
        return (responses.IDLE_TOO_LONG if timed_out else responses.SHUTTING_DOWN).wire


_READY = {True: "ESMTP ready", False: "SMTP ready"}

# Mistakes of the peer's making and failed logins; refused recipients are counted elsewhere.
_COUNTED = frozenset((500, 501, 502, 503, 504, 535, 555))

# A browser that was made to talk to us must not get as far as its body.
_OTHER_PROTOCOLS = frozenset((b"GET", b"POST", b"PUT", b"CONNECT", b"OPTIONS", b"HEAD", b"HOST:"))


def _syntax_reply(error: BadSyntax, verb: type[Command] | None = None) -> Reply:
    if isinstance(error, Flood):
        return Reply(421, "4.7.0", "Too much input")
    if isinstance(error, NotSynchronized):
        return responses.NOT_SYNCHRONIZED
    if isinstance(error, LineTooLong):
        return responses.LINE_TOO_LONG
    if isinstance(error, BareLineEnding):
        return responses.BARE_NEWLINE
    if isinstance(error, UnknownParameter):
        return Reply(555, "5.5.4", error.what)
    if isinstance(error, BadPath):
        enhanced = "5.1.3" if verb is not None and verb.name == "RCPT" else "5.1.7"
        return Reply(501, enhanced, f"Bad address: {error.what}")
    return Reply(501, "5.5.4", f"Syntax error: {error.what}")
