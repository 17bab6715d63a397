"""What exists for one viewer: entries by their names, and what aliases among them stand for.

A name that leads to what he does not see fails as one that leads nowhere does.
"""

from __future__ import annotations

from imsd.directory import referring, tree
from imsd.directory.access import Policy, Viewer, rights_class, seen_as
from imsd.directory.attributes import Visible
from imsd.directory.cache import Cache
from imsd.directory.entry import Entry, Kind
from imsd.directory.view import View
from imsd.errors import AliasProblem, HeldElsewhere, NoSuchEntry
from protocols.ldap.messages import Deref, Scope, SearchRequest

MOST_HOPS = 10
"""Aliases in one name."""


class Sight:
    """The directory before one viewer."""

    def __init__(self, cache: Cache, policy: Policy, viewer: Viewer) -> None:
        self._cache = cache
        self._policy = policy
        self._viewer = viewer
        self.manage = False
        """Whether referrals are entries like others (RFC 3296 3)."""

    def view(self, entry: Entry, suffix: int) -> View | None:
        """The entry as the viewer sees it; None if it does not exist for him."""
        viewer = self._viewer
        rights = seen_as(viewer, entry)
        if rights is None:
            return None
        return View(self._cache, self._policy, entry, rights, suffix, viewer.shut)

    def _view(self, entry: Entry, rights: Visible, suffix: int) -> View:
        return View(self._cache, self._policy, entry, rights, suffix, self._viewer.shut)

    async def located(self, name: str, scope: Scope | None = None) -> View:
        """The entry of a DN. scope: of a search that begins there.

        Raises InvalidDN, NoSuchEntry with the deepest that is seen, HeldElsewhere.
        """
        try:
            entry_id, suffix = await self._cache.locate(name)
        except NoSuchEntry as missing:
            if not missing.matched:
                raise
            await self._refer_on(missing.matched, name, scope)
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
        if entry.kind == Kind.REFERRAL and not self.manage:
            raise HeldElsewhere(*referring.urls(entry, name, "", scope))
        return view

    async def _refer_on(self, matched: str, name: str, scope: Scope | None) -> None:
        """Raises HeldElsewhere if the deepest entry of a name that is here is a referral."""
        entry = await self._cache.entry((await self._cache.locate(matched))[0])
        if entry.kind == Kind.REFERRAL and self.view(entry, 0) is not None:
            rdns, above = tree.parse(name).rdns, len(tree.parse(matched))
            below = ",".join(map(str, rdns[: len(rdns) - above]))
            raise HeldElsewhere(*referring.urls(entry, matched, below, scope))

    async def base(self, request: SearchRequest) -> View:
        """The entry that a search begins at, through aliases where that is asked for."""
        if not request.base:
            # The whole tree, under the suffix that today's clients expect.
            here = await self._cache.the_tree()
            top = await self._cache.entry(here.root)
            return self._view(top, rights_class(self._viewer, top), len(here.suffixes) - 1)
        if request.deref not in (Deref.FINDING, Deref.ALWAYS):
            return await self.located(request.base, request.scope)
        name = request.base
        for _ in range(MOST_HOPS):
            try:
                return await self.target(await self.located(name, request.scope))
            except AliasProblem:
                raise
            except NoSuchEntry as missing:
                name = await self._through(missing, name)
        raise AliasProblem

    async def _through(self, missing: NoSuchEntry, name: str) -> str:
        """A name again, with what an alias in it stands for in the place of its part.

        Raises what was missing where there is no alias.
        """
        alias = await self.located(missing.matched) if missing.matched else None
        if alias is None or alias.entry.kind != Kind.ALIAS:
            raise missing
        target = await self.target(alias)
        rdns = tree.parse(name).rdns
        below = rdns[: len(rdns) - len(tree.parse(missing.matched))]
        return ",".join([*map(str, below), await self._cache.dn(target.entry.id, alias.suffix)])

    async def target(self, alias: View) -> View:
        """What an alias stands for (RFC 4511 4.5.1.3), any other entry itself. Raises AliasProblem."""
        seen = set()
        view = alias
        while view.entry.kind == Kind.ALIAS:
            targets = view.entry.row.references.get("aliasedobjectname", ())
            if not targets or view.entry.id in seen:
                raise AliasProblem
            seen.add(view.entry.id)
            found = self.view(await self._cache.entry(targets[0]), view.suffix)
            if found is None:
                raise AliasProblem
            view = found
        return view
