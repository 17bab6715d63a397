"""EHLO, HELO (RFC 5321 4.1.1.1), and what they announce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.smtp import responses
from protocols.smtp.commands.command import Channel, Command, Session
from protocols.smtp.grammar import Cursor, parse_hello
from protocols.smtp.interfaces import Client, Role
from protocols.smtp.responses import Reply


def _greet(session: Session, channel: Channel, name: str, esmtp: bool) -> None:
    """Either greeting ends a transaction as RSET does (RFC 5321 4.1.4)."""
    if session.strict:
        session.in_step(channel)
    session.reset()
    security = channel.security
    session.client = Client(
        name,
        esmtp,
        security.peer,
        security.loopback,
        security.encrypted,
        security.cipher if security.encrypted else "",
        session.identity,
        session.role is Role.LMTP,
    )


@dataclass(frozen=True, slots=True)
class Ehlo(Command):
    name: ClassVar[str] = "EHLO"
    usage: ClassVar[str] = "EHLO <domain>"

    domain: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Ehlo:
        return cls(parse_hello(cursor.rest()))

    async def run(self, session: Session, channel: Channel) -> None:
        from protocols.smtp.verbs import keywords

        _greet(session, channel, self.domain, esmtp=True)
        lines = [f"{session.door.hostname} greets {self.domain}"]
        if session.limits.esmtp or session.role is not Role.MX:
            lines += keywords(session, channel)
        channel.answer(Reply(250, "", "\n".join(lines)))

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        """Where there is no MAIL that announces them."""
        return ["PIPELINING", "ENHANCEDSTATUSCODES"] if session.role is Role.ODMR else []


@dataclass(frozen=True, slots=True)
class Lhlo(Ehlo):
    """EHLO's place in LMTP (RFC 2033 4.1)."""

    name: ClassVar[str] = "LHLO"
    usage: ClassVar[str] = "LHLO <domain>"


@dataclass(frozen=True, slots=True)
class Helo(Command):
    name: ClassVar[str] = "HELO"
    usage: ClassVar[str] = "HELO <domain>"

    domain: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Helo:
        return cls(parse_hello(cursor.rest()))

    async def run(self, session: Session, channel: Channel) -> None:
        _greet(session, channel, self.domain, esmtp=False)
        channel.answer(Reply(250, "", session.door.hostname))


@dataclass(frozen=True, slots=True)
class Rset(Command):
    """RFC 5321 4.1.1.5."""

    name: ClassVar[str] = "RSET"
    usage: ClassVar[str] = "RSET"

    async def run(self, session: Session, channel: Channel) -> None:
        session.reset()
        channel.answer(responses.RESET)


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """RFC 5321 4.1.1.9: a parameter is ignored."""

    name: ClassVar[str] = "NOOP"
    usage: ClassVar[str] = "NOOP"

    @classmethod
    def parse(cls, cursor: Cursor) -> Noop:
        return cls()

    async def run(self, session: Session, channel: Channel) -> None:
        channel.answer(responses.OK)


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """RFC 5321 4.1.1.10."""

    name: ClassVar[str] = "QUIT"
    usage: ClassVar[str] = "QUIT"

    async def run(self, session: Session, channel: Channel) -> None:
        session.reset()
        channel.answer(responses.BYE)
        channel.finish()
