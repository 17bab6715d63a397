"""Entries that were deleted and may come back, until their time is over.

deleted_entry  the row as it was in `entry`, who deleted it, when, and until when it is kept; what was
               indexed, its references and those to it, packed as `entry_codec` packs attributes
deleted_name   its addresses and login names: mail and logins do not find it by them, addresses that are made
               for others avoid them, and who asks for one of them by name may have it

The entry itself is gone from the tree. What hangs on its id (mailboxes, credentials) is not touched here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, bindparam, delete, select

from imsd.errors import NoSuchEntry
from imsd.store import entry_codec
from imsd.store.entries import Draft, EntryRow, NameKind
from imsd.store.ids import EntryId
from imsd.store.sql import insert_row, sql
from imsd.store.tables import Bytes, Number, Small, String, metadata
from imsd.store.transaction import Transaction, Unit

deleted_entry = Table(
    "deleted_entry",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=False),
    Column("parent", Number, nullable=False),
    Column("rdn_attribute", String, nullable=False),
    Column("rdn_value", String, nullable=False),
    Column("rdn_normal", String, nullable=False),
    Column("kind", Small, nullable=False),
    Column("created", Number, nullable=False),
    Column("creator", Number, nullable=False),
    Column("uuid", Bytes, nullable=False),
    Column("attributes", Bytes, nullable=False),
    Column("indexed", Bytes, nullable=False),
    Column("references", Bytes, nullable=False),
    Column("referrers", Bytes, nullable=False),
    # Microseconds since the epoch; an entry id, 0 is the server itself.
    Column("deleted", Number, nullable=False),
    Column("actor", Number, nullable=False),
    Column("until", Number, nullable=False),
    Index("ix_deleted_entry_until", "until", "id"),
    sqlite_with_rowid=False,
)

deleted_name = Table(
    "deleted_name",
    metadata,
    Column("entry", Number, nullable=False),
    Column("name", String, nullable=False),
    # `entries.NameKind`.
    Column("kind", Small, nullable=False),
    PrimaryKeyConstraint("entry", "name"),
    Index("ix_deleted_name_name", "name"),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Deleted:
    """An entry that is kept. draft: what it is to be again; references and referrers as they were then,
    some of which may be gone by now. deleted, until, created: microseconds since the epoch."""

    id: EntryId
    draft: Draft
    referrers: dict[str, tuple[EntryId, ...]]
    uuid: bytes
    created: int
    creator: EntryId
    deleted: int
    actor: EntryId
    until: int


_d, _n = deleted_entry.c, deleted_name.c
_KEEP = insert_row(deleted_entry)
_KEEP_NAME = insert_row(deleted_name)
_LOAD = sql(select(*_d).where(_d.id == bindparam("id")))
_NAMES = sql(select(_n.name, _n.kind).where(_n.entry == bindparam("id")))
_PAGE = sql(select(_d.id).where(_d.id > bindparam("after")).order_by(_d.id).limit(bindparam("most")))
_DUE = sql(
    select(_d.id).where(_d.until <= bindparam("now")).order_by(_d.until, _d.id).limit(bindparam("most"))
)
_NAMED = sql(
    select(_n.entry)
    .select_from(deleted_name.join(deleted_entry, _d.id == _n.entry))
    .where(_n.name == bindparam("name"))
    .order_by(_d.deleted.desc(), _d.id.desc())
    .limit(1)
)
_FORGET = sql(delete(deleted_entry).where(_d.id == bindparam("id")))
_FORGET_NAMES = sql(delete(deleted_name).where(_n.entry == bindparam("id")))


def keep(
    unit: Unit,
    row: EntryRow,
    indexed: Iterable[tuple[str, str]],
    names: Iterable[tuple[str, int]],
    now: int,
    actor: EntryId,
    until: int,
) -> None:
    """Keep what an entry is, in the unit that takes it out of the tree."""
    values: dict[str, tuple[bytes, ...]] = {}
    for attribute, value in sorted(indexed):
        values[attribute] = (*values.get(attribute, ()), value.encode())
    unit.run(
        _KEEP,
        id=row.id,
        parent=row.parent,
        rdn_attribute=row.rdn_attribute,
        rdn_value=row.rdn_value,
        rdn_normal=row.rdn_normal,
        kind=row.kind,
        created=row.created,
        creator=row.creator,
        uuid=row.uuid,
        attributes=entry_codec.pack(row.attributes),
        indexed=entry_codec.pack(values),
        references=_packed(row.references),
        referrers=_packed(row.referrers),
        deleted=now,
        actor=actor,
        until=until,
    )
    unit.many(_KEEP_NAME, [{"name": name, "entry": row.id, "kind": int(kind)} for name, kind in names])


def load(tx: Transaction, entry_id: EntryId) -> Deleted:
    """Raises NoSuchEntry."""
    row: Any = tx.one(_LOAD, id=entry_id)
    if row is None:
        raise NoSuchEntry
    indexed = entry_codec.unpack(bytes(row[10]))
    draft = Draft(
        EntryId(row[1]),
        row[2],
        row[3],
        row[4],
        row[5],
        entry_codec.unpack(bytes(row[9])),
        _unpacked(row[11]),
        frozenset((attribute, value.decode()) for attribute, values in indexed.items() for value in values),
        {name: NameKind(kind) for name, kind in tx.all(_NAMES, id=entry_id)},
    )
    return Deleted(
        EntryId(row[0]), draft, _unpacked(row[12]), bytes(row[8]), row[6], EntryId(row[7]),
        row[13], EntryId(row[14]), row[15],
    )  # fmt: skip


def page(tx: Transaction, after: int = 0, most: int = 1000) -> list[EntryId]:
    """Whoever is kept, ascending by id."""
    return [EntryId(row[0]) for row in tx.all(_PAGE, after=after, most=most)]


def due(tx: Transaction, now: int, most: int) -> list[EntryId]:
    """Those whose time is over, the longest first."""
    return [EntryId(row[0]) for row in tx.all(_DUE, now=now, most=most)]


def named(tx: Transaction, name: str) -> EntryId | None:
    """Who had an address or login name, in canonical form; of several the last who was deleted."""
    row = tx.one(_NAMED, name=name)
    return None if row is None else EntryId(row[0])


def forget(unit: Unit, entry_id: EntryId) -> None:
    """It does not come back, or has come back: its names are free. Repeating it is harmless."""
    unit.run(_FORGET_NAMES, id=entry_id)
    unit.run(_FORGET, id=entry_id)


def _packed(references: dict[str, tuple[EntryId, ...]]) -> bytes:
    return entry_codec.pack(
        {attribute: tuple(b"%d" % each for each in ids) for attribute, ids in references.items()}
    )


def _unpacked(packed: bytes) -> dict[str, tuple[EntryId, ...]]:
    found = entry_codec.unpack(bytes(packed))
    return {attribute: _ids(values) for attribute, values in found.items()}


def _ids(values: Sequence[bytes]) -> tuple[EntryId, ...]:
    return tuple(EntryId(int(value)) for value in values)
