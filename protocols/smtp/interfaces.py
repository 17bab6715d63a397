"""What the SMTP server asks of the application: a door, a session, a transaction.

State is what is held: a connection holds a session; a greeted session may begin a transaction;
a transaction takes recipients, then content, then is committed or abandoned. Whatever these
raise is put into words by `IDoor.explain`; what that does not know is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from zope.interface import Attribute, Interface

from protocols.smtp.grammar import Path
from protocols.smtp.parameters import MailParameters, RcptParameters
from protocols.smtp.responses import Reply


class Role(Enum):
    """What a listener is for: mail from everywhere, from our own people (RFC 6409, RFC 8314), from other
    mail systems on this machine (RFC 2033), or for those who fetch theirs (RFC 2645)."""

    MX = "mx"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    LMTP = "lmtp"
    ODMR = "odmr"

    @property
    def submission(self) -> bool:
        return self in (Role.SUBMISSION, Role.SUBMISSIONS)

    @property
    def implicit_tls(self) -> bool:
        return self is Role.SUBMISSIONS


Telling = Literal["off", "authenticated", "on"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may use. message: octets, 0 = no limit. Times in seconds.

    recipients: per transaction (RFC 5321 4.5.3.1.8 asks for 100 at least); refused: recipients
    refused per connection; bad_commands and transactions: per connection; content: for all of one
    message, however slowly it comes. etrn, atrn: whether they are offered (RFC 1985, RFC 2645);
    turn: whether TURN is taken where ATRN is (RFC 5321 F.1).
    deliver_by: the shortest time that BY=n;R may ask for, None where that is not offered (RFC 2852).
    hold: seconds for which submitted mail may be kept back, 0 where that is not offered (RFC 4865).
    domains: of the recipients of one message, 0 = no limit. banner: after our name in the greeting, ""
    for the usual. esmtp, auth: whether extensions, and AUTH, are offered. lenient: malformed addresses
    are taken. vrfy, expn: whom they tell something. no_soliciting: kinds of solicitation that are refused
    (RFC 3865). requiretls: whether REQUIRETLS is offered, under TLS (RFC 8689).
    """

    message: int = 50 * 1024 * 1024
    recipients: int = 1000
    refused: int = 100
    bad_commands: int = 20
    transactions: int = 1000
    idle: float = 300.0
    content: float = 3600.0
    etrn: bool = False
    deliver_by: int | None = None
    hold: int = 0
    domains: int = 0
    banner: str = ""
    esmtp: bool = True
    auth: bool = True
    lenient: bool = False
    vrfy: Telling = "off"
    expn: Telling = "off"
    no_soliciting: tuple[str, ...] = ()
    atrn: bool = False
    requiretls: bool = True
    turn: bool = False


@dataclass(frozen=True, slots=True)
class Client:
    """Who is talking, as far as it is known when a transaction begins (RFC 5321 4.4).

    hello: the argument of EHLO or HELO, not to be believed; esmtp: it was EHLO; cipher: "" without
    TLS; identity: what SASL gave, None if there was no AUTH.
    """

    hello: str
    esmtp: bool
    peer: str
    loopback: bool
    encrypted: bool
    cipher: str
    identity: Any = None
    lmtp: bool = False


class TurnRefused(Exception):
    """ATRN is answered with this reply (RFC 2645 5.2.1)."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


class IDoor(Interface):
    """What all connections of one listener share."""

    role: Role = Attribute("what this listener is for")
    hostname: str = Attribute("our name, in the greeting")

    def limits() -> Limits:
        """The limits as they are now."""

    def tls() -> Any:
        """The context factory for STARTTLS, None when there is no certificate."""

    def session(security: Any) -> ISession:
        """A new connection (protocols.security.Security)."""

    def explain(error: Exception) -> Reply | None:
        """The reply for a refusal, None for anything else."""


class ITrace(Interface):
    """One conversation, for those who have to find out what was said."""

    whole: bool = Attribute("whether the text of messages is written, too")

    def note(text: str) -> None:
        """Something happened to the connection."""

    def heard(line: bytes, known: bool) -> None:
        """A line came; known: it is a command, or a reply."""

    def said(data: bytes) -> None:
        """Lines are sent."""


class ISession(Interface):
    """One connection, seen by the application."""

    authenticator: Any = Attribute("protocols.sasl IAuthenticator of this connection")

    patience: float = Attribute("seconds before the greeting in which a peer must be silent, 0: none")
    strict: bool = Attribute("whether a peer that does not wait where it has to is sent away (RFC 2920 3.1)")

    trace: Any = Attribute("ITrace that the conversation is written by, or None")

    proxied: bool = Attribute("whether the peer may say who its client is (XCLIENT)")

    vouches: bool = Attribute("whether it may also say who has logged in there")

    async def vouched(login: str) -> Any:
        """The identity of who has logged in at the proxy. A refusal is worded by `IDoor.explain`."""

    def named(name: str) -> None:
        """The name of the peer, "" for none, was said by who is trusted to know."""

    def talked_early(early: bytes) -> None:
        """The peer did not wait; it is sent away."""

    async def begin(client: Client, reverse_path: Path, parameters: MailParameters) -> ITransaction:
        """MAIL: may this originator send here? A session has one transaction at a time."""

    async def verify(text: str) -> str:
        """VRFY: the address that a name or an address stands for. A refusal is worded by `explain`."""

    async def expand(text: str) -> Sequence[str]:
        """EXPN: the addresses on a list. A refusal is worded by `explain`."""

    async def start_held(domain: str, below: bool) -> int:
        """ETRN: send what is held for a domain, below: and for those below it. How many recipients
        that starts. A refusal is worded by `IDoor.explain`."""

    async def turn(domains: tuple[str, ...]) -> Any:
        """ATRN: what is done with the connection once it has turned round (protocols.smtp.turning.Use).
        No domains: all that are the identity's. Raises TurnRefused."""

    def logged_in(identity: Any, end: Callable[[], None]) -> None:
        """AUTH succeeded. `end` ends the connection, should the identity cease to be one."""

    def timed_out(message: bool) -> None:
        """The peer is sent away, for it said nothing; message: in the middle of one."""

    def forget() -> None:
        """Nobody is logged in any more (RFC 3207 4.2)."""

    def secured(security: Any) -> None:
        """TLS has begun: what protects the connection from here on."""

    def closed() -> None:
        """The connection is gone."""


class ITransaction(Interface):
    """One message on its way in."""

    lowered: int | None = Attribute("the priority it has in place of the one asked for (RFC 6710), or None")

    async def add(forward_path: Path, parameters: RcptParameters) -> None:
        """RCPT: take this recipient, or raise why not."""

    def write(data: bytes) -> None:
        """Content, in order, without dot stuffing."""

    async def drained() -> None:
        """Wait until more content may be written."""

    async def commit() -> str:
        """The content is complete: take responsibility. Returns the queue id. After it returns
        or raises the transaction is over."""

    async def commit_each() -> Sequence[str | Exception]:
        """The same, answered for each recipient that was taken, in their order (RFC 2033 4.2): the queue id,
        or why he does not have it."""

    def refused(error: Exception) -> None:
        """The content is refused for this reason; `abandon` follows."""

    def abandon() -> None:
        """Forget it; harmless after `commit`."""
