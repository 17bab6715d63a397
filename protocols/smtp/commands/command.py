"""What every SMTP command is, what it holds and what it answers on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from protocols.errors import BadSyntax
from protocols.lines import InputBuffer, NeedData
from protocols.security import Security
from protocols.smtp.grammar import Cursor
from protocols.smtp.interfaces import Client, Limits, Role
from protocols.smtp.parameters import MailParameters
from protocols.smtp.responses import Reply

T = TypeVar("T")

GROWTH = 512
"""The longest command line without extensions, with its CRLF (RFC 5321 4.5.3.1.4)."""


class Refused(Exception):
    """The protocol itself refuses: out of order, not offered, over a limit."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class OutOfStep(BadSyntax):
    """What follows on the wire cannot be told from commands any more: answer and close."""


class NotSynchronized(OutOfStep):
    """The peer went on without waiting where it has to wait."""


EARLY = 100
"""Octets of what came too early that are kept for the administrator."""


class Mail:
    """The transaction a session holds between MAIL and its end."""

    __slots__ = (
        "bare",
        "broken",
        "chunking",
        "domains",
        "last_cr",
        "parameters",
        "received",
        "recipients",
        "transaction",
    )

    def __init__(self, transaction: Any, parameters: MailParameters) -> None:
        self.transaction = transaction
        self.parameters = parameters
        self.recipients = 0
        self.domains: set[str] = set()
        self.received = 0
        self.chunking = False
        self.broken = False
        self.bare = False
        self.last_cr = False


class Session:
    """What a connection holds: who is there, and the transaction if there is one."""

    __slots__ = (
        "asked",
        "client",
        "door",
        "identity",
        "limits",
        "mail",
        "own",
        "proxied",
        "refused",
        "role",
        "strict",
        "submission",
        "transactions",
    )

    def __init__(self, door: Any, own: Any, limits: Limits) -> None:
        self.door = door
        self.own = own
        self.role: Role = door.role
        self.submission = self.role.submission
        self.limits = limits
        self.strict: bool = own.strict
        self.proxied: bool = own.proxied
        self.client: Client | None = None
        self.identity: Any = None
        self.mail: Mail | None = None
        self.transactions = 0
        self.refused = 0
        self.asked = 0

    def in_step(self, channel: Channel) -> None:
        """Here the peer has to wait for the answer (RFC 2920 3.1). Raises OutOfStep."""
        early = channel.input.peek(EARLY)
        if early:
            self.own.talked_early(early)
            raise NotSynchronized("wait for the answer")

    def alone(self, channel: Channel) -> None:
        """Who said HELO has no pipelining. Raises OutOfStep."""
        if self.client is not None and not self.client.esmtp:
            self.in_step(channel)

    def renew(self, own: Any) -> None:
        """Somebody else is there (XCLIENT): back to the state after the greeting."""
        self.forget()
        self.own.closed()
        self.own = own
        self.strict = own.strict

    def reset(self) -> None:
        """No transaction any more (RFC 5321 4.1.1.5)."""
        mail, self.mail = self.mail, None
        if mail is not None:
            mail.transaction.abandon()

    def forget(self) -> None:
        """Back to the state after the greeting (RFC 3207 4.2)."""
        self.reset()
        self.client = None
        if self.identity is not None:
            self.identity = None
            self.own.forget()


class Channel(Protocol):
    """The connection as commands see it."""

    input: InputBuffer
    security: Security
    closing: bool

    def answer(self, reply: Reply) -> None: ...

    def finish(self) -> None:
        """Close when what was answered has gone out."""

    def goodbye(self) -> None:
        """End the session as soon as nothing is under way."""

    async def pull(self, take: Callable[[], T | Literal[NeedData.NEED_DATA]]) -> T: ...

    async def breathe(self) -> None: ...

    async def discard_and_start_tls(self, context_factory: Any) -> None: ...

    def announce(self, said: Mapping[str, str]) -> Reply:
        """Somebody else is there (XCLIENT); the greeting."""

    def explained(self, error: Exception) -> Reply:
        """The reply for what went wrong; a bug is logged."""

    def now(self) -> float: ...

    async def turn(self, use: Any) -> None:
        """Be the client until that is over (RFC 2645 5.3), then close."""


class Command:
    """One verb. Subclasses are frozen dataclasses with `parse` and `run`.

    greeted: EHLO or HELO must have come. free: allowed before STARTTLS and AUTH where those are
    required (RFC 3207 4, RFC 4954 6). longest: octets of the line with its CRLF.
    """

    __slots__ = ()

    name: ClassVar[str]
    usage: ClassVar[str]
    greeted: ClassVar[bool] = False
    free: ClassVar[bool] = True
    longest: ClassVar[int] = GROWTH

    @classmethod
    def parse(cls, cursor: Cursor) -> Command:
        cursor.end()
        return cls()

    async def run(self, session: Session, channel: Channel) -> None:
        raise NotImplementedError

    @staticmethod
    def works(session: Session) -> bool:
        """Whether it is more than known here, so that HELP tells of it."""
        return True

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        """What EHLO announces because of this verb."""
        return []
