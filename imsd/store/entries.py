"""Entries: reading and writing the rows of the directory.

These functions know rows, not meaning: what an attribute is, what may be written and how a
value is normalised is decided in `imsd.directory`, which hands over a finished `Draft`.

Every writing function first advances the directory's counter, which on PostgreSQL is the
lock that puts directory writes in order; what it then finds in its unit stays true until
the commit. It reports every entry whose rendering may have changed: the entry, its parent
when children came or went, whoever it refers to or who refers to it.
"""

from __future__ import annotations

import uuid as _uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import bindparam, delete, func, or_, select, update

from imsd.errors import ConstraintViolation, EntryExists, NoSuchEntry, NotAllowedOnNonLeaf
from imsd.store import entry_codec
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.entry_codec import Attributes
from imsd.store.entry_index import INDEXED_LENGTH
from imsd.store.entry_tables import entry, entry_name, entry_reference, entry_value
from imsd.store.ids import EntryId
from imsd.store.sql import among, insert_row, sql
from imsd.store.transaction import Transaction, Unit

ROOT = EntryId(0)
"""The parent of the topmost entries; no row has this id."""


class NameKind(IntEnum):
    """What an organisation-wide name is."""

    PRIMARY = 1
    """The address that replies go to."""
    SECONDARY = 2
    FOREIGN = 3
    """An address of another type, as `type:value`."""
    LOGIN = 4
    """An alias to log in with; holds no `@`, so it is never taken for an address."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry as it is to be stored.

    values: (attribute, normalised value) to be indexed. names: organisation-wide names.
    """

    parent: EntryId
    rdn_attribute: str
    rdn_value: str
    rdn_normal: str
    kind: int
    attributes: Attributes
    references: dict[str, tuple[EntryId, ...]] = field(default_factory=dict)
    values: frozenset[tuple[str, str]] = frozenset()
    names: dict[str, NameKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as it is stored, with who refers to it.

    references, referrers: by attribute; the order of references is that of the values.
    """

    id: EntryId
    parent: EntryId
    rdn_attribute: str
    rdn_value: str
    rdn_normal: str
    kind: int
    version: int
    created: int
    modified: int
    creator: EntryId
    modifier: EntryId
    uuid: bytes
    attributes: dict[str, tuple[bytes, ...]]
    references: dict[str, tuple[EntryId, ...]]
    referrers: dict[str, tuple[EntryId, ...]]


_e, _v, _r, _n = entry.c, entry_value.c, entry_reference.c, entry_name.c
_columns = [
    _e.id, _e.parent, _e.rdn_attribute, _e.rdn_value, _e.rdn_normal, _e.kind, _e.version,
    _e.created, _e.modified, _e.creator, _e.modifier, _e.uuid, _e.attributes,
]  # fmt: skip

_LOAD = sql(select(*_columns).where(_e.id == bindparam("id")))
_LOAD_MANY = sql(select(*_columns).where(among(_e.id, "ids")).order_by(_e.id))
_REFERENCES = sql(
    select(_r.entry, _r.attribute, _r.target).where(among(_r.entry, "ids")).order_by(_r.entry, _r.position)
)
_REFERRERS = sql(
    select(_r.target, _r.attribute, _r.entry).where(among(_r.target, "ids")).order_by(_r.target, _r.entry)
)
_REFERENCES_OF = sql(
    select(_r.attribute, _r.target).where(_r.entry == bindparam("id")).order_by(_r.position)
)
_REFERRERS_OF = sql(select(_r.attribute, _r.entry).where(_r.target == bindparam("id")).order_by(_r.entry))
_CHILD = sql(select(_e.id).where(_e.parent == bindparam("parent"), _e.rdn_normal == bindparam("rdn")))
_CHILDREN = sql(
    select(_e.id)
    .where(_e.parent == bindparam("parent"), _e.id > bindparam("after"))
    .order_by(_e.id)
    .limit(bindparam("most"))
)
_COUNT_CHILDREN = sql(select(func.count()).select_from(entry).where(_e.parent == bindparam("parent")))
_HAS_CHILD = sql(select(_e.id).where(_e.parent == bindparam("parent")).limit(1))
_ALL = sql(select(_e.id).where(_e.id > bindparam("after")).order_by(_e.id).limit(bindparam("most")))
_OF_KIND = sql(
    select(_e.id)
    .where(_e.kind == bindparam("kind"), _e.id > bindparam("after"))
    .order_by(_e.id)
    .limit(bindparam("most"))
)
_PARENT = sql(select(_e.parent).where(_e.id == bindparam("id")))
_NAMED = sql(select(_n.entry, _n.kind).where(_n.name == bindparam("name")))
_NAMES_OF = sql(select(_n.name, _n.kind).where(_n.entry == bindparam("id")))
_VALUES_OF = sql(select(_v.attribute, _v.value).where(_v.entry == bindparam("id")))

_INSERT = insert_row(
    entry, "parent", "rdn_attribute", "rdn_value", "rdn_normal", "kind", "version", "created",
    "modified", "creator", "modifier", "uuid", "attributes",
)  # fmt: skip
_UPDATE = sql(
    update(entry)
    .where(_e.id == bindparam("of"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "parent", "rdn_attribute", "rdn_value", "rdn_normal", "kind", "version",
                "modified", "modifier", "attributes",
            )
        }
    )
)  # fmt: skip
_TOUCH = sql(update(entry).where(_e.id == bindparam("of")).values(version=bindparam("version")))
_TOUCH_MANY = sql(update(entry).where(among(_e.id, "ids")).values(version=bindparam("version")))
_DELETE = sql(delete(entry).where(_e.id == bindparam("id")))
_DELETE_VALUES = sql(delete(entry_value).where(_v.entry == bindparam("id")))
_DELETE_NAMES = sql(delete(entry_name).where(_n.entry == bindparam("id")))
_DELETE_REFERENCES = sql(
    delete(entry_reference).where(or_(_r.entry == bindparam("id"), _r.target == bindparam("id")))
)
_ADD_VALUE = insert_row(entry_value)
_DROP_VALUE = sql(
    delete(entry_value).where(
        _v.attribute == bindparam("attribute"), _v.value == bindparam("value"), _v.entry == bindparam("entry")
    )
)
_ADD_NAME = insert_row(entry_name)
_DROP_NAME = sql(delete(entry_name).where(_n.name == bindparam("name"), _n.entry == bindparam("entry")))
_ADD_REFERENCE = insert_row(entry_reference)
_DROP_REFERENCE = sql(
    delete(entry_reference).where(
        _r.entry == bindparam("entry"),
        _r.attribute == bindparam("attribute"),
        _r.target == bindparam("target"),
    )
)
_LAST_POSITION = sql(
    select(func.max(_r.position)).where(
        _r.entry == bindparam("entry"), _r.attribute == bindparam("attribute")
    )
)


# Reading -------------------------------------------------------------------------------


def load(tx: Transaction, entry_id: EntryId) -> EntryRow:
    """One entry. Raises NoSuchEntry."""
    row = tx.one(_LOAD, id=entry_id)
    if row is None:
        raise NoSuchEntry
    return _row(row, tx.all(_REFERENCES_OF, id=entry_id), tx.all(_REFERRERS_OF, id=entry_id))


def load_many(tx: Transaction, ids: Sequence[EntryId]) -> list[EntryRow]:
    """The entries that exist of those asked for, ascending by id."""
    forward: dict[int, list[tuple[str, EntryId]]] = {}
    backward: dict[int, list[tuple[str, EntryId]]] = {}
    for source, attribute, target in tx.each(_REFERENCES, ids=ids):
        forward.setdefault(source, []).append((attribute, target))
    for target, attribute, source in tx.each(_REFERRERS, ids=ids):
        backward.setdefault(target, []).append((attribute, source))
    return [
        _row(row, forward.get(row[0], ()), backward.get(row[0], ())) for row in tx.all(_LOAD_MANY, ids=ids)
    ]


def _row(
    row: tuple[Any, ...],
    forward: Iterable[tuple[str, EntryId]],
    backward: Iterable[tuple[str, EntryId]],
) -> EntryRow:
    uuid, attributes = bytes(row[11]), entry_codec.unpack(bytes(row[12]))
    fields = (*row[:11], uuid, attributes, _grouped(forward), _grouped(backward))
    return EntryRow(*fields)


def _grouped(pairs: Iterable[tuple[str, EntryId]]) -> dict[str, tuple[EntryId, ...]]:
    grouped: dict[str, list[EntryId]] = {}
    for attribute, other in pairs:
        grouped.setdefault(attribute, []).append(other)
    return {attribute: tuple(others) for attribute, others in grouped.items()}


def child(tx: Transaction, parent: EntryId, rdn_normal: str) -> EntryId | None:
    """The entry of that name right below parent."""
    found: EntryId | None = tx.value(_CHILD, parent=parent, rdn=rdn_normal)
    return found


def children(tx: Transaction, parent: EntryId, after: int = 0, most: int = 1000) -> list[EntryId]:
    """Entries right below parent with ids above `after`, ascending."""
    return _ids(tx.all(_CHILDREN, parent=parent, after=after, most=most))


def count_children(tx: Transaction, parent: EntryId) -> int:
    count: int = tx.value(_COUNT_CHILDREN, parent=parent)
    return count


def page(tx: Transaction, after: int = 0, most: int = 1000) -> list[EntryId]:
    """All entries with ids above `after`, ascending."""
    return _ids(tx.all(_ALL, after=after, most=most))


def of_kind(tx: Transaction, kind: int, after: int = 0, most: int = 1000) -> list[EntryId]:
    """Entries of one kind with ids above `after`, ascending."""
    return _ids(tx.all(_OF_KIND, kind=kind, after=after, most=most))


def ancestors(tx: Transaction, entry_id: EntryId) -> list[EntryId]:
    """The parent, its parent, and so on up. Raises NoSuchEntry."""
    found = []
    parent = tx.value(_PARENT, id=entry_id)
    while parent:
        found.append(parent)
        parent = tx.value(_PARENT, id=parent)
    if parent is None:
        raise NoSuchEntry
    return found


def named(tx: Transaction, name: str) -> tuple[EntryId, NameKind] | None:
    """Whose address or login name this is; in canonical form."""
    row = tx.one(_NAMED, name=name)
    return None if row is None else (EntryId(row[0]), NameKind(row[1]))


def _ids(rows: list[tuple[Any, ...]]) -> list[EntryId]:
    return [row[0] for row in rows]


# Writing -------------------------------------------------------------------------------


def add(
    unit: Unit, draft: Draft, now: int, actor: EntryId = ROOT, uuid: bytes | None = None
) -> EntryId:
    """Store a new entry. Raises EntryExists, NoSuchEntry (parent), ConstraintViolation (a name).

    Repeating it is refused with EntryExists.
    """
    previous, version = unit.advance(DIRECTORY)
    if draft.parent and unit.value(_PARENT, id=draft.parent) is None:
        raise NoSuchEntry
    if child(unit, draft.parent, draft.rdn_normal) is not None:
        raise EntryExists
    for name in draft.names:
        _free(unit, name)
    entry_id = EntryId(
        unit.insert(
            _INSERT,
            parent=draft.parent,
            rdn_attribute=draft.rdn_attribute,
            rdn_value=draft.rdn_value,
            rdn_normal=draft.rdn_normal,
            kind=draft.kind,
            version=version,
            created=now,
            modified=now,
            creator=actor,
            modifier=actor,
            uuid=uuid or _uuid.uuid4().bytes,
            attributes=entry_codec.pack(draft.attributes),
        )
    )
    unit.many(_ADD_VALUE, _value_rows(entry_id, _cut(draft.values)))
    unit.many(_ADD_NAME, _name_rows(entry_id, draft.names.items()))
    touched = {entry_id, draft.parent}
    for attribute, targets in draft.references.items():
        unit.many(_ADD_REFERENCE, _reference_rows(entry_id, attribute, targets, 0))
        touched.update(targets)
    _publish(unit, previous, version, touched)
    return entry_id


def replace(unit: Unit, entry_id: EntryId, draft: Draft, now: int, actor: EntryId = ROOT) -> None:
    """Make the entry what the draft says; only what differs is written.

    Raises NoSuchEntry, EntryExists (new name or parent), ConstraintViolation (a name).
    """
    previous, version = unit.advance(DIRECTORY)
    old = load(unit, entry_id)
    touched = {entry_id}
    if (old.parent, old.rdn_normal) != (draft.parent, draft.rdn_normal):
        if draft.parent and unit.value(_PARENT, id=draft.parent) is None:
            raise NoSuchEntry
        if child(unit, draft.parent, draft.rdn_normal) not in (None, entry_id):
            raise EntryExists
    if old.parent != draft.parent:
        touched |= {old.parent, draft.parent}
    unit.run(
        _UPDATE,
        of=entry_id,
        parent=draft.parent,
        rdn_attribute=draft.rdn_attribute,
        rdn_value=draft.rdn_value,
        rdn_normal=draft.rdn_normal,
        kind=draft.kind,
        version=version,
        modified=now,
        modifier=actor,
        attributes=entry_codec.pack(draft.attributes),
    )
    _replace_values(unit, entry_id, draft)
    _replace_names(unit, entry_id, draft)
    touched |= _replace_references(unit, old, draft)
    _publish(unit, previous, version, touched)


def _replace_values(unit: Unit, entry_id: EntryId, draft: Draft) -> None:
    before = set(unit.all(_VALUES_OF, id=entry_id))
    after = _cut(draft.values)
    unit.many(_DROP_VALUE, _value_rows(entry_id, before - after))
    unit.many(_ADD_VALUE, _value_rows(entry_id, after - before))


def _replace_names(unit: Unit, entry_id: EntryId, draft: Draft) -> None:
    before = set(unit.all(_NAMES_OF, id=entry_id))
    after = {(name, int(kind)) for name, kind in draft.names.items()}
    for name, _ in before - after:
        unit.run(_DROP_NAME, name=name, entry=entry_id)
    for name, _ in after - before:
        _free(unit, name)
    unit.many(_ADD_NAME, _name_rows(entry_id, after - before))


def _replace_references(unit: Unit, old: EntryRow, draft: Draft) -> set[EntryId]:
    touched: set[EntryId] = set()
    for attribute in old.references.keys() | draft.references.keys():
        before = old.references.get(attribute, ())
        after = draft.references.get(attribute, ())
        if before == after:
            continue
        gone, come = set(before) - set(after), set(after) - set(before)
        for target in gone:
            unit.run(_DROP_REFERENCE, entry=old.id, attribute=attribute, target=target)
        last = unit.value(_LAST_POSITION, entry=old.id, attribute=attribute) or 0
        new = [target for target in after if target in come]
        unit.many(_ADD_REFERENCE, _reference_rows(old.id, attribute, new, last + 1))
        touched |= gone | come
    return touched


def remove(unit: Unit, entry_id: EntryId) -> None:
    """Delete a leaf entry, its index, names, references to it and from it.

    Raises NoSuchEntry (also when repeated) and NotAllowedOnNonLeaf.
    """
    previous, version = unit.advance(DIRECTORY)
    old = load(unit, entry_id)
    if unit.one(_HAS_CHILD, parent=entry_id) is not None:
        raise NotAllowedOnNonLeaf
    touched = {entry_id, old.parent}
    for others in (*old.references.values(), *old.referrers.values()):
        touched.update(others)
    unit.run(_DELETE_REFERENCES, id=entry_id)
    unit.run(_DELETE_VALUES, id=entry_id)
    unit.run(_DELETE_NAMES, id=entry_id)
    unit.run(_DELETE, id=entry_id)
    referrers = {other for others in old.referrers.values() for other in others}
    unit.run(_TOUCH_MANY, ids=sorted(referrers), version=version)
    _publish(unit, previous, version, touched)


def touch(unit: Unit, entry_id: EntryId) -> None:
    """Say that what hangs on the entry has changed: its password, its rights. Raises NoSuchEntry."""
    previous, version = unit.advance(DIRECTORY)
    if not unit.run(_TOUCH, of=entry_id, version=version):
        raise NoSuchEntry
    _publish(unit, previous, version, {entry_id})


def _free(unit: Unit, name: str) -> None:
    if unit.one(_NAMED, name=name) is not None:
        raise ConstraintViolation("The address or alias is taken")


def _publish(unit: Unit, previous: int, version: int, ids: set[EntryId]) -> None:
    unit.changed(EntriesChanged(DIRECTORY, previous, version, tuple(sorted(ids - {ROOT}))))


def _cut(values: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(attribute, value[:INDEXED_LENGTH]) for attribute, value in values}


def _value_rows(entry_id: EntryId, values: Iterable[tuple[str, str]]) -> Iterator[dict[str, object]]:
    for attribute, value in values:
        yield {"attribute": attribute, "value": value, "entry": entry_id}


def _name_rows(entry_id: EntryId, names: Iterable[tuple[str, int]]) -> Iterator[dict[str, object]]:
    for name, kind in names:
        yield {"name": name, "entry": entry_id, "kind": int(kind)}


def _reference_rows(
    entry_id: EntryId, attribute: str, targets: Iterable[EntryId], first: int
) -> Iterator[dict[str, object]]:
    for position, target in enumerate(targets, first):
        yield {"entry": entry_id, "attribute": attribute, "target": target, "position": position}
