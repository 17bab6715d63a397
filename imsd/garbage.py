"""Cyclic garbage, collected in pauses that nobody notices.

Almost everything is freed by its reference count; the collector is for cycles. A full collection walks
every object that lives, a tenth of a second for a million, and stops the reactor for so long.

1. What was made until the server is up stays for its life: it is frozen, the collector does not look.
2. What survived a full collection is frozen too: the next one walks only what came since.
3. A frozen cycle that dies is not found. So now and then everything is thawed, and the next full
   collection walks all of it: one pause in `THAW` seconds, not one in every few thousand messages.
"""

from __future__ import annotations

import gc
from typing import Any, Final

from twisted.internet.task import LoopingCall

THAW: Final = 1800.0
"""Seconds between two collections that walk everything."""

THRESHOLDS: Final = (20_000, 5, 200)
"""A collection of the middle walks what 100,000 objects left: a few milliseconds."""


class Garbage:
    """How this process collects, from `start` to `stop`."""

    def __init__(self, clock: Any) -> None:
        self._thawing = LoopingCall(gc.unfreeze)
        self._thawing.clock = clock
        self._before = gc.get_threshold()

    def start(self) -> None:
        """Everything that is there now stays."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        gc.callbacks.append(self._collected)
        self._thawing.start(THAW, now=False)

    def stop(self) -> None:
        """As it was."""
        if self._thawing.running:
            self._thawing.stop()
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._before)
            gc.unfreeze()

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "stop" and info["generation"] == 2:
            gc.freeze()
