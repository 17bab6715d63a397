"""Full names to mailboxes: the three namespaces, and what an account may do in them.

    INBOX, Work/2026           the account's own (RFC 9051 6.3.10, personal)
    Other Users/bob/INBOX      another's, by his alias
    Public Folders/News        the organisation's

Rights are letters of RFC 4314 2.1. The owner has all of them on what is his. Everybody who
is logged in reads public folders, keeps his own \\Seen there and posts; administrators do
everything there. Other people's mailboxes are seen by whom rights on them were given
(`imsd.store.acl`); a name that may not be looked up does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass

from imsd.auth import Account, protocols
from imsd.errors import NoSuchMailbox, NotPermitted
from imsd.sessions.imap4.held import Mailstore
from imsd.settings.imap import Imap
from imsd.store import acl, mailboxes
from imsd.store.ids import PUBLIC, AccountId, MailboxId
from imsd.store.mailboxes import Mailbox
from imsd.store.transaction import Transaction

OTHERS = "Other Users"
SHARED = "Public Folders"
OWNER = frozenset(acl.ALL)
READER = frozenset("lrsip")


@dataclass(frozen=True, slots=True)
class Spot:
    """A name's namespace: whose tree it is in, and its name there ("" is the tree itself)."""

    account: AccountId
    name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox that exists and may be seen, and the account's rights on it."""

    mailbox: Mailbox
    rights: frozenset[str]

    @property
    def key(self) -> tuple[AccountId, MailboxId]:
        return self.mailbox.account, self.mailbox.id

    def need(self, letters: str) -> None:
        """Raises NotPermitted unless all these rights are held."""
        if not self.rights.issuperset(letters):
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
        """Which tree a full name is in. Raises NoSuchMailbox, InvalidName."""
        if name == SHARED or name.startswith(SHARED + "/"):
            return Spot(PUBLIC, name[len(SHARED) + 1 :], SHARED + "/")
        if name == OTHERS or name.startswith(OTHERS + "/"):
            alias, _slash, rest = name[len(OTHERS) + 1 :].partition("/")
            person = await self._held.directory.person_by_login(alias) if alias else None
            # An alias, not an address that happens to lead to the same person.
            if person is None or person.uid.lower() != alias.lower():
                raise NoSuchMailbox
            return Spot(person.account, rest, f"{OTHERS}/{person.uid}/")
        return Spot(self.account.id, name, "")

    async def find(self, name: str) -> Place:
        """The mailbox of this name. Raises NoSuchMailbox where it may not be looked up."""
        spot = await self.spot(name)
        if not spot.name:
            raise NoSuchMailbox
        own = spot.account == self.account.id
        row, letters = await self._held.db.read_few(
            _find, spot.account, spot.name, None if own or spot.account == PUBLIC else self.account.id
        )
        place = Place(row, self.rights(spot.account, letters))
        if "l" not in place.rights:
            raise NoSuchMailbox
        return place

    def rights(self, owner: AccountId, granted: str) -> frozenset[str]:
        """The rights in a tree, given what a row of `acl` grants."""
        if owner == self.account.id:
            return OWNER
        if owner == PUBLIC:
            return OWNER if self.account.is_admin else READER
        return frozenset(granted) if self.page.delegate else frozenset()

    def tree_rights(self, spot: Spot) -> frozenset[str]:
        """Rights to change the tree itself: the owner's, or an administrator's in public."""
        return self.rights(spot.account, "")


def _find(tx: Transaction, account: AccountId, name: str, grantee: AccountId | None) -> tuple[Mailbox, str]:
    row = mailboxes.get(tx, account, name)
    if grantee is None:
        return row, ""
    return row, acl.granted_to(tx, grantee).get((account, row.id), "")
