"""Deleting entries: functions over a unit. A mailbox goes with its entry, in the same unit."""

from __future__ import annotations

from typing import Final

from imsd.directory import putting_away
from imsd.directory.access import Viewer
from imsd.directory.asking import seen, standing
from imsd.directory.attributes import Visible
from imsd.directory.conditions import PLAIN, Changed, Conditions
from imsd.directory.entry import Entry, Kind
from imsd.directory.working import Rules
from imsd.errors import LimitReached, NotPermitted, UnwillingToPerform
from imsd.store import entries, entry_index, mailboxes
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Transaction, Unit

_ADMINISTERING: Final = ("imsadministrator", "TRUE")
MOST_ADMINISTRATORS: Final = 1_000
MOST_DELETED: Final = 500
"""Entries that go with one tree: they go in one unit, all or none (rule 11)."""


def delete(
    unit: Unit,
    name: str,
    rules: Rules,
    now: int,
    asking: Viewer,
    delete_mailbox: bool = False,
    conditions: Conditions = PLAIN,
) -> Changed:
    """Delete a leaf, or a whole tree where that is asked for. What becomes of a mailbox that is not
    empty must have been said: by the entry's imsMailboxFate, by the setting, or by the caller.

    Raises UnwillingToPerform."""
    asking, here = standing(unit, asking)
    entry = seen(unit, here, name, asking, conditions.manage)
    if conditions.check is not None:
        conditions.check(unit, here, entry, asking)
    if asking.level is not Visible.ADMINISTRATOR:
        raise NotPermitted
    if conditions.tree:
        for each in _below(unit, entry):
            delete_entry(unit, Entry(entries.load(unit, each)), rules, now, delete_mailbox, asking.entry)
    delete_entry(unit, entry, rules, now, delete_mailbox, asking.entry)
    return Changed(entry.id, entry.row)


def _below(tx: Transaction, entry: Entry) -> list[EntryId]:
    """Everything below an entry, leaves first. Raises LimitReached."""
    found: list[EntryId] = []
    waiting = [entry.id]
    while waiting:
        below = entries.children(tx, waiting.pop(), 0, MOST_DELETED + 1)
        found += below
        waiting += below
        if len(found) > MOST_DELETED:
            raise LimitReached(f"More than {MOST_DELETED} entries: delete the tree in parts")
    return found[::-1]


def delete_entry(
    unit: Unit,
    entry: Entry,
    rules: Rules,
    now: int,
    delete_mailbox: bool,
    actor: EntryId = entries.ROOT,
) -> None:
    """Recipients are put away as long as the rules say (imsd.directory.undeleting)."""
    if entry.kind in (Kind.ORGANIZATION, Kind.SITE, Kind.CONFIGURATION):
        raise UnwillingToPerform("The organisation needs this entry")
    if entry.kind == Kind.MAILBOX:
        leaves_an_administrator(unit, entry)
        account = AccountId(entry.id)
        stated = entry.text("imsmailboxfate").lower()
        allowed = delete_mailbox or stated == "delete" or (rules.delete_mailboxes and stated != "refuse")
        if not allowed and mailboxes.usage(unit, account).messages:
            raise UnwillingToPerform("The mailbox is not empty: say what becomes of it (imsMailboxFate)")
    putting_away.remove(unit, entry.id, entry.kind, now, actor, rules.keep_days)


def leaves_an_administrator(unit: Unit, entry: Entry) -> None:
    """Somebody else can administer, or it is not done: nobody locks himself out, with everybody."""
    if entry.is_admin and not any(
        each != entry.id and Entry(entries.load(unit, each)).is_admin
        for each in entry_index.equal(unit, *_ADMINISTERING, MOST_ADMINISTRATORS)
    ):
        raise UnwillingToPerform("The last administrator: make another one first")
