"""Cancel (RFC 3909): end an operation; both are answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap.ber import BadValue, Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import ExtendedResponse
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Cancel:
    oid: ClassVar = "1.3.6.1.1.8"
    kind: ClassVar = Kind.AT_ONCE
    answer: ClassVar = 0x78
    verb: ClassVar = "cancel"

    message_id: int

    @classmethod
    def parse(cls, value: bytes | None) -> Cancel:
        if value is None:
            raise BadValue("a cancelID")
        return cls(Cursor(value).enter().integer())

    async def run(self, session: Session, channel: Channel) -> ExtendedResponse:
        channel.controls.refuse_proxied()
        return ExtendedResponse(channel.cancel(self.message_id))
