"""Password Modify (RFC 3062): set a password, or have one generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import ber, requests
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import ExtendedResponse, PasswordModify
from protocols.ldap.results import SUCCESS, Failed, ResultCode
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class ModifyPassword:
    oid: ClassVar = "1.3.6.1.4.1.4203.1.11.1"
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x78
    verb: ClassVar = "passwd"

    request: PasswordModify

    @classmethod
    def parse(cls, value: bytes | None) -> ModifyPassword:
        return cls(requests.password_modify(value))

    async def run(self, session: Session, channel: Channel) -> ExtendedResponse:
        # RFC 3062 3: passwords need a protected connection.
        if not session.security.private and not session.door.limits.clear_text:
            raise Failed(ResultCode.CONFIDENTIALITY_REQUIRED, "Start TLS before sending a password")
        if channel.controls.transaction is not None:
            if self.request.new is None:
                raise Failed(ResultCode.UNWILLING_TO_PERFORM, "The end of a transaction tells no password")
            session.defer(channel.message_id, self.request, channel.controls)
            return ExtendedResponse(SUCCESS)
        identity = await session.acting(channel.controls)
        generated = await identity.password_modify(self.request)
        value = None if generated is None else ber.sequence([ber.wrap(0x80, generated)])
        return ExtendedResponse(SUCCESS, value=value)
