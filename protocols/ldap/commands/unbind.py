"""Unbind (RFC 4511 4.3): the client is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Unbind:
    kind: ClassVar = Kind.AT_ONCE
    answer: ClassVar = 0
    verb: ClassVar = "unbind"

    @classmethod
    def parse(cls, cursor: Cursor) -> Unbind:
        requests.unbind(cursor)
        return cls()

    async def run(self, session: Session, channel: Channel) -> None:
        channel.close()
