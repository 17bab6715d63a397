"""From what a search asks for to what is tested and looked up, for one viewer."""

from __future__ import annotations

from dataclasses import replace

from imsd.directory import schema
from imsd.directory.access import Policy, Viewer
from imsd.directory.asserted import Prepared, by_entry, by_value, equal_to, items, names_entries
from imsd.directory.attributes import Definition, Visible
from imsd.directory.cache import Cache
from imsd.directory.narrowing import narrowed, recognised
from imsd.directory.planner import Names, Planner
from imsd.directory.sight import Sight
from imsd.directory.view import FETCHED
from imsd.errors import InvalidDN, NoSuchEntry
from imsd.store.ids import EntryId
from protocols.ldap import evaluation, filters


class Preparing(Sight):
    """substring: what the settings do to substrings (ims_spec 7.5)."""

    def __init__(self, cache: Cache, policy: Policy, viewer: Viewer) -> None:
        super().__init__(cache, policy, viewer)
        self.substring = "all"

    def prepared(self, asked: filters.Filter) -> Prepared | None:
        """What `prepare` gives, where it has lately been asked."""
        found: Prepared | None = self._cache.derived.get((asked, self._viewer, self.substring, self._policy))
        return found

    async def prepare(self, asked: filters.Filter) -> Prepared:
        """The filter, compiled and planned; kept until the next change."""
        key = (asked, self._viewer, self.substring, self._policy)
        known: Prepared | None = self._cache.derived.get(key)
        if known is not None:
            return known
        before = self._cache.generation
        made = replace(await self._prepare(asked), key=key)
        if before == self._cache.generation:
            self._cache.derived.keep(key, made)
        return made

    async def _prepare(self, asked: filters.Filter) -> Prepared:
        item = recognised(narrowed(asked, self.substring))
        names: Names = {}
        fetched: set[str] = set()
        for each in items(item):
            await self._note(each, names, fetched)
        planner = Planner(lambda wanted: self._policy.reads(self._viewer.level, wanted), names)
        test = evaluation.compiled(
            item, schema.SCHEMA, lambda leaf: by_entry(leaf, names) or by_value(leaf, self._policy)
        )
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
        value = equal_to(item)
        if value is not None and names_entries(wanted):
            try:
                names[wanted.key, value] = await self._shown(value, wanted)
            except (InvalidDN, UnicodeDecodeError):
                return  # Undefined
        else:
            fetched |= schema.covered(wanted.key) & FETCHED

    async def _shown(self, value: bytes, wanted: Definition) -> EntryId | None:
        """The entry of a DN, if the viewer may know that it is there."""
        try:
            manage, self.manage = self.manage, True
            try:
                view = await self.located(value.decode())
            finally:
                self.manage = manage
        except NoSuchEntry:
            return None
        hidden = view.entry.flag("hide-dl-membership") and view.rights is not Visible.ADMINISTRATOR
        return None if hidden and wanted.backlink_of == "member" else view.entry.id
