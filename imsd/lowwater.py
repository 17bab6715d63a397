"""Flush mode: no new mail while the disk is nearly full (ims_spec 1.3, DiskSpaceLowWaterMark).

Every 15 seconds the free space is looked at, in a thread: a disk that hangs must not hang us. Below the
mark new mail is refused for the time being; the queue goes on, and so does everything that makes room. Two
events tell of it, one at each end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import Refusal, StoreFull
from imsd.settings.spool import Spool
from imsd.store import space

if TYPE_CHECKING:
    from collections.abc import Callable

    from imsd.settings import LiveSettings

EVERY = 15.0


class LowWater:
    """in_thread: runs a function in a thread; told: called when it begins and ends."""

    log = Logger()

    def __init__(
        self,
        home: Path,
        settings: LiveSettings,
        reactor: Any,
        in_thread: Callable[..., Deferred[int]],
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._home = home
        self._settings = settings
        self._in_thread = in_thread
        self._told = told
        self._looking = LoopingCall(self.look)
        self._looking.clock = reactor
        self._unwatch: Callable[[], None] = lambda: None
        self.low = False
        self.free: int | None = None

    def start(self) -> None:
        self._looking.start(EVERY, now=True)
        self._unwatch = self._settings.on_change(self._decide)

    def stop(self) -> None:
        self._unwatch()
        if self._looking.running:
            self._looking.stop()

    async def look(self) -> None:
        try:
            self.free = await self._in_thread(space.free, self._home)
        except (OSError, Refusal) as error:
            self.log.warn("free space of {home} cannot be read: {why}", home=str(self._home), why=str(error))
            return
        self._decide()

    def _decide(self) -> None:
        mark = self._settings[Spool].low_water_bytes
        low = self.free is not None and self.free < mark
        if low == self.low:
            return
        self.low = low
        if low:
            self.log.warn(
                "flush mode: {free} bytes are free below {home}, spool.low_water_bytes is {mark}; no new "
                "mail is taken until there are more",
                free=self.free, home=str(self._home), mark=mark, event_id=3018,
            )  # fmt: skip
        else:
            self.log.warn(
                "flush mode is over: {free} bytes are free below {home}; mail is taken again",
                free=self.free, home=str(self._home), event_id=3019,
            )  # fmt: skip
        self._told()

    def check(self) -> None:
        """May new mail come in? Raises StoreFull."""
        if self.low:
            raise StoreFull

    def warnings(self) -> list[str]:
        if not self.low:
            return []
        return [f"flush mode: only {self.free} bytes are free below {self._home}, no new mail is taken"]

    def describe(self) -> dict[str, Any]:
        """For `imsctl status`."""
        return {
            "free_bytes": self.free,
            "low_water_bytes": self._settings[Spool].low_water_bytes,
            "flush_mode": self.low,
        }
