"""HOME/routes.txt is kept up to date: what routes mail now, written when settings change (ims_spec 1.3).

It is for people, and for comparing: nothing reads it. `imsctl route show` tells the same of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.settings.connectors import Connector, Ims
from imsd.settings.routing import Rerouting, Restrictions
from imsd.store import routes_file

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.connectors import Connectors
    from imsd.settings import LiveSettings
    from imsd.store.database import Database


class RoutesFile:
    """Writes it at start and after each change, one writing at a time."""

    log = Logger()

    def __init__(
        self, db: Database, settings: LiveSettings, directory: Directory, connectors: Connectors
    ) -> None:
        self._db = db
        self._settings = settings
        self._directory = directory
        self._connectors = connectors
        self._writing: Deferred[None] | None = None
        self._again = False
        settings.on_change(self.write)

    def write(self) -> None:
        """Have it written, soon."""
        self._again = self._writing is not None
        if self._writing is None:
            self._writing = Deferred.fromCoroutine(self._write())
            self._writing.addErrback(self._failed)
            self._writing.addCallback(self._written)

    async def _write(self) -> None:
        await self._db.in_thread(routes_file.write, self._db.home, self.text())

    def _failed(self, failure: Any) -> None:
        self.log.warn("routes.txt could not be written: {why}", why=failure.getErrorMessage())

    def _written(self, _: None) -> None:
        self._writing = None
        if self._again:
            self.write()

    async def idle(self) -> None:
        """Wait until it is written."""
        while self._writing is not None:
            waiting: Deferred[None] = Deferred()
            self._writing.addCallback(waiting.callback)
            await waiting

    def text(self) -> str:
        """What it says."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        page, lists, ims = (self._settings[kind] for kind in (Rerouting, Restrictions, Ims))
        assert isinstance(page, Rerouting) and isinstance(lists, Restrictions) and isinstance(ims, Ims)
        domains = self._directory.domains
        yield f"mode {page.mode}" + (f", plug-in {page.plugin}" if page.plugin else "")
        yield "\n# E-mail sent to this domain"
        rows = {row.domain: f"{row.action}{', override' if row.override else ''}" for row in page.table}
        for name in domains.served:
            if name not in rows:
                rows.setdefault(f"#{name}", "inbound (addressing)")
        for pattern, action in sorted(rows.items(), key=lambda row: row[0].lstrip("#*.")):
            yield f"{pattern} {action}"
        for pattern, address in domains.catch_all.patterns.items():
            yield f"{pattern} catch-all {address}"
        for pattern, host in domains.shared.patterns.items():
            yield f"{pattern} shared with {host}"
        yield "\n# Who may have other mail sent on"
        for name, value in lists.model_dump(mode="json").items():
            yield f"{name} {', '.join(value) if isinstance(value, list) else value}".rstrip()
        yield f"allow_open_relay {page.allow_open_relay}"
        for connector in self._connectors.all:
            yield from _connector(connector)
        if ims.domains:
            yield "\n# Specify by e-mail domain"
        for each in ims.domains:
            yield f"{each.domain} {each.route}" + (f", port {each.port}" if each.port else "")


def _connector(one: Connector) -> Iterator[str]:
    way = one.delivery
    how = ", ".join(way.smart_hosts) if way.mode == "smarthost" else "dns"
    yield f"\n# Connector {one.name}: {one.transfer_mode}, {how}" + (f", link {way.link}" if way.link else "")
    for space in one.address_space:
        via = f", via {space.via}" if space.via else ""
        yield f"{space.type}:{space.pattern} cost {space.cost}, {space.scope}{via}"
    for site in one.connected_sites:
        name = "/".join(filter(None, (site.organization, site.site)))
        yield f"site {name} cost {site.cost}, {site.address}"
    for word in ("accept_from", "reject_from"):
        for who in getattr(one.restrict, word):
            yield f"{word} {who}"
