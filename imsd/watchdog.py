"""Logs when the reactor was kept from its work, and by what.

A timer fires every `INTERVAL`. A turn of the reactor that lasts longer than `LIMIT` keeps it from
firing for at least as long, so none goes unnoticed; what is noticed lasted at least the delay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

INTERVAL: Final = 0.010
LIMIT: Final = 0.050
"""Seconds that one turn of the reactor may take."""


class Watchdog:
    """A timer that notices when it comes late.

    doing: names what the reactor did last (the verb of a conversation).
    """

    log = Logger()

    def __init__(self, clock: IReactorTime, doing: Callable[[], str]) -> None:
        self._clock = clock
        self._doing = doing
        self._call: Any = None
        self._last = 0.0
        self.longest = 0.0
        self.late = 0

    def start(self) -> None:
        self._last = self._clock.seconds()
        self._call = self._clock.callLater(INTERVAL, self._tick)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        now = self._clock.seconds()
        passed = now - self._last
        self.longest = max(self.longest, passed - INTERVAL)
        if passed > LIMIT:
            self.late += 1
            self.log.warn(
                "the reactor was busy for {ms:.0f} ms, last with {verb}", ms=passed * 1000, verb=self._doing()
            )
        self.start()
