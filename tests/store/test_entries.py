"""Rows of the directory, on every database."""

from __future__ import annotations

import pytest

from imsd.errors import ConstraintViolation, EntryExists, NoSuchEntry, NotAllowedOnNonLeaf
from imsd.store import entries, entry_changes, entry_index
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.database import Database
from imsd.store.entries import Draft, EntryRow, NameKind
from imsd.store.ids import EntryId
from tests.support.stores import run


def draft(name: str, parent: int = 0, **more: object) -> Draft:
    values = {
        "kind": 1,
        "attributes": {"cn": (name.encode(),)},
        "values": frozenset({("cn", name.lower())}),
        **more,
    }
    return Draft(EntryId(parent), "cn", name, f"cn={name.lower()}", **values)  # type: ignore[arg-type]


def add(database: Database, name: str, parent: int = 0, **more: object) -> EntryId:
    return run(database.write(entry_changes.add, draft(name, parent, **more), 1000))


def load(database: Database, entry: EntryId) -> EntryRow:
    return run(database.read(entries.load, entry))


def test_an_entry_is_read_as_it_was_added(database: Database) -> None:
    top = add(database, "Top")
    other = add(database, "Other", top)
    entry = add(
        database,
        "Ann",
        top,
        attributes={"cn": (b"Ann",), "sn": ("Ångström".encode(), b"\0\xff"), "empty": ()},
        references={"member": (other, top)},
        names={"ann@example.test": NameKind.PRIMARY, "ann": NameKind.LOGIN},
    )
    row = load(database, entry)
    assert row.attributes == {"cn": (b"Ann",), "sn": ("Ångström".encode(), b"\0\xff")}
    assert row.references == {"member": (other, top)}
    assert (row.parent, row.rdn_normal, row.created, row.modified) == (top, "cn=ann", 1000, 1000)
    assert len(row.uuid) == 16
    assert load(database, other).referrers == {"member": (entry,)}
    assert run(database.read(entries.named, "ann@example.test")) == (entry, NameKind.PRIMARY)
    assert run(database.read(entries.named, "bob@example.test")) is None
    assert run(database.read(entries.ancestors, other)) == [top]
    assert [row.id for row in run(database.read(entries.load_many, [entry, top, 99]))] == [top, entry]


def test_an_entry_alone_is_read_without_references(database: Database) -> None:
    target = add(database, "target")
    entry = add(database, "list", references={"member": (target,)})
    whole = load(database, entry)
    assert whole.references == {"member": (target,)}
    alone = run(database.read(entries.load_alone, entry))
    assert (alone.attributes, alone.references) == (whole.attributes, {})
    assert run(database.read(entries.load_alone, target)).referrers == {}
    assert run(database.read(entries.kind_of, entry)) == whole.kind
    for read in (entries.load_alone, entries.kind_of):
        with pytest.raises(NoSuchEntry):
            run(database.read(read, EntryId(99_999)))


def test_names_and_rdns_are_unique(database: Database) -> None:
    top = add(database, "Top")
    add(database, "Ann", top, names={"ann@example.test": NameKind.PRIMARY})
    with pytest.raises(EntryExists):
        add(database, "ANN", top)
    with pytest.raises(ConstraintViolation):
        add(database, "Bob", top, names={"ann@example.test": NameKind.SECONDARY})
    assert run(database.read(entries.child, top, "cn=bob")) is None
    with pytest.raises(NoSuchEntry):
        add(database, "Eve", 4711)


def test_replacing_writes_what_differs(database: Database) -> None:
    top = add(database, "Top")
    a, b, c = (add(database, name, top) for name in "ABC")
    entry = add(database, "Ann", top, references={"member": (a, b)}, names={"ann@x.test": NameKind.PRIMARY})
    new = draft(
        "Anna",
        a,
        references={"member": (b, c)},
        names={"anna@x.test": NameKind.PRIMARY, "ann@x.test": NameKind.SECONDARY},
    )
    run(database.write(entry_changes.replace, entry, new, 2000, top))
    row = load(database, entry)
    assert (row.rdn_value, row.parent, row.modified, row.modifier) == ("Anna", a, 2000, top)
    assert row.references == {"member": (b, c)}
    assert run(database.read(entries.named, "ann@x.test")) == (entry, NameKind.SECONDARY)
    assert run(database.read(entry_index.equal, "cn", "ann", 10)) == []
    assert run(database.read(entry_index.equal, "cn", "anna", 10)) == [entry]
    assert run(database.read(entry_index.referring, "member", a, 10)) == []
    assert run(database.read(entries.count_children, a)) == 1


def test_removing_a_leaf_leaves_nothing_of_it(database: Database) -> None:
    top = add(database, "Top")
    entry = add(database, "Ann", top, names={"ann@x.test": NameKind.PRIMARY})
    group = add(database, "Group", top, references={"member": (entry,)})
    with pytest.raises(NotAllowedOnNonLeaf):
        run(database.write(entry_changes.remove, top))
    run(database.write(entry_changes.remove, entry))
    with pytest.raises(NoSuchEntry):
        load(database, entry)
    assert load(database, group).references == {}
    assert run(database.read(entries.named, "ann@x.test")) is None
    assert run(database.read(entry_index.equal, "cn", "ann", 10)) == []
    assert add(database, "Ann", top) > group, "an id is never given twice"


def test_the_index_finds_by_value_start_part_and_presence(database: Database) -> None:
    top = add(database, "Top")
    stacey, steve, odd = (add(database, name, top) for name in ("Stacey", "Steve", "100%_!x"))
    long = add(database, "x" * 300, top)
    assert run(database.read(entry_index.starting, "cn", "st", 10)) == [stacey, steve]
    assert set(run(database.read(entry_index.containing, "cn", "%_!", 10))) == {odd, long}
    assert set(run(database.read(entry_index.containing, "cn", "tac", 10))) == {stacey, long}
    assert run(database.read(entry_index.equal, "cn", "x" * 300, 10)) == [long]
    assert len(run(database.read(entry_index.present, "cn", 10))) == 5
    assert len(run(database.read(entry_index.present, "cn", 2))) == 2
    assert run(database.read(entries.children, top, stacey, 1)) == [steve]
    assert run(database.read(entries.page, steve, 10)) == [odd, long]


def test_the_feed_names_every_entry_whose_rendering_changed(database: Database) -> None:
    seen: list[EntriesChanged] = []
    database.feed.watch(DIRECTORY, seen.append)  # type: ignore[arg-type]
    top = add(database, "Top")
    entry = add(database, "Ann", top)
    group = add(database, "Group", top, references={"member": (entry,)})
    run(database.write(entry_changes.touch, entry))
    run(database.write(entry_changes.remove, entry))
    assert [set(change.ids) for change in seen] == [
        {top}, {entry, top}, {group, entry, top}, {entry}, {entry, top, group},
    ]  # fmt: skip
    assert [change.next for change in seen] == [1, 2, 3, 4, 5]
    assert load(database, group).version == 5
