"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE, STATUS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.grammar import Cursor
from protocols.imap4.mailboxnames import DELIMITER
from protocols.imap4.responses import STATUS_ITEMS, Completed, No

SPECIAL_USES: Final = {
    use.lower(): use
    for use in (b"\\All", b"\\Archive", b"\\Drafts", b"\\Flagged", b"\\Junk", b"\\Sent", b"\\Trash")
}
"""RFC 6154 2, in the spelling of the RFC."""


def named(cursor: Cursor) -> str:
    """SP mailbox."""
    cursor.space()
    return cursor.mailbox()


@dataclass(frozen=True, slots=True)
class Create:
    """RFC 9051 6.3.4, with RFC 6154 3 (USE) and RFC 8474 4.1. A delimiter at the end says that inferiors
    will follow, which every mailbox here can have."""

    name: str
    special_use: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Create:
        name = named(cursor)
        uses: list[bytes] = []
        if cursor.skip(b" "):
            for _ in cursor.items():
                if not cursor.keyword(b"USE"):
                    raise cursor.fail("USE")
                cursor.need(b"CREATE-SPECIAL-USE")
                cursor.space()
                for _ in cursor.items():
                    cursor.expect(b"\\")
                    uses.append(b"\\" + cursor.atom())
        return cls(name.removesuffix(DELIMITER), tuple(uses))

    async def run(self, account: Any, channel: Channel) -> Completed:
        uses = [SPECIAL_USES.get(use.lower()) for use in self.special_use]
        if None in uses:
            raise No(b"USEATTR", "No such special use")
        made = await account.create(self.name, frozenset(uses))
        return Completed(b"" if b"OBJECTID" in channel.dialect.off else b"MAILBOXID (%b)" % made)


@dataclass(frozen=True, slots=True)
class Delete:
    """RFC 9051 6.3.5. Who deletes the mailbox that he has selected has none selected then;
    other sessions on it end."""

    name: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Delete:
        return cls(named(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        await account.delete(self.name)
        if channel.view is not None and channel.view.gone:
            channel.select(None)
            # RFC 9051 7.1, CLOSED.
            channel.say(b"*", b"OK", b"CLOSED", "The selected mailbox was deleted")


@dataclass(frozen=True, slots=True)
class Rename:
    """RFC 9051 6.3.6."""

    old: str
    new: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Rename:
        return cls(named(cursor), named(cursor).removesuffix(DELIMITER))

    async def run(self, account: Any, channel: Channel) -> None:
        await account.rename(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """RFC 9051 6.3.7."""

    name: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Subscribe:
        return cls(named(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        await account.subscribe(self.name)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """RFC 9051 6.3.8."""

    name: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Unsubscribe:
        return cls(named(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        await account.unsubscribe(self.name)


@dataclass(frozen=True, slots=True)
class Namespace:
    """RFC 9051 6.3.10, RFC 2342."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Namespace:
        return cls()

    async def run(self, account: Any, channel: Channel) -> None:
        channel.send(responses.namespace(await account.namespaces(), channel.dialect))


_ITEM_OF: Final = {
    b"SIZE": b"STATUS=SIZE",
    b"HIGHESTMODSEQ": b"CONDSTORE",
    b"MAILBOXID": b"OBJECTID",
    b"APPENDLIMIT": b"APPENDLIMIT",
    b"DELETED-STORAGE": b"QUOTA=RES-STORAGE",
}
"""The capability that an item of STATUS comes with."""


def status_items(cursor: Cursor) -> tuple[bytes, ...]:
    """ "(" status-att *(SP status-att) ")"."""
    items: list[bytes] = []
    for _ in cursor.items():
        start = cursor.position
        item = cursor.word()
        if item not in STATUS_ITEMS:
            cursor.position = start
            raise cursor.fail("a status item")
        if cursor.dialect.off:
            cursor.need(_ITEM_OF.get(item, b""))
        items.append(item)
    if not items:
        raise cursor.fail("a status item")
    return tuple(dict.fromkeys(items))


@dataclass(frozen=True, slots=True)
class Status:
    """RFC 9051 6.3.11, RFC 8438, RFC 7162 3.1.7."""

    name: str
    items: tuple[bytes, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Status:
        name = named(cursor)
        cursor.space()
        return cls(name, status_items(cursor))

    async def run(self, account: Any, channel: Channel) -> None:
        if b"HIGHESTMODSEQ" in self.items:
            channel.enable(condstore=True)
        found = (await account.status([self.name], b"DELETED-STORAGE" in self.items)).get(self.name)
        if found is None:
            raise No(b"NONEXISTENT", "No such mailbox")
        channel.send(responses.status(self.name, found, self.items, channel.dialect))
