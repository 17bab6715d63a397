"""An entry while it is being changed.

Changes are applied one after the other to attributes and views alike; nothing is judged before
the last (so one request may swap a primary address with a secondary one). What comes of them
is judged by `draft.finish`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from imsd.directory import schema
from imsd.directory.attributes import Definition
from imsd.directory.changes import Change, Modification
from imsd.directory.entry import views
from imsd.errors import (
    AttributeOrValueExists,
    ConstraintViolation,
    InvalidSyntax,
    NoSuchAttribute,
    NotAllowedOnRdn,
    UndefinedAttribute,
)
from imsd.settings.passwords import PasswordPolicy
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from imsd.store.mailboxes import FURNITURE
from imsd.store.quotas import Bounds
from protocols.ldap.dn import AVA, RDN

INTEGER = "1.3.6.1.4.1.1466.115.121.1.27"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about new and changed entries.

    templates: format@domain, the first makes the primary address. x400, ms, ccmail: the site's part.
    """

    templates: tuple[str, ...] = ()
    x400: str = ""
    ms: str = ""
    ccmail: str = ""
    domains: frozenset[str] = frozenset()
    delete_mailboxes: bool = False
    keep_days: int = 0
    """Days in which who is deleted can be brought back."""
    bounds: Bounds = field(default_factory=Bounds)
    """The site's limits on mailboxes."""
    tolerant: bool = False
    """Certificates are taken as they are: of a directory that is read in, as it was elsewhere."""
    furniture: tuple[tuple[str, str], ...] = FURNITURE
    """Folders of a new mailbox, with their special use."""
    passwords: PasswordPolicy = field(default_factory=PasswordPolicy)


@dataclass(slots=True)
class Working:
    """attributes: stored ones and views by key; references: by key. kind: 0 until known."""

    parent: EntryId
    rdn: RDN
    kind: int = 0
    attributes: dict[str, list[bytes]] = field(default_factory=dict)
    references: dict[str, list[EntryId]] = field(default_factory=dict)
    shown: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    """The views before any change."""
    before: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    """The stored attributes before any change: what is wrong there already hinders no other change."""
    initial: Mapping[str, tuple[bytes, ...]] | None = None
    """These and the views, of an entry that is stored already."""

    @classmethod
    def of(cls, row: EntryRow) -> Working:
        shown = views(row.kind, row.rdn_value, row.attributes)
        shown["proxyaddresses"] = row.attributes.get("proxyaddresses", ())
        initial = {**row.attributes, **shown}
        return cls(
            parent=row.parent,
            rdn=_rdn(row.rdn_attribute, row.rdn_value),
            kind=row.kind,
            attributes={key: list(values) for key, values in initial.items() if values},
            references={key: list(ids) for key, ids in row.references.items()},
            shown=shown,
            before=row.attributes,
            initial=initial,
        )

    @classmethod
    def nothing_of(cls, row: EntryRow) -> Working:
        """The same without its attributes: who knows which will change puts them there."""
        return cls(row.parent, _rdn(row.rdn_attribute, row.rdn_value), row.kind, before=row.attributes)

    def differing(self) -> set[str] | None:
        """Attributes, by keys without options, whose values are not what they were; None of a new entry."""
        if self.initial is None:
            return None
        was, now = self.initial, self.attributes
        keys = {key for key, values in now.items() if tuple(values) != was.get(key, ())}
        keys.update(key for key, values in was.items() if values and not now.get(key))
        return set(map(schema.plain, keys))

    # Changes -------------------------------------------------------------------------

    def add(self, definition: Definition, values: list[bytes]) -> None:
        """Raises AttributeOrValueExists."""
        present = self.attributes.setdefault(definition.key, [])
        if not present and len(values) == 1:
            present.append(values[0])
            return
        known = {schema.normal(definition.key, value) for value in present}
        for value in values:
            made = schema.normal(definition.key, value)
            if made in known:
                raise AttributeOrValueExists(f"{definition.type.name}: has the value already")
            known.add(made)
            present.append(value)

    def remove(self, definition: Definition, values: list[bytes]) -> None:
        """Remove the values, or all when none is given. Raises NoSuchAttribute, NotAllowedOnRdn."""
        key = definition.key
        present = self.attributes.get(key)
        if not present:
            raise NoSuchAttribute(f"{definition.type.name}: not there")
        named = self._distinguished(key)
        if not values:
            if named is not None:
                raise NotAllowedOnRdn
            del self.attributes[key]
            return
        left = {schema.normal(key, value): value for value in present}
        for value in values:
            made = schema.normal(key, value)
            if made not in left:
                raise NoSuchAttribute(f"{definition.type.name}: no such value")
            if made == named:
                raise NotAllowedOnRdn
            del left[made]
        self.attributes[key] = list(left.values())

    def replace(self, definition: Definition, values: list[bytes]) -> None:
        self.attributes.pop(definition.key, None)
        if values:
            self.add(definition, values)

    def increment(self, definition: Definition, values: list[bytes]) -> None:
        """RFC 4525 3: of numbers alone, by one number."""
        present = self.attributes.get(definition.key)
        if not present:
            raise NoSuchAttribute(f"{definition.type.name}: not there")
        if definition.type.syntax != INTEGER or len(values) != 1:
            raise ConstraintViolation(f"{definition.type.name}: no number, or not by one")
        try:
            by = int(values[0])
            made = [b"%d" % (int(value) + by) for value in present]
        except ValueError:
            raise ConstraintViolation(f"{definition.type.name}: not numbers") from None
        self.attributes[definition.key] = made

    def refer(self, definition: Definition, ids: list[EntryId]) -> None:
        present = self.references.setdefault(definition.key, [])
        known = set(present)
        for each in ids:
            if each in known:
                raise AttributeOrValueExists(f"{definition.type.name}: has the value already")
            known.add(each)
            present.append(each)

    def unrefer(self, definition: Definition, ids: list[EntryId]) -> None:
        present = self.references.get(definition.key)
        if not present:
            raise NoSuchAttribute(f"{definition.type.name}: not there")
        gone = set(ids or present)
        if not gone <= set(present):
            raise NoSuchAttribute(f"{definition.type.name}: no such value")
        self.references[definition.key] = [each for each in present if each not in gone]

    def _distinguished(self, key: str) -> object | None:
        named = schema.definition(self.rdn.type)
        if named is None or named.key != key:
            return None
        return schema.normal(key, self.rdn.value.encode())

    # Reading -------------------------------------------------------------------------

    def text(self, key: str) -> str:
        values = self.attributes.get(key)
        return values[0].decode("utf-8", "replace") if values else ""

    def classes(self) -> frozenset[str]:
        return _classes(tuple(self.attributes.get("objectclass", ())))

    def classes_before(self) -> frozenset[str]:
        return _classes(tuple(self.before.get("objectclass", ())))


