"""People who were deleted and may come back: with their id, and so with mailbox, password and rights.

Until their time is over nothing that hangs on the id is touched; then it goes, a person in one unit, his
messages in the pieces of `imsd.store.jobs.purge`.
"""

from __future__ import annotations

from collections.abc import Iterator

from imsd.directory import people, update
from imsd.directory.canonical import canonical_address
from imsd.directory.entry import Entry, Kind
from imsd.errors import InvalidSyntax, NoSuchEntry
from imsd.store import acl, credentials, deleted_entries, entries, entry_changes, mailboxes
from imsd.store.deleted_entries import Deleted
from imsd.store.entries import NameKind
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Transaction, Unit

DAY = 86_400_000_000
"""Microseconds."""
PURGED = 20
"""People who go in one unit."""


def put_away(unit: Unit, who: str, days: int, now: int, actor: EntryId = entries.ROOT) -> EntryId:
    """Delete a person so that he can come back within days. Raises NoSuchEntry, UnwillingToPerform."""
    entry = people.find(unit, who)
    if entry.kind != Kind.MAILBOX:
        raise NoSuchEntry(f"There is no such mailbox: {who[:100]!a}")
    put_entry_away(unit, entry, days, now, actor)
    return entry.id


def put_entry_away(unit: Unit, entry: Entry, days: int, now: int, actor: EntryId) -> None:
    update.leaves_an_administrator(unit, entry)
    entry_changes.put_away(unit, entry.id, now, actor, now + days * DAY)


def listed(tx: Transaction, after: int = 0, most: int = 1000) -> list[Deleted]:
    """Whoever may come back, ascending by id."""
    return [deleted_entries.load(tx, each) for each in deleted_entries.page(tx, after, most)]


def undelete(unit: Unit, who: str, now: int, actor: EntryId = entries.ROOT) -> EntryId:
    """Bring a person back; who: an address or login name he had. After his time nobody comes back, purged
    or not yet. Raises NoSuchEntry, EntryExists."""
    entry = next(filter(None, (deleted_entries.named(unit, name) for name in _names(who))), None)
    if entry is None or deleted_entries.load(unit, entry).until <= now:
        raise NoSuchEntry(f"Nobody of that name was deleted: {who[:100]!a}")
    entry_changes.bring_back(unit, entry, now, actor)
    return entry


def purge(unit: Unit, now: int, most: int = PURGED) -> list[EntryId]:
    """Take away for good some of those whose time is over; called again until there is none."""
    gone = deleted_entries.due(unit, now, most)
    for entry in gone:
        if deleted_entries.load(unit, entry).draft.kind == Kind.MAILBOX:
            credentials.forget(unit, entry)
            mailboxes.delete_account_mailboxes(unit, AccountId(entry), now)
        acl.forget_grantee(unit, entry)
        deleted_entries.forget(unit, entry)
    return gone


def primary(kept: Deleted) -> str:
    """His primary address; empty when he had none."""
    return next((name for name, kind in kept.draft.names.items() if kind == NameKind.PRIMARY), "")


def _names(who: str) -> Iterator[str]:
    yield who.lower()
    try:
        yield canonical_address(who)
    except InvalidSyntax:
        return
