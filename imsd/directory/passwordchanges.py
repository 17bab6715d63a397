"""What an administrator changes of the state of a password, by attributes (draft-behera-10 5.3).

pwdReset says that its owner must set another; pwdAccountLockedTime is taken away to unlock an account, and
given as 000001010000Z to lock it for good, which is what imsAccountDisabled does. The others are the
server's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from imsd.directory import schema
from imsd.directory.attributes import Definition, Kept, Writer
from imsd.directory.changes import Change, Given, Modification
from imsd.directory.entry import Entry, Kind, Values
from imsd.directory.passwords import FOR_GOOD, shown
from imsd.errors import (
    AttributeOrValueExists,
    ConstraintViolation,
    InvalidSyntax,
    NoSuchAttribute,
    UnwillingToPerform,
)
from imsd.settings.passwords import PasswordPolicy
from imsd.store import credentials
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction, Unit

_DISABLED: Final = "imsAccountDisabled"


@dataclass(frozen=True, slots=True)
class StateChange:
    """must_change: None for as it is."""

    must_change: bool | None = None
    unlock: bool = False


NONE: Final = StateChange()


def is_state(description: str) -> bool:
    """Does it name what is known of a password, and is it an administrator's to change?"""
    found = schema.definition(description)
    return found is not None and found.kept is Kept.STATE and found.writer is not Writer.SYSTEM


def taken_out(given: Given) -> tuple[Given, StateChange]:
    """What is left of an Add, and what it says of the password that comes with it."""
    left, change = [], NONE
    for description, values in given:
        if not is_state(description):
            left.append((description, values))
            continue
        wanted = schema.definition(description)
        assert wanted is not None
        value = _single(wanted, tuple(values))
        if value is None:
            raise InvalidSyntax(f"{description}: a value is needed")
        if wanted.key == "pwdreset":
            change = replace(change, must_change=value.upper() == b"TRUE")
        elif value == FOR_GOOD:
            left.append((_DISABLED, [b"TRUE"]))
        else:
            raise UnwillingToPerform(_ONLY)
    return left, change


def taken_off(
    tx: Transaction,
    entry: Entry,
    modifications: Sequence[Modification],
    policy: PasswordPolicy,
    now: int,
    permissive: bool,
) -> tuple[list[Modification], StateChange]:
    """The same of a Modify by one who may change these. Raises what that is refused with."""
    left, change = [], NONE
    state: dict[str, Values] | None = None
    for each in modifications:
        if not is_state(each.attribute):
            left.append(each)
            continue
        wanted = schema.definition(each.attribute)
        assert wanted is not None
        if entry.kind != Kind.MAILBOX:
            raise ConstraintViolation(f"{wanted.type.name}: mailboxes alone have a password")
        if state is None:
            disabled = entry.flag(_DISABLED.lower())
            state = dict(shown(credentials.read(tx, entry.id), policy, now, disabled))
        before = state.get(wanted.key, ())
        after = state[wanted.key] = _applied(wanted, before, each, permissive)
        value = _single(wanted, after)
        if wanted.key == "pwdreset":
            change = replace(change, must_change=value is not None and value.upper() == b"TRUE")
        elif value is None:
            change = replace(change, unlock=True)
            left.append(Modification(Change.REPLACE, _DISABLED, ()))
        elif after != before:
            if value != FOR_GOOD:
                raise UnwillingToPerform(_ONLY)
            left.append(Modification(Change.REPLACE, _DISABLED, (b"TRUE",)))
    return left, change


_ONLY: Final = "pwdAccountLockedTime: taken away, or 000001010000Z; the server sets other times"


def _single(wanted: Definition, values: Values) -> bytes | None:
    if len(values) > 1:
        raise ConstraintViolation(f"{wanted.type.name}: one value")
    for value in values:
        schema.check(wanted, value)
    return values[0] if values else None


def _applied(wanted: Definition, before: Values, change: Modification, permissive: bool) -> Values:
    name = wanted.type.name
    for value in change.values:
        schema.check(wanted, value)
    present = {schema.normal(wanted.key, value) for value in before}
    given = {schema.normal(wanted.key, value): value for value in change.values}
    match change.change:
        case Change.REPLACE:
            return tuple(change.values)
        case Change.ADD:
            if not given:
                raise InvalidSyntax(f"{name}: a value is needed")
            if present & given.keys() and not permissive:
                raise AttributeOrValueExists(f"{name}: there already")
            return (*before, *(value for key, value in given.items() if key not in present))
        case Change.DELETE:
            if (not present or given.keys() - present) and not permissive:
                raise NoSuchAttribute(f"{name}: not there")
            gone = given.keys() or present
            return tuple(value for value in before if schema.normal(wanted.key, value) not in gone)
        case Change.INCREMENT:
            raise ConstraintViolation(f"{name}: not a number")


def apply(unit: Unit, entry: EntryId, change: StateChange) -> None:
    if change.unlock:
        credentials.unlock(unit, entry)
    if change.must_change is not None:
        credentials.require_change(unit, entry, change.must_change)
