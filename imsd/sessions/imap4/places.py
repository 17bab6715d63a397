"""Full names to mailboxes: the three namespaces, and what an account may do in them.

    INBOX, Work/2026           the account's own (RFC 9051 6.3.10, personal)
    Other Users/bob/INBOX      another's, by his alias
    Public Folders/News        the organisation's

Rights are letters of RFC 4314 2.1; whose they are is worked out in `rights`. A name that may
not be looked up does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from imsd.auth import Account, homes, protocols
from imsd.auth.standing import ANY, Standing, actor, standing
from imsd.errors import MailboxExists, MailboxHasChildren, NoSuchMailbox, NotPermitted, Referred
from imsd.sessions.imap4.held import Mailstore
from imsd.settings.imap import Imap
from imsd.store import acl, mailboxes, names
from imsd.store.ids import PUBLIC, AccountId, MailboxId
from imsd.store.mailboxes import Mailbox
from imsd.store.permits import Guard, Need, NeedOfName
from imsd.store.transaction import Transaction

OTHERS = "Other Users"
SHARED = "Public Folders"


@dataclass(frozen=True, slots=True)
class Spot:
    """A name's namespace: whose tree it is in, and its name there ("" is the tree itself).

    needs: rights that what changes the tree looks at again, none in one's own.
    """

    account: AccountId
    name: str
    prefix: str
    needs: tuple[NeedOfName, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox that exists and may be seen, and the account's rights on it.

    guard: who a unit that writes has to look for in the list; None for who owns it.
    """

    mailbox: Mailbox
    rights: frozenset[str]
    guard: Guard | None = None

    @property
    def key(self) -> tuple[AccountId, MailboxId]:
        return self.mailbox.account, self.mailbox.id

    def need(self, letters: str) -> None:
        """Raises NotPermitted unless all these rights are held."""
        if not self.rights.issuperset(letters):
            raise NotPermitted

    def needs(self, letters: str, some: str = "") -> tuple[Need, ...]:
        """The rights, as units that write look at them: all of letters, and one of some."""
        return () if self.guard is None else (Need(self.guard, *self.key, letters, some),)

    def need_one(self, letters: str) -> None:
        """Raises NotPermitted where none of these rights is held."""
        if self.rights.isdisjoint(letters):
            raise NotPermitted


