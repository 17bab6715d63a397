"""Abandon (RFC 4511 4.11): end an operation; neither of the two is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import AbandonRequest
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Abandon:
    kind: ClassVar = Kind.AT_ONCE
    answer: ClassVar = 0
    verb: ClassVar = "abandon"

    request: AbandonRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Abandon:
        return cls(requests.abandon(cursor))

    async def run(self, session: Session, channel: Channel) -> None:
        channel.abandon(self.request.message_id)
