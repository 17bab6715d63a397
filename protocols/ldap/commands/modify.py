"""Modify (RFC 4511 4.6): changes to one entry, all or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import ModifyRequest, ModifyResponse
from protocols.ldap.results import SUCCESS
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Modify:
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x67
    verb: ClassVar = "modify"

    request: ModifyRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Modify:
        return cls(requests.modify(cursor))

    async def run(self, session: Session, channel: Channel) -> ModifyResponse:
        if channel.controls.transaction is not None:
            session.defer(channel.message_id, self.request, channel.controls)
            return ModifyResponse(SUCCESS)
        identity = await session.acting(channel.controls)
        channel.answer_controls = await identity.modify(self.request, channel.controls)
        return ModifyResponse(SUCCESS)
