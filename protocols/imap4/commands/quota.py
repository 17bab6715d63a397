"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import MAX63, Cursor


def _root(cursor: Cursor) -> str:
    """quota-root-name = astring."""
    cursor.space()
    try:
        return cursor.astring().decode("utf-8")
    except UnicodeDecodeError:
        raise cursor.fail("a quota root in UTF-8") from None


@dataclass(frozen=True, slots=True)
class GetQuota:
    root: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> GetQuota:
        return cls(_root(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        channel.send(responses.quota(await account.quota(self.root)))


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """The mailbox need not exist."""

    name: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> GetQuotaRoot:
        return cls(named(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        found = await account.quota_of(self.name)
        channel.send(responses.quota_root(self.name, found.root, channel.dialect))
        channel.send(responses.quota(found))


@dataclass(frozen=True, slots=True)
class SetQuota:
    """limits: by resource; what is not named is not limited any more. STORAGE counts 1024 octets."""

    root: str
    limits: tuple[tuple[bytes, int], ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> SetQuota:
        root = _root(cursor)
        cursor.space()
        limits: dict[bytes, int] = {}
        for _ in cursor.items():
            resource = cursor.word()
            cursor.space()
            limits[resource] = cursor.number(MAX63 >> 10)
        return cls(root, tuple(limits.items()))

    async def run(self, account: Any, channel: Channel) -> None:
        channel.send(responses.quota(await account.set_quota(self.root, dict(self.limits))))
