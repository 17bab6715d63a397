"""Searching: what a filter finds below a base, for one viewer.

A search is an asynchronous generator of encoded entries; b"" between them is a place to rest,
given at least every few dozen entries looked at, so that nobody waits. Its steps:

    base      located in either suffix; the answers are named under the same one
    filter    what the settings do to substrings; DN assertions become entries
    plan      lookups in the index, or a walk of the scope in pages
    evaluate  each entry as the viewer sees it, then encode it
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from imsd.directory import schema
from imsd.directory.access import Policy, Viewer, rights_class, sees
from imsd.directory.attributes import Definition, Kept, Visible
from imsd.directory.cache import Cache
from imsd.directory.entry import Entry, Kind
from imsd.directory.planner import Lookup, Names, Plan, Planner
from imsd.directory.view import FETCHED, View
from imsd.errors import InvalidDN, LimitReached, NoSuchEntry
from imsd.store import entries, entry_index
from imsd.store.database import Database
from imsd.store.ids import EntryId
from protocols.ldap import evaluation, filters
from protocols.ldap.evaluation import Readable, Test
from protocols.ldap.messages import Deref, Scope, SearchRequest
from protocols.ldap.selection import selection

PAGE = 200
"""Entries read at once when a scope is walked."""
FEW = 16
"""Entries evaluated between two rests: well under a millisecond's work."""
MOST_FOUND = 5_000
"""Entries a lookup may give; beyond that walking is no dearer."""
MOST_KEPT = 64
"""Entries of a lookup that is worth keeping."""
MOST_ALIASES = 1_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A filter ready to run. fetched: what a view must have at hand to evaluate it."""

    test: Test
    plan: Plan | None
    fetched: frozenset[str]


class Search:
    """Searches for one viewer, as the settings stand."""

    def __init__(self, db: Database, cache: Cache, policy: Policy, viewer: Viewer) -> None:
        self._db = db
        self._cache = cache
        self._policy = policy
        self._viewer = viewer
        self.substring = "all"
        self.look_through = 1_000_000

    # Views ---------------------------------------------------------------------------

    def view(self, entry: Entry, suffix: int) -> View | None:
        """The entry as the viewer sees it; None if it does not exist for him."""
        rights = rights_class(self._viewer, entry)
        if not sees(rights, entry):
            return None
        return View(self._cache, self._policy, entry, rights, suffix)

    async def located(self, name: str) -> View:
        """The entry of a DN. Raises InvalidDN, NoSuchEntry with the deepest that is seen."""
        try:
            entry_id, suffix = await self._cache.locate(name)
        except NoSuchEntry as missing:
            if not missing.matched:
                raise
            # Raises itself where that one may not be seen either.
            seen = await self.located(missing.matched)
            raise NoSuchEntry(matched=await self._cache.dn(seen.entry.id, seen.suffix)) from None
        entry = await self._cache.entry(entry_id)
        view = self.view(entry, suffix)
        if view is None:
            if not entry.parent:
                raise NoSuchEntry
            # As where it is not there: the deepest one above it that is seen.
            await self.located(await self._cache.dn(entry.parent, suffix))
            raise NoSuchEntry(matched=await self._cache.dn(entry.parent, suffix))
        return view

    async def _base(self, request: SearchRequest) -> View:
        if not request.base:
            # The whole tree, under the suffix that today's clients expect.
            here = await self._cache.the_tree()
            top = await self._cache.entry(here.root)
            return View(
                self._cache, self._policy, top, rights_class(self._viewer, top), len(here.suffixes) - 1
            )
        view = await self.located(request.base)
        if request.deref in (Deref.FINDING, Deref.ALWAYS) and view.entry.kind == Kind.ALIAS:
            return await self._target(view)
        return view

    async def _target(self, alias: View) -> View:
        """What an alias stands for (RFC 4511 4.5.1.3). Raises NoSuchEntry where that is nothing."""
        seen = set()
        view = alias
        while view.entry.kind == Kind.ALIAS:
            targets = view.entry.row.references.get("aliasedobjectname", ())
            if not targets or view.entry.id in seen:
                raise NoSuchEntry("The alias leads nowhere")
            seen.add(view.entry.id)
            found = self.view(await self._cache.entry(targets[0]), view.suffix)
            if found is None:
                raise NoSuchEntry("The alias leads nowhere")
            view = found
        return view

    # Searching -----------------------------------------------------------------------

    async def run(self, request: SearchRequest) -> AsyncGenerator[bytes, None]:
        """Raises InvalidDN, NoSuchEntry, LimitReached."""
        base = await self._base(request)
        prepared = await self.prepare(request.filter)
        chosen = selection(request.attributes)
        follow = request.deref in (Deref.SEARCHING, Deref.ALWAYS)
        bases = [(base, request.scope)]
        if follow and request.scope is not Scope.BASE:
            bases += await self._aliased(base, request.scope)
        given: set[EntryId] = set()
        looked = 0
        for start, scope in bases:
            async for batch in self._scope(start, scope, prepared.plan):
                for entry in batch:
                    looked += 1
                    if not looked % FEW:
                        yield b""
                    if follow and (entry.id in given or (entry.kind == Kind.ALIAS and scope != Scope.BASE)):
                        continue
                    view = self.view(entry, base.suffix)
                    if view is None:
                        continue
                    if prepared.fetched:
                        await view.prepare(prepared.fetched)
                    if prepared.test(view):
                        given.add(entry.id)
                        yield await view.encode(chosen, request.types_only)
                if looked > self.look_through:
                    raise LimitReached("Too many entries to look at")
                if len(batch) >= FEW:
                    yield b""

    async def _aliased(self, base: View, scope: Scope) -> list[tuple[View, Scope]]:
        """More places to search: what aliases in the scope stand for, and aliases there."""
        aliases = await self._db.read(entries.of_kind, Kind.ALIAS, 0, MOST_ALIASES)
        found: list[tuple[View, Scope]] = []
        waiting = [(base, scope)]
        seen = {base.entry.id}
        while waiting:
            start, within = waiting.pop()
            for alias in await self._cache.many(aliases):
                view = self.view(alias, base.suffix)
                if view is None or not await self._within(alias, start.entry, within):
                    continue
                try:
                    target = await self._target(view)
                except NoSuchEntry:
                    continue
                if target.entry.id not in seen:
                    seen.add(target.entry.id)
                    place = (target, Scope.SUBTREE if within is Scope.SUBTREE else Scope.BASE)
                    found.append(place)
                    if within is Scope.SUBTREE:
                        waiting.append(place)
        return found

    async def _within(self, entry: Entry, base: Entry, scope: Scope) -> bool:
        if scope is Scope.BASE:
            return entry.id == base.id
        if scope is Scope.ONE:
            return entry.parent == base.id
        if not base.parent:
            return True
        return await self._cache.under(entry, base.id)

    async def _scope(self, base: View, scope: Scope, plan: Plan | None) -> AsyncIterator[list[Entry]]:
        """Entries of the scope that may match, in batches."""
        if scope is Scope.BASE:
            yield [base.entry]
            return
        ids = None if plan is None else await self._looked_up(plan.lookups)
        if ids is None:
            async for batch in self._walk(base.entry, scope):
                yield batch
            return
        for start in range(0, len(ids), PAGE):
            batch = await self._cache.many(ids[start : start + PAGE])
            yield [entry for entry in batch if await self._within(entry, base.entry, scope)]

    async def _walk(self, base: Entry, scope: Scope) -> AsyncIterator[list[Entry]]:
        after = 0
        whole = scope is Scope.SUBTREE
        while True:
            if whole:
                ids = await self._db.read(entries.page, after, PAGE)
            else:
                ids = await self._db.read(entries.children, base.id, after, PAGE)
            if not ids:
                return
            after = ids[-1]
            batch = await self._cache.many(ids, keep=False)
            if whole and base.parent:
                batch = [entry for entry in batch if await self._cache.under(entry, base.id)]
            yield batch

    # Lookups -------------------------------------------------------------------------

    async def _looked_up(self, lookups: Iterable[Lookup]) -> list[EntryId] | None:
        """Every entry one of them finds, ascending; None if walking is better."""
        found: dict[EntryId, None] = {}
        for lookup in lookups:
            ids = self._cache.lookups.get(lookup)
            if ids is None:
                before = self._cache.generation
                ids = await self._look(lookup)
                if len(ids) > MOST_FOUND:
                    return None
                if before == self._cache.generation and len(ids) <= MOST_KEPT:
                    self._cache.lookups.keep(lookup, ids)
            found.update(dict.fromkeys(ids))
        return sorted(found) if len(found) > 1 else list(found)

    async def _look(self, lookup: Lookup) -> tuple[EntryId, ...]:
        most = MOST_FOUND + 1
        key = lookup.key
        match lookup.how:
            case "equal":
                return tuple(await self._db.read_few(entry_index.equal, key, lookup.text, most))
            case "starting":
                return tuple(await self._db.read(entry_index.starting, key, lookup.text, most))
            case "containing":
                return tuple(await self._db.read(entry_index.containing, key, lookup.text, most))
            case "present":
                return tuple(await self._db.read(entry_index.present, key, most))
            case "referring":
                assert lookup.target is not None
                return tuple(await self._db.read_few(entry_index.referring, key, lookup.target, most))
            case "referred":
                assert lookup.target is not None
                return (await self._cache.entry(lookup.target)).row.references.get(key, ())
        assert lookup.target is not None
        return (lookup.target,)

    # Filters -------------------------------------------------------------------------

    async def prepare(self, asked: filters.Filter) -> Prepared:
        """The filter, compiled and planned; kept until the next change."""
        key = (asked, self._viewer, self.substring)
        known: Prepared | None = self._cache.derived.get(key)
        if known is not None:
            return known
        before = self._cache.generation
        made = await self._prepare(asked)
        if before == self._cache.generation:
            self._cache.derived.keep(key, made)
        return made

    async def _prepare(self, asked: filters.Filter) -> Prepared:
        item = recognised(narrowed(asked, self.substring))
        names: Names = {}
        fetched: set[str] = set()
        for each in _items(item):
            await self._note(each, names, fetched)
        planner = Planner(lambda wanted: self._policy.reads(self._viewer.level, wanted), names)
        test = evaluation.compiled(item, schema.SCHEMA, lambda leaf: _by_entry(leaf, names))
        return Prepared(test, planner.plan(item), frozenset(fetched))

    async def _note(self, item: filters.Filter, names: Names, fetched: set[str]) -> None:
        """Locate the entry a DN assertion names; note what else must be fetched."""
        if isinstance(item, filters.Extensible):
            if item.dn_attributes:
                fetched.add("entrydn")
            if item.attribute is None:
                fetched |= FETCHED
                return
        attribute = getattr(item, "attribute", None)
        wanted = schema.definition(attribute) if attribute else None
        if wanted is None:
            return
        value = _equal_to(item)
        if value is not None and _names_entries(wanted):
            try:
                names[wanted.key, value] = await self._shown(value, wanted)
            except (InvalidDN, UnicodeDecodeError):
                return  # Undefined
        else:
            fetched |= schema.covered(wanted.key) & FETCHED

    async def _shown(self, value: bytes, wanted: Definition) -> EntryId | None:
        """The entry of a DN, if the viewer may know that it is there."""
        try:
            view = await self.located(value.decode())
        except NoSuchEntry:
            return None
        hidden = view.entry.flag("hide-dl-membership") and view.rights is not Visible.ADMINISTRATOR
        return None if hidden and wanted.backlink_of == "member" else view.entry.id


def _names_entries(wanted: Definition) -> bool:
    return wanted.kept in (Kept.REFERENCE, Kept.BACKLINK) or wanted.key == "entrydn"


def _equal_to(item: filters.Filter) -> bytes | None:
    """The value that the item compares with by the attribute's own equality rule: an extensible match
    that names no rule does so as well (RFC 4511 4.5.1.7.7)."""
    match item:
        case filters.Equal(_, value) | filters.Approx(_, value):
            return value
        case filters.Extensible(None, str(), value, False):
            return value
    return None


def _items(item: filters.Filter) -> Iterator[filters.Filter]:
    match item:
        case filters.And(parts) | filters.Or(parts):
            for part in parts:
                yield from _items(part)
        case filters.Not(part):
            yield from _items(part)
        case _:
            yield item


def _by_entry(item: filters.Filter, names: Names) -> Test | None:
    """Equality of names compares entries, so either suffix will do (rule 14)."""
    value = _equal_to(item)
    attribute = getattr(item, "attribute", None)
    wanted = schema.definition(attribute) if value is not None and attribute else None
    if value is None or wanted is None or not _names_entries(wanted):
        return None
    if (wanted.key, value) not in names:
        return lambda view: None
    target = names[wanted.key, value]

    def test(view: Readable) -> bool | None:
        assert isinstance(view, View)
        if not view.reads(wanted):
            return None
        if wanted.key == "entrydn":
            return view.entry.id == target
        return target is not None and target in view.ids(wanted)

    return test


def narrowed(item: filters.Filter, mode: str) -> filters.Filter:
    """What the substring mode makes of a filter (ims_spec 7.5). What is not performed is Undefined."""
    if mode == "all":
        return item
    match item:
        case filters.And(parts):
            return filters.And(tuple(narrowed(part, mode) for part in parts))
        case filters.Or(parts):
            return filters.Or(tuple(narrowed(part, mode) for part in parts))
        case filters.Not(part):
            return filters.Not(narrowed(part, mode))
        case filters.Substrings(attribute, initial, middle, final):
            if initial is not None and not middle and final is None:
                return item
            if mode == "any_as_initial" and (initial is not None or middle):
                first = initial if initial is not None else middle[0]
                return filters.Substrings(attribute, initial=first)
            return _UNDEFINED
    return item


def recognised(item: filters.Filter) -> filters.Filter:
    """Object classes by the name they are stored under; an unknown one is Undefined (RFC 4517 4.2.26)."""
    match item:
        case filters.And(parts):
            return filters.And(tuple(map(recognised, parts)))
        case filters.Or(parts):
            return filters.Or(tuple(map(recognised, parts)))
        case filters.Not(part):
            return filters.Not(recognised(part))
        case filters.Equal(attribute, value) | filters.Approx(attribute, value):
            wanted = schema.definition(attribute)
            if wanted is not None and wanted.key in _CLASSES:
                name = _class_name(value)
                return filters.Equal(attribute, name) if name else _UNDEFINED
        case filters.Extensible(rule, attribute, value, with_dn):
            wanted = schema.definition(attribute) if attribute else None
            if wanted is not None and wanted.key in _CLASSES:
                name = _class_name(value)
                return filters.Extensible(rule, attribute, name, with_dn) if name else _UNDEFINED
    return item


_CLASSES = frozenset({"objectclass", "structuralobjectclass"})


def _class_name(value: bytes) -> bytes:
    """The first name of an object class; b"" for one that is not known."""
    found = schema.SCHEMA.object_class(value.decode("utf-8", "replace").strip())
    return found.name.encode() if found else b""


_UNDEFINED = filters.Extensible(rule="2.5.13.0.0", attribute="objectClass", value=b"")
"""A rule that does not exist: Undefined for every entry."""
