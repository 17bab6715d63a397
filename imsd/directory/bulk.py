"""Many LDIF records at once, in small units (design rule 11).

A file is put in by pieces of some hundred records, each piece wholly or said not to be; whoever
sends the pieces remembers how far he came. Within a piece some records share a unit, and what is added
there is written together (`adding.NewEntries`). Who is refused before anything of him is written hinders
nobody; where something may have been written, the unit is undone and each is tried by itself.

Entries come first and the names they refer to in a second pass, since a list may stand before
its members. Records of changes are applied as they stand, in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from twisted.internet.defer import Deferred, DeferredList

from imsd.directory import adding, deleting, tree, update
from imsd.directory.access import SERVER
from imsd.directory.attributes import Definition, Kept
from imsd.directory.changes import Change, Given, Modification
from imsd.directory.entry import Entry
from imsd.directory.tree import Tree
from imsd.directory.working import Rules, known
from imsd.errors import (
    AttributeOrValueExists,
    EntryExists,
    InvalidDN,
    InvalidSyntax,
    NamingViolation,
    NoSuchAttribute,
    NoSuchEntry,
    Refusal,
)
from imsd.store import entries
from imsd.store.credentials import NewPassword
from imsd.store.transaction import Transaction, Unit
from protocols.errors import BadSyntax
from protocols.ldap import ldif
from protocols.ldap.dn import DN
from protocols.ldap.schema import Usage
from protocols.turns import SLICE, another_turn

if TYPE_CHECKING:
    from imsd.directory.directory import Directory

MOST: Final = 1_000
"""Records in one piece."""
_TOGETHER: Final = 30
"""Records in one unit: about 10 ms."""
_HEAVY: Final = 500
"""Octets for which a record counts as one more: a list has its members looked up."""


class Done(StrEnum):
    """What became of a record."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"
    RENAMED = "renamed"
    THERE = "there"
    """It was so before."""
    REFUSED = "refused"


class Pass(StrEnum):
    """ENTRIES: without the names they refer to. REFERENCES: those alone."""

    ENTRIES = "entries"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How records are applied.

    replace: entries that are there take the attributes of content records. delete_mailboxes: with
    the entry, full or not. repeated: the piece may have been applied before, wholly or in part.
    rehearse: nothing is kept.
    """

    step: Pass = Pass.ENTRIES
    replace: bool = False
    delete_mailboxes: bool = False
    repeated: bool = False
    rehearse: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """kind: the refusal's class. later: there are references for the second pass."""

    done: Done
    kind: str = ""
    text: str = ""
    later: bool = False


class _Rehearsed(Exception):
    """Undoes a unit that was a rehearsal."""


@dataclass(slots=True)
class _Prepared:
    """A record with what had to be found out before the unit."""

    record: ldif.Record
    now: Given = ()
    references: Given = ()
    uuid: bytes | None = None
    verifier: NewPassword | None = None


_Numbered = list[tuple[int, _Prepared]]


async def apply(directory: Directory, texts: Sequence[bytes], wanted: Wanted) -> list[Outcome]:
    """Put records in; what became of each. Raises temporary refusals: what came before is kept."""
    work = _Piece(directory, wanted)
    since = time.perf_counter()
    for number, text in enumerate(texts):
        try:
            prepared = await _prepared(directory, ldif.record(text), wanted)
        except BadSyntax as error:
            line = f"line {error.position} of the record: " if error.position > 0 else ""
            refused = Outcome(Done.REFUSED, "InvalidSyntax", f"{line}{error.what} is wanted")
            work.outcomes[number] = refused
        except Refusal as refusal:
            work.outcomes[number] = _refused(refusal)
        else:
            await work.take(number, prepared, len(text))
        if time.perf_counter() - since > SLICE:
            await another_turn(directory.db.reactor)
            since = time.perf_counter()
    await work.settle()
    return [work.outcomes[number] for number in range(len(texts))]


