"""Recipients who were deleted and may come back, with their id, and so with mailbox, password and rights.

1. Who is deleted is put away for `deletion.keep_days` (imsd.directory.update). He is no recipient any more
   and cannot log in, and what hangs on his id is not touched.
2. His names are free for who asks for them; he comes back where they are free still, or again: to where he
   was, or below cn=Recipients if that is gone.
3. When his time is over, or an administrator says so, it all goes: a person in one unit, his messages in
   the pieces of `imsd.store.jobs.purge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.logger import Logger

from imsd.directory import people, putting_away, tree
from imsd.directory.canonical import canonical_address
from imsd.directory.entry import Kind
from imsd.errors import InvalidSyntax, NoSuchEntry
from imsd.store import acl, deleted_entries, entries, entry_changes, mailboxes
from imsd.store.database import Database
from imsd.store.deleted_entries import Deleted
from imsd.store.entries import NameKind
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Transaction, Unit
from protocols.ldap import preparation

_log = Logger()

PURGED = 20
"""People who go in one unit."""


def listed(tx: Transaction, after: int = 0, most: int = 500) -> list[tuple[Deleted, int]]:
    """Whoever may come back, ascending by id, with the octets of his mailbox."""
    kept = [deleted_entries.load(tx, each) for each in deleted_entries.page(tx, after, most)]
    return [(each, _size(tx, each)) for each in kept]


def _size(tx: Transaction, kept: Deleted) -> int:
    return mailboxes.usage(tx, AccountId(kept.id)).bytes if kept.draft.kind == Kind.MAILBOX else 0


def find(tx: Transaction, who: str) -> Deleted:
    """By an address or login name; of several who had it the last who was deleted. #number: that one.

    Raises NoSuchEntry.
    """
    if who[:1] == "#" and who[1:].isdecimal() and len(who) < 20:
        return deleted_entries.load(tx, EntryId(int(who[1:])))
    for name in _names(who):
        found = deleted_entries.named(tx, name)
        if found is not None:
            return deleted_entries.load(tx, found)
    raise NoSuchEntry(f"Nobody called {who[:100]!a} was deleted; imsctl directory deleted lists who was")


def _names(who: str) -> Iterator[str]:
    yield preparation.canonical(who)
    try:
        yield canonical_address(who)
    except InvalidSyntax:
        return


def undelete(unit: Unit, who: str, now: int, actor: EntryId = entries.ROOT) -> EntryId:
    """Bring somebody back. After his time nobody comes back, purged or not yet.

    Raises NoSuchEntry; EntryExists where his name or an address is another's.
    """
    kept = find(unit, who)
    if kept.until <= now:
        raise NoSuchEntry(f"The time of {primary(kept)} is over: what he had is being removed")
    entry_changes.bring_back(unit, kept.id, now, actor, people.container(unit, tree.require(unit)).id)
    if kept.draft.kind == Kind.MAILBOX:
        acl.resume(unit, AccountId(kept.id))
    return kept.id


def purge(unit: Unit, who: str, now: int) -> Deleted:
    """Take somebody away for good, now. Raises NoSuchEntry."""
    kept = find(unit, who)
    _purge(unit, kept, now)
    return kept


def purge_due(unit: Unit, now: int, most: int = PURGED) -> list[Deleted]:
    """Take away for good some of those whose time is over; called again until there is none."""
    gone = [deleted_entries.load(unit, each) for each in deleted_entries.due(unit, now, most)]
    for kept in gone:
        _purge(unit, kept, now)
    return gone


def _purge(unit: Unit, kept: Deleted, now: int) -> None:
    putting_away.forget(unit, kept.id, kept.draft.kind, now)
    deleted_entries.forget(unit, kept.id)


def primary(kept: Deleted) -> str:
    """What he is best known by: his primary address, else his DN's first part."""
    names = kept.draft.names.items()
    return next((name for name, kind in names if kind == NameKind.PRIMARY), kept.draft.rdn_value)


async def purge_all_due(db: Database, now: Callable[[], int]) -> None:
    """Take away for good everybody whose time is over. now: microseconds."""
    while gone := await db.write(purge_due, now()):
        for kept in gone:
            _log.info("{who}, who was deleted, is gone for good", who=primary(kept), event_id=20_030)
