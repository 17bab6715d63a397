"""Flow limits: when enough waits to leave, what comes after is accepted and kept back (ims_spec 3.5).

1. The limit closes the gate for the back-off interval, the gate is looked at again then. Whoever submits
   notices nothing; reports are not kept back.
2. What is kept back is parked. It starts, the oldest first, as there is room; what was kept back longer
   than max_unread_min is returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imsd.settings.scheduling import Flow
from imsd.store import spool

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.database import Database

MINUTE = 60_000_000
WHY = "Kept back: enough waits to leave (ims.flow.unread_limit)"
TOO_LATE = "It was kept back for too long (ims.flow.max_unread_min)"


class FlowGate:
    """now: microseconds."""

    def __init__(self, db: Database, settings: LiveSettings, now: Callable[[], int]) -> None:
        self._db = db
        self._settings = settings
        self.now = now
        self._closed_until = 0

    async def closed(self) -> bool:
        """Is what comes now kept back?"""
        return await self.room() <= 0

    async def room(self) -> int:
        """How many recipients may start now; many where there is no limit."""
        limit = self._settings[Flow].unread_limit
        if not limit:
            return spool.SLICE
        if self.now() < self._closed_until:
            return 0
        room = limit - await self._db.read_few(spool.leaving, limit)
        if room <= 0:
            self._closed_until = self.now() + int(max(1.0, self._settings[Flow].backoff_min) * MINUTE)
        return room

    def overdue(self, each: spool.Parked) -> bool:
        """Is it to be returned?"""
        minutes = self._settings[Flow].max_unread_min
        return each.why == WHY and minutes > 0 and self.now() - each.arrived >= minutes * MINUTE
