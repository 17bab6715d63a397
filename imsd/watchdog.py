"""Logs when the reactor was kept from its work, and by what.

A timer fires every `INTERVAL`. A turn of the reactor that lasts longer than `LIMIT` keeps it from
firing for at least as long, so none goes unnoticed; what is noticed lasted at least the delay.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

INTERVAL: Final = 0.010
LIMIT: Final = 0.050
"""Seconds that one turn of the reactor may take."""


class Watchdog:
    """A timer that notices when it comes late.

    doing: names what the reactor did last (the verb of a conversation). A collection of garbage
    is named itself, when that was it.
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, doing: Callable[[], str]) -> None:
        self._clock = clock
        self._doing = doing
        self._call: Any = None
        self._last = 0.0
        self._collecting = 0.0
        self._collected = 0.0
        self.longest = 0.0
        self.late = 0

    def start(self) -> None:
        """Begin, or go on, to watch."""
        if self._note_collection not in gc.callbacks:
            gc.callbacks.append(self._note_collection)
        self._collected = 0.0
        self._last = self._clock.seconds()
        self._call = self._clock.callLater(INTERVAL, self._tick)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._note_collection in gc.callbacks:
            gc.callbacks.remove(self._note_collection)

    def _note_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self._collected += time.perf_counter() - self._collecting

    def _tick(self) -> None:
        now = self._clock.seconds()
        passed = now - self._last
        self.longest = max(self.longest, passed - INTERVAL)
        if passed > LIMIT:
            self.late += 1
            garbage = self._collected > passed / 2
            self.log.warn(
                "the reactor was busy for {ms:.0f} ms, last with {verb}",
                ms=passed * 1000,
                verb="collecting garbage" if garbage else self._doing(),
            )
        self.start()
