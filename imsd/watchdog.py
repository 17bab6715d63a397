"""Logs when the reactor was kept from its work, and by what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

INTERVAL: Final = 0.25
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
        self._due = 0.0
        self.longest = 0.0
        self.late = 0

    def start(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._call = self._clock.callLater(INTERVAL, self._tick)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _tick(self) -> None:
        delay = self._clock.seconds() - self._due
        self.longest = max(self.longest, delay)
        if delay > LIMIT:
            self.late += 1
            self.log.warn(
                "the reactor was busy for {ms:.0f} ms, last with {verb}", ms=delay * 1000, verb=self._doing()
            )
        self.start()