class Places:
    """The names one account sees."""

    def __init__(self, held: Mailstore, account: Account) -> None:
        self._held = held
        self.account = account

    @property
    def page(self) -> Imap:
        return protocols.page_for(self._held.settings, Imap, self.account.protocols)

    async def spot(self, name: str) -> Spot:
        """Which tree a full name is in. Raises NoSuchMailbox, InvalidName, Referred."""
        if name == SHARED or name.startswith(SHARED + "/"):
            return Spot(PUBLIC, name[len(SHARED) + 1 :], SHARED + "/")
        if name == OTHERS or name.startswith(OTHERS + "/"):
            alias, _slash, rest = name[len(OTHERS) + 1 :].partition("/")
            person = await self._held.directory.person_by_login(alias) if alias else None
            # An alias, not an address that happens to lead to the same person.
            if person is None or person.uid.lower() != alias.lower():
                raise NoSuchMailbox
            self._at_home(person.home, name)
            return Spot(person.account, rest, f"{OTHERS}/{person.uid}/")
        self._at_home(self.account.home, name)
        return Spot(self.account.id, name, "")

    # Other servers (RFC 2193, RFC 2221) --------------------------------------------------

    def elsewhere(self, home: str) -> str:
        """The host that mailboxes of a home server are on, "" for this one."""
        return homes.elsewhere(self._held.settings, home)

    def _at_home(self, home: str, name: str) -> None:
        host = self.elsewhere(home)
        if host:
            raise Referred(urls=(self.url(host, name),))

    def url(self, host: str, name: str = "") -> str:
        """Of a mailbox there, or of the server (RFC 5092 11; `AUTH=*` as RFC 2193 3 asks)."""
        user = quote(self.account.address, safe="")
        return f"imap://{user};AUTH=*@{host}/{quote(name, safe='/')}"

    async def referral_of_pair(self, old: str, new: str) -> Referred | None:
        """For RENAME, where one of the mailboxes is on another server (RFC 2193 4.3)."""
        urls: list[str] = []
        referred = False
        for name in (old, new):
            try:
                await self.spot(name)
                urls.append(self.url(self._held.settings.server, name))
            except Referred as referral:
                urls += referral.urls
                referred = True
        return Referred(urls=tuple(urls)) if referred else None

    async def standing(self, owner: AccountId) -> Standing:
        """What the account is to the owner of a tree."""
        if owner not in (self.account.id, actor(self.account), PUBLIC) and not self.page.delegate:
            return Standing(frozenset())
        return await standing(self._held.directory, self.account, owner)

    async def find(self, name: str, letters: str = "l") -> Place:
        """The mailbox of this name. Raises NoSuchMailbox where none of the letters is held."""
        spot = await self.spot(name)
        if not spot.name:
            raise NoSuchMailbox
        who = await self.standing(spot.account)
        row, grants = await self._held.db.read_few(_find, spot.account, spot.name, who.owner)
        place = Place(row, who.rights(grants), guard(who))
        if place.rights.isdisjoint(letters):
            raise NoSuchMailbox
        return place

    async def again(self, place: Place) -> Place:
        """The place with the rights as they are now. Raises NoSuchMailbox."""
        who = await self.standing(place.mailbox.account)
        row, grants = await self._held.db.read_few(_by_id, *place.key, who.owner)
        return Place(row, who.rights(grants), guard(who))

    # Changing the tree -------------------------------------------------------------------

    async def room(self, name: str) -> Spot:
        """Where a new mailbox may stand: who holds k on the nearest superior (RFC 4314 4, CREATE).

        At the top of a tree that is its owner, or his delegate; among public folders an
        administrator. Raises MailboxExists, NotPermitted, NoSuchMailbox.
        """
        spot = await self._inside(name, MailboxExists)
        who = await self.standing(spot.account)
        if who.owner:
            return spot
        above, grants = await self._held.db.read_few(_nearest, spot.account, spot.name)
        rights = who.top if above is None else who.rights(grants)
        if "k" not in rights:
            # Not even that the tree exists is told to whom nothing of it was opened.
            if above is None and spot.account != PUBLIC:
                await self.find(name)
            if above is not None and rights.isdisjoint(ANY):
                raise NoSuchMailbox
            raise NotPermitted
        return _guarded(spot, who, "k", above=True)

    async def leaving(self, name: str) -> Spot:
        """A mailbox that may be deleted or renamed (right x). Raises MailboxHasChildren,
        NoSuchMailbox, NotPermitted."""
        spot = await self._inside(name, MailboxHasChildren)
        (await self.find(name, ANY)).need("x")
        return _guarded(spot, await self.standing(spot.account), "x")

    async def _inside(self, name: str, root: type[Exception]) -> Spot:
        if name in (SHARED, OTHERS):
            raise root
        spot = await self.spot(name)
        if not spot.name:
            raise NoSuchMailbox
        names.canonical(spot.name)
        return spot


def guard(who: Standing) -> Guard | None:
    """Who a unit looks for in lists, None for the owner."""
    return None if who.owner else Guard(who.identities, who.more, who.never)


def _guarded(spot: Spot, who: Standing, letters: str, above: bool = False) -> Spot:
    found = guard(who)
    if found is None:
        return spot
    return replace(spot, needs=(NeedOfName(found, spot.account, spot.name, letters, above),))


def _grants(tx: Transaction, row: Mailbox, owner: bool) -> Sequence[acl.Grant]:
    return () if owner else acl.of_mailbox(tx, row.account, row.id)


def _find(tx: Transaction, account: AccountId, name: str, owner: bool) -> tuple[Mailbox, Sequence[acl.Grant]]:
    row = mailboxes.get(tx, account, name)
    return row, _grants(tx, row, owner)


def _by_id(
    tx: Transaction, account: AccountId, mailbox: MailboxId, owner: bool
) -> tuple[Mailbox, Sequence[acl.Grant]]:
    row = mailboxes.get_by_id(tx, account, mailbox)
    return row, _grants(tx, row, owner)


def _nearest(tx: Transaction, account: AccountId, name: str) -> tuple[Mailbox | None, Sequence[acl.Grant]]:
    row = mailboxes.nearest(tx, account, name)
    return row, () if row is None else _grants(tx, row, False)
