"""Compare (RFC 4511 4.10): does an entry have a value?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import CompareRequest, CompareResponse
from protocols.ldap.results import Result, ResultCode
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Compare:
    kind: ClassVar = Kind.READ
    answer: ClassVar = 0x6F
    verb: ClassVar = "compare"

    request: CompareRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Compare:
        return cls(requests.compare(cursor))

    async def run(self, session: Session, channel: Channel) -> CompareResponse:
        identity = await session.acting(channel.controls)
        found = await identity.compare(self.request, channel.controls)
        return CompareResponse(Result(ResultCode.COMPARE_TRUE if found else ResultCode.COMPARE_FALSE))
