"""Add (RFC 4511 4.7): a new entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import AddRequest, AddResponse
from protocols.ldap.results import SUCCESS
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Add:
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x69
    verb: ClassVar = "add"

    request: AddRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Add:
        return cls(requests.add(cursor))

    async def run(self, session: Session, channel: Channel) -> AddResponse:
        if channel.controls.transaction is not None:
            session.defer(channel.message_id, self.request, channel.controls)
            return AddResponse(SUCCESS)
        identity = await session.acting(channel.controls)
        channel.answer_controls = await identity.add(self.request, channel.controls)
        return AddResponse(SUCCESS)
