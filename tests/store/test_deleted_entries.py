"""Entries that may come back, on every database."""

from __future__ import annotations

import pytest

from imsd.errors import EntryExists, NoSuchEntry
from imsd.store import deleted_entries, entries, entry_changes, entry_index
from imsd.store.database import Database
from imsd.store.entries import Draft, EntryRow, NameKind
from imsd.store.ids import EntryId
from tests.support.stores import run

ADDRESS = "ann@example.test"
NAMES = {ADDRESS: NameKind.PRIMARY, "ann": NameKind.LOGIN}


def add(database: Database, name: str, parent: int = 0, **more: object) -> EntryId:
    values = {
        "kind": 1,
        "attributes": {"cn": (name.encode(),)},
        "values": frozenset({("cn", name.lower())}),
        **more,
    }
    made = Draft(EntryId(parent), "cn", name, f"cn={name.lower()}", **values)  # type: ignore[arg-type]
    return run(database.write(entry_changes.add, made, 1000))


def ann(database: Database) -> tuple[EntryId, EntryId, EntryId, EntryRow]:
    """The top, a group with Ann in it, Ann, and her row."""
    top = add(database, "Top")
    entry = add(database, "Ann", top, names=NAMES, references={"manager": (top,)})
    group = add(database, "Group", top, references={"member": (entry, top)})
    return top, group, entry, run(database.read(entries.load, entry))


def put_away(database: Database, entry: EntryId, now: int = 2000, until: int = 3000) -> None:
    run(database.write(entry_changes.put_away, entry, now, EntryId(7), until))


def test_it_comes_back_as_it_was(database: Database) -> None:
    top, group, entry, before = ann(database)
    put_away(database, entry)
    with pytest.raises(NoSuchEntry):
        run(database.read(entries.load, entry))
    assert run(database.read(entries.named, ADDRESS)) is None
    assert run(database.read(entry_index.equal, "cn", "ann", 10)) == []
    kept = run(database.read(deleted_entries.load, entry))
    assert (kept.deleted, kept.actor, kept.until) == (2000, 7, 3000)
    run(database.write(entry_changes.bring_back, entry, 2500))
    after = run(database.read(entries.load, entry))
    assert after.version > before.version
    for name in ("id", "uuid", "parent", "created", "creator", "attributes", "references", "referrers"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.modified == 2500
    assert set(run(database.read(entries.load, group)).references["member"]) == {entry, top}
    assert run(database.read(entries.named, ADDRESS)) == (entry, NameKind.PRIMARY)
    assert run(database.read(entry_index.equal, "cn", "ann", 10)) == [entry]
    assert run(database.read(deleted_entries.page)) == []
    with pytest.raises(NoSuchEntry):
        run(database.write(entry_changes.bring_back, entry, 2500))


def test_its_names_are_known_until_it_is_forgotten(database: Database) -> None:
    top, group, entry, _ = ann(database)
    put_away(database, entry)
    for name in NAMES:
        assert run(database.read(deleted_entries.named, name)) == entry
    other = add(database, "Other", top, names=NAMES)
    assert other > group > entry, "no number is used twice"
    with pytest.raises(EntryExists, match="belongs to another entry now"):
        run(database.write(entry_changes.bring_back, entry, 2500))
    put_away(database, other, now=2100)
    assert run(database.read(deleted_entries.named, ADDRESS)) == other, "the last one"
    run(database.write(deleted_entries.forget, other))
    run(database.write(deleted_entries.forget, other))
    assert run(database.read(deleted_entries.named, ADDRESS)) == entry
    run(database.write(entry_changes.bring_back, entry, 2500))
    assert run(database.read(deleted_entries.named, ADDRESS)) is None


def test_it_does_not_come_back_where_its_place_is_taken_or_gone(database: Database) -> None:
    top, group, entry, _ = ann(database)
    put_away(database, entry)
    other = add(database, "Ann", top)
    with pytest.raises(EntryExists, match="rename it first"):
        run(database.write(entry_changes.bring_back, entry, 2500))
    for each in (other, group, top):
        run(database.write(entry_changes.remove, each))
    with pytest.raises(NoSuchEntry):
        run(database.write(entry_changes.bring_back, entry, 2500))
    assert run(database.read(deleted_entries.page)) == [entry]


def test_whom_it_named_may_be_gone(database: Database) -> None:
    top, group, entry, _ = ann(database)
    boss = add(database, "Boss", top)
    lost = add(database, "Eve", top, references={"manager": (boss, top)})
    put_away(database, lost)
    put_away(database, entry)
    for each in (boss, group):
        run(database.write(entry_changes.remove, each))
    for each in (lost, entry):
        run(database.write(entry_changes.bring_back, each, 2500))
    assert run(database.read(entries.load, lost)).references == {"manager": (top,)}
    assert run(database.read(entries.load, entry)).referrers == {}


def test_those_whose_time_is_over_are_found_the_longest_first(database: Database) -> None:
    top = add(database, "Top")
    a, b, c = (add(database, name, top) for name in "ABC")
    for entry, until in ((a, 3000), (b, 2500), (c, 3001)):
        put_away(database, entry, until=until)
    assert run(database.read(deleted_entries.due, 3000, 10)) == [b, a]
    assert run(database.read(deleted_entries.due, 3000, 1)) == [b]
    assert run(database.read(deleted_entries.due, 2499, 10)) == []
