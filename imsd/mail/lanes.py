"""Work in hand, by what its connections go to, and the lanes that carry it.

1. A lane is one courier with one connection. There are at most `ims.limits.outbound` of them that hold
   one or make one; a lane that waits for a slot at its host does not count (imsd.mail.slots).
2. Destinations take turns. Who has lanes gets another one for a real backlog alone, up to
   `per_host`, and only while more lanes are free than he has: whoever is slow leaves room
   for others, however much there is for him.
3. What stays here needs no connection, and waits for nobody who is slow elsewhere.
4. A lane goes on to the next message when the one before it is sent, not when its result is written: so
   many as `AHEAD` (imsd.mail.hands) may be sent and not written, and a crash then may send those again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from imsd.mail.delivery import LOCAL
from imsd.mail.hands import Hands
from imsd.mail.relay import Courier
from imsd.mail.slots import Slots
from imsd.mail.work import Work
from imsd.settings.outbound import ConnectionLimits
from imsd.settings.queue import Queue

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

BACKLOG = 2
"""Waiting pieces of work for each lane of a destination before there is another lane."""
ENOUGH = 6
"""The same, before no more is claimed for it."""


class Lanes:
    """courier: makes one; do: carries one piece of work and settles it; ended: called after each lane."""

    log = Logger()

    def __init__(
        self,
        settings: LiveSettings,
        reactor: Any,
        courier: Callable[[Slots], Courier],
        do: Callable[[str, Work, Courier], Coroutine[Any, Any, None]],
        ended: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._courier = courier
        self._do = do
        self._ended = ended
        self._pending: OrderedDict[str, deque[Work]] = OrderedDict()
        self._running: dict[str, int] = {}
        self.slots = Slots(lambda: settings[ConnectionLimits].outbound, self._somebody_waits)
        self.open: set[Deferred[None]] = set()
        self.stopping = False

    # What there is ---------------------------------------------------------------------------

    def put(self, key: str, work: Work) -> None:
        self._pending.setdefault(key, deque()).append(work)

    def full(self, key: str) -> bool:
        """Whether there is enough in hand for a key: more of it would only wait here."""
        return len(self._pending.get(key, ())) > self._running.get(key, 0) * ENOUGH

    @property
    def waits(self) -> bool:
        """Whether others than those who have lanes wait for one already: no more is wanted."""
        if self._free() > 0:
            return False
        without = sum(1 for key in self._pending if key != LOCAL and key not in self._running)
        return without >= self._settings[ConnectionLimits].outbound

    def _free(self) -> int:
        busy = sum(self._running.values()) - self._running.get(LOCAL, 0) - self.slots.waiting
        return self._settings[ConnectionLimits].outbound - busy

    # Lanes -----------------------------------------------------------------------------------

    def pump(self) -> None:
        """Start lanes while there is work and room."""
        idle = 0
        while not self.stopping and idle < len(self._pending):
            free = self._free()
            if free <= 0 and LOCAL not in self._pending:
                break
            key, waiting = next(iter(self._pending.items()))
            self._pending.move_to_end(key)
            if not waiting:
                del self._pending[key]
                continue
            if not self._may_start(key, len(waiting), free):
                idle += 1
                continue
            idle = 0
            work = waiting.popleft()
            self._running[key] = self._running.get(key, 0) + 1
            lane = Deferred.fromCoroutine(self._lane(key, work))
            if not lane.called:
                self.open.add(lane)
            lane.addBoth(self._lane_ended, lane, key)

    def _may_start(self, key: str, waiting: int, free: int) -> bool:
        running = self._running.get(key, 0)
        if running >= self._limits(self._pending[key][0]).per_host:
            return False
        if running and waiting <= running * BACKLOG:
            return False  # A lane that runs takes more of what waits.
        return key == LOCAL or free > running

    def _limits(self, work: Work) -> ConnectionLimits:
        page = self._settings[ConnectionLimits]
        return page if work.route is None else page.of(work.route.domain)

    def _somebody_waits(self) -> None:
        self._reactor.callLater(0, self._look)

    def _look(self) -> None:
        if not self.stopping:
            self.pump()
            self._ended()

    def _lane_ended(self, result: Any, lane: Deferred[None], key: str) -> None:
        self.open.discard(lane)
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        if hasattr(result, "check") and not result.check(CancelledError):
            self.log.failure("a lane of the queue broke", result)
        self._ended()

    async def _lane(self, key: str, work: Work) -> None:
        courier = self._courier(self.slots)
        hands = Hands()
        try:
            done = 0
            while True:
                await hands.take(self._do(key, work, courier), courier)
                done += 1
                page, waiting = self._settings[Queue], self._pending.get(key)
                most = self._limits(work).messages_per_connection
                if not waiting or self.stopping or page.paused or done >= most:
                    break
                work = waiting.popleft()
                if len(waiting) == self._running[key] * BACKLOG:
                    self._ended()  # Not when nothing is left: the connection would end with the lane.
            await hands.empty()
            await courier.close()
        finally:
            hands.drop()
            courier.abort()
