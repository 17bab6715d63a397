"""Turns of the reactor, shared by all whose work takes more than a slice.

Each works for a slice and asks for another turn. Were all of them served in the next turn of the
reactor, twenty busy sessions would keep it for twenty slices, and whoever asks for little would
wait for as long. So those who wait are served in the order they asked, a few milliseconds' worth in
each turn of the reactor, and input is looked at in between. What threads have found is handed over
in the same queue: it, too, sets somebody to work for a slice.

Where many wait, slices are short (`patience`), so that none waits long for the next.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred

SHARE: Final = 0.004
"""Seconds of one turn of the reactor for those who go on with long work."""

SLICE: Final = 0.002
SHORT: Final = 0.0005
"""Seconds of work before others have their turn: as a rule, and where more than `FEW` wait."""
FEW: Final = 3


class _Turns:
    """Who waits for a turn of one reactor."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Deferred[Any], Any]] = deque()
        self._scheduled = False

    def ask(self, clock: Any, turn: Deferred[Any], result: Any) -> None:
        self.waiting.append((turn, result))
        self._schedule(clock)

    def _schedule(self, clock: Any) -> None:
        if not self._scheduled:
            self._scheduled = True
            clock.callLater(0, self._serve, clock)

    def _serve(self, clock: Any) -> None:
        self._scheduled = False
        until = clock.seconds() + SHARE
        try:
            # Who asks again meanwhile is served in another turn.
            for _ in range(len(self.waiting)):
                turn, result = self.waiting.popleft()
                if not turn.called:  # cancelled
                    turn.callback(result)
                    if clock.seconds() > until:
                        break
        finally:
            if self.waiting:
                self._schedule(clock)


_of: WeakKeyDictionary[Any, _Turns] = WeakKeyDictionary()


def another_turn(clock: Any) -> Deferred[None]:
    """Fires in a turn of the reactor soon. clock: the reactor."""
    turn: Deferred[None] = Deferred()
    _turns(clock).ask(clock, turn, None)
    return turn


def hand_over(clock: Any, done: Deferred[Any], result: Any) -> None:
    """Fire `done` with what was found for it (a Failure, too): at once where nobody waits for a turn,
    else when it is its turn. Nothing where it was cancelled."""
    turns = _turns(clock)
    if turns.waiting:
        turns.ask(clock, done, result)
    elif not done.called:
        done.callback(result)


def patience(clock: Any) -> float:
    """Seconds that one may work now before others have their turn."""
    turns = _of.get(clock)
    return SLICE if turns is None or len(turns.waiting) <= FEW else SHORT


def _turns(clock: Any) -> _Turns:
    turns = _of.get(clock)
    if turns is None:
        turns = _of[clock] = _Turns()
    return turns
