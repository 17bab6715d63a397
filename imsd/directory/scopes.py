"""The entries of a scope that may match: found in the index by what `planner` looks up, or walked in pages.

Nobody's rights are looked at here: whoever searches tests what is given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from imsd.directory.cache import Cache
from imsd.directory.entry import Entry
from imsd.directory.planner import Lookup, Plan
from imsd.store import entries, entry_index
from imsd.store.database import Database
from imsd.store.ids import EntryId
from protocols.ldap.messages import Scope

PAGE = 200
"""Entries read at once when a scope is walked."""
MOST_FOUND = 5_000
"""Entries a lookup may give; beyond that walking is no dearer."""
MOST_KEPT = 64
"""Entries of a lookup that is worth keeping."""


class Scopes:
    """Scopes in one directory."""

    def __init__(self, db: Database, cache: Cache) -> None:
        self._db = db
        self._cache = cache

    async def within(self, entry: Entry, base: Entry, scope: Scope) -> bool:
        if scope is Scope.BASE:
            return entry.id == base.id
        if scope is Scope.ONE:
            return entry.parent == base.id
        if scope is Scope.CHILDREN and entry.id == base.id:
            return False
        if not base.parent:
            return True
        return await self._cache.under(entry, base.id)

    async def entries(self, base: Entry, scope: Scope, plan: Plan | None) -> AsyncIterator[list[Entry]]:
        """Entries of the scope that may match, in batches."""
        if scope is Scope.BASE:
            yield [base]
            return
        ids = None if plan is None else await self._looked_up(plan.lookups)
        if ids is None:
            async for batch in self._walk(base, scope):
                if scope is Scope.CHILDREN:
                    batch = [entry for entry in batch if entry.id != base.id]
                yield batch
            return
        for start in range(0, len(ids), PAGE):
            batch = await self._cache.many(ids[start : start + PAGE])
            if scope is Scope.SUBTREE and not base.parent:
                yield batch
            else:
                yield [entry for entry in batch if await self.within(entry, base, scope)]

    def at_hand(self, base: Entry, scope: Scope, plan: Plan | None) -> list[Entry] | None:
        """The same, of other scopes than the base alone, where nothing must be read for it."""
        if plan is None:
            return None
        cache, lookups = self._cache, plan.lookups
        if len(lookups) == 1:
            ids: Iterable[EntryId] | None = cache.lookups.of(lookups[0].key).get(lookups[0])
        else:
            united: set[EntryId] = set()
            for lookup in lookups:
                some = cache.lookups.of(lookup.key).get(lookup)
                if some is None:
                    return None
                united.update(some)
            ids = sorted(united)
        if ids is None:
            return None
        whole = scope is Scope.SUBTREE and not base.parent
        found = []
        for each in ids:
            entry = cache.entries.get(each)
            if entry is None:
                return None
            if not whole:
                inside = self._inside(entry, base, scope)
                if inside is None:
                    return None
                if not inside:
                    continue
            found.append(entry)
        return found

    def _inside(self, entry: Entry, base: Entry, scope: Scope) -> bool | None:
        """What `within` says; None where something must be read for that."""
        if scope is Scope.ONE:
            return entry.parent == base.id
        if scope is Scope.CHILDREN and entry.id == base.id:
            return False
        return True if not base.parent else self._cache.under_if_known(entry, base.id)

    async def _walk(self, base: Entry, scope: Scope) -> AsyncIterator[list[Entry]]:
        after = 0
        whole = scope is not Scope.ONE
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
        since = self._cache.generation
        few = await self._few(lookups)
        for lookup in lookups:
            ids = self._cache.lookups.of(lookup.key).get(lookup)
            if ids is None:
                before, ids = since, few.get(lookup)
                if ids is None:
                    before = self._cache.generation
                    ids = await self._look(lookup)
                if len(ids) > MOST_FOUND:
                    return None
                if before == self._cache.generation and len(ids) <= MOST_KEPT:
                    # Ascending, whoever found them: what is at hand comes in the order of what is found.
                    self._cache.lookups.keep(lookup.key, lookup, tuple(sorted(ids)))
            found.update(dict.fromkeys(ids))
        return sorted(found) if len(found) > 1 else list(found)

    async def _few(self, lookups: Iterable[Lookup]) -> dict[Lookup, tuple[EntryId, ...]]:
        """Of beginnings, what is found where that is few: a name is asked for in five attributes at once,
        and one read for all of them costs less than a way through a thread for each."""
        known = self._cache.lookups
        asked = [each for each in lookups if each.how == "starting" and each not in known.of(each.key)]
        if not asked:
            return {}
        pairs = [(lookup.key, lookup.text) for lookup in asked]
        ids = await self._db.read_few(entry_index.starting_each, pairs, MOST_KEPT + 1)
        return {each: tuple(some) for each, some in zip(asked, ids, strict=True) if len(some) <= MOST_KEPT}

    async def _look(self, lookup: Lookup) -> tuple[EntryId, ...]:
        most = MOST_FOUND + 1
        key = lookup.key
        match lookup.how:
            case "equal":
                return tuple(await self._db.read_few(entry_index.equal, key, lookup.text, most))
            case "starting":
                return tuple(await self._db.read(entry_index.starting, key, lookup.text, most))
            case "containing":
                return tuple(await self._cache.pools.containing(key, lookup.text, most))
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
