"""Delete (RFC 4511 4.8): a leaf entry goes away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import DeleteRequest, DeleteResponse
from protocols.ldap.results import SUCCESS
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Delete:
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x6B
    verb: ClassVar = "delete"

    request: DeleteRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Delete:
        return cls(requests.delete(cursor))

    async def run(self, session: Session, channel: Channel) -> DeleteResponse:
        if channel.controls.transaction is not None:
            session.defer(channel.message_id, self.request, channel.controls)
            return DeleteResponse(SUCCESS)
        identity = await session.acting(channel.controls)
        channel.answer_controls = await identity.delete(self.request, channel.controls)
        return DeleteResponse(SUCCESS)