@lru_cache(maxsize=1024)
def _rdn(attribute: str, value: str) -> RDN:
    return RDN((AVA(attribute, value),))


@lru_cache(maxsize=256)
def _classes(values: tuple[bytes, ...]) -> frozenset[str]:
    return frozenset(schema.object_class(value.decode("utf-8", "replace")).name for value in values)


@lru_cache(maxsize=4096)
def known(description: str) -> Definition:
    """The definition a description names. Raises UndefinedAttribute."""
    found = schema.definition(description)
    if found is None or schema.is_range(found):
        raise UndefinedAttribute(f"No such attribute: {description[:64]!a}")
    return found


def _needed(working: Working, definition: Definition, modification: Modification) -> Modification:
    """What is left of a change that is not so already; without values where nothing is."""
    key = definition.key
    present = {schema.normal(key, value) for value in working.attributes.get(key, ())}
    change, values = modification.change, modification.values
    if change is Change.DELETE and not present:
        return Modification(Change.REPLACE, modification.attribute, ())
    if change not in (Change.ADD, Change.DELETE) or not values:
        return modification
    wanted = {schema.normal(key, value): value for value in values}
    adding = change is Change.ADD
    left = tuple(value for made, value in wanted.items() if (made in present) is not adding)
    if left:
        return Modification(change, modification.attribute, left)
    return Modification(Change.REPLACE, modification.attribute, tuple(working.attributes[key]))


def apply(
    working: Working, definition: Definition, modification: Modification, permissive: bool = False
) -> None:
    """One modification of values (RFC 4511 4.6). permissive: what is so already is no error.

    Raises AttributeOrValueExists, NoSuchAttribute, InvalidSyntax, ConstraintViolation, NotAllowedOnRdn."""
    if permissive:
        modification = _needed(working, definition, modification)
    values = list(modification.values)
    match modification.change:
        case Change.ADD:
            if not values:
                raise InvalidSyntax(f"{definition.type.name}: a value is needed")
            working.add(definition, values)
        case Change.DELETE:
            working.remove(definition, values)
        case Change.REPLACE:
            working.replace(definition, values)
        case Change.INCREMENT:
            working.increment(definition, values)
