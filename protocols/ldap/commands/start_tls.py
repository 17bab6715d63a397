"""StartTLS (RFC 4511 4.14): nothing else may be in progress, and TLS not be on already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap.ber import BadValue
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import ExtendedResponse
from protocols.ldap.results import SUCCESS, Failed, ResultCode
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class StartTls:
    oid: ClassVar = "1.3.6.1.4.1.1466.20037"
    kind: ClassVar = Kind.ALONE
    answer: ClassVar = 0x78
    verb: ClassVar = "StartTLS"

    @classmethod
    def parse(cls, value: bytes | None) -> StartTls:
        if value is not None:
            raise BadValue("no request value (RFC 4511 4.14.1)")
        return cls()

    async def run(self, session: Session, channel: Channel) -> ExtendedResponse:
        channel.controls.refuse_proxied()
        if session.security.encrypted:
            raise Failed(ResultCode.OPERATIONS_ERROR, "TLS is on already")
        if session.exchange is not None:
            raise Failed(ResultCode.OPERATIONS_ERROR, "A SASL bind is in progress")
        if not session.start_tls:
            raise Failed(ResultCode.PROTOCOL_ERROR, "StartTLS is not supported here")
        channel.start_tls()
        return ExtendedResponse(SUCCESS, self.oid)
