"""Entries: the rows of the directory, as values, and how they are read.

These functions know rows, not meaning: what an attribute is, what may be written and how a
value is normalised is decided in `imsd.directory`, which hands over a finished `Draft`.

`entry_changes` writes them, `entry_index` finds them by values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import bindparam, func, select

from imsd.errors import NoSuchEntry
from imsd.store import entry_codec
from imsd.store.changes import DIRECTORY
from imsd.store.entry_codec import Attributes
from imsd.store.entry_tables import entry, entry_name, entry_reference, entry_value
from imsd.store.ids import EntryId
from imsd.store.sql import among, sql
from imsd.store.tables import store
from imsd.store.transaction import Transaction

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

_REMEMBERED: Final = 16_384
"""Octets of attributes of a row of which it is remembered what was made of it."""

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
    gone: of an entry that is changed, what was indexed of the attributes that `values` is about, which are
    those that differ; None: `values` is about all.
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
    gone: frozenset[tuple[str, str]] | None = None


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


_e, _r, _n = entry.c, entry_reference.c, entry_name.c
_columns = [
    _e.id, _e.parent, _e.rdn_attribute, _e.rdn_value, _e.rdn_normal, _e.kind, _e.version,
    _e.created, _e.modified, _e.creator, _e.modifier, _e.uuid, _e.attributes,
]  # fmt: skip

_LOAD = sql(select(*_columns).where(_e.id == bindparam("id")))
_TOP = sql(select(*_columns).where(_e.parent == ROOT).order_by(_e.id).limit(1))
_KIND = sql(select(_e.kind).where(_e.id == bindparam("id")))
_LOAD_MANY = sql(select(*_columns).where(among(_e.id, "ids")).order_by(_e.id))
_REFERENCES = sql(
    select(_r.entry, _r.attribute, _r.target).where(among(_r.entry, "ids")).order_by(_r.entry, _r.position)
)
_REFERRERS = sql(
    select(_r.target, _r.attribute, _r.entry).where(among(_r.target, "ids")).order_by(_r.target, _r.entry)
)
_STANDING = sql(
    select(*_columns).where(
        _e.id.in_(
            [bindparam("id"), select(func.min(_e.id)).where(_e.parent == bindparam("root")).scalar_subquery()]
        )
    )
)
_REFERENCES_OF = sql(select(_r.attribute, _r.target).where(_r.entry == bindparam("id")).order_by(_r.position))
_REFERRERS_OF = sql(select(_r.attribute, _r.entry).where(_r.target == bindparam("id")).order_by(_r.entry))
_CHILD = sql(select(_e.id).where(_e.parent == bindparam("parent"), _e.rdn_normal == bindparam("rdn")))


def _descendant(depth: int, whole: bool = False) -> Any:
    steps = [entry.alias(f"e{number}").c for number in range(depth)]
    last = steps[-1]
    wanted = [last[column.name] for column in _columns] if whole else [last.id]
    statement = select(*wanted).where(steps[0].parent == bindparam("parent"))
    for number, step in enumerate(steps):
        statement = statement.where(step.rdn_normal == bindparam(f"rdn{number}"))
        if number:
            statement = statement.where(step.parent == steps[number - 1].id)
    return sql(statement)


_STEPS = 4
_DESCENDANT = {depth: _descendant(depth) for depth in range(1, _STEPS + 1)}
_LOAD_DESCENDANT = {depth: _descendant(depth, True) for depth in range(1, _STEPS + 1)}
_CHILDREN = sql(
    select(_e.id)
    .where(_e.parent == bindparam("parent"), _e.id > bindparam("after"))
    .order_by(_e.id)
    .limit(bindparam("most"))
)
_COUNT_CHILDREN = sql(select(func.count()).select_from(entry).where(_e.parent == bindparam("parent")))
_COUNT_LISTED = sql(
    select(func.count())
    .select_from(entry)
    .where(
        _e.parent == bindparam("parent"),
        _e.kind != bindparam("unlisted"),
        _e.id.not_in(
            select(entry_value.c.entry).where(
                entry_value.c.attribute == bindparam("hiding"), entry_value.c.value == bindparam("value")
            )
        ),
    )
)
_ALL = sql(select(_e.id).where(_e.id > bindparam("after")).order_by(_e.id).limit(bindparam("most")))
_OF_KIND = sql(
    select(_e.id)
    .where(_e.kind == bindparam("kind"), _e.id > bindparam("after"))
    .order_by(_e.id)
    .limit(bindparam("most"))
)
_COUNT_KIND = sql(select(func.count()).select_from(entry).where(_e.kind == bindparam("kind")))
_CHANGED = sql(select(_e.id).where(_e.version > bindparam("number")).order_by(_e.id))
_EVERY = sql(select(_e.id).order_by(_e.id))
_PARENT = sql(select(_e.parent).where(_e.id == bindparam("id")))
_INCARNATION = sql(select(store.c.value).where(store.c.name == "incarnation"))
_NAMED = sql(select(_n.entry, _n.kind).where(_n.name == bindparam("name")))


# Reading -------------------------------------------------------------------------------


def load(tx: Transaction, entry_id: EntryId) -> EntryRow:
    """One entry. Raises NoSuchEntry."""
    row = tx.one(_LOAD, id=entry_id)
    if row is None:
        raise NoSuchEntry
    return _row(row, tx.all(_REFERENCES_OF, id=entry_id), tx.all(_REFERRERS_OF, id=entry_id))


def load_alone(tx: Transaction, entry_id: EntryId) -> EntryRow:
    """One entry for what it says of itself: without references and referrers. Raises NoSuchEntry."""
    row = tx.one(_LOAD, id=entry_id)
    if row is None:
        raise NoSuchEntry
    return _row(row, (), ())


def top(tx: Transaction) -> EntryRow | None:
    """The topmost entry, as `load_alone` has it."""
    row = tx.one(_TOP)
    return None if row is None else _row(row, (), ())


@lru_cache(maxsize=256)
def _made(make: Callable[[EntryRow], T], row: tuple[Any, ...]) -> T:
    return make(_row(row, (), ()))


def _making(make: Callable[[EntryRow], T], row: tuple[Any, ...]) -> T:
    """What a function makes of a row, remembered where the row is no large one."""
    return _made(make, row) if len(row[-1]) <= _REMEMBERED else make(_row(row, (), ()))


def one_and_top(
    tx: Transaction, entry_id: EntryId, make: Callable[[EntryRow], A], make_top: Callable[[EntryRow], B]
) -> tuple[A | None, B | None]:
    """What is made of an entry and of the topmost one, by one statement; None for one that is not there.

    The functions get rows without references and referrers, and are asked again only where a row is another:
    what they make depends on it alone, and is not changed by anybody."""
    one, top = None, None
    for row in tx.all(_STANDING, id=entry_id, root=ROOT):
        if row[0] == entry_id:
            one = _making(make, row)
        if row[1] == ROOT:
            top = _making(make_top, row)
    return one, top


def referrers(tx: Transaction, entry_id: EntryId) -> list[EntryId]:
    """The entries that refer to one by any attribute, one of them once for each."""
    return [row[1] for row in tx.all(_REFERRERS_OF, id=entry_id)]


def load_descendant(
    tx: Transaction, parent: EntryId, path: Sequence[str], referrers: bool
) -> EntryRow | None:
    """The entry that a path of normalised RDNs leads to, as `descendant` has it. referrers: with those."""
    if not 0 < len(path) <= _STEPS:
        found = descendant(tx, parent, path)
        row = None if found is None else tx.one(_LOAD, id=found)
    else:
        names = {f"rdn{depth}": rdn for depth, rdn in enumerate(path)}
        row = tx.one(_LOAD_DESCENDANT[len(path)], parent=parent, **names)
    if row is None:
        return None
    backward = tx.all(_REFERRERS_OF, id=row[0]) if referrers else ()
    return _row(row, tx.all(_REFERENCES_OF, id=row[0]), backward)


def kind_of(tx: Transaction, entry_id: EntryId) -> int:
    """Raises NoSuchEntry."""
    kind: int | None = tx.value(_KIND, id=entry_id)
    if kind is None:
        raise NoSuchEntry
    return kind


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


def exists(tx: Transaction, entry_id: EntryId) -> bool:
    return tx.one(_PARENT, id=entry_id) is not None


def child(tx: Transaction, parent: EntryId, rdn_normal: str) -> EntryId | None:
    """The entry of that name right below parent."""
    found: EntryId | None = tx.value(_CHILD, parent=parent, rdn=rdn_normal)
    return found


def descendant(tx: Transaction, parent: EntryId, path: Sequence[str]) -> EntryId | None:
    """The entry that a path of normalised RDNs leads to, from right below parent; [] is parent itself."""
    found: EntryId | None = parent
    while path and found is not None:
        some, path = path[:_STEPS], path[_STEPS:]
        names = {f"rdn{depth}": rdn for depth, rdn in enumerate(some)}
        found = tx.value(_DESCENDANT[len(some)], parent=found, **names)
    return found


def children(tx: Transaction, parent: EntryId, after: int = 0, most: int = 1000) -> list[EntryId]:
    """Entries right below parent with ids above `after`, ascending."""
    return _ids(tx.all(_CHILDREN, parent=parent, after=after, most=most))


def count_children(tx: Transaction, parent: EntryId) -> int:
    count: int = tx.value(_COUNT_CHILDREN, parent=parent)
    return count


def count_listed(tx: Transaction, parent: EntryId, unlisted: int, hiding: str, value: str) -> int:
    """Entries right below parent but those of one kind and those with an indexed value."""
    count: int = tx.value(_COUNT_LISTED, parent=parent, unlisted=unlisted, hiding=hiding, value=value)
    return count


def page(tx: Transaction, after: int = 0, most: int = 1000) -> list[EntryId]:
    """All entries with ids above `after`, ascending."""
    return _ids(tx.all(_ALL, after=after, most=most))


def of_kind(tx: Transaction, kind: int, after: int = 0, most: int = 1000) -> list[EntryId]:
    """Entries of one kind with ids above `after`, ascending."""
    return _ids(tx.all(_OF_KIND, kind=kind, after=after, most=most))


def count_of(tx: Transaction, kind: int) -> int:
    """How many entries there are of a kind; reads them all."""
    count: int = tx.value(_COUNT_KIND, kind=kind)
    return count


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


def standing(tx: Transaction) -> tuple[int, str]:
    """The number of the last change of the directory, and the incarnation of the store (rule 22)."""
    return tx.counter(DIRECTORY), tx.value(_INCARNATION) or ""


def changed_since(tx: Transaction, number: int) -> tuple[int, list[EntryId], list[EntryId]]:
    """The number of the last change, entries that bear a later one than `number`, and all there are."""
    changed = _ids(tx.all(_CHANGED, number=number))
    return tx.counter(DIRECTORY), changed, _ids(tx.all(_EVERY))


def named(tx: Transaction, name: str) -> tuple[EntryId, NameKind] | None:
    """Whose address or login name this is; in canonical form."""
    row = tx.one(_NAMED, name=name)
    return None if row is None else (EntryId(row[0]), NameKind(row[1]))


def _ids(rows: list[tuple[Any, ...]]) -> list[EntryId]:
    return [row[0] for row in rows]
