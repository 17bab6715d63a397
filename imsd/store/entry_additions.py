"""Many new entries of one unit, written together.

What `entry_changes.add` does for one with a dozen statements is one statement for each table here, its rows
in the order of the index. A draft that is refused leaves nothing behind: the others need not be tried again.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import bindparam, column, func, select, table

from imsd.errors import ConstraintViolation, EntryExists
from imsd.store import entry_codec
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.entries import ROOT, Draft, child, named
from imsd.store.entry_index import INDEXED_LENGTH
from imsd.store.entry_tables import entry, entry_name, entry_reference, entry_value
from imsd.store.ids import EntryId
from imsd.store.sql import SQLITE, insertion, sql
from imsd.store.tables import Int
from imsd.store.transaction import Unit

_PUT_ENTRY = insertion(entry)
_PUT_VALUE = insertion(entry_value)
_PUT_NAME = insertion(entry_name)
_PUT_REFERENCE = insertion(entry_reference)

_GIVEN = sql(select(column("seq")).select_from(table("sqlite_sequence")).where(column("name") == "entry"))
_TAKE = sql(
    select(func.nextval(func.pg_get_serial_sequence("entry", "id"))).select_from(
        func.generate_series(1, bindparam("count", type_=Int))
    )
)


class Additions:
    """Up to `most` new entries. Made before anything is read that they rest on: it advances the directory's
    counter, which on PostgreSQL is the lock. Ends with `write`."""

    def __init__(self, unit: Unit, most: int, now: int, actor: EntryId = ROOT) -> None:
        self._unit = unit
        self._previous, self._version = unit.advance(DIRECTORY)
        self._ids = _reserved(unit, most)
        self._now = now
        self._actor = actor
        self._there: set[tuple[EntryId, str]] = set()
        self._entries: list[tuple[object, ...]] = []
        self._values: list[tuple[str, str, EntryId]] = []
        self._names: dict[str, tuple[str, EntryId, int]] = {}
        self._references: list[tuple[EntryId, str, EntryId, int]] = []
        self._touched: set[EntryId] = set()

    def child(self, parent: EntryId, rdn_normal: str) -> bool:
        """Is there an entry of that name right below parent, added here or stored?"""
        return (parent, rdn_normal) in self._there or child(self._unit, parent, rdn_normal) is not None

    def named(self, name: str) -> bool:
        """Is it the address or login name of an entry, added here or stored?"""
        return name in self._names or named(self._unit, name) is not None

    def add(self, draft: Draft, uuid: bytes) -> EntryId:
        """A new entry below one that exists. Raises EntryExists, ConstraintViolation (a name)."""
        parent, rdn = draft.parent, draft.rdn_normal
        if (parent, rdn) in self._there:
            raise EntryExists
        for name in draft.names:
            if self.named(name):
                raise ConstraintViolation("The address or alias is taken")
        entry_id = next(self._ids)
        self._there.add((parent, rdn))
        self._entries.append(
            (
                entry_id, parent, draft.rdn_attribute, draft.rdn_value, rdn, int(draft.kind), self._version,
                self._now, self._now, self._actor, self._actor, uuid, entry_codec.pack(draft.attributes),
            )
        )  # fmt: skip
        cut = {(attribute, value[:INDEXED_LENGTH]) for attribute, value in draft.values}
        self._values += [(attribute, value, entry_id) for attribute, value in cut]
        for name, kind in draft.names.items():
            self._names[name] = (name, entry_id, int(kind))
        self._touched |= {entry_id, parent}
        for attribute, targets in draft.references.items():
            self._touched.update(targets)
            self._references += [(entry_id, attribute, target, at) for at, target in enumerate(targets)]
        return entry_id

    def write(self) -> None:
        """Raises what the database does: then the unit is over."""
        unit = self._unit
        unit.put_all(_PUT_ENTRY, self._entries)
        unit.put_all(_PUT_VALUE, sorted(self._values))
        unit.put_all(_PUT_NAME, sorted(self._names.values()))
        unit.put_all(_PUT_REFERENCE, sorted(self._references))
        # Also of nothing: who watches sees that the counter moved.
        ids = tuple(sorted(self._touched - {ROOT}))
        unit.changed(EntriesChanged(DIRECTORY, self._previous, self._version, ids))


def _reserved(unit: Unit, count: int) -> Iterator[EntryId]:
    """Ids that no entry had."""
    if unit.dialect == SQLITE:
        first = (unit.value(_GIVEN) or 0) + 1
        return map(EntryId, range(first, first + count))
    return (EntryId(row[0]) for row in unit.all(_TAKE, count=count))
