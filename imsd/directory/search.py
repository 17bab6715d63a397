"""Searching: what a filter finds below a base, for one viewer.

A search is an asynchronous generator of encoded entries; b"" between them is a place to rest,
given at least every few dozen entries looked at, so that nobody waits. Its steps:

    base      located in either suffix; the answers are named under the same one (`sight`)
    filter    what the settings do to substrings; DN assertions become entries (`asserted`)
    plan      lookups in the index, or a walk of the scope in pages (`scopes`)
    evaluate  each entry as the viewer sees it, then encode it
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

from imsd.directory import referring, schema, tree
from imsd.directory.access import Policy, Viewer
from imsd.directory.asserted import Prepared, equal_to, follows, names_entries
from imsd.directory.cache import Cache
from imsd.directory.conditions import Check, asserting
from imsd.directory.entry import Entry, Kind
from imsd.directory.matched import Matched, translated
from imsd.directory.preparing import Preparing
from imsd.directory.scopes import PAGE, Scopes
from imsd.directory.sorting import CannotSort, Order, Sorted, Sorter, window
from imsd.directory.synchronizing import Content, Synchronization
from imsd.directory.view import FOLLOWING, MOVING, View, keys_of
from imsd.errors import AssertionFailed, InvalidDN, LimitReached, NoSuchEntry
from imsd.store import entry_index
from imsd.store.database import Database
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from protocols.ldap import filters
from protocols.ldap.controls import NONE, Controls, sort_control, view_control
from protocols.ldap.messages import Control, Deref, Scope, SearchRequest
from protocols.ldap.responses import encode_reference
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.selection import selection
from protocols.ldap.syncing import Answer

FEW = 16
"""Entries evaluated between two rests: well under a millisecond's work."""
MOST_ALIASES = 1_000

Show = Callable[[View], Awaitable[bytes]]
"""How an entry is encoded."""


def _ignored(control: Control) -> None:
    """A note that nobody takes."""


