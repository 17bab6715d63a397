"""What an account is to the owner of a tree, and so what it may do there.

the owner                 everything, always
an administrator          everything in public folders
a delegate                everything but administer, where no list denies it (Public-Delegates
                          of the owner's entry)
anybody                   what the lists give his identities: himself, his groups (nested,
                          too), `authenticated`, `anyone`
nobody (anonymous)        what the lists give `anyone` and `anonymous` in public folders, but s: what one
                          of them has seen is not what others have
one who opened another's  `DOMAIN/user/alias` (ims_spec 7.1.1): as if he came by `Other Users`
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from imsd.auth.account import Account
from imsd.store import acl
from imsd.store.database import Database
from imsd.store.ids import INBOX, PUBLIC, AccountId, EntryId, MailboxId

OWNER: Final = frozenset(acl.ALL)
DELEGATE: Final = "lrswipkxte"
ANY: Final = "lrikxa"
"""One of these is enough to be told what rights one has (RFC 4314 4, MYRIGHTS)."""


class Memberships(Protocol):
    """The part of the directory that says who belongs to whom."""

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]: ...

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """identities: what rows may name. more: rights without a row. never: rights that no row gives.
    owner: all rights, whatever lists say."""

    identities: frozenset[EntryId]
    more: str = ""
    owner: bool = False
    never: frozenset[str] = frozenset()

    def rights(self, grants: Iterable[acl.Grant]) -> frozenset[str]:
        return OWNER if self.owner else acl.effective(grants, self.identities, self.more) - self.never

    @property
    def top(self) -> frozenset[str]:
        """Rights at the root of the tree, which has no list."""
        return OWNER if self.owner else frozenset(self.more)


def actor(account: Account) -> AccountId:
    """Whose rights count: one who opened another's mailbox has his own there."""
    return account.actor if account.restricted else account.id


NOBODY: Final = frozenset((acl.ANYONE, acl.ANONYMOUS))
"""The identities of who did not log in."""


async def identities_of(directory: Memberships, who: AccountId) -> frozenset[EntryId]:
    """What rows may name somebody by."""
    entry = EntryId(who)
    return frozenset((entry, *await directory.groups_of(entry), acl.AUTHENTICATED, acl.ANYONE))


async def standing(directory: Memberships, account: Account, owner: AccountId) -> Standing:
    """What the account is to the owner."""
    if account.anonymous:
        return Standing(NOBODY if owner == PUBLIC else frozenset(), never=frozenset("s"))
    return await _standing(directory, account, owner)


async def may_open(db: Database, directory: Memberships, account: Account, owner: AccountId) -> bool:
    """Whether somebody may log in to another's mailbox: who sees and reads his INBOX may."""
    return {"l", "r"} <= await rights_on(db, directory, account, owner, INBOX)


async def rights_on(
    db: Database, directory: Memberships, account: Account, owner: AccountId, mailbox: MailboxId
) -> frozenset[str]:
    who = await standing(directory, account, owner)
    return who.rights(() if who.owner else await db.read_few(acl.of_mailbox, owner, mailbox))


async def _standing(directory: Memberships, account: Account, owner: AccountId) -> Standing:
    if owner == actor(account) or (owner == PUBLIC and account.is_admin):
        return Standing(frozenset(), owner=True)
    identities = await identities_of(directory, actor(account))
    if owner == PUBLIC or identities.isdisjoint(await directory.delegates(owner)):
        return Standing(identities)
    return Standing(identities, DELEGATE)
