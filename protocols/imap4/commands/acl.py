"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import Cursor
from protocols.sasl import BadExchange
from protocols.sasl.prep import saslprep

RIGHTS: Final = frozenset("lrswipkxtea")
MEMBERS: Final = {"c": "kx", "d": "te"}
"""The obsolete rights, as sets of today's (RFC 4314 2.1.1)."""
IDENTIFIER_LIMIT: Final = 512
"""Characters."""


def identified(cursor: Cursor) -> str:
    """SP identifier, prepared (RFC 4314 3)."""
    cursor.space()
    start = cursor.position
    try:
        text = cursor.astring().decode("utf-8")
        minus = "-" if text.startswith("-") else ""
        prepared = saslprep(text.removeprefix("-"))
    except (UnicodeDecodeError, BadExchange):
        prepared = ""
    if not prepared or len(prepared) > IDENTIFIER_LIMIT:
        cursor.position = start
        raise cursor.fail("an identifier")
    return minus + prepared


@dataclass(frozen=True, slots=True)
class SetAcl:
    """rights: of today's; how: "+" adds them, "-" takes them away, "" sets exactly these."""

    name: str
    identifier: str
    rights: str
    how: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> SetAcl:
        name = named(cursor)
        identifier = identified(cursor)
        cursor.space()
        start = cursor.position
        text = cursor.astring().decode("latin-1")
        how = text[:1] if text[:1] in ("+", "-") else ""
        asked = "".join(MEMBERS.get(letter, letter) for letter in text[len(how) :])
        if not RIGHTS.issuperset(asked):
            cursor.position = start
            raise cursor.fail("rights of lrswipkxteacd")
        return cls(name, identifier, "".join(dict.fromkeys(asked)), how)

    async def run(self, account: Any, channel: Channel) -> None:
        await account.set_acl(self.name, self.identifier, self.rights, self.how)


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    name: str
    identifier: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> DeleteAcl:
        return cls(named(cursor), identified(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        await account.set_acl(self.name, self.identifier, "", "")


@dataclass(frozen=True, slots=True)
class GetAcl:
    name: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> GetAcl:
        return cls(named(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        channel.send(responses.acl(await account.acl(self.name), channel.dialect))


@dataclass(frozen=True, slots=True)
class ListRights:
    name: str
    identifier: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> ListRights:
        return cls(named(cursor), identified(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        found = await account.grantable(self.name, self.identifier)
        channel.send(responses.list_rights(self.name, self.identifier, found, channel.dialect))


@dataclass(frozen=True, slots=True)
class MyRights:
    name: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> MyRights:
        return cls(named(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        held = await account.my_rights(self.name)
        channel.send(responses.my_rights(self.name, held.encode(), channel.dialect))
