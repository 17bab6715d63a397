"""The POP3 server: one conversation per connection (RFC 1939).

Rules:

1. A line is a command of the table or -ERR; one that is too long or does not end in CRLF is
   -ERR, and nothing of it is run.
2. Every command gets exactly one answer, in order, pipelined or not (RFC 2449 6.6).
3. Deletions happen in QUIT alone. However else a connection ends, nothing is deleted, nothing
   is sent (RFC 1939 3, 6), and the lock is given back.
4. One place turns errors into answers: `_run`. What the door cannot explain is a bug, logged
   once with an id, answered with [SYS/TEMP] (RFC 3206 4).
5. Bad commands and failed logins are counted. Too many and the connection ends.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, Literal

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from protocols.connection import Connection
from protocols.conversation import Conversation
from protocols.errors import BadSyntax, Flood, LineTooLong
from protocols.languages import DEFAULT
from protocols.lines import NeedData
from protocols.pop3 import responses
from protocols.pop3.commands.command import Command, Refused, Session
from protocols.pop3.commands.security import Auth
from protocols.pop3.grammar import Cursor
from protocols.pop3.verbs import VERBS
from protocols.sasl import BadExchange

FULL: Final = responses.err("Too many connections, try again later", b"SYS/TEMP")
"""For a listener that is full (protocols.connection.ConnectionFactory)."""

_FAILED_LOGIN: Final = 4
"""Bad commands that a failed login counts for."""


class Server(Conversation):
    """One connection. door: protocols.pop3.interfaces.IDoor."""

    def __init__(self, door: Any, clock: IReactorTime) -> None:
        super().__init__(clock)
        self._door = door
        self._session = Session(door)
        self.language = DEFAULT
        self._bad = 0

    async def converse(self) -> None:
        session = self._session
        self.idle_time_out = self._door.limits().idle
        self.send(responses.ok(f"{self._door.hostname} POP3 ready"))
        try:
            while not self.closing:
                limits = self._door.limits()
                self.idle_time_out, self.stall_time_out = limits.idle, limits.unread
                try:
                    line = await self.pull(self._line, between=True)
                except BadSyntax as error:
                    self._count(1)
                    self.send(responses.err(f"Syntax error: {error.what}", b"", self.language))
                    if isinstance(error, Flood):
                        self.close()
                    continue
                await self._run(session, line)
                await self.breathe()
        finally:
            if session.maildrop is not None:
                session.maildrop.drop.close()
                session.maildrop = None

    def patience(self) -> float:
        found: float = self._door.limits().idle
        return found

    def _line(self) -> bytes | Literal[NeedData.NEED_DATA]:
        authenticating = self._session.maildrop is None and self.input.peek(5).upper() == b"AUTH "
        return self.input.line(Auth.longest if authenticating else Command.longest)

    async def _run(self, session: Session, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        verb = VERBS.get(word) or VERBS.get(word.upper())
        if verb is None:
            self._refuse(Refused("Unknown command", bad=True))
            return
        Connection.doing.verb = verb.name
        try:
            if session.maildrop is None and not verb.authorization:
                raise Refused("Log in first", bad=True)
            if session.maildrop is not None and not verb.transaction:
                raise Refused("Logged in already", bad=True)
            await verb.parse(Cursor(rest)).run(session, self)
        except CancelledError:
            raise
        except Refused as refused:
            self._refuse(refused)
        except LineTooLong as error:
            self._refuse(Refused(error.what, bad=True))
        except BadExchange as error:
            self._refuse(Refused(f"Authentication exchange: {error.what}", bad=True))
        except BadSyntax as error:
            self._refuse(Refused(f"Syntax error: {error.what}", bad=True))
            if isinstance(error, Flood):
                self.close()
        except Exception as error:
            self._explain(error, verb)

    def _refuse(self, refused: Refused) -> None:
        self.send(responses.err(refused.text, refused.code, self.language))
        if refused.bad:
            self._count(1)

    def _explain(self, error: Exception, verb: type[Command]) -> None:
        explained = self._door.explain(error)
        if explained is None:
            label = secrets.token_hex(4)
            self.log.failure("bug {label} in {verb}", label=label, verb=verb.name, event_id=4037)
            self.send(responses.err(f"Local error {label}", b"SYS/TEMP", self.language))
            return
        self.send(responses.err(explained.text, explained.code, self.language))
        if self._session.maildrop is None:
            self._count(_FAILED_LOGIN)

    def _count(self, number: int) -> None:
        self._bad += number
        if self._bad > self._door.limits().bad_commands:
            self.close()

    # What commands use ---------------------------------------------------------------------

    def finish(self) -> None:
        self.close()

    def end(self) -> None:
        """The session has to end as soon as nothing is under way."""
        self.goodbye()

    def farewell(self, timed_out: bool) -> bytes:
        return b""
