"""Sessions of the relay, added up in memory and written a few seconds later (RFC 8460 4.3).

A stop writes what is left; a crash loses the last seconds of counting, and nothing else.
"""

from __future__ import annotations

from collections import Counter as Numbers
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.settings.tls_reports import TlsReports
from imsd.store import tls_results as rows
from imsd.store.tls_results import DAY, Result

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.database import Database

SECONDS: Final = 5.0
MOST: Final = 2_000
"""Kinds of session that are kept in memory; then they are written at once, or not counted."""
BATCH: Final = 50


class Counter:
    """Call it with each result. now: microseconds."""

    log = Logger()

    def __init__(self, db: Database, settings: LiveSettings, reactor: Any, now: Callable[[], int]) -> None:
        self._db = db
        self._settings = settings
        self._reactor = reactor
        self._now = now
        self._counts: Numbers[Result] = Numbers()
        self._timer: Any = None

    def __call__(self, result: Result) -> None:
        if not self._settings[TlsReports].count:
            return
        result = replace(result, day=self._now() // DAY)
        if len(self._counts) >= MOST and result not in self._counts:
            return
        self._counts[result] += 1
        if self._timer is None:
            self._timer = self._reactor.callLater(SECONDS, self._write)

    def _write(self) -> None:
        self._timer = None
        writing = Deferred.fromCoroutine(self.flush())
        writing.addErrback(lambda failure: self.log.failure("results of TLS could not be counted", failure))

    async def flush(self) -> None:
        """Write what was counted."""
        counts, self._counts = self._counts, Numbers()
        waiting = list(counts.items())
        while waiting:
            try:
                await self._db.write(rows.count, waiting[:BATCH])
            except Refusal as refusal:
                self.log.info("results of TLS are kept in memory: {why}", why=refusal.text)
                for result, count in waiting[: MOST - len(self._counts)]:
                    self._counts[result] += count
                return
            del waiting[:BATCH]

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.flush()
