"""Claims: what is due is claimed as there is room for it, and held as long as it takes.

Rows that have become due are made ready first, all of them, so that who goes first is decided among
all; then lanes of the spool are claimed in the order of their turns. Destinations that have enough in
hand are passed over, and when others wait for a lane already nothing is claimed but what stays here.
What is in memory is bounded by the lanes that run, not by the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.mail.delivery import LOCAL
from imsd.mail.lanes import Lanes
from imsd.mail.relay import LeaseLost
from imsd.mail.ways import Ways
from imsd.mail.work import Active, Work
from imsd.settings.outbound import ConnectionLimits
from imsd.settings.queue import Queue
from imsd.store import claims, spool
from imsd.store.claims import FIRST, Claim, Place

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.database import Database
    from imsd.store.transaction import Unit

LEASE = 600_000_000
CLAIM = 100
"""Recipients claimed in one unit."""
MOST_CLAIMED = 5_000
LOOKS = 4
"""Looks at lanes that are all passed over, before others have their turn."""


class Claiming:
    """idle: called whenever the looking ends. now: microseconds."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        settings: LiveSettings,
        lanes: Lanes,
        ways: Ways,
        reactor: Any,
        node: int,
        now: Callable[[], int],
        idle: Callable[[], None],
    ) -> None:
        self._db = db
        self._settings = settings
        self._lanes = lanes
        self._ways = ways
        self._reactor = reactor
        self._node = node
        self._now = now
        self._idle = idle
        self.held: dict[tuple[bytes, int], Active] = {}
        self.filling: Deferred[None] | None = None
        self._again = False
        self._timer: Any = None
        self._place = FIRST
        self.stopping = False

    # When ------------------------------------------------------------------------------------

    def schedule(self, due: int) -> None:
        """Look then, if not before."""
        if self.stopping:
            return
        delay = min(max(0.0, (due - self._now()) / 1e6), 3600.0)
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._reactor.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(delay, self.wake)

    def stop(self) -> None:
        self.stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def wake(self) -> None:
        """Look for what is due."""
        if self.stopping:
            return
        if self.filling is not None:
            self._again = True
            return
        self.filling = Deferred.fromCoroutine(self._fill())
        self.filling.addErrback(self.trouble)
        self.filling.addCallback(self._filled)

    def trouble(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the queue could not be read", failure)
        self.schedule(self._now() + 60_000_000)

    def _filled(self, _: None) -> None:
        self.filling = None
        if self._again:
            self._again = False
            self.wake()
        self._idle()

    # What ------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        """Claim until there is nothing due, or no room. A lane that ends wakes us."""
        chosen: list[str] = []
        passed = 0
        while not self.stopping and not self._settings[Queue].paused:
            self._lanes.pump()
            place = self._place
            # What stays here is behind nobody, however many lanes come before its own.
            here = () if self._lanes.full(LOCAL) else (LOCAL,)
            promoted, made, found = await self._db.write(
                _step, self._now(), (*here, *chosen), self._node, place
            )
            for claim in made:
                await self._sort(claim)
            self._lanes.pump()
            chosen = self._choose(found)
            if promoted or chosen or made:
                continue
            passed += 1
            # The end is a reason to look at the beginning, unless that is where this look was.
            if passed < LOOKS and (found or place != FIRST):
                continue
            due = await self._db.read(spool.next_due)
            if due is not None:
                self.schedule(max(due, self._now() + 1_000_000))
            return

    def _choose(self, found: list[Place]) -> list[str]:
        """Destinations to claim for, of those that were looked at."""
        if len(self.held) >= MOST_CLAIMED:
            return []
        if self._lanes.waits:
            self._place = FIRST
            return []
        chosen = []
        for each in found:
            if each.domain == LOCAL:
                continue
            key = self._ways.guess(each.domain)
            if key is None or not self._lanes.full(key):
                chosen.append(each.domain)
        # All are passed over: look further, and from the beginning when that was the end.
        self._place = found[-1] if found and not chosen else FIRST
        return chosen

    async def _sort(self, claim: Claim) -> None:
        """Cut a claim into work by destination."""
        active = Active(claim, {each.id for each in claim.recipients}, claim.lease)
        self.held[claim.key] = active
        for key, work in await self._ways.divide(active, self._settings[ConnectionLimits].most_recipients):
            self._lanes.put(key, work)

    def done(self, work: Work) -> None:
        """A piece is over, and what it was claimed for."""
        active = work.active
        active.left -= {each.id for each in work.recipients}
        if not active.left:
            self.held.pop(active.claim.key, None)

    # Leases ----------------------------------------------------------------------------------

    async def hold(self, active: Active) -> None:
        """Make sure that the claim is ours for a while. Raises LeaseLost."""
        if not active.lost and active.lease - self._now() < LEASE // 2:
            until = self._now() + LEASE
            if await self._db.write(claims.extend, active.claim, until):
                active.lease = until
            else:
                active.lost = True
        if active.lost:
            raise LeaseLost

    async def renew(self) -> None:
        for active in list(self.held.values()):
            try:
                await self.hold(active)
            except LeaseLost:
                pass
            except Refusal as refusal:
                self.log.info("a claim could not be renewed: {why}", why=refusal.text)

    async def give_back(self) -> None:
        """Leave everything that is claimed and not done to the next who claims."""
        held, self.held = self.held, {}
        for active in held.values():
            try:
                await self._db.write(claims.give_back, active.claim, active.left, self._now())
            except Refusal:
                break  # The store is closed: the leases lapse.


def _step(
    unit: Unit, now: int, chosen: tuple[str, ...], node: int, place: Place
) -> tuple[int, list[Claim], list[Place]]:
    """Make ready what has become due, claim for the chosen, look at what there is then."""
    promoted = claims.promote(unit, now)
    made = claims.claim_ready(unit, chosen, now, CLAIM, LEASE, node)
    return promoted, made, claims.lanes(unit, place)
