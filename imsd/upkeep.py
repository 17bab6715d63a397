"""What the store does for itself while the server runs: a sweep after the start, then small rounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.duties import Duties
from imsd.store import housekeeping
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.tables import now

ROUND: Final = 60.0
"""Seconds between rounds."""


class Upkeep:
    """Runs `imsd.store.housekeeping`; a round that fails is logged and the next one comes.

    duties: of nodes that share a database one does it, and each its own sweep. purge: what else is done in
    each round."""

    log = Logger()

    def __init__(
        self, db: Database, blobs: Blobs, duties: Duties, purge: Callable[[], Awaitable[object]], reactor: Any
    ) -> None:
        self._db = db
        self._duties = duties
        self._purge = purge
        self._blobs = blobs
        self._swept = False
        self.rounds = 0
        self._round: Deferred[None] | None = None
        self._loop = LoopingCall(self._begin)
        self._loop.clock = reactor

    def start(self) -> None:
        """Begin with what a crash may have left."""
        self._loop.start(ROUND)

    def stop(self) -> None:
        """No further round; the one under way ends before its next step."""
        if self._loop.running:
            self._loop.stop()
        if self._round is not None:
            self._round.cancel()

    def _begin(self) -> Deferred[None]:
        self._round = Deferred.fromCoroutine(self._tidy())
        return self._round.addBoth(self._ended)

    async def _tidy(self) -> None:
        if not self._swept:
            self._swept = True
            count = await self._blobs.sweep()
            if count:
                self.log.info("removed {count} files that a crash had left", count=count)
        if await self._duties.has("upkeep"):
            await self._purge()
            await housekeeping.tidy(self._db, self._blobs, now())
        self.rounds += 1

    def _ended(self, outcome: Any) -> None:
        self._round = None
        if outcome is not None and outcome.check(CancelledError) is None:
            self.log.failure("upkeep of the store failed; it is tried again", outcome)
