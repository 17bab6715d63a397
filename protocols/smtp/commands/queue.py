"""Asking for mail that is held: ETRN (RFC 1985), ATRN (RFC 2645), TURN (RFC 821 3.8).

ETRN has it sent to the domain's host; nothing is sent on the client's own connection, so that asking for
somebody else's mail gets nobody anything (RFC 1985 4). A client may ask a few times; each costs a look
into the queue. ATRN and TURN have it sent on the client's connection, so they ask who the client is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.smtp.commands.command import GROWTH, Channel, Command, Refused, Session
from protocols.smtp.grammar import BadArgument, Cursor, parse_node
from protocols.smtp.interfaces import TurnRefused
from protocols.smtp.responses import NEED_AUTH, NEED_TLS, Reply

MOST = 20
"""Questions of one connection."""


@dataclass(frozen=True, slots=True)
class Etrn(Command):
    """etrn = "ETRN" SP [ "@" / "#" ] node-name; `@`: the domain and those below it. `#` names a queue
    that only the server knows, and there is none here (RFC 1985 5.3)."""

    name: ClassVar[str] = "ETRN"
    usage: ClassVar[str] = "ETRN [@]<domain>"
    greeted: ClassVar[bool] = True
    free: ClassVar[bool] = False
    longest: ClassVar[int] = GROWTH

    domain: str
    below: bool
    queue: bool

    @classmethod
    def parse(cls, cursor: Cursor) -> Etrn:
        text = cursor.rest()
        below, queue = text.startswith(b"@"), text.startswith(b"#")
        if below or queue:
            text = text[1:]
        if not text:
            raise BadArgument("domain expected")
        return cls(text.decode("ascii", "replace") if queue else parse_node(text), below, queue)

    async def run(self, session: Session, channel: Channel) -> None:
        if not session.limits.etrn:
            raise Refused(Reply(502, "5.5.1", "ETRN is not offered"))
        if session.mail is not None:
            # RFC 1985 5: not between MAIL and the end of the message.
            raise Refused(Reply(503, "5.5.1", "Not during a mail transaction"))
        session.asked += 1
        if session.asked > MOST:
            raise Refused(Reply(459, "4.7.0", "Asked too often"))
        if self.queue:
            raise Refused(Reply(458, "4.3.0", f"Unable to queue messages for node {self.domain}"))
        started = await session.own.start_held(self.domain, self.below)
        if started:
            channel.answer(Reply(253, "2.0.0", f"{started} pending messages for node {self.domain} started"))
        else:
            channel.answer(Reply(251, "2.0.0", f"No messages waiting for node {self.domain}"))

    @staticmethod
    def works(session: Session) -> bool:
        return session.limits.etrn

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["ETRN"] if session.limits.etrn else []


MOST_DOMAINS = 100


@dataclass(frozen=True, slots=True)
class Atrn(Command):
    """atrn = "ATRN" [ SP domain *( "," domain ) ] (RFC 2645 5.2.1)."""

    name: ClassVar[str] = "ATRN"
    usage: ClassVar[str] = "ATRN [<domain>[,<domain>]]"
    greeted: ClassVar[bool] = True
    free: ClassVar[bool] = False
    longest: ClassVar[int] = 4096

    domains: tuple[str, ...]

    @classmethod
    def parse(cls, cursor: Cursor) -> Atrn:
        text = cursor.rest()
        if not text:
            return cls(())
        given = text.split(b",")
        if len(given) > MOST_DOMAINS:
            raise BadArgument(f"at most {MOST_DOMAINS} domains expected")
        return cls(tuple(parse_node(each.strip()).lower() for each in given))

    async def run(self, session: Session, channel: Channel) -> None:
        if not session.limits.atrn:
            raise Refused(Reply(502, "5.5.1", "ATRN is not offered"))
        await _turn(session, channel, self.domains)

    @staticmethod
    def works(session: Session) -> bool:
        return session.limits.atrn

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["ATRN"] if session.limits.atrn else []


@dataclass(frozen=True, slots=True)
class Turn(Command):
    """turn = "TURN" (RFC 821 3.8): ATRN for all that the login may fetch. By itself it asks nobody who he is,
    and so gives anybody's mail to anybody (RFC 5321 F.1): it is taken over TLS and after AUTH alone."""

    name: ClassVar[str] = "TURN"
    usage: ClassVar[str] = "TURN"
    greeted: ClassVar[bool] = True
    free: ClassVar[bool] = False

    async def run(self, session: Session, channel: Channel) -> None:
        if not session.limits.turn:
            raise Refused(Reply(502, "5.5.1", "TURN is not offered"))
        if not channel.security.encrypted:
            raise Refused(NEED_TLS)
        await _turn(session, channel, ())

    @staticmethod
    def works(session: Session) -> bool:
        return session.limits.turn


async def _turn(session: Session, channel: Channel, domains: tuple[str, ...]) -> None:
    """Have who is logged in get what is held for him on this connection."""
    if session.identity is None:
        raise Refused(NEED_AUTH)
    if session.mail is not None:
        raise Refused(Reply(503, "5.5.1", "Not during a mail transaction"))
    session.asked += 1
    if session.asked > MOST:
        raise Refused(Reply(450, "4.7.0", "Asked too often"))
    try:
        use = await session.own.turn(domains)
    except TurnRefused as refused:
        channel.answer(refused.reply)
        return
    channel.answer(Reply(250, "2.0.0", "OK now reversing the connection"))
    await channel.turn(use)
