"""STLS (RFC 2595 4), USER and PASS (RFC 1939 7), AUTH (RFC 5034)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from protocols import sasl
from protocols.errors import LineTooLong
from protocols.languages import DEFAULT
from protocols.pop3 import responses
from protocols.pop3.commands.command import Channel, Command, Maildrop, Refused, Session
from protocols.pop3.grammar import Cursor


async def enter(session: Session, channel: Channel, identity: Any) -> None:
    """From AUTHORIZATION to TRANSACTION (RFC 1939 4)."""

    def ended() -> None:
        session.ended = True
        channel.end()

    drop = await session.door.open(identity, ended)
    if channel.closing or session.ended:
        drop.close()
        return
    session.name = None
    session.maildrop = maildrop = Maildrop(drop)
    channel.send(
        responses.ok(f"Maildrop has {maildrop.count} messages ({maildrop.octets} octets)", channel.language)
    )


def clear_text_allowed(session: Session, channel: Channel) -> None:
    why_not = session.door.clear_text(channel.security)
    if why_not is not None:
        raise Refused(why_not.text, why_not.code)


@dataclass(frozen=True, slots=True)
class Stls(Command):
    name: ClassVar[str] = "STLS"
    authorization: ClassVar[bool] = True
    transaction: ClassVar[bool] = False

    async def run(self, session: Session, channel: Channel) -> None:
        if channel.security.encrypted:
            raise Refused("TLS is active already", bad=True)
        if session.utf8:
            raise Refused("STLS comes before UTF8", bad=True)  # RFC 6856 2.1
        context_factory = session.door.tls()
        if context_factory is None:
            raise Refused("TLS is not available")
        session.name = None
        # What was chosen before may have been chosen by somebody else.
        channel.language = DEFAULT
        channel.send(responses.ok("Begin TLS negotiation", channel.language))
        await channel.discard_and_start_tls(context_factory)

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        wanted = session.maildrop is None and not channel.security.encrypted and not session.utf8
        return ["STLS"] if wanted and session.door.tls() is not None else []


@dataclass(frozen=True, slots=True)
class User(Command):
    """Says nothing of whether the name exists."""

    name: ClassVar[str] = "USER"
    authorization: ClassVar[bool] = True
    transaction: ClassVar[bool] = False

    who: str

    @classmethod
    def parse(cls, cursor: Cursor) -> User:
        return cls(cursor.text("name"))

    async def run(self, session: Session, channel: Channel) -> None:
        clear_text_allowed(session, channel)
        session.name = self.who.strip(" ")
        channel.send(responses.ok("Password required", channel.language))

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        return ["USER"] if session.door.clear_text(channel.security) is None else []


@dataclass(frozen=True, slots=True, repr=False)
class Pass(Command):
    """The argument is everything after the space, spaces included."""

    name: ClassVar[str] = "PASS"
    authorization: ClassVar[bool] = True
    transaction: ClassVar[bool] = False

    password: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Pass:
        return cls(cursor.text("password"))

    async def run(self, session: Session, channel: Channel) -> None:
        name, session.name = session.name, None
        if name is None:
            raise Refused("USER first", bad=True)
        clear_text_allowed(session, channel)
        identity = await session.door.authenticator.password("", name, self.password, channel.security)
        await enter(session, channel, identity)


@dataclass(frozen=True, slots=True, repr=False)
class Auth(Command):
    """mechanism: None asks for the list (RFC 1734's heirs do). initial: as on the line.

    A longer line than RFC 5034 4 gives is taken: clients send initial responses of any length.
    """

    name: ClassVar[str] = "AUTH"
    authorization: ClassVar[bool] = True
    transaction: ClassVar[bool] = False
    longest: ClassVar[int] = sasl.MAX_RESPONSE_LINE

    mechanism: bytes | None
    initial: bytes | None

    @classmethod
    def parse(cls, cursor: Cursor) -> Auth:
        """ "AUTH" SP sasl-mech [SP initial-response]"""
        mechanism = cursor.optional()
        initial = cursor.optional()
        cursor.nothing()
        return cls(mechanism, initial)

    async def run(self, session: Session, channel: Channel) -> None:
        authenticator = session.door.authenticator
        if self.mechanism is None:
            names = [name.encode() for name in authenticator.mechanisms(channel.security)]
            channel.send(responses.listing("Mechanisms follow", names, channel.language))
            return

        async def ask(challenge: bytes) -> bytes:
            channel.send(responses.prompt(challenge))
            return await channel.pull(lambda: channel.input.line(sasl.MAX_RESPONSE_LINE))

        session.name = None
        try:
            exchange = sasl.begin(self.mechanism, authenticator, channel.security)
            success = await sasl.converse(ask, exchange, self.initial)
        except sasl.NoSuchMechanism as error:
            raise Refused(error.text, bad=True) from None
        except LineTooLong:
            raise Refused("Response too long", bad=True) from None
        await enter(session, channel, success.identity)

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        names = session.door.authenticator.mechanisms(channel.security)
        return ["SASL " + " ".join(names)] if names else []
