"""STARTTLS (RFC 3207) and AUTH (RFC 4954)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from protocols import sasl
from protocols.errors import LineTooLong
from protocols.smtp import responses
from protocols.smtp.commands.command import Channel, Command, Refused, Session
from protocols.smtp.grammar import BadArgument, Cursor
from protocols.smtp.interfaces import Role
from protocols.smtp.responses import Reply

AUTH_LINE = sasl.MAX_RESPONSE_LINE
"""Octets of an AUTH line with its CRLF (RFC 4954 4)."""


@dataclass(frozen=True, slots=True)
class Starttls(Command):
    name: ClassVar[str] = "STARTTLS"
    usage: ClassVar[str] = "STARTTLS"

    async def run(self, session: Session, channel: Channel) -> None:
        if channel.security.encrypted:
            raise Refused(responses.ALREADY_ENCRYPTED)
        context_factory = session.door.tls()
        if context_factory is None:
            raise Refused(responses.NO_TLS)
        # What was said and who was there is forgotten (RFC 3207 4.2).
        session.forget()
        channel.answer(responses.READY_FOR_TLS)
        await channel.discard_and_start_tls(context_factory)

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return [] if channel.security.encrypted or session.door.tls() is None else ["STARTTLS"]


@dataclass(frozen=True, slots=True)
class Auth(Command):
    """initial: the initial response as it stands on the line, None if there was none."""

    name: ClassVar[str] = "AUTH"
    usage: ClassVar[str] = "AUTH <mechanism> [<initial-response>]"
    greeted: ClassVar[bool] = True
    longest: ClassVar[int] = AUTH_LINE

    mechanism: bytes
    initial: bytes | None

    @classmethod
    def parse(cls, cursor: Cursor) -> Auth:
        """auth-command = "AUTH" SP sasl-mech [SP initial-response] *(CRLF [base64]) [CRLF "*"]"""
        words = cursor.rest().split()
        if not 1 <= len(words) <= 2:
            raise BadArgument("mechanism expected")
        return cls(words[0], words[1] if len(words) == 2 else None)

    async def run(self, session: Session, channel: Channel) -> None:
        if not _offered(session):
            raise Refused(responses.NOT_IMPLEMENTED)
        if session.identity is not None:
            raise Refused(responses.ALREADY_AUTHENTICATED)
        if session.mail is not None:
            raise Refused(responses.BAD_SEQUENCE)

        async def ask(challenge: bytes) -> bytes:
            channel.answer(Reply(334, "", challenge.decode("ascii")))
            try:
                return await channel.pull(lambda: channel.input.line(AUTH_LINE))
            except LineTooLong:
                raise Refused(responses.AUTH_TOO_LONG) from None

        try:
            exchange = sasl.begin(self.mechanism, session.own.authenticator, channel.security)
            success = await sasl.converse(ask, exchange, self.initial)
        except sasl.EncryptionNeeded:
            raise Refused(responses.AUTH_NEEDS_TLS) from None
        except sasl.NoSuchMechanism:
            raise Refused(responses.UNKNOWN_MECHANISM) from None
        except sasl.Cancelled:
            raise Refused(responses.CANCELLED) from None
        except sasl.BadExchange:
            raise Refused(responses.BAD_RESPONSE) from None
        session.identity = success.identity
        session.own.logged_in(success.identity, channel.goodbye)
        assert session.client is not None
        session.client = replace(session.client, identity=success.identity)
        channel.answer(responses.AUTHENTICATED)

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        if session.identity is not None or not _offered(session):
            return []
        names = session.own.authenticator.mechanisms(channel.security)
        return ["AUTH " + " ".join(names)] if names else []


def _offered(session: Session) -> bool:
    """Submission is nothing without AUTH (RFC 6409 4.3); port 25 may do without."""
    return session.limits.auth or session.role is not Role.MX
