"""What deleting a recipient takes with it: nothing at first, where he can be brought back (undeleting)."""

from __future__ import annotations

from imsd.directory.entry import Kind
from imsd.store import acl, credentials, entry_changes, mailboxes
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Unit

DAY = 86_400_000_000
"""Microseconds."""
KINDS = frozenset({Kind.MAILBOX, Kind.LIST, Kind.CONTACT, Kind.FOLDER})
"""What is put away; the rest of the tree holds nothing that could not be made again."""


def remove(unit: Unit, entry: EntryId, kind: int, now: int, actor: EntryId, days: int) -> None:
    """Take an entry out of the tree: for good, or put away for some days."""
    if days and kind in KINDS:
        if kind == Kind.MAILBOX:
            acl.suspend(unit, AccountId(entry))
        entry_changes.put_away(unit, entry, now, actor, now + days * DAY)
    else:
        forget(unit, entry, kind, now)
        entry_changes.remove(unit, entry)


def forget(unit: Unit, entry: EntryId, kind: int, now: int) -> None:
    """Remove what hangs on the id of an entry."""
    if kind == Kind.MAILBOX:
        credentials.forget(unit, entry)
        acl.resume(unit, AccountId(entry))
        mailboxes.delete_account_mailboxes(unit, AccountId(entry), now)
    if kind in (Kind.MAILBOX, Kind.LIST):
        acl.forget_grantee(unit, entry)
