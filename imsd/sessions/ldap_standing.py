"""Whose an LDAP session is, and what he may: derived again whenever that may have changed.

Rights are derived anew whenever anything in the directory changed that they may rest on (rule 18): an
identity holds an account, never a right. One whose account is gone, disabled, or has another password finds
itself refused with the next request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from imsd.auth import protocols
from imsd.auth.account import Account
from imsd.auth.authenticator import Authenticator
from imsd.auth.rights import RightsWatch
from imsd.directory import searchrights
from imsd.directory.access import ANONYMOUS, Viewer, viewer_of
from imsd.directory.attributes import Visible
from imsd.directory.directory import Directory
from imsd.directory.search import Search
from imsd.errors import ChangePasswordFirst, NotPermitted
from imsd.settings import LiveSettings
from imsd.settings.directory import Ldap
from imsd.store import credentials
from imsd.store.ids import EntryId
from protocols.ldap.interfaces import SearchLimits
from protocols.security import Security


class Standing:
    """One account, or (None) whoever is not bound."""

    def __init__(
        self,
        directory: Directory,
        settings: LiveSettings,
        authenticator: Authenticator,
        account: Account | None,
        security: Security,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._authenticator = authenticator
        self._account = account
        self._security = security
        self._derived = -1
        self._viewer = ANONYMOUS
        self._page: Ldap | None = None
        """The settings that `_limits` are of."""
        self._limits = SearchLimits()
        self._persistent = 0
        self._ended: Callable[[], None] | None = None
        self._watch: RightsWatch | None = None

    def watch(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._look()

    def leave(self) -> None:
        self._ended = None
        self._look_away()

    def _look(self) -> None:
        if self._account is not None and self._ended is not None and self._watch is None:
            self._watch = self._authenticator.watch_rights(self._account, self._moved)

    def _look_away(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def _moved(self, account: Account | None) -> None:
        ended = self._ended
        off = account is not None and not protocols.page_for(self._settings, Ldap, account.protocols).enabled
        if (account is None or off) and ended is not None:
            self.leave()
            ended()

    @property
    def limits(self) -> SearchLimits:
        page = self._settings[Ldap]
        if page is not self._page:
            paged = page.size_limit if self._account is None else page.paged_limit
            self._page, self._limits = page, SearchLimits(page.size_limit, paged, page.time_limit)
        return self._limits

    def who_am_i(self) -> str:
        return "" if self._account is None else f"dn:{self._account.dn}"

    async def viewer(self) -> Viewer:
        """Who looks, as the directory stands now. Raises NotPermitted for one who may not, or no more."""
        if self._account is not None and self._account.must_change:
            raise ChangePasswordFirst
        return await self._present()

    async def _present(self) -> Viewer:
        """The same, for setting one's own password, too."""
        standing = self._directory.cache.standing
        if standing != self._derived:
            self._viewer = await self._derive()
            self._derived = standing
        return self._viewer

    async def _derive(self) -> Viewer:
        account = self._account
        if account is None:
            if not self._settings[Ldap].anonymous:
                raise NotPermitted("Anonymous access is off")
            return await self._holding(ANONYMOUS)
        for person_id in {account.id, account.actor}:
            person = await self._directory.person(person_id)
            if person is None or person.disabled:
                raise NotPermitted("The account is not there any more")
            protocols.check(self._settings, "LDAP", person.protocols)
        actor = EntryId(account.actor)
        if await self._directory.db.read_few(credentials.generation, actor) != account.generation:
            raise NotPermitted("The password was changed: bind again")
        entry = await self._directory.cache.entry(account.entry)
        viewer = viewer_of(entry)
        # Who acts for another has that one's rights, but never an administrator's.
        own = account.actor == account.id
        return await self._holding(viewer if own else replace(viewer, level=Visible.AUTHENTICATED))

    async def _holding(self, viewer: Viewer) -> Viewer:
        """With the containers that are shut to him; many rows may have to be read for that."""
        db = self._directory.db
        if viewer.level is Visible.ADMINISTRATOR or not await db.read_few(searchrights.limited):
            return viewer
        return await db.read(searchrights.holding, viewer)

    async def _search(self) -> Search:
        directory = self._directory
        search = Search(directory.db, directory.cache, directory.policy, await self.viewer())
        page = self._settings[Ldap]
        search.substring, search.look_through = page.substring, page.look_through
        search.sort_limit = page.sort_limit
        return search
