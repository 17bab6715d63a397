"""Modify DN (RFC 4511 4.9): another name, or another place in the tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import ModifyDnRequest, ModifyDnResponse
from protocols.ldap.results import SUCCESS
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class ModifyDn:
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x6D
    verb: ClassVar = "modifyDN"

    request: ModifyDnRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> ModifyDn:
        return cls(requests.modify_dn(cursor))

    async def run(self, session: Session, channel: Channel) -> ModifyDnResponse:
        if channel.controls.transaction is not None:
            session.defer(channel.message_id, self.request, channel.controls)
            return ModifyDnResponse(SUCCESS)
        identity = await session.acting(channel.controls)
        channel.answer_controls = await identity.modify_dn(self.request, channel.controls)
        return ModifyDnResponse(SUCCESS)