class _Piece:
    """The units of one piece. Those of content records are in the writer's queue while others are read
    from their text, and share its commits; a record of a change waits for all before it."""

    def __init__(self, directory: Directory, wanted: Wanted) -> None:
        self.outcomes: dict[int, Outcome] = {}
        self._directory = directory
        self._wanted = wanted
        self._ready: _Numbered = []
        self._weight = 0
        self._units: list[tuple[_Numbered, Deferred[list[Done | Refusal]]]] = []

    async def take(self, number: int, prepared: _Prepared, octets: int) -> None:
        if not isinstance(prepared.record, ldif.Content):
            await self.settle()
            self.outcomes[number] = await _alone(self._directory, prepared, self._wanted)
            return
        self._ready.append((number, prepared))
        self._weight += 1 + octets // _HEAVY
        if self._weight >= _TOGETHER:
            self._begin()
            if self._wanted.replace:
                # Any unit may be undone then, and tried again it has to come before those behind it.
                await self.settle()

    def _begin(self) -> None:
        if self._ready:
            some = [prepared for _, prepared in self._ready]
            unit = Deferred.fromCoroutine(_unit(self._directory, some, self._wanted))
            self._units.append((self._ready, unit))
            self._ready, self._weight = [], 0

    async def settle(self) -> None:
        """Wait for all units; a group that was refused is tried one by one, and who was refused after it."""
        self._begin()
        units, self._units = self._units, []
        results: list[tuple[bool, Any]] = await DeferredList([unit for _, unit in units], consumeErrors=True)
        undone = False
        for (group, _), (well, result) in zip(units, results, strict=True):
            if not well and not isinstance(result.value, Refusal):
                result.raiseException()
            undone = undone or not well
            for at, (number, prepared) in enumerate(group):
                # What a unit that was undone was to add may be what a later record stands below.
                if not well or (undone and isinstance(result[at], Refusal)):
                    self.outcomes[number] = await _alone(self._directory, prepared, self._wanted)
                else:
                    self.outcomes[number] = _outcome(prepared, result[at], self._wanted)


async def _alone(directory: Directory, prepared: _Prepared, wanted: Wanted) -> Outcome:
    try:
        (done,) = await _unit(directory, [prepared], wanted)
        return _outcome(prepared, done, wanted)
    except Refusal as refusal:
        if refusal.temporary:
            raise
        return _refused(refusal)


def _outcome(prepared: _Prepared, done: Done | Refusal, wanted: Wanted) -> Outcome:
    if isinstance(done, Refusal):
        return _refused(done)
    touched = done in (Done.ADDED, Done.CHANGED) or (done is Done.THERE and wanted.repeated)
    return Outcome(done, later=wanted.step is Pass.ENTRIES and bool(prepared.references) and touched)


async def _unit(directory: Directory, some: Sequence[_Prepared], wanted: Wanted) -> list[Done | Refusal]:
    work = _Work(directory.rules, directory.now(), wanted)
    try:
        return await directory.db.write(work.run, some)
    except _Rehearsed:
        return work.done


def _refused(refusal: Refusal) -> Outcome:
    return Outcome(Done.REFUSED, type(refusal).__name__, refusal.text)


# Before the unit -------------------------------------------------------------------------


async def _prepared(directory: Directory, record: ldif.Record, wanted: Wanted) -> _Prepared:
    """Raises refusals for what can be judged without the store."""
    if isinstance(record, ldif.Content):
        now, references, uuid = _split(record.attributes)
        entry = wanted.step is Pass.ENTRIES and not wanted.rehearse
        secret = entry and any(_told(name)[0].kept is Kept.CREDENTIAL for name, _ in now)
        verifier = await directory.verifier_of(now) if secret else None
        return _Prepared(record, now, references, uuid, verifier)
    if isinstance(record, ldif.Add):
        given = [(name, list(values)) for name, values in record.attributes]
        return _Prepared(record, given, verifier=await directory.verifier_of(given))
    if isinstance(record, ldif.Modify):
        given = [(name, list(values)) for _, name, values in record.changes]
        return _Prepared(record, verifier=await directory.verifier_of(given))
    return _Prepared(record)


