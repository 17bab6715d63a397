"""Turns: who goes first among what is due.

A turn is a time. A sender's recipients get turns a second apart, so that somebody's one goes before
the rest of somebody else's hundred thousand. Urgent mail goes before what came up to an hour earlier,
non-urgent mail after what comes up to an hour later; what was tried before stands back likewise. Since
nobody's turn is before his time but for that hour, nobody waits for ever: what is not served grows old.

Turns order, they do not delay: where there is room, everything due goes at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from imsd.mail.work import HOUR

STEP = 1_000_000
"""Microseconds between two recipients of a sender."""
MOST_AHEAD = 48 * HOUR
MOST_SENDERS = 10_000


class Turns:
    """Hands out turns to what enters the queue. now: microseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._last: OrderedDict[tuple[object, int], int] = OrderedDict()

    def take(self, sender: object, priority: int, count: int) -> int:
        """The first of `count` turns, STEP apart. sender: "" for nobody, who has no place of his own."""
        time = self._now()
        if not sender:
            return time - priority * HOUR
        key = (sender, priority)
        first = max(time, min(self._last.pop(key, 0) + STEP, time + MOST_AHEAD))
        self._last[key] = first + (count - 1) * STEP
        if len(self._last) > MOST_SENDERS:
            self._last.popitem(last=False)
        return first - priority * HOUR


def again(due: int, priority: int) -> int:
    """The turn of what is tried another time."""
    return due + HOUR - priority * HOUR
