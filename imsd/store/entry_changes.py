"""Writing entries.

Every function here first advances the directory's counter, which on PostgreSQL is the lock
that puts directory writes in order; what it then finds in its unit stays true until the
commit. It reports every entry whose rendering may have changed: the entry, its parent when
children came or went, whoever it refers to or who refers to it.
"""

from __future__ import annotations

import uuid as _uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace as changed

from sqlalchemy import bindparam, delete, func, or_, select, update

from imsd.errors import ConstraintViolation, EntryExists, NoSuchEntry, NotAllowedOnNonLeaf
from imsd.store import deleted_entries, entries, entry_codec
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.entries import ROOT, Draft, EntryRow, ancestors, child, exists, load, named
from imsd.store.entry_codec import Attributes
from imsd.store.entry_index import INDEXED_LENGTH, equal
from imsd.store.entry_tables import entry, entry_name, entry_reference, entry_value
from imsd.store.ids import EntryId
from imsd.store.sql import among, insert_row, insertion, sql
from imsd.store.transaction import Unit

_e, _v, _r, _n = entry.c, entry_value.c, entry_reference.c, entry_name.c

_HAS_CHILD = sql(select(_e.id).where(_e.parent == bindparam("parent")).limit(1))
_NAMES_OF = sql(select(_n.name, _n.kind).where(_n.entry == bindparam("id")))
_VALUES_OF = sql(select(_v.attribute, _v.value).where(_v.entry == bindparam("id")))

