"""Rights that a unit of writing looks at itself (RFC 4314 4).

What a session read of a list is old when its unit runs: the right may have been taken away since.
So a unit that writes to what is not its writer's own is given what it needs as `Need`s, and
decides from the rows it sees. The identities are those of the command: lists are rows of the
store, groups are entries of the directory. A unit that another node's change of the list overlaps
counts as done before it; on one node units follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from imsd.errors import NotPermitted
from imsd.store import acl, mailboxes
from imsd.store.ids import AccountId, EntryId, MailboxId
from imsd.store.transaction import Transaction, Unit

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Guard:
    """Who is not the owner. identities: what rows may name him by. more: rights without a row.
    never: rights that no row gives."""

    identities: frozenset[EntryId]
    more: str = ""
    never: frozenset[str] = frozenset()

    def rights(self, tx: Transaction, account: AccountId, mailbox: MailboxId) -> frozenset[str]:
        """What he may do by the rows as they are."""
        return acl.effective(acl.of_mailbox(tx, account, mailbox), self.identities, self.more) - self.never


@dataclass(frozen=True, slots=True)
class Need:
    """All of these rights on a mailbox, and one of `some` where there are any."""

    guard: Guard
    account: AccountId
    mailbox: MailboxId
    letters: str
    some: str = ""

    def check(self, tx: Transaction) -> None:
        """Raises NotPermitted."""
        _check(self.guard.rights(tx, self.account, self.mailbox), self.letters, self.some)


@dataclass(frozen=True, slots=True)
class NeedOfName:
    """The same of the mailbox that has the name now; it may be another than it was.

    above: of the nearest superior there is (CREATE), or at the top of the tree without a row.
    """

    guard: Guard
    account: AccountId
    name: str
    letters: str
    above: bool = False

    def check(self, tx: Transaction) -> None:
        """Raises NotPermitted, NoSuchMailbox."""
        if not self.above:
            mailbox = mailboxes.get(tx, self.account, self.name)
        else:
            found = mailboxes.nearest(tx, self.account, self.name)
            if found is None:
                _check(frozenset(self.guard.more), self.letters)
                return
            mailbox = found
        _check(self.guard.rights(tx, self.account, mailbox.id), self.letters)


Needs = Sequence[Need | NeedOfName]


def _check(rights: frozenset[str], letters: str, some: str = "") -> None:
    if not rights.issuperset(letters) or (some and rights.isdisjoint(some)):
        raise NotPermitted


def under(needs: Needs, fn: Callable[Concatenate[Unit, P], T]) -> Callable[Concatenate[Unit, P], T]:
    """The unit function, which first looks at what it needs; itself where it needs nothing."""
    if not needs:
        return fn

    def guarded(unit: Unit, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for need in needs:
            need.check(unit)
        return fn(unit, *args, **kwargs)

    return guarded