async def unresolved(directory: Directory, texts: Sequence[bytes]) -> list[tuple[int, str, str]]:
    """References of content records to what is not here: number, attribute, name."""
    wanted: list[tuple[int, str, str]] = []
    for number, text in enumerate(texts):
        record = ldif.record(text)
        if isinstance(record, ldif.Content):
            for name, values in _split(record.attributes)[1]:
                wanted += [(number, name, value.decode("utf-8", "replace")) for value in values]
    return await directory.db.read(_unresolved, wanted)


def _unresolved(tx: Transaction, wanted: Sequence[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    here = tree.require(tx)
    missing = []
    for each in wanted:
        try:
            here.find(tx, tree.parse(each[2]))
        except (NoSuchEntry, InvalidDN):
            missing.append(each)
    return missing


def _split(attributes: ldif.Attributes) -> tuple[Given, Given, bytes | None]:
    """Attributes to add with, references for later, and the entryUUID.

    Raises UndefinedAttribute, InvalidSyntax.
    """
    now: list[tuple[str, list[bytes]]] = []
    later: list[tuple[str, list[bytes]]] = []
    uuid = None
    is_alias = False
    for name, values in attributes:
        if name.lower() == "objectclass":
            is_alias = any(value.lower() == b"alias" for value in values)
    for name, values in attributes:
        definition, stays = _told(name)
        if stays:
            now.append((name, list(values)))
        elif definition.key == "entryuuid":
            try:
                uuid = UUID(values[0].decode("ascii", "replace")).bytes
            except ValueError:
                raise InvalidSyntax("entryUUID: no UUID") from None
        elif definition.kept is Kept.REFERENCE:
            (now if is_alias else later).append((name, list(values)))
    return now, later, uuid


@lru_cache(maxsize=1024)
def _told(name: str) -> tuple[Definition, bool]:
    """What a description names, and whether it is a value that a new entry takes along."""
    definition = known(name)
    kept = (Kept.VALUE, Kept.VIEW, Kept.CREDENTIAL)
    # `ref` is what a referral is about (RFC 3296 2.2), though it is no attribute of users.
    given = not definition.type.operational or definition.type.usage is Usage.DISTRIBUTED
    return definition, definition.kept in kept and given


# In the unit -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """The records of one unit. It may run more than once (rule 1 of the store)."""

    rules: Rules
    now: int
    wanted: Wanted
    done: list[Done | Refusal] = field(default_factory=list)

    def run(self, unit: Unit, some: Sequence[_Prepared]) -> list[Done | Refusal]:
        """Raises the refusal of a record that may have done something; what did nothing is said not to be."""
        here = tree.require(unit)
        if self.wanted.step is Pass.ENTRIES and isinstance(some[0].record, ldif.Content):
            self.done = _Contents(unit, here, len(some), self).put(some)
        else:
            self.done = [self._one(unit, here, prepared) for prepared in some]
        if self.wanted.rehearse:
            raise _Rehearsed
        return self.done

    def _one(self, unit: Unit, here: Tree, prepared: _Prepared) -> Done:
        match prepared.record:
            case ldif.Content(dn):
                return self._refer(unit, here, dn, prepared.references)
            case ldif.Add(dn):
                return self._add(unit, here, dn, prepared)
            case ldif.Modify(dn, asked):
                modifications = [
                    Modification(Change[operation.upper()], attribute, values)
                    for operation, attribute, values in asked
                ]
                return self._again(lambda: self.modify(unit, dn, modifications, prepared.verifier))
            case ldif.Delete(dn):
                return self._again(lambda: self._delete(unit, dn))
            case ldif.Rename() as record:
                return self._again(lambda: self._rename(unit, record))

    def _add(self, unit: Unit, here: Tree, dn: str, prepared: _Prepared) -> Done:
        name = _name(here, dn)
        if name is not None:
            parent = Entry(entries.load(unit, here.find(unit, name.parent)))
            if entries.child(unit, parent.id, name.rdn.normal) is None:
                adding.add_below(
                    unit, here, parent, name.rdn, prepared.now, self.rules, self.now, SERVER,
                    prepared.verifier, prepared.uuid,
                )  # fmt: skip
                return Done.ADDED
        if self.wanted.repeated:
            return Done.THERE
        raise EntryExists

    def _refer(self, unit: Unit, here: Tree, dn: str, references: Given) -> Done:
        """Those of an entry that stays as it is are left alone: it has them already."""
        if not self.wanted.replace:
            present = entries.load(unit, here.find(unit, tree.parse(dn))).references
            references = [(name, values) for name, values in references if known(name).key not in present]
        return self.modify(unit, dn, list(_replacing(references)), None)

    def modify(
        self,
        unit: Unit,
        dn: str,
        modifications: list[Modification],
        verifier: NewPassword | None,
        rules: Rules | None = None,
    ) -> Done:
        if not modifications and verifier is None:
            return Done.THERE
        update.modify(unit, dn, modifications, rules or self.rules, self.now, SERVER, verifier)
        return Done.CHANGED

    def _delete(self, unit: Unit, dn: str) -> Done:
        deleting.delete(unit, dn, self.rules, self.now, SERVER, self.wanted.delete_mailboxes)
        return Done.DELETED

    def _rename(self, unit: Unit, record: ldif.Rename) -> Done:
        if not record.new_rdn:
            raise NamingViolation
        update.rename(
            unit, record.dn, record.new_rdn, record.delete_old, record.superior, self.rules, self.now, SERVER
        )
        return Done.RENAMED

    def _again(self, change: Callable[[], Done]) -> Done:
        """What a stop in the midst of the piece may have left done is no refusal the second time."""
        try:
            return change()
        except (AttributeOrValueExists, NoSuchAttribute, NoSuchEntry):
            if not self.wanted.repeated:
                raise
            return Done.THERE


def _replacing(attributes: Given) -> Iterator[Modification]:
    for name, values in attributes:
        yield Modification(Change.REPLACE, name, tuple(values))


class _Contents:
    """Content records of one unit: what is added is written together."""

    def __init__(self, unit: Unit, here: Tree, most: int, work: _Work) -> None:
        self._unit = unit
        self._here = here
        self._work = work
        # A content record tells how things are elsewhere; a change record is a change like others.
        self._rules = replace(work.rules, tolerant=True)
        self._new = adding.NewEntries(unit, here, most, self._rules, work.now)
        self._above: dict[str, Entry] = {}

    def put(self, some: Sequence[_Prepared]) -> list[Done | Refusal]:
        done: list[Done | Refusal] = []
        for prepared in some:
            try:
                added = self._add(prepared)
            except Refusal as refusal:
                if refusal.temporary:
                    raise
                done.append(refusal)
                continue
            if added or not self._work.wanted.replace:
                done.append(Done.ADDED if added else Done.THERE)
                continue
            self._new.write()  # what is changed may depend on it
            changes = list(_replacing(prepared.now))
            dn = prepared.record.dn
            done.append(self._work.modify(self._unit, dn, changes, prepared.verifier, self._rules))
        self._new.write()
        return done

    def _add(self, prepared: _Prepared) -> bool:
        """Add the entry; False where one of that name is. Raises refusals, having done nothing."""
        name = tree.parse(prepared.record.dn)
        above = name.normal[len(name.rdn.normal) + 1 :] if name else ""
        parent = self._above.get(above)
        if parent is None:
            if _name(self._here, prepared.record.dn) is None:
                return False
            self._new.write()
            parent = Entry(entries.load(self._unit, self._here.find(self._unit, name.parent)))
            self._above[above] = parent
        else:
            tree.check_rdn(name.rdn)
        if self._new.child(parent.id, name.rdn.normal):
            return False
        self._new.add(parent, name.rdn, prepared.now, prepared.verifier, prepared.uuid)
        return True


def _name(here: Tree, dn: str) -> DN | None:
    """The name of an entry that may be added; None: the organisation's itself."""
    name = tree.parse(dn)
    path, _ = here.locate(name)
    if not path:
        return None
    tree.check_rdn(name.rdn)
    return name
