"""What plug-ins are told that no other part tells: changes of the directory, and events of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger, formatEvent, globalLogPublisher

from imsd.errors import Refusal
from imsd.plugins.values import Changed, Logged
from imsd.store.changes import DIRECTORY, Change, EntriesChanged

if TYPE_CHECKING:
    from imsd.directory.cache import Cache
    from imsd.plugins.plugins import Plugins
    from imsd.store.database import Database, Watch

OWN: Final = frozenset({20_020, 20_024, 20_025})
"""Events of plug-ins: what a plug-in does must not be told to plug-ins without end."""
MOST: Final = 100
"""Entries that are named; a change of more may be of any."""
LONGEST: Final = 4_000
"""Characters of what the log says."""


class Watcher:
    """Watches from `start` to `stop`."""

    log = Logger()

    def __init__(self, plugins: Plugins, db: Database, cache: Cache, reactor: Any) -> None:
        self._plugins = plugins
        self._db = db
        self._cache = cache
        self._reactor = reactor
        self._watch: Watch | None = None

    def start(self) -> None:
        self._watch = self._db.feed.watch(DIRECTORY, self._changed)
        globalLogPublisher.addObserver(self._heard)  # type: ignore[arg-type]

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
            globalLogPublisher.removeObserver(self._heard)  # type: ignore[arg-type]

    def _heard(self, event: Any) -> None:
        """In whatever thread something is logged."""
        number = event.get("event_id")
        if number is not None and number not in OWN and self._plugins.wants("logged"):
            text = formatEvent(event)[:LONGEST]
            self._reactor.callFromThread(self._plugins.tell, "logged", Logged(number, text))

    def _changed(self, change: Change) -> None:
        if not self._plugins.wants("directory_changed"):
            return
        if isinstance(change, EntriesChanged) and len(change.ids) <= MOST:
            naming = Deferred.fromCoroutine(self._name(change))
            naming.addErrback(lambda failure: self.log.failure("changed entries cannot be named", failure))
        else:
            self._plugins.tell("directory_changed", Changed(everything=True))

    async def _name(self, change: EntriesChanged) -> None:
        found, gone = [], 0
        for each in change.ids:
            try:
                found.append(await self._cache.dn(each))
            except Refusal:
                gone += 1
        self._plugins.tell("directory_changed", Changed(tuple(found), gone))
