"""What is added by many leaves the same rows as what is added one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from imsd.errors import ConstraintViolation, EntryExists
from imsd.store import entries, entry_changes, mailboxes, new_accounts, quotas
from imsd.store import mailbox_tables as t
from imsd.store.changes import DIRECTORY, Change, EntriesChanged
from imsd.store.database import Database
from imsd.store.entries import Draft, NameKind
from imsd.store.entry_additions import Additions
from imsd.store.entry_tables import entry, entry_name, entry_reference, entry_value
from imsd.store.ids import AccountId, EntryId
from imsd.store.mailboxes import FURNITURE
from imsd.store.quotas import Bounds
from imsd.store.sql import sql
from imsd.store.transaction import Transaction, Unit
from tests.support.stores import run

NOW = 1_700_000_000_000_000


def draft(name: str, parent: int, **more: Any) -> Draft:
    return Draft(
        EntryId(parent), "cn", name, f"cn={name.lower()}", 40, {"cn": (name.encode(),)},
        values=frozenset({("cn", name.lower()), ("sn", "x" * 300)}), **more,
    )  # fmt: skip


def wanted(parent: int) -> list[Draft]:
    return [
        draft("Zoe", parent, names={"zoe@example.test": NameKind.PRIMARY, "zoe": NameKind.LOGIN}),
        draft("Ann", parent, names={"ann": NameKind.LOGIN}, references={"member": (EntryId(parent),)}),
    ]


def one_by_one(unit: Unit, parent: int) -> list[EntryId]:
    return [entry_changes.add(unit, each, NOW, EntryId(0), b"u" * 16) for each in wanted(parent)]


def together(unit: Unit, parent: int) -> list[EntryId]:
    additions = Additions(unit, 5, NOW)
    made = [additions.add(each, b"u" * 16) for each in wanted(parent)]
    additions.write()
    return made


def rows(tx: Transaction, *tables: Any) -> list[list[tuple[Any, ...]]]:
    return [sorted(tx.all(sql(select(table)))) for table in tables]


def renumbered(found: list[list[tuple[Any, ...]]], ids: list[EntryId], parent: int) -> list[list[list[Any]]]:
    """With the entries' ids by their order, and without the counter."""
    places = {number: f"e{place}" for place, number in enumerate([EntryId(parent), *ids])}
    return [sorted(([places.get(each, each) for each in row] for row in table), key=str) for table in found]


def test_entries_added_together_are_as_those_added_one_by_one(database: Database) -> None:
    tables = (entry, entry_value, entry_name, entry_reference)
    heard: list[Change] = []
    database.feed.watch(DIRECTORY, heard.append)
    for number in range(10):  # so that no id looks like another number
        gone = run(database.write(entry_changes.add, draft(str(number), 0), 1000))
        run(database.write(entry_changes.remove, gone))
    kept = []
    for add in (one_by_one, together):
        top = run(database.write(entry_changes.add, draft("Top", 0), 1000, EntryId(0), b"t" * 16))
        ids = run(database.write(add, top))
        found = run(database.read(rows, *tables))
        found[0] = [(*row[:6], *row[7:]) for row in found[0]]
        kept.append(renumbered(found, ids, top))
        change = heard[-1]
        told = {each for one in heard if isinstance(one, EntriesChanged) for each in one.ids}
        assert {*ids, top} <= told
        assert run(database.read(entries.load, ids[-1])).version == change.next
        assert run(database.read(Transaction.counter, DIRECTORY)) == change.next
        for each in (*ids, top):
            run(database.write(entry_changes.remove, each))
    assert kept[0] == kept[1]
    # Ids are never given twice, whichever way they are given.
    assert run(database.write(entry_changes.add, draft("Next", 0), 1000)) > max(ids)
    run(database.close())


def test_what_is_refused_leaves_nothing_and_hinders_nobody(database: Database) -> None:
    def work(unit: Unit) -> list[EntryId]:
        taken = {"ann": NameKind.LOGIN}
        entry_changes.add(unit, draft("Old", 0, names=taken), NOW)
        additions = Additions(unit, 4, NOW)
        with pytest.raises(ConstraintViolation):
            additions.add(draft("Ann", 0, names={"a@example.test": NameKind.PRIMARY, **taken}), b"1" * 16)
        first = additions.add(draft("Ann", 0, names={"a@example.test": NameKind.PRIMARY}), b"2" * 16)
        with pytest.raises(EntryExists):
            additions.add(draft("ANN", 0), b"3" * 16)
        with pytest.raises(ConstraintViolation):
            additions.add(draft("Eve", 0, names={"a@example.test": NameKind.SECONDARY}), b"4" * 16)
        assert additions.child(EntryId(0), "cn=ann") and additions.child(EntryId(0), "cn=old")
        assert not additions.child(EntryId(0), "cn=eve")
        additions.write()
        return [first]

    (first,) = run(database.write(work))
    assert run(database.read(entries.page))[-1] == first
    assert run(database.read(entries.named, "a@example.test")) == (first, NameKind.PRIMARY)
    run(database.close())


@pytest.mark.parametrize("own", [False, True])
def test_mailboxes_made_together_are_as_those_made_one_by_one(database: Database, own: bool) -> None:
    first, second = AccountId(7), AccountId(8)
    bounds = Bounds(1, 2, 3, 4)

    def alone(unit: Unit) -> None:
        mailboxes.create_account_mailboxes(unit, first, NOW)
        quotas.limit(unit, first, bounds, own)

    run(database.write(alone))
    run(database.write(new_accounts.create, [(second, bounds, own)], NOW, FURNITURE))
    found = run(database.read(rows, t.account, t.mailbox, t.subscription))
    for table in found:
        one, other = ([row[1:] for row in table if row[0] == account] for account in (first, second))
        assert one == other and one
    assert run(database.read(quotas.own_bounds, second)) == run(database.read(quotas.own_bounds, first))
    # And whatever comes next is numbered behind them.
    made = [run(database.write(mailboxes.create, each, "Later", NOW)) for each in (first, second)]
    assert replace(made[0], account=second) == made[1]
    run(database.close())
