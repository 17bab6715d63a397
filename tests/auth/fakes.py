"""A directory of a few people, and an authenticator over a store."""

from __future__ import annotations

from typing import Any

from imsd.auth import Authenticator, Passwords
from imsd.auth.hashing import Hashing
from imsd.directory.values import Person
from imsd.settings import PAGES, LiveSettings
from imsd.settings.logins import Logins
from imsd.store import credentials
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.database import Database
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Unit
from protocols.security import Security
from tests.support.stores import run

LOOPBACK = Security(peer="127.0.0.1", loopback=True)
CLEAR = Security(peer="192.0.2.1")


def tls(peer: str = "192.0.2.1") -> Security:
    return Security(peer=peer, encrypted=True)


def person(number: int, uid: str, *, admin: bool = False, disabled: bool = False, version: int = 1) -> Person:
    return Person(
        AccountId(number),
        EntryId(number),
        f"cn={uid},o=Example",
        uid,
        uid.title(),
        (f"{uid}@example.test",),
        version,
        admin,
        disabled,
    )


class FakeDirectory:
    """Found by uid, address, DN and DOMAIN\\uid."""

    def __init__(self, *people: Person) -> None:
        self.people = {one.account: one for one in people}
        self.named: dict[AccountId, frozenset[EntryId]] = {}
        self.groups: dict[EntryId, frozenset[EntryId]] = {}

    async def person_by_login(self, name: str) -> Person | None:
        for one in self.people.values():
            if name.lower() in (one.uid, one.address, one.dn.lower(), f"example\\{one.uid}"):
                return one
        return None

    async def person(self, account: AccountId) -> Person | None:
        return self.people.get(account)

    async def administrator(self) -> Person | None:
        return None

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]:
        return self.groups.get(entry_id, frozenset())

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]:
        return self.named.get(owner, frozenset())


def touch(unit: Unit, entry: EntryId) -> None:
    """What the directory publishes when an entry changed."""
    unit.changed(EntriesChanged(DIRECTORY, *unit.advance(DIRECTORY), (entry,)))


class Office:
    """An authenticator with alice (1), bob (2) and root (9), whose password is his name twice."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.database = database
        self.reactor = database.reactor
        self.settings = LiveSettings(PAGES)
        self.set(**settings)
        self.directory = FakeDirectory(person(1, "alice"), person(2, "bob"), person(9, "root", admin=True))
        self.hashing = Hashing(self.reactor, lambda: self.settings[Logins])
        self.passwords = Passwords(self.hashing, lambda: self.settings[Logins])
        self.hashed = 0
        self.authenticator = Authenticator(
            database, self.directory, self.settings, self.reactor, self.passwords
        )
        run(self.authenticator.start())
        real = self.hashing.do

        def counting(fn: Any, *args: Any) -> Any:
            self.hashed += 1
            return real(fn, *args)

        self.hashing.do = counting  # type: ignore[method-assign]

    def set(self, **settings: Any) -> None:
        import json

        def key(name: str) -> str:
            return name.replace("__", ".") if "__" in name else f"logins.{name}"

        self.settings.replace({key(name): json.dumps(value) for name, value in settings.items()})

    def give_password(self, number: int, password: str) -> None:
        verifier = run(self.passwords.make(password))
        run(self.database.write(credentials.set_password, EntryId(number), verifier))
        self.hashed = 0

    def stored(self, number: int) -> str:
        return run(self.database.read_few(credentials.read, EntryId(number))).password

    def login(self, name: str, password: str, security: Security = LOOPBACK, authzid: str = "") -> Any:
        return run(self.authenticator.password(authzid, name, password, security))

    def change(self, number: int, **fields: Any) -> None:
        """Change an entry in the directory and publish that."""
        from dataclasses import replace

        account = AccountId(number)
        if fields.pop("gone", False):
            del self.directory.people[account]
        else:
            self.directory.people[account] = replace(self.directory.people[account], **fields)
        run(self.database.write(touch, EntryId(number)))

    def settle(self) -> None:
        """Let everybody hear of what changed; reads are in threads on PostgreSQL."""
        for _ in range(200):
            self.reactor.advance(0)
            run(self.database.read(credentials.generation, EntryId(0)))
            if not self.authenticator._rights._running:
                return
        raise AssertionError("it does not come to an end")
