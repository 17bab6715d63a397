"""An entry as one rights class sees it: read by filters, and encoded for the wire.

Values that need other entries (names, counts) are fetched by `prepare` first; everything else
is at hand. Encoded answers are kept by (entry, rights class, suffix, what is shut, selection) until
the next change (rule 14).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol
from uuid import UUID

from imsd.directory import schema, tree
from imsd.directory.access import Policy, sees
from imsd.directory.attributes import Definition, Kept, Visible
from imsd.directory.cache import Cache
from imsd.directory.entry import Entry
from imsd.directory.schema import definition
from imsd.errors import NoSuchEntry
from imsd.store.ids import EntryId
from protocols.ldap.dn import DN
from protocols.ldap.responses import encode_attribute, encode_entry
from protocols.ldap.selection import Selection

FETCHED = frozenset(
    each.key
    for each in schema.definitions()
    if each.kept in (Kept.REFERENCE, Kept.BACKLINK, Kept.STATE)
    or each.key in ("entrydn", "creatorsname", "modifiersname", "numsubordinates", "hassubordinates")
)
"""Attributes whose values need more than the entry."""

_COMPUTED = tuple(each.key for each in schema.definitions() if each.kept in (Kept.COMPUTED, Kept.STATE))
STATE = tuple(each for each in schema.definitions() if each.kept is Kept.STATE)
"""What changes with the credentials, of which nobody is told: answers with it are not kept."""
MOVING = frozenset(each.key for each in STATE)
FOLLOWING = (
    MOVING
    | {each.key for each in schema.definitions() if each.kept is Kept.BACKLINK}
    | {"numsubordinates", "hassubordinates"}
)
"""What changes with other entries, or with logins, while the entry stays as it is: copies are without it."""
_BATCH = 200
_CLASSES = len(Visible)


class MatchedValues(Protocol):
    """Which values of attributes an answer carries (`imsd.directory.matched`)."""

    def of(self, wanted: Definition, values: tuple[bytes, ...]) -> tuple[bytes, ...]: ...


class View:
    """Implements `protocols.ldap.evaluation.Readable`. suffix: under which names are written. shut: the
    containers that are shut to the viewer."""

    __slots__ = ("_cache", "_fetched", "_made", "_policy", "_state", "entry", "rights", "shut", "suffix")

    def __init__(
        self,
        cache: Cache,
        policy: Policy,
        entry: Entry,
        rights: Visible,
        suffix: int,
        shut: frozenset[EntryId],
    ) -> None:
        self._cache = cache
        self._policy = policy
        self._made = cache.generation
        self.entry = entry
        self.rights = rights
        self.suffix = suffix
        self.shut = shut
        self._fetched: dict[str, tuple[bytes, ...]] = {}
        self._state: Mapping[str, tuple[bytes, ...]] | None = None

    # Reading -------------------------------------------------------------------------

    @property
    def name(self) -> DN:
        """Once `entryDN` was prepared."""
        return tree.parse(self._fetched["entrydn"][0].decode())

    def reads(self, wanted: Definition) -> bool:
        return self._policy.reads(self.rights, wanted, self.entry)

    def values(self, description: str) -> Iterable[bytes] | None:
        """None if it is not known or may not be read (rule 25)."""
        wanted = definition(description)
        if wanted is None or not self._policy.reads(self.rights, wanted, self.entry):
            return None
        keys = schema.covered(wanted.key)
        if self.entry.tagged or ";" in wanted.key:
            return self._tagged(wanted, keys)
        if len(keys) == 1:
            return self.own(wanted)
        found: list[bytes] = []
        for key in keys:
            below = definition(key)
            if below is not None and self.reads(below):
                found.extend(self.own(below))
        return found

    def _tagged(self, wanted: Definition, keys: Iterable[str]) -> list[bytes]:
        """The same where there are attributes with options (RFC 4512 2.5.2)."""
        plain = () if wanted.options else keys
        tagged = (key for key in self.entry.tagged if schema.stands_for(wanted, key))
        found: list[bytes] = []
        for key in (*plain, *tagged):
            below = definition(key)
            if below is not None and self.reads(below):
                found.extend(self.own(below))
        return found

    def descriptions(self) -> Iterable[str]:
        keys = [*self.entry.user, *self.entry.row.references, *self._fetched, *_COMPUTED]
        return [key for key in dict.fromkeys(keys) if (known := definition(key)) and self.reads(known)]

    def own(self, wanted: Definition) -> tuple[bytes, ...]:
        """Those of the attribute itself, whoever may read it."""
        if wanted.kept in (Kept.VALUE, Kept.VIEW):
            return self.entry.user.get(wanted.key, ())
        fetched = self._fetched.get(wanted.key)
        if fetched is not None:
            return fetched
        return self._computed(wanted.key) if wanted.kept is Kept.COMPUTED else ()

    def _computed(self, key: str) -> tuple[bytes, ...]:
        row = self.entry.row
        match key:
            case "entryuuid":
                return (str(UUID(bytes=row.uuid)).encode(),)
            case "createtimestamp" | "whencreated":
                return (_time(row.created),)
            case "modifytimestamp" | "whenchanged":
                return (_time(row.modified),)
            case "structuralobjectclass":
                return (schema.structural(self.entry.classes).encode(),)
            case "subschemasubentry":
                return (tree.SUBSCHEMA.encode(),)
        return ()

    def ids(self, wanted: Definition) -> tuple[EntryId, ...]:
        """The entries a reference or backlink names."""
        if wanted.kept is Kept.REFERENCE:
            return self.entry.row.references.get(wanted.key, ())
        return self.entry.row.referrers.get(definition_key(wanted.backlink_of), ())

    # Fetching ------------------------------------------------------------------------

    async def prepare(self, keys: Iterable[str]) -> None:
        """Have the values of these attributes at hand, as far as they may be read."""
        for key in keys:
            wanted = definition(key)
            if key in self._fetched or key not in FETCHED or wanted is None or not self.reads(wanted):
                continue
            self._fetched[key] = await self._fetch(wanted)

    def hold(self, key: str, values: tuple[bytes, ...]) -> None:
        """These are the values of an attribute that would be fetched."""
        self._fetched[key] = values

    @property
    def sees_all(self) -> bool:
        """Whether every entry exists for this class."""
        return self.rights is Visible.ADMINISTRATOR

    async def _fetch(self, wanted: Definition) -> tuple[bytes, ...]:
        row = self.entry.row
        if wanted.kept is Kept.STATE:
            if self._state is None:
                self._state = await self._cache.password_state(self.entry)
            return self._state.get(wanted.key, ())
        match wanted.key:
            case "entrydn":
                return (await self._name(row.id),)
            case "creatorsname" | "modifiersname":
                actor = row.creator if wanted.key == "creatorsname" else row.modifier
                return await self._names(wanted, (actor,)) if actor else ()
            case "numsubordinates":
                return (b"%d" % await self._below(),)
            case "hassubordinates":
                return (b"TRUE" if await self._below() else b"FALSE",)
        return await self._names(wanted, self.ids(wanted))

    async def _below(self) -> int:
        """How many entries are right below, counting those that the class may know of."""
        if self.entry.id in self.shut:
            return 0
        return await self._cache.count_children(self.entry.id, self.sees_all)

    async def _name(self, entry_id: EntryId) -> bytes:
        return (await self._cache.dn(entry_id, self.suffix)).encode()

    async def _names(self, wanted: Definition, ids: tuple[EntryId, ...]) -> tuple[bytes, ...]:
        """The names of those that this class may know of."""
        found = []
        for start in range(0, len(ids), _BATCH):
            if start:
                await self._cache.rest()
            for other in await self._cache.many(ids[start : start + _BATCH]):
                if self.shows(wanted, other):
                    try:
                        found.append(await self._name(other.id))
                    except NoSuchEntry:
                        continue
        return tuple(found)

    def shows(self, wanted: Definition, other: Entry) -> bool:
        """May the other entry be named as a value of this attribute?"""
        if self.rights is Visible.ADMINISTRATOR:
            return True
        if wanted.key == "member" and self.rights is Visible.OWNER:
            return True
        if wanted.backlink_of == "member" and other.flag("hide-dl-membership"):
            return False
        return sees(min(self.rights, Visible.AUTHENTICATED), other, self.shut)

    # Encoding ------------------------------------------------------------------------

    def way(self, selection: Selection, types_only: bool) -> int:
        """How it is shown, as a number that leaves room for the rights class."""
        way = (selection, types_only, self.suffix, self.shut, self._policy)
        return self._cache.ways.of(way) * _CLASSES

    async def encode(self, selection: Selection, types_only: bool) -> bytes:
        """A SearchResultEntry."""
        cache, way = self._cache, self.way(selection, types_only) + self.rights
        known = cache.encoded.of(self.entry.id).get(way)
        if known is not None:
            return known
        made = await self.render(selection, types_only)
        # Not what was read or fetched before a change, though it be rendered after it.
        current = self._made == cache.generation and cache.entries.get(self.entry.id) is self.entry
        if current and len(made) <= _MOST_KEPT and not self._moving(selection):
            cache.encoded.keep(self.entry.id, way, made)
        return made

    def _moving(self, selection: Selection) -> bool:
        """Is something in the answer that changes without a change of the entry?"""
        wanted = keys_of(selection)
        return any(self.reads(each) and _chosen(selection, wanted, each) for each in STATE)

    async def render(
        self,
        selection: Selection,
        types_only: bool = False,
        matched: MatchedValues | None = None,
        name: bytes | None = None,
        copied: bool = False,
    ) -> bytes:
        """The same, made anew. matched: which values are shown (RFC 3876). name: where it is known.
        copied: without what follows from others."""
        keys = self._selected(selection)
        if copied:
            keys = [key for key in keys if key not in FOLLOWING]
        await self.prepare(each for each in keys if each in FETCHED)
        parts = []
        for each in keys:
            wanted = definition(each)
            if wanted is None or not self.reads(wanted):
                continue
            values = self.own(wanted)
            if values:
                if matched is not None:
                    values = matched.of(wanted, values)
                parts.append(encode_attribute(wanted.wire, () if types_only else values))
        return encode_entry(name or await self._name(self.entry.id), b"".join(parts))

    def _selected(self, selection: Selection) -> list[str]:
        wanted = keys_of(selection)
        entry = self.entry
        present = [*entry.user, *entry.row.references, *_backlinks(), *_COMPUTED]
        chosen = []
        for key in dict.fromkeys(present):
            known = definition(key)
            assert known is not None, key
            if _chosen(selection, wanted, known):
                chosen.append(key)
        return chosen


_MOST_KEPT = 16_384
"""Octets of an encoded entry that is kept."""


@lru_cache(maxsize=64)
def definition_key(name: str) -> str:
    found = definition(name)
    assert found is not None, name
    return found.key


@lru_cache(maxsize=1)
def _backlinks() -> tuple[str, ...]:
    return tuple(each.key for each in schema.definitions() if each.kept is Kept.BACKLINK)


@lru_cache(maxsize=512)
def keys_of(selection: Selection) -> frozenset[str]:
    """The keys a selection names: attributes, their subtypes, those of classes (RFC 4529)."""
    keys: set[str] = set()
    for name in selection.names:
        found = definition(name)
        if found is not None:
            own = found.options
            keys |= {";".join((key, *own)) for key in schema.covered(found.key)}
    for name in selection.classes:
        if schema.SCHEMA.object_class(name) is not None:
            must, may = schema.allowed(frozenset([name]))
            keys |= must | may
    return frozenset(keys)


def _chosen(selection: Selection, wanted: frozenset[str], known: Definition) -> bool:
    whole = selection.operational if known.type.operational else selection.user
    return whole or known.key in wanted or (";" in known.key and _asked(wanted, known.key))


def asked_for(selection: Selection, known: Definition) -> bool:
    """Does the selection name the attribute?"""
    return _chosen(selection, keys_of(selection), known)


def _asked(wanted: frozenset[str], key: str) -> bool:
    """Is an attribute with options asked for, by fewer of them or by a range?"""
    return any((found := definition(each)) and schema.stands_for(found, key) for each in wanted)


def _time(microseconds: int) -> bytes:
    """GeneralizedTime (RFC 4517 3.3.13) in whole seconds."""
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return moment.strftime("%Y%m%d%H%M%SZ").encode()
