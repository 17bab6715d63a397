"""A directory of a few people, lists, contacts and folders, without a store."""

from __future__ import annotations

from typing import Any

from imsd.directory.limits import Limits
from imsd.directory.membership import Writes
from imsd.directory.recipients import Admits, everybody
from imsd.directory.restrictions import Reports, Restrictions
from imsd.directory.values import (
    Contact,
    DistributionList,
    Expansion,
    Local,
    Person,
    PublicFolder,
    Recipient,
)
from imsd.errors import NoSuchRecipient
from imsd.settings.domains import DomainTable
from imsd.settings.routing import TableRow
from imsd.store.duties import Shown
from imsd.store.ids import AccountId, EntryId
from imsd.store.quotas import Bounds

DOMAIN = "example.test"


class FakeDomains:
    """Every served domain is inbound, others by the rows of a test."""

    def __init__(self) -> None:
        self.served = (DOMAIN,)
        self.table: DomainTable[TableRow] = DomainTable(())

    def row(self, domain: str) -> TableRow | None:
        return self.table.find(domain)


class FakeDirectory:
    """Accounts are numbered from 7 in the order in which they are added."""

    def __init__(self) -> None:
        self.db: Any = None
        self.known: dict[str, Recipient] = {}
        self.members: dict[str, list[str]] = {}
        self.persons: list[Person] = []
        self.domains = FakeDomains()
        self.largest: dict[AccountId, int] = {}
        self.foreign: dict[tuple[str, str], Recipient] = {}
        self.shared: dict[str, str] = {}
        self.restricted: dict[EntryId, Restrictions] = {}
        self.languages: dict[AccountId, str] = {}
        self.rests = 0
        self.writers: dict[tuple[EntryId, EntryId], Writes] = {}

    def known_recipient(self, address: str) -> None:
        """It has to be asked."""

    def known_limits(self, account: AccountId) -> None:
        """It has to be asked."""

    def add(self, alias: str, admin: bool = False) -> AccountId:
        account = AccountId(7 + len(self.persons))
        address = f"{alias}@{DOMAIN}"
        self.known[address] = Local(account, EntryId(account), address)
        if admin:
            self.known[f"postmaster@{DOMAIN}"] = self.known[address]
        self.persons.append(
            Person(account, EntryId(account), f"cn={alias}", alias, alias, (address,), 1, is_admin=admin)
        )
        return account

    async def language(self, account: AccountId) -> str:
        return self.languages.get(account, "")

    async def place(self) -> tuple[str, str]:
        return "Example", "Main"

    async def limits(self, account: AccountId) -> Limits:
        return Limits(Bounds(), receives=self.largest.get(account))

    def add_list(self, alias: str, *members: str) -> None:
        address = f"{alias}@{DOMAIN}"
        self.known[address] = DistributionList(EntryId(900 + len(self.members)), address)
        self.members[address] = list(members)

    def add_contact(self, alias: str, target: str, kind: str = "SMTP") -> None:
        address = f"{alias}@{DOMAIN}"
        self.known[address] = Contact(EntryId(800), address, target, kind)

    def add_folder(self, alias: str, pathname: str) -> None:
        address = f"{alias}@{DOMAIN}"
        self.known[address] = PublicFolder(EntryId(700), address, pathname)

    def add_foreign(self, kind: str, value: str, alias: str) -> None:
        self.foreign[kind, value] = self.known[f"{alias}@{DOMAIN}"]

    async def writes_for(self, who: EntryId, whose: EntryId) -> Writes:
        return self.writers.get((who, whose), Writes.NOT)

    async def rest(self) -> None:
        self.rests += 1

    def serves(self, domain: str) -> bool:
        row = self.domains.row(domain)
        return row.inbound if row is not None else domain.lower() == DOMAIN

    def share_host(self, domain: str) -> str:
        return self.shared.get(domain.lower(), "")

    async def resolve_foreign(self, kind: str, value: str) -> Recipient:
        try:
            return self.foreign[kind, value]
        except KeyError:
            raise NoSuchRecipient from None

    async def entries_of(self, names: tuple[str, ...]) -> frozenset[EntryId]:
        found: set[EntryId] = set()
        for name in names:
            to = self.known.get(name.lower())
            if to is not None:
                found.update(each.entry for each in (await self.expand(to)).recipients)
        return frozenset(found)

    async def resolve(self, address: str) -> Recipient:
        try:
            return self.known[address.lower()]
        except KeyError:
            raise NoSuchRecipient from None

    async def secret(self, purpose: bytes) -> bytes:
        return b"secret of " + purpose

    async def recipient(self, entry: EntryId) -> Recipient:
        for one in self.known.values():
            if one.entry == entry:
                return one
        raise NoSuchRecipient

    async def restrictions(self, entry: EntryId) -> Restrictions:
        return self.restricted.get(entry, Restrictions())

    async def groups_of(self, entry: EntryId) -> frozenset[EntryId]:
        found = set()
        for address in self.members:
            expansion = await self.expand(self.known[address])
            if entry in {each.entry for each in expansion.recipients}:
                found.add(self.known[address].entry)
        return frozenset(found)

    async def expand(
        self, recipient: Recipient, limit: int | None = None, admits: Admits = everybody
    ) -> Expansion:
        found: dict[str, Recipient] = {}
        seen: set[str] = set()
        told: dict[EntryId, DistributionList] = {}

        def visit(address: str, decides: Recipient) -> None:
            if address in seen:
                return
            seen.add(address)
            to = self.known[address]
            if isinstance(to, DistributionList):
                for member in self.members[address]:
                    visit(member, decides if to.reports is Reports.ORIGINATOR else to)
                return
            found[address] = to
            if isinstance(decides, DistributionList) and decides is not recipient:
                told[to.entry] = decides

        visit(recipient.address, recipient)
        return Expansion(tuple(found.values()), told=told)  # type: ignore[arg-type]


class FakeDuties:
    """other: the node that has all of them. says: what the holder says. used: when others used it."""

    other = says = ""
    used = 0
    uses = 0

    async def has(self, name: str) -> bool:
        return not self.other

    def elsewhere(self, name: str) -> str:
        return self.other

    async def show(self, name: str, state: str) -> None:
        if not self.other:
            self.says = state

    async def shown(self, name: str) -> Shown:
        return Shown(self.says, self.used)

    async def use(self, name: str) -> None:
        self.uses += 1