_INSERT = insert_row(
    entry, "parent", "rdn_attribute", "rdn_value", "rdn_normal", "kind", "version", "created",
    "modified", "creator", "modifier", "uuid", "attributes",
)  # fmt: skip
_RESTORE = insert_row(entry)
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
_AMEND = sql(
    update(entry)
    .where(_e.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("version", "modified", "modifier", "attributes")})
)
_STAMP = sql(
    update(entry)
    .where(_e.id == bindparam("of"))
    .values({name: bindparam(name) for name in ("version", "created", "modified", "creator", "modifier")})
)
_TOUCH = sql(update(entry).where(_e.id == bindparam("of")).values(version=bindparam("version")))
_TOUCH_MANY = sql(update(entry).where(among(_e.id, "ids")).values(version=bindparam("version")))
_DELETE = sql(delete(entry).where(_e.id == bindparam("id")))
_DELETE_VALUES = sql(delete(entry_value).where(_v.entry == bindparam("id")))
_DELETE_NAMES = sql(delete(entry_name).where(_n.entry == bindparam("id")))
_DELETE_REFERENCES = sql(
    delete(entry_reference).where(or_(_r.entry == bindparam("id"), _r.target == bindparam("id")))
)
_ADD_VALUE = insertion(entry_value)
_DROP_VALUE = sql(
    delete(entry_value).where(
        _v.attribute == bindparam("attribute"), _v.value == bindparam("value"), _v.entry == bindparam("entry")
    )
)
_CHANGE_VALUE = sql(
    update(entry_value)
    .where(_v.attribute == bindparam("of"), _v.value == bindparam("old"), _v.entry == bindparam("whose"))
    .values(value=bindparam("value"))
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


def add(unit: Unit, draft: Draft, now: int, actor: EntryId = ROOT, uuid: bytes | None = None) -> EntryId:
    """Store a new entry. Raises EntryExists, NoSuchEntry (parent), ConstraintViolation (a name).

    Repeating it is refused with EntryExists.
    """
    previous, version = unit.advance(DIRECTORY)
    if draft.parent and not exists(unit, draft.parent):
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
    _add_values(unit, entry_id, _cut(draft.values))
    unit.many(_ADD_NAME, _name_rows(entry_id, draft.names.items()))
    touched = {entry_id, draft.parent}
    for attribute, targets in draft.references.items():
        unit.many(_ADD_REFERENCE, _reference_rows(entry_id, attribute, targets, 0))
        touched.update(targets)
    _publish(unit, previous, version, touched)
    return entry_id


def replace(
    unit: Unit,
    entry_id: EntryId,
    draft: Draft,
    now: int,
    actor: EntryId = ROOT,
    old: EntryRow | None = None,
) -> None:
    """Make the entry what the draft says; only what differs is written. old: as this unit has read it.

    Raises NoSuchEntry, EntryExists (new name or parent), ConstraintViolation (a name).
    """
    previous, version = unit.advance(DIRECTORY)
    old = old or load(unit, entry_id)
    touched = {entry_id}
    if (old.parent, old.rdn_normal) != (draft.parent, draft.rdn_normal):
        if draft.parent and not exists(unit, draft.parent):
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
    if (old.parent, old.rdn_attribute, old.rdn_value) != (draft.parent, draft.rdn_attribute, draft.rdn_value):
        touched |= _renamed(unit, old, version)
    _replace_values(unit, entry_id, draft)
    _replace_names(unit, entry_id, draft)
    touched |= _replace_references(unit, old, draft)
    _publish(unit, previous, version, touched)


def amend(
    unit: Unit,
    old: EntryRow,
    attributes: Attributes,
    differing: frozenset[str],
    gone: Iterable[tuple[str, str]],
    come: Iterable[tuple[str, str]],
    now: int,
    actor: EntryId,
) -> None:
    """Give an entry other attributes and nothing else: its place, names and references stay.

    old: as this unit has read it. differing: which attributes. gone, come: what was indexed of them, and will
    be.
    """
    previous, version = unit.advance(DIRECTORY)
    unit.run(
        _AMEND,
        of=old.id,
        version=version,
        modified=now,
        modifier=actor,
        attributes=entry_codec.pack(attributes),
    )
    before, after = _cut(gone), _cut(come)
    dropped, added = before - after, after - before
    if len(dropped) == len(added) == 1:
        ((attribute, value),), ((same, new),) = dropped, added
        # One value for another, as it mostly is: one statement in place of two.
        if attribute == same and unit.run(_CHANGE_VALUE, of=attribute, old=value, whose=old.id, value=new):
            dropped = added = set()
    if dropped:
        unit.many(_DROP_VALUE, _value_rows(old.id, dropped))
    if added:
        _add_values(unit, old.id, added)
    unit.changed(EntriesChanged(DIRECTORY, previous, version, (old.id,), differing))


def _renamed(unit: Unit, old: EntryRow, version: int) -> set[EntryId]:
    """Whatever shows an entry's name is as good as changed: those that refer to it, and with the name of
    an inner entry everything; for that the topmost entry stands."""
    showing = set(entries.referrers(unit, old.id)) - {old.id}
    if unit.one(_HAS_CHILD, parent=old.id) is not None:
        above = ancestors(unit, old.id)
        showing |= set(above[-1:])
    unit.run(_TOUCH_MANY, ids=sorted(showing), version=version)
    return showing


def _replace_values(unit: Unit, entry_id: EntryId, draft: Draft) -> None:
    before = set(unit.all(_VALUES_OF, id=entry_id)) if draft.gone is None else _cut(draft.gone)
    after = _cut(draft.values)
    unit.many(_DROP_VALUE, _value_rows(entry_id, before - after))
    _add_values(unit, entry_id, after - before)


def _add_values(unit: Unit, entry_id: EntryId, values: Iterable[tuple[str, str]]) -> None:
    """In the order of the index."""
    unit.put_all(_ADD_VALUE, [(attribute, value, entry_id) for attribute, value in sorted(values)])


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


def put_away(unit: Unit, entry_id: EntryId, now: int, actor: EntryId, until: int) -> None:
    """Remove a leaf entry, and keep what it was until then (`deleted_entries`). Raises as `remove` does."""
    unit.advance(DIRECTORY)
    indexed, names = unit.all(_VALUES_OF, id=entry_id), unit.all(_NAMES_OF, id=entry_id)
    deleted_entries.keep(unit, load(unit, entry_id), indexed, names, now, actor, until)
    remove(unit, entry_id)


def bring_back(
    unit: Unit, entry_id: EntryId, now: int, actor: EntryId = ROOT, otherwise: EntryId = ROOT
) -> None:
    """Make an entry that was put away what it was, with its id. References to and from what is gone stay
    away; to lists it comes as the last member. otherwise: its parent, where the one it had is gone.

    Raises NoSuchEntry (it, or its parents), EntryExists. Repeating it is refused with NoSuchEntry.
    """
    previous, version = unit.advance(DIRECTORY)
    kept = deleted_entries.load(unit, entry_id)
    draft = kept.draft
    if draft.parent and not exists(unit, draft.parent):
        if not exists(unit, otherwise):
            raise NoSuchEntry
        draft = changed(draft, parent=otherwise)
    if child(unit, draft.parent, draft.rdn_normal) is not None:
        rdn = f"{draft.rdn_attribute}={draft.rdn_value[:100]}"
        raise EntryExists(f"There is another {rdn!a} now: rename it first")
    for name in draft.names:
        if named(unit, name) is not None:
            raise EntryExists(f"{name[:100]!a} belongs to another entry now: take it away there first")
    if equal(unit, "entryuuid", kept.uuid.hex(), 1):
        raise EntryExists("What it was is here again by an import, with its entryUUID: delete that first")
    deleted_entries.forget(unit, entry_id)
    unit.run(
        _RESTORE,
        id=entry_id,
        parent=draft.parent,
        rdn_attribute=draft.rdn_attribute,
        rdn_value=draft.rdn_value,
        rdn_normal=draft.rdn_normal,
        kind=draft.kind,
        version=version,
        created=kept.created,
        modified=now,
        creator=kept.creator,
        modifier=actor,
        uuid=kept.uuid,
        attributes=entry_codec.pack(draft.attributes),
    )
    _add_values(unit, entry_id, draft.values)
    unit.many(_ADD_NAME, _name_rows(entry_id, draft.names.items()))
    touched = {entry_id, draft.parent}
    for attribute, targets in draft.references.items():
        there = [target for target in targets if exists(unit, target)]
        unit.many(_ADD_REFERENCE, _reference_rows(entry_id, attribute, there, 0))
        touched.update(there)
    referrers: set[EntryId] = set()
    for attribute, sources in kept.referrers.items():
        for source in sources:
            if source != entry_id and exists(unit, source):
                last = unit.value(_LAST_POSITION, entry=source, attribute=attribute) or 0
                unit.many(_ADD_REFERENCE, _reference_rows(source, attribute, (entry_id,), last + 1))
                referrers.add(source)
    unit.run(_TOUCH_MANY, ids=sorted(referrers), version=version)
    _publish(unit, previous, version, touched | referrers)


def touch(unit: Unit, entry_id: EntryId) -> None:
    """Say that what hangs on the entry has changed: its password, its rights. Raises NoSuchEntry."""
    previous, version = unit.advance(DIRECTORY)
    if not unit.run(_TOUCH, of=entry_id, version=version):
        raise NoSuchEntry
    _publish(unit, previous, version, {entry_id})


def stamp(
    unit: Unit,
    entry_id: EntryId,
    created: int | None,
    modified: int | None,
    creator: EntryId | None,
    modifier: EntryId | None,
) -> None:
    """Say when and by whom the entry was made and changed; None leaves it. Raises NoSuchEntry."""
    previous, version = unit.advance(DIRECTORY)
    old = load(unit, entry_id)
    unit.run(
        _STAMP,
        of=entry_id,
        version=version,
        created=old.created if created is None else created,
        modified=old.modified if modified is None else modified,
        creator=old.creator if creator is None else creator,
        modifier=old.modifier if modifier is None else modifier,
    )
    _publish(unit, previous, version, {entry_id})


def _free(unit: Unit, name: str) -> None:
    if named(unit, name) is not None:
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
