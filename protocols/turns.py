"""Turns of the reactor, shared by all whose work takes more than a slice.

Each works for a slice and asks for another turn. Were all of them served in the next turn of the
reactor, twenty busy sessions would keep it for twenty slices, and whoever asks for little would
wait for as long. So those who wait are served in the order they asked, a few milliseconds' worth in
each turn of the reactor, and input is looked at in between.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred

SHARE: Final = 0.004
"""Seconds of one turn of the reactor for those who go on with long work."""


class _Turns:
    """Who waits for a turn of one reactor."""

    def __init__(self) -> None:
        self._waiting: deque[Deferred[None]] = deque()
        self._scheduled = False

    def ask(self, clock: Any) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        self._schedule(clock)
        return turn

    def _schedule(self, clock: Any) -> None:
        if not self._scheduled:
            self._scheduled = True
            clock.callLater(0, self._serve, clock)

    def _serve(self, clock: Any) -> None:
        self._scheduled = False
        until = clock.seconds() + SHARE
        try:
            # Who asks again meanwhile is served in another turn.
            for _ in range(len(self._waiting)):
                turn = self._waiting.popleft()
                if not turn.called:  # cancelled
                    turn.callback(None)
                    if clock.seconds() > until:
                        break
        finally:
            if self._waiting:
                self._schedule(clock)


_of: WeakKeyDictionary[Any, _Turns] = WeakKeyDictionary()


def another_turn(clock: Any) -> Deferred[None]:
    """Fires in a turn of the reactor soon. clock: the reactor."""
    turns = _of.get(clock)
    if turns is None:
        turns = _of[clock] = _Turns()
    return turns.ask(clock)