class Search(Preparing):
    """Searches for one viewer, as the settings stand."""

    def __init__(self, db: Database, cache: Cache, policy: Policy, viewer: Viewer) -> None:
        super().__init__(cache, policy, viewer)
        self._db = db
        self._scopes = Scopes(db, cache)
        self.look_through = 1_000_000
        self.sort_limit = 100_000

    # Searching -----------------------------------------------------------------------

    async def run(
        self, request: SearchRequest, controls: Controls = NONE, note: Callable[[Control], None] = _ignored
    ) -> AsyncGenerator[bytes | list[bytes] | Answer, None]:
        """note: takes the controls that the end of the search carries.

        Raises InvalidDN, NoSuchEntry, LimitReached, AssertionFailed, Failed.
        """
        self.manage = controls.manage_dsa_it
        if controls.fresh:
            await self._cache.catch_up()
        base = await self.base(request)
        prepared = await self.prepare(request.filter)
        if request.scope is not Scope.BASE and not self.manage and not controls.subentries:
            for reference in await self._references(base, request.scope):
                yield reference
        if controls is NONE:
            chosen, types_only = selection(request.attributes), request.types_only
            async for batch in self._matching(request, base, prepared):
                if batch:
                    yield [await view.encode(chosen, types_only) for view in batch]
                yield b""
            return
        if controls.assertion is not None:
            await self.assert_that(base, controls.assertion)
        if controls.subentries:
            return  # RFC 3672 3: subentries alone, and below our names there are none
        show = await self._showing(request, controls)
        if controls.sync is not None or controls.persistent is not None:
            async for each in self._following(request, controls, base, prepared, show, note):
                yield each
            return
        if controls.sort:
            async for answer in self._in_order(request, controls, base, prepared, show, note):
                yield answer
            return
        async for batch in self._matching(request, base, prepared):
            for view in batch:
                yield await show(view)
            yield b""

    def at_hand(self, request: SearchRequest) -> list[bytes] | None:
        """All that `run` gives without controls, where that is a few entries that are in memory with all that
        is asked of them: most searches are for one entry or ten. None where it is to be run."""
        cache = self._cache
        located = cache.located(request.base)
        prepared = self.prepared(request.filter)
        if located is None or prepared is None:
            return None
        if request.deref is not Deref.NEVER and not self._has_none_of_class("alias"):
            return None
        start = cache.entries.get(located[0])
        base = None if start is None else self.view(start, located[1])
        if start is None or base is None or start.kind == Kind.REFERRAL or prepared.fetched:
            return None
        scope = request.scope
        some = [start] if scope is Scope.BASE else self._scopes.at_hand(start, scope, prepared.plan)
        if some is None or len(some) > min(FEW, self.look_through):
            return None
        if scope is not Scope.BASE and not self._has_none_of_class("referral"):
            return None
        way = base.way(selection(request.attributes), request.types_only)
        suffix, test, shown = base.suffix, prepared.test, cache.encoded.of
        answers = []
        for entry in some:
            view = self.view(entry, suffix)
            if view is not None and test(view):
                encoded = shown(entry.id).get(way + view.rights)
                if encoded is None:
                    return None
                answers.append(encoded)
        return answers

    async def _of_class(self, name: str, most: int) -> list[EntryId]:
        """Entries of an object class of which there are few, mostly none."""
        key = ("class", name)
        known: list[EntryId] | None = self._cache.derived.get(key)
        if known is None:
            before = self._cache.generation
            known = await self._db.read_few(entry_index.equal, "objectclass", name, most)
            if before == self._cache.generation:
                self._cache.derived.keep(key, known)
        return known

    def _has_none_of_class(self, name: str) -> bool:
        """Is it known that there are none?"""
        known: list[EntryId] | None = self._cache.derived.get(("class", name))
        return known is not None and not known

    async def _references(self, base: View, scope: Scope) -> list[bytes]:
        """Continuations for the referrals in a scope, whatever the filter is (RFC 3296 5.4)."""
        ids = await self._of_class("referral", referring.MOST)
        made = []
        for entry in await self._cache.many(ids) if ids else ():
            if entry.kind != Kind.REFERRAL or self.view(entry, 0) is None:
                continue
            if await self._scopes.within(entry, base.entry, scope):
                name = await self._cache.dn(entry.id, base.suffix)
                urls = referring.urls(entry, name, "", referring.continued(scope))
                made.append(encode_reference(url.encode() for url in urls))
        return made

    async def _matching(
        self, request: SearchRequest, base: View, prepared: Prepared
    ) -> AsyncGenerator[list[View], None]:
        """Entries that the filter is True of, in batches; an empty one is a place to rest."""
        follow = request.deref in (Deref.SEARCHING, Deref.ALWAYS)
        bases = [(base, request.scope)]
        if follow and request.scope is not Scope.BASE:
            bases += await self._aliased(base, request.scope)
        given: set[EntryId] = set()
        looked = 0
        found: list[View] = []
        for start, scope in bases:
            async for batch in self._scopes.entries(start.entry, scope, prepared.plan):
                for entry in batch:
                    looked += 1
                    if not looked % FEW:
                        yield found
                        found = []
                    if entry.kind == Kind.REFERRAL and not self.manage:
                        continue
                    if follow and (entry.id in given or (entry.kind == Kind.ALIAS and scope != Scope.BASE)):
                        continue
                    view = self.view(entry, base.suffix)
                    if view is None:
                        continue
                    if prepared.fetched:
                        await view.prepare(prepared.fetched)
                    if prepared.test(view):
                        given.add(entry.id)
                        found.append(view)
                if looked > self.look_through:
                    raise LimitReached("Too many entries to look at")
                if found or len(batch) >= FEW:
                    yield found
                    found = []

    async def assert_that(self, view: View, asserted: filters.Filter) -> None:
        """Raises AssertionFailed unless the filter is True of the entry (RFC 4528)."""
        prepared = await self.prepare(asserted)
        await view.prepare(prepared.fetched)
        if prepared.test(view) is not True:
            raise AssertionFailed

    async def check(self, asserted: filters.Filter | None) -> Check | None:
        """The same for an update, to be decided in its unit."""
        if asserted is None:
            return None
        prepared = await self.prepare(asserted)
        return asserting(self._cache, self._policy, prepared.test, prepared.fetched)

    async def image(self, row: EntryRow, name: str, attributes: tuple[str, ...]) -> bytes | None:
        """An entry as a row of an update shows it (RFC 4527), named like the request's name."""
        here = await self._cache.the_tree()
        _, suffix = here.locate(tree.parse(name))
        entry = Entry(row)
        view = self.view(entry, suffix)
        if view is None:
            return None
        above = await self._cache.dn(row.parent, suffix) if row.parent else ""
        called = f"{entry.rdn},{above}" if above else here.name("", suffix)
        view.hold("entrydn", (called.encode(),))
        return await view.render(selection(attributes), name=called.encode())

    async def _showing(self, request: SearchRequest, controls: Controls) -> Show:
        """How an entry is encoded: whole, or with the values that match (RFC 3876)."""
        chosen, types_only = selection(request.attributes), request.types_only
        asked = controls.matched_values
        asked_for = chosen.operational or not FOLLOWING.isdisjoint(keys_of(chosen))
        copied = controls.sync is not None and asked_for
        if asked is None or types_only or request.attributes == ("1.1",):
            if copied:
                return lambda view: view.render(chosen, types_only, copied=True)
            return lambda view: view.encode(chosen, types_only)
        names: dict[bytes, bytes] = {}
        for item in asked:
            value, wanted = equal_to(item), schema.definition(getattr(item, "attribute", None) or "")
            if value is not None and wanted is not None and names_entries(wanted):
                try:
                    entry_id, suffix = await self._cache.locate(value.decode())
                except (InvalidDN, NoSuchEntry, UnicodeDecodeError):
                    continue
                base_suffix = (await self.base(request)).suffix
                if suffix != base_suffix:
                    names[value] = (await self._cache.dn(entry_id, base_suffix)).encode()
        matched = Matched(translated(asked, names))
        return lambda view: view.render(chosen, False, matched, copied=copied)

    # Following changes -------------------------------------------------------------------

    async def _following(
        self,
        request: SearchRequest,
        controls: Controls,
        base: View,
        prepared: Prepared,
        show: Show,
        note: Callable[[Control], None],
    ) -> AsyncGenerator[bytes | Answer, None]:
        """RFC 4533, and persistent searches."""
        if request.deref in (Deref.SEARCHING, Deref.ALWAYS):
            raise Failed(ResultCode.PROTOCOL_ERROR, "Aliases are not followed (RFC 4533 3.5.2)")
        moves = follows(request.filter)
        if moves and controls.sync is not None and controls.sync.persist:
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "What follows from other entries is not followed")
        where = base.entry.id

        async def still() -> None:
            if (await self.base(request)).entry.id != where:
                raise NoSuchEntry("The base is another entry now")

        async def again(ids: list[EntryId]) -> list[View]:
            now = await self.prepare(request.filter)
            found = []
            for entry in await self._cache.many(ids):
                view = self.view(entry, base.suffix)
                if view is None or not await self._scopes.within(entry, base.entry, request.scope):
                    continue
                await view.prepare(now.fetched)
                if now.test(view):
                    found.append(view)
            return found

        of = replace(request, size_limit=0, time_limit=0)
        viewer = self._viewer
        who = (viewer.entry, viewer.level, sorted(viewer.shut))
        mark = repr((of, controls.matched_values, who, self.substring, self._policy.changed))
        found = lambda: self._matching(request, base, prepared)  # noqa: E731
        content = Content(mark, found, show, again, still, not moves)
        answers = Synchronization(self._db, self._cache, content, controls, note).run()
        try:
            async for answer in answers:
                yield answer
        finally:
            await answers.aclose()

    # In order --------------------------------------------------------------------------

    async def _in_order(
        self,
        request: SearchRequest,
        controls: Controls,
        base: View,
        prepared: Prepared,
        show: Show,
        note: Callable[[Control], None],
    ) -> AsyncGenerator[bytes, None]:
        """Sorted (RFC 2891), whole or in a window (draft vlv-09); unsorted where that may be."""
        asked = controls.view
        try:
            order = Order(controls.sort)
            ordered: list[Sorted] | None = None
            key = (prepared.key, self._viewer, base.entry.id, request.scope, request.deref, controls.sort)
            if asked is not None:
                ordered = self._cache.ordered.get(key)
            if ordered is None:
                before = self._cache.generation
                ordered = []
                async for some in self._sorted(request, base, prepared, order):
                    ordered += some
                    yield b""
                moving = not MOVING.isdisjoint(order.fetched | prepared.fetched)
                if asked is not None and before == self._cache.generation and not moving:
                    self._cache.ordered.keep(key, ordered)
        except CannotSort as error:
            note(sort_control(error.result, error.attribute))
            if asked is not None:
                note(view_control(0, 0, error.result))
            if controls.sort_critical or asked is not None:
                # RFC 2891 2: a critical sort that cannot be done; and a list view is nothing without.
                raise Failed(ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, "Cannot sort by this") from None
            async for batch in self._matching(request, base, prepared):
                for view in batch:
                    yield await show(view)
                yield b""
            return
        note(sort_control(ResultCode.SUCCESS))
        start, stop = 0, len(ordered)
        if asked is not None:
            try:
                part = window(asked, ordered, order)
            except CannotSort as error:
                note(view_control(0, len(ordered), error.result))
                raise Failed(error.result, "No such place in the list") from None
            start, stop = part.start, part.stop
            note(view_control(part.position, part.count, ResultCode.SUCCESS))
        for at in range(start, stop, PAGE):
            listed = await self._cache.many([each[1] for each in ordered[at : min(at + PAGE, stop)]])
            for number, entry in enumerate(listed, 1):
                again = self.view(entry, base.suffix)
                if again is not None:
                    yield await show(again)
                if not number % FEW:
                    yield b""

    async def _sorted(
        self, request: SearchRequest, base: View, prepared: Prepared, order: Order
    ) -> AsyncGenerator[list[Sorted], None]:
        """The whole answer in order; empty lists are places to rest. Raises CannotSort."""
        sorter = Sorter()
        async for batch in self._matching(request, base, prepared):
            for view in batch:
                if order.fetched:
                    await view.prepare(order.fetched)
                sorter.add(order.of(view), view.entry.id)
            if sorter.count > self.sort_limit:
                raise CannotSort(ResultCode.ADMIN_LIMIT_EXCEEDED)
            yield []
        for some in sorter.slices():
            yield some

    async def _aliased(self, base: View, scope: Scope) -> list[tuple[View, Scope]]:
        """More places to search: what aliases in the scope stand for, and aliases there."""
        aliases = await self._of_class("alias", MOST_ALIASES)
        found: list[tuple[View, Scope]] = []
        waiting = [(base, scope)]
        seen = {base.entry.id}
        while waiting:
            start, within = waiting.pop()
            for alias in await self._cache.many(aliases):
                view = self.view(alias, base.suffix)
                if view is None or not await self._scopes.within(alias, start.entry, within):
                    continue
                try:
                    target = await self.target(view)
                except NoSuchEntry:
                    continue
                if target.entry.id not in seen:
                    seen.add(target.entry.id)
                    place = (target, Scope.BASE if within is Scope.ONE else Scope.SUBTREE)
                    found.append(place)
                    if within is not Scope.ONE:
                        waiting.append(place)
        return found
