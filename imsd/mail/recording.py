"""Results on their way to the store: those that come while others are being written go together.

The first is written at once. What comes meanwhile is one unit then, of `MOST` messages; so under load a
result costs a share of its unit's statements, and without load nobody waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imsd.errors import Refusal
from imsd.store import results
from imsd.store.ids import QueueId
from imsd.store.results import Settlement

if TYPE_CHECKING:
    from imsd.store.database import Database

MOST = 16
"""Messages of one unit: it runs between the reactor's other work."""
UNITS = 2
"""That may be on their way: while one is made durable, the other one runs."""


class Recorder:
    """Writes settlements."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[tuple[Settlement, Deferred[bool]]] = []
        self._under_way = 0
        self._now = 0

    def write(self, settlement: Settlement, now: int) -> Deferred[bool]:
        """Fires after COMMIT: whether the message stays because deliveries here are to be told of first."""
        done: Deferred[bool] = Deferred()
        self._waiting.append((settlement, done))
        self._now = max(now, self._now)
        self._go_on()
        return done

    def _go_on(self) -> None:
        while self._waiting and self._under_way < UNITS:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._submit(some)

    def _submit(self, some: list[tuple[Settlement, Deferred[bool]]]) -> None:
        self._under_way += 1
        written = self._db.write(results.settle, [each for each, _ in some], self._now)
        written.addCallbacks(self._written, self._failed, callbackArgs=(some,), errbackArgs=(some,))

    def _written(self, untold: set[QueueId], some: list[tuple[Settlement, Deferred[bool]]]) -> None:
        self._under_way -= 1
        self._go_on()
        for settlement, done in some:
            _fire(done, settlement.claim.message.id in untold)

    def _failed(self, failure: Failure, some: list[tuple[Settlement, Deferred[bool]]]) -> None:
        self._under_way -= 1
        if len(some) > 1 and not failure.check(Refusal):
            # One of them is wrong: that one alone is to fail.
            for each in some:
                self._submit([each])
            return
        self._go_on()
        for _, done in some:
            _fire(done, failure)


def _fire(done: Deferred[bool], result: bool | Failure) -> None:
    if not done.called:  # Else whoever waited was stopped.
        done.callback(result)
