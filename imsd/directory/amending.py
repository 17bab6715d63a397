"""Changes of attributes that stand for themselves: of an entry that stays what it is, under its names.

Most changes are of a telephone number or a title. Nothing else follows from them: no class, no
kind, no address, no view, no limit. Of such a change is looked at what it changes, and that alone is written;
all others go through `draft`, which looks at the whole entry. Who reads the code should find the same answers
in both: `tests/directory/test_amending.py` asks both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from imsd.directory import certificates, limits, protocols, schema, searchrights
from imsd.directory.attributes import Definition, Kept
from imsd.directory.changes import Modification
from imsd.directory.draft import MOST_VALUES, companions, index_of
from imsd.directory.entry import INNER, VIEWS, Entry, Kind
from imsd.directory.working import Working
from imsd.errors import ConstraintViolation, ObjectClassViolation
from imsd.store import entry_changes
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from imsd.store.transaction import Unit

_MEANING: Final = VIEWS | limits.KEYS | frozenset(
    {
        "objectclass", "cn", "uid", "target-address", "ref", "imsadministrator", "imsaccountdisabled",
        "associateddomain", "imsmailboxfate", protocols.KEY, searchrights.BY,
    }
)  # fmt: skip
"""Attributes that something else follows from."""


@lru_cache(maxsize=1024)
def _stands_alone(description: str) -> Definition | None:
    found = schema.definition(description)
    if found is None or found.kept is not Kept.VALUE or found.key in _MEANING or ";" in found.key:
        return None
    return found


@lru_cache(maxsize=256)
def _allowed(kind: int, values: tuple[bytes, ...]) -> tuple[frozenset[str], frozenset[str], bool] | None:
    """What attributes an entry of these classes must have and may have besides, and whether it may have
    any; None where its classes are not all of those that `draft` would store."""
    names = frozenset(value.decode("utf-8", "replace") for value in values)
    if any(schema.SCHEMA.object_class(name) is None for name in names):
        return None
    wanted = schema.closed(frozenset({*names, *companions(Kind(kind))}))
    if tuple(name.encode() for name in wanted) != values:
        return None
    must, may = schema.allowed(frozenset(wanted))
    return must, may, "extensibleObject" in wanted


def begun(entry: Entry, modifications: Sequence[Modification]) -> Working | None:
    """What is needed of the entry for changes of this sort; None for any others."""
    row = entry.row
    # One with options shares the index with that without.
    if not modifications or entry.tagged or row.kind in INNER:
        return None
    if _allowed(row.kind, row.attributes.get("objectclass", ())) is None:
        return None
    named = schema.definition(row.rdn_attribute)
    working = Working.nothing_of(row)
    for each in modifications:
        found = _stands_alone(each.attribute)
        if found is None or found is named:
            return None
        key = found.key
        values = row.attributes.get(key)
        if values:
            working.attributes[key] = list(values)
    return working


def store(
    unit: Unit,
    entry: Entry,
    working: Working,
    modifications: Sequence[Modification],
    now: int,
    actor: EntryId,
    tolerant: bool,
) -> None:
    """Check what these have changed, and write it. Raises ConstraintViolation, InvalidSyntax,
    ObjectClassViolation.

    tolerant: certificates are taken as they are."""
    row = entry.row
    attributes = dict(row.attributes)
    changed: list[tuple[Definition, tuple[bytes, ...], tuple[bytes, ...]]] = []
    for each in modifications:
        definition = _stands_alone(each.attribute)
        assert definition is not None
        key = definition.key
        before, after = attributes.get(key, ()), tuple(working.attributes.get(key, ()))
        if before == after:
            continue  # it was so, or another of the modifications was of the same attribute
        changed.append((definition, before, after))
        if after:
            attributes[key] = after
        else:
            del attributes[key]
    _check_presence(changed, row)
    gone: set[tuple[str, str]] = set()
    come: set[tuple[str, str]] = set()
    for definition, before, after in changed:
        _check(definition, before, after, tolerant)
        if definition.indexed:
            gone |= index_of(definition.key, before)
            come |= index_of(definition.key, after)
    differing = frozenset([definition.key for definition, _, _ in changed])
    entry_changes.amend(unit, row, attributes, differing, gone, come, now, actor)


def _check(definition: Definition, before: Iterable[bytes], after: tuple[bytes, ...], tolerant: bool) -> None:
    if len(after) > MOST_VALUES or (definition.type.single and len(after) > 1):
        raise ConstraintViolation(f"{definition.type.name}: too many values")
    for value in after:
        schema.check(definition, value)
    if definition.key in certificates.KEYS and not tolerant:
        for value in set(after).difference(before):
            certificates.check(definition.key, value)


def _check_presence(
    changed: Iterable[tuple[Definition, tuple[bytes, ...], tuple[bytes, ...]]],
    row: EntryRow,
) -> None:
    """The entry has all that it must have, and nothing that it may not (RFC 4512 2.4)."""
    allowed = _allowed(row.kind, row.attributes["objectclass"])
    assert allowed is not None
    must, may, anything = allowed
    for definition, before, after in changed:
        key = definition.key
        if not after and key in must:
            raise ObjectClassViolation(f"Missing: {key}")
        if not before and key not in must and key not in may and not anything:
            raise ObjectClassViolation(f"Not allowed: {key}")
