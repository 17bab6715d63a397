"""Sessions of IMAP over an open store, without a connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from imsd.auth.account import Account
from imsd.directory.limits import limits_of
from imsd.directory.membership import SPECIAL
from imsd.directory.values import Person
from imsd.errors import NoSuchEntry
from imsd.sessions.imap4.account import ImapAccount
from imsd.sessions.imap4.held import Mailstore
from imsd.settings import PAGES, LiveSettings
from imsd.store import quotas
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import AccountId, EntryId
from imsd.store.index import MailboxIndexes
from imsd.store.quotas import Bounds
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.sets import SequenceSet
from protocols.imap4.values import Expunged, FlagsNow, Grown
from tests.support.mail import ALICE, BOB
from tests.support.stores import run

TEAM = EntryId(77)


class Turns:
    """A reactor whose turns happen while `run` waits; its time is the test's."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def seconds(self) -> float:
        return 1_700_000_000.0 + self._reactor.seconds()

    def callLater(self, delay: float, fn: Any, *args: Any) -> Any:
        if delay == 0:
            self._reactor.callFromThread(fn, *args)
            return _Nothing()
        return self._reactor.callLater(delay, fn, *args)


class _Nothing:
    def active(self) -> bool:
        return False

    def cancel(self) -> None:
        pass


class People:
    """A directory of alice, bob and root."""

    contact = "postmaster@example.test"
    names = {"alice": ALICE, "bob": BOB, "root": AccountId(9)}
    db: Any = None

    def _person(self, uid: str, account: AccountId) -> Person:
        return Person(account, EntryId(account), f"cn={uid}", uid, uid, (f"{uid}@example.test",), 1)

    async def person_by_login(self, name: str) -> Person | None:
        account = self.names.get(name.lower())
        return None if account is None else self._person(name.lower(), account)

    members: Mapping[EntryId, frozenset[EntryId]] = MappingProxyType({})
    """Groups by member, for tests to set."""
    named: Mapping[AccountId, frozenset[EntryId]] = MappingProxyType({})
    """Delegates by owner."""

    async def administrator(self) -> Person | None:
        return None

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]:
        return self.members.get(entry_id, frozenset())

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]:
        return self.named.get(owner, frozenset())

    async def delegators(self, ids: Collection[EntryId]) -> list[AccountId]:
        return [owner for owner, named in self.named.items() if not named.isdisjoint(ids)]

    async def grantee(self, identifier: str) -> EntryId:
        special = SPECIAL.get(identifier)
        if special is not None:
            return special
        if identifier == "$team":
            return TEAM
        person = await self.person_by_login(identifier.partition("@")[0])
        if person is None:
            raise NoSuchEntry
        return person.entry

    async def identifier(self, grantee: EntryId) -> str:
        names = {TEAM: "$team", **{entry: name for name, entry in SPECIAL.items() if name != "authusers"}}
        person = await self.person(AccountId(grantee))
        return names.get(grantee, person.uid if person else "")

    async def person(self, account: AccountId) -> Person | None:
        return next((self._person(uid, id) for uid, id in self.names.items() if id == account), None)

    async def change(self, who: str, attributes: Any) -> None:
        """As the directory's update does it, in what concerns limits."""
        account = self.names[who.removeprefix("cn=")]
        values = {key.lower(): tuple(text.encode() for text in texts) for key, texts in attributes.items()}
        found = limits_of(values, Bounds())
        await self.db.write(quotas.limit, account, found.bounds, found.own)


def mailstore(database: Database) -> Mailstore:
    people = People()
    people.db = database
    return Mailstore(
        database, Blobs(database), MailboxIndexes(database), people, LiveSettings(PAGES),
        Turns(database.reactor),
    )  # fmt: skip


def session(held: Mailstore, account: AccountId = ALICE, admin: bool = False) -> ImapAccount:
    return ImapAccount(held, Account(account, EntryId(account), "cn=x", (), 1, admin, 1, account))


def select(
    account: ImapAccount, name: str = "INBOX", read_only: bool = False, dialect: Dialect = PLAIN
) -> Any:
    return run(account.select(name, read_only, dialect))


def uid_set(*numbers: int | tuple[int, int]) -> SequenceSet:
    return SequenceSet(tuple((n, n) if isinstance(n, int) else n for n in numbers), uid=True)


def number_set(*numbers: int | tuple[int, int]) -> SequenceSet:
    return SequenceSet(tuple((n, n) if isinstance(n, int) else n for n in numbers))


EVERY = (1, 0)


def flat(batches: Any) -> list[Any]:
    return [row for batch in batches for row in batch]


class Client:
    """What a client believes of its selected mailbox; it checks everything it is told."""

    def __init__(self, view: Any) -> None:
        self.view = view
        rows = flat(view.rows(number_set(EVERY)))
        assert [row.sequence for row in rows] == list(range(1, view.exists + 1))
        self.uids: list[int] = [row.uid for row in rows]
        self.flags: dict[int, bytes] = {row.uid: row.flags for row in rows}
        self.modseq = view.highest_modseq

    def hear(self, expunge: bool = True) -> None:
        """Be told what is new, and believe it where it can be true."""
        for update in self.view.updates(expunge):
            match update:
                case Expunged(sequence, uid):
                    assert expunge
                    assert self.uids.pop(sequence - 1) == uid
                    del self.flags[uid]
                case Grown(exists, _recent):
                    assert exists > len(self.uids)
                    rows = flat(self.view.rows(number_set((len(self.uids) + 1, exists))))
                    self.uids += [row.uid for row in rows]
                    self.flags.update((row.uid, row.flags) for row in rows)
                    assert len(self.uids) == exists
                case FlagsNow(rows):
                    for row in rows:
                        assert self.uids[row.sequence - 1] == row.uid
                        self.flags[row.uid] = row.flags
        assert self.view.exists == len(self.uids)
        assert self.uids == sorted(set(self.uids))
        assert self.view.highest_modseq >= self.modseq
        self.modseq = self.view.highest_modseq

    def store(self, stored: Any) -> None:
        for row in flat(stored.rows):
            assert self.uids[row.sequence - 1] == row.uid
            self.flags[row.uid] = row.flags
