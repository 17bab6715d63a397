"""Adding, changing and renaming entries: functions over a unit (`deleting` deletes them).

Rights are derived in the unit, from the rows of whoever asks (rule 18). A mailbox comes and
goes with its entry, in the same unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from imsd.directory import (
    access,
    adding,
    amending,
    draft,
    passwordchanges,
    schema,
    stamping,
    tree,
)
from imsd.directory.access import Viewer
from imsd.directory.asking import refer_on, seen, sees, standing
from imsd.directory.attributes import COMPUTED, Definition, Kept, Visible, Writer
from imsd.directory.changes import Change as Change
from imsd.directory.changes import Given as Given
from imsd.directory.changes import Modification as Modification
from imsd.directory.conditions import PLAIN, Changed, Conditions
from imsd.directory.deleting import leaves_an_administrator
from imsd.directory.entry import Entry, Kind
from imsd.directory.limits import KEYS as LIMITS
from imsd.directory.tree import Tree
from imsd.directory.working import Rules, Working, apply, known
from imsd.errors import (
    AffectsOthers,
    ConstraintViolation,
    InvalidDN,
    InvalidSyntax,
    NamingViolation,
    NoSuchEntry,
    NotPermitted,
    UnwillingToPerform,
)
from imsd.store import (
    credentials,
    entries,
    entry_changes,
)
from imsd.store.credentials import NewPassword
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Unit
from protocols.errors import BadSyntax
from protocols.ldap import dn

# Add -----------------------------------------------------------------------------------


def add(
    unit: Unit,
    name: str,
    given: Given,
    rules: Rules,
    now: int,
    asking: Viewer,
    verifier: NewPassword | None = None,
    uuid: bytes | None = None,
    conditions: Conditions = PLAIN,
) -> Changed:
    """Add an entry, and its mailbox. Administrators only (RFC 4511 4.7)."""
    asking, here = standing(unit, asking)
    if asking.level is not Visible.ADMINISTRATOR:
        raise NotPermitted
    wanted = tree.parse(name)
    path, _ = here.locate(wanted)
    if not path:
        raise NamingViolation("The organisation is there already")
    tree.check_rdn(wanted.rdn)
    try:
        above = Entry(entries.load(unit, here.find(unit, wanted.parent)))
    except NoSuchEntry as missing:
        if missing.matched:
            refer_on(unit, here, missing.matched, name, asking)
        raise
    if above.kind == Kind.REFERRAL:
        refer_on(unit, here, str(wanted.parent), name, asking)
    stamps = None
    if conditions.relax:
        given, stamps = stamping.taken_out(unit, here, given)
        uuid = stamps.uuid or uuid
    given, state = passwordchanges.taken_out(given)
    entry_id = adding.add_below(unit, here, above, wanted.rdn, given, rules, now, asking, verifier, uuid)
    passwordchanges.apply(unit, entry_id, state)
    if stamps is not None:
        stamping.stamp(unit, entry_id, stamps)
    return _changed(unit, conditions, entry_id)


def _changed(unit: Unit, conditions: Conditions, entry_id: EntryId, before: Entry | None = None) -> Changed:
    if not conditions.images:
        return Changed(entry_id)
    return Changed(entry_id, before.row if before else None, entries.load(unit, entry_id))


# Modify --------------------------------------------------------------------------------


def modify(
    unit: Unit,
    name: str,
    modifications: Sequence[Modification],
    rules: Rules,
    now: int,
    asking: Viewer,
    verifier: NewPassword | None = None,
    conditions: Conditions = PLAIN,
) -> Changed:
    """All changes, in order, or none (RFC 4511 4.6). verifier: a new password, "" takes it away."""
    asking, here = standing(unit, asking)
    shown = conditions.images or conditions.check is not None
    entry = seen(unit, here, name, asking, conditions.manage, referrers=shown)
    if conditions.check is not None:
        conditions.check(unit, here, entry, asking)
    stamps = None
    if conditions.relax:
        if asking.level is not Visible.ADMINISTRATOR:
            raise NotPermitted
        modifications, stamps = stamping.taken_off(unit, here, modifications)
    state = passwordchanges.NONE
    if any(passwordchanges.is_state(each.attribute) for each in modifications):
        if asking.level is not Visible.ADMINISTRATOR:
            raise NotPermitted("The state of a password is not yours to change")
        modifications, state = passwordchanges.taken_off(
            unit, entry, modifications, rules.passwords, now, conditions.permissive
        )
    modify_entry(unit, here, entry, modifications, rules, now, asking, conditions.permissive)
    if stamps is not None:
        stamping.stamp(unit, entry.id, stamps)
    if verifier is not None:
        if entry.kind != Kind.MAILBOX:
            raise ConstraintViolation(adding.NO_PASSWORD)
        credentials.set_password(unit, entry.id, verifier)
    passwordchanges.apply(unit, entry.id, state)
    return _changed(unit, conditions, entry.id, entry)


def modify_entry(
    unit: Unit,
    here: Tree,
    entry: Entry,
    modifications: Sequence[Modification],
    rules: Rules,
    now: int,
    asking: Viewer,
    permissive: bool = False,
) -> None:
    """permissive: to add what is there, or remove what is not, is no error."""
    alone = amending.begun(entry, modifications)
    working = alone or Working.of(entry.row)
    changed = False
    for modification in modifications:
        definition = known(modification.attribute)
        if definition.kept in COMPUTED or definition.writer is Writer.SYSTEM:
            raise ConstraintViolation(f"{definition.type.name}: not to be changed")
        if not access.writes(asking, entry, definition):
            raise NotPermitted(f"{definition.type.name}: not yours to change")
        if definition.kept is Kept.CREDENTIAL:
            continue
        changed = True
        if definition.kept is Kept.REFERENCE:
            _refer(unit, here, working, definition, modification, asking, permissive)
        else:
            apply(working, definition, modification, permissive)
    if alone is not None:
        amending.store(unit, entry, alone, modifications, now, asking.entry, rules.tolerant)
    elif changed:
        _store(unit, entry, working, rules, now, asking)


def _refer(
    unit: Unit,
    here: Tree,
    working: Working,
    definition: Definition,
    modification: Modification,
    asking: Viewer,
    permissive: bool = False,
) -> None:
    ids = adding.references(unit, here, definition, modification.values)
    if asking.level is not Visible.ADMINISTRATOR:
        # What is not to be seen is not found by naming it as a member either.
        for each in set(ids).difference(working.references.get(definition.key, ())):
            if not sees(asking, Entry(entries.load(unit, each))):
                raise ConstraintViolation(f"{definition.type.name}: names no entry here")
    if permissive and modification.change in (Change.ADD, Change.DELETE):
        present = working.references.get(definition.key, ())
        comes = modification.change is Change.ADD
        left = [each for each in dict.fromkeys(ids) if (each in present) is not comes]
        if (ids and not left) or (not comes and not present):
            return
        ids = left
    match modification.change:
        case Change.ADD:
            if not ids:
                raise InvalidSyntax(f"{definition.type.name}: a value is needed")
            working.refer(definition, ids)
        case Change.DELETE:
            working.unrefer(definition, ids)
        case Change.REPLACE:
            working.references.pop(definition.key, None)
            working.refer(definition, ids)
        case Change.INCREMENT:
            raise ConstraintViolation(f"{definition.type.name}: not a number")


def _store(unit: Unit, entry: Entry, working: Working, rules: Rules, now: int, asking: Viewer) -> None:
    moved = working.parent != entry.parent
    # To what stays where it is, its parent matters where that decides on what it is.
    looked = moved or not working.classes().isdisjoint(draft.BY_PLACE)
    parent = Kind(entries.kind_of(unit, working.parent)) if working.parent and looked else None
    taken = adding.taken_by_others(unit, entry.id)
    made = draft.finish(working, rules, taken, parent=parent, uuid=entry.row.uuid, fill=False)
    before = {name.lower() for name in entry.classes}
    if schema.structural(frozenset(working.classes())).lower() not in before:
        raise UnwillingToPerform("The structural object class stays")
    if moved:
        draft.place(working, parent)
    entry_changes.replace(unit, entry.id, made, now, asking.entry, entry.row)
    if entry.kind == Kind.MAILBOX and any(made.attributes.get(key) != entry.user.get(key) for key in LIMITS):
        adding.limit(unit, AccountId(entry.id), made, rules)
    if entry.is_admin and not Entry(entries.load(unit, entry.id)).is_admin:
        leaves_an_administrator(unit, entry)


# Rename --------------------------------------------------------------------------------


def rename(
    unit: Unit,
    name: str,
    new_rdn: str,
    delete_old: bool,
    new_superior: str | None,
    rules: Rules,
    now: int,
    asking: Viewer,
    conditions: Conditions = PLAIN,
) -> Changed:
    """Rename or move an entry; references to it stay (RFC 4511 4.9)."""
    asking, here = standing(unit, asking)
    entry = seen(unit, here, name, asking, conditions.manage)
    if conditions.check is not None:
        conditions.check(unit, here, entry, asking)
    if asking.level is not Visible.ADMINISTRATOR:
        raise NotPermitted
    if not entry.parent:
        raise UnwillingToPerform("The organisation keeps its name")
    try:
        rdn = dn.parse_rdn(new_rdn)
    except BadSyntax as error:
        raise InvalidDN(str(error)) from None
    tree.check_rdn(rdn)
    working = Working.of(entry.row)
    if new_superior is not None:
        parent = here.find(unit, tree.parse(new_superior))
        if Entry(entries.load(unit, parent)).kind == Kind.REFERRAL:
            raise AffectsOthers
        if entry.id == parent or entry.id in entries.ancestors(unit, parent):
            raise UnwillingToPerform("An entry cannot be placed below itself")
        working.parent = parent
    _rename(working, rdn, delete_old)
    _store(unit, entry, working, rules, now, asking)
    return _changed(unit, conditions, entry.id, entry)


def _rename(working: Working, rdn: dn.RDN, delete_old: bool) -> None:
    """The new distinguished value comes; the old goes or stays as an ordinary one."""
    old = working.rdn
    definition = known(old.type)
    working.rdn = rdn
    working.attributes.pop("rdn", None)
    if delete_old and old.normal != rdn.normal:
        gone = schema.normal(definition.key, old.value.encode())
        kept = [
            value
            for value in working.attributes.get(definition.key, ())
            if schema.normal(definition.key, value) != gone
        ]
        working.attributes[definition.key] = kept
        if not kept:
            # The directory name was the display name too: that follows.
            working.attributes.pop("displayname", None)
            working.shown = {key: value for key, value in working.shown.items() if key != "displayname"}
