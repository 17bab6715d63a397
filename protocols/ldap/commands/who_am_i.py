"""Who am I? (RFC 4532): the authorization identity of the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap.ber import BadValue
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.commands.transactions import refuse
from protocols.ldap.messages import ExtendedResponse
from protocols.ldap.results import SUCCESS
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class WhoAmI:
    oid: ClassVar = "1.3.6.1.4.1.4203.1.11.3"
    kind: ClassVar = Kind.READ
    answer: ClassVar = 0x78
    verb: ClassVar = "whoami"

    @classmethod
    def parse(cls, value: bytes | None) -> WhoAmI:
        if value is not None:
            raise BadValue("no request value (RFC 4532 2.1)")
        return cls()

    async def run(self, session: Session, channel: Channel) -> ExtendedResponse:
        refuse(channel)
        if channel.controls.proxied is not None:
            # RFC 4532 4: the identity that it acts as.
            name = (await session.acting(channel.controls)).who_am_i()
        else:
            name = "" if session.bound is None else session.bound.who_am_i()
        return ExtendedResponse(SUCCESS, value=name.encode())
