"""XCLIENT (XCLIENT_README of Postfix): a proxy that is trusted says who its client is.

Announced and taken where the proxy's own address is trusted; who that is stays as it was when the
connection began. What follows is a new session, greeted anew; TLS stays, for it is the proxy's. LOGIN, where
the site lets the proxy vouch for it, is who has logged in there: he is logged in here, until TLS is started.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar, Final

from protocols.security import address_text
from protocols.smtp.commands.command import GROWTH, Channel, Command, Refused, Session
from protocols.smtp.grammar import BadArgument, Cursor, decode_xtext, parse_hello
from protocols.smtp.responses import BAD_SEQUENCE, Reply

ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "DESTADDR", "DESTPORT")
LOGIN: Final = "LOGIN"
LONGEST_LOGIN: Final = 320
UNKNOWN: Final = frozenset(("[UNAVAILABLE]", "[TEMPUNAVAIL]"))

_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Xclient(Command):
    """xclient-command = "XCLIENT" 1*( SP attribute-name "=" attribute-value ). What is said to be
    unknown is "", what is not said is not in `said`."""

    name: ClassVar[str] = "XCLIENT"
    usage: ClassVar[str] = "XCLIENT <attribute>=<value> ..."
    longest: ClassVar[int] = GROWTH + 1024

    said: Mapping[str, str]

    @classmethod
    def parse(cls, cursor: Cursor) -> Xclient:
        said: dict[str, str] = {}
        for word in cursor.rest().split():
            keyword, equals, value = word.partition(b"=")
            name = keyword.decode("ascii", "replace").upper()
            if not equals or name not in (*ATTRIBUTES, LOGIN) or name in said:
                raise BadArgument("attribute=value expected")
            said[name] = _checked(name, decode_xtext(value).decode("utf-8", "replace"))
        if not said:
            raise BadArgument("attribute=value expected")
        return cls(said)

    async def run(self, session: Session, channel: Channel) -> None:
        if not session.proxied:
            raise Refused(Reply(550, "5.7.0", "You are not trusted to speak for others"))
        if session.mail is not None:
            raise Refused(BAD_SEQUENCE)
        if LOGIN in self.said and not session.own.vouches:
            raise Refused(Reply(550, "5.7.0", "You are not trusted to say who has logged in"))
        login = self.said.get(LOGIN, "")
        identity = await session.own.vouched(login) if login else None
        greeting = channel.announce(self.said)
        if identity is not None:
            session.identity = identity
            session.own.logged_in(identity, channel.goodbye)
            if session.client is not None:
                session.client = replace(session.client, identity=identity)
        channel.answer(greeting)

    @staticmethod
    def works(session: Session) -> bool:
        return session.proxied

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        if not session.proxied:
            return []
        return ["XCLIENT " + " ".join((*ATTRIBUTES, *([LOGIN] if session.own.vouches else [])))]


def _checked(name: str, value: str) -> str:
    if value.upper() in UNKNOWN:
        return ""
    try:
        if name in ("ADDR", "DESTADDR"):
            if value[:5].upper() == "IPV6:":
                return address_text(IPv6Address(value[5:]))
            return str(IPv4Address(value))
        if name in ("PORT", "DESTPORT"):
            if not value.isascii() or not value.isdigit() or len(value) > 5 or int(value) > 65_535:
                raise ValueError
            return value
        if name == "PROTO":
            if value.upper() not in ("SMTP", "ESMTP"):
                raise ValueError
            return value.upper()
        if name == "NAME":
            if not _NAME.fullmatch(value):
                raise ValueError
            return value.lower()
        if name == LOGIN:
            if not value or len(value) > LONGEST_LOGIN or not value.isprintable():
                raise ValueError
            return value
    except ValueError:
        raise BadArgument(f"{name}: bad value") from None
    return parse_hello(value.encode())
