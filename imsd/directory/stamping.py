"""What an administrator may give under relaxed rules (draft-zeilenga-ldap-relax): the identity of an
entry, when and by whom it was made and changed. It is how copies of a directory keep them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from imsd.directory import tree
from imsd.directory.changes import Change, Given, Modification
from imsd.directory.schema import definition
from imsd.directory.tree import Tree
from imsd.errors import ConstraintViolation, InvalidSyntax, NoSuchEntry
from imsd.store import entry_changes
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction, Unit
from protocols.errors import BadSyntax
from protocols.ldap import matching

_STAMPS: Final = frozenset(
    {"entryuuid", "createtimestamp", "modifytimestamp", "creatorsname", "modifiersname"}
)


@dataclass(frozen=True, slots=True)
class Stamps:
    """None: as it would be anyhow. created, modified: microseconds."""

    uuid: bytes | None = None
    created: int | None = None
    modified: int | None = None
    creator: EntryId | None = None
    modifier: EntryId | None = None


def taken_out(tx: Transaction, here: Tree, given: Given) -> tuple[Given, Stamps]:
    """What is left of an Add, and the stamps in it. Raises InvalidSyntax, ConstraintViolation."""
    left, stamps = [], Stamps()
    for description, values in given:
        key = _key(description)
        if key in _STAMPS:
            stamps = _with(tx, here, stamps, key, values)
        else:
            left.append((description, values))
    return left, stamps


def taken_off(
    tx: Transaction, here: Tree, modifications: Sequence[Modification]
) -> tuple[list[Modification], Stamps]:
    """The same of a Modify; an entry keeps its UUID."""
    left, stamps = [], Stamps()
    for each in modifications:
        key = _key(each.attribute)
        if key not in _STAMPS:
            left.append(each)
            continue
        if key == "entryuuid" or each.change is not Change.REPLACE:
            raise ConstraintViolation(f"{each.attribute}: to be replaced, and entryUUID stays")
        stamps = _with(tx, here, stamps, key, each.values)
    return left, stamps


def _key(description: str) -> str:
    found = definition(description)
    return "" if found is None else found.key


def _with(tx: Transaction, here: Tree, stamps: Stamps, key: str, values: Sequence[bytes]) -> Stamps:
    if len(values) != 1:
        raise ConstraintViolation(f"{key}: one value")
    try:
        match key:
            case "entryuuid":
                return replace(stamps, uuid=UUID(values[0].decode()).bytes)
            case "createtimestamp":
                return replace(stamps, created=_microseconds(values[0]))
            case "modifytimestamp":
                return replace(stamps, modified=_microseconds(values[0]))
        who = here.find(tx, tree.parse(values[0].decode()))
        return replace(stamps, creator=who) if key == "creatorsname" else replace(stamps, modifier=who)
    except (BadSyntax, UnicodeDecodeError, ValueError):
        raise InvalidSyntax(f"{key}: not a value of its syntax") from None
    except NoSuchEntry:
        raise ConstraintViolation(f"{key}: names no entry here") from None


def _microseconds(value: bytes) -> int:
    return int(matching.generalized_time(value).timestamp() * 1_000_000)


def stamp(unit: Unit, entry_id: EntryId, stamps: Stamps) -> None:
    entry_changes.stamp(unit, entry_id, stamps.created, stamps.modified, stamps.creator, stamps.modifier)
