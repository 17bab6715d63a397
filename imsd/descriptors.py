"""Open files: as many as the system allows, and never all of them for connections.

Whoever connects takes a descriptor, and another while a large message of his is written. Were all of
them taken, large content could be neither stored nor read, and no mail could leave: people who are
logged in would suffer from strangers who only connect. So connections have a part of the limit alone,
however many the settings allow.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

MOST: Final = 131_072
"""Descriptors that are asked for: every port may have ten thousand connections."""
OWN: Final = 256
"""Descriptors of the store, its readers, the listeners and the processes beside."""
PAUSE: Final = 60.0
"""Seconds between two lines of the log."""


def raise_limit() -> int:
    """Have as many descriptors as the system allows without privileges; how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY:
        return MOST
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft  # A sandbox forbids it.
        return wanted
    return soft


def for_connections(limit: int) -> int:
    """Connections that may be open at once where there are so many descriptors."""
    return max(1, (limit - min(OWN, limit // 4)) // 2)


class Room:
    """Whether one connection more may be taken, on whatever port."""

    log = Logger()

    def __init__(self, limit: int, opened: Callable[[], int], clock: Callable[[], float]) -> None:
        """limit: descriptors. opened: connections that are open. clock: seconds."""
        self.connections = for_connections(limit)
        self._limit = limit
        self._opened = opened
        self._clock = clock
        self._told = -PAUSE

    def __call__(self) -> bool:
        if self._opened() < self.connections:
            return True
        now = self._clock()
        if now - self._told >= PAUSE:
            self._told = now
            self.log.warn(
                "connections are turned away: {count} are open, half of the {limit} files that this process "
                "may have open (LimitNOFILE= of the unit, ulimit -n)",
                count=self.connections,
                limit=self._limit,
            )
        return False
