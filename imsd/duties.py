"""What one node at a time does: a link is dialled once, a delay is told of once (design rule 24).

1. Where one process has the store, every duty is its own, and no row is written.
2. Where nodes share a database, who asks first has a duty and keeps it while it runs: its lease is renewed
   long before it ends. A node that stops gives its duties back; one that died is followed when its lease
   is over, or has them again when it is back before that.
3. The holder may say how a duty is, for the others to see; they may say that they make use of it.
4. Who cannot renew, because the database does not answer, has no duty from the moment on from which
   another may have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.store import duties
from imsd.store.database import Database
from imsd.store.duties import Shown
from imsd.store.sql import POSTGRESQL
from imsd.store.tables import now

LEASE: Final = 60
RENEWED: Final = 15
MARGIN: Final = 10
"""Seconds. The margin is for clocks of nodes that differ, and for what is under way."""


@dataclass(frozen=True, slots=True)
class _Known:
    """until: by the reactor's clock, when to ask again."""

    ours: bool
    holder: str
    until: float


class Duties:
    """holder: what administrators know this node by."""

    log = Logger()

    def __init__(self, db: Database, reactor: Any, holder: str) -> None:
        self._db = db
        self._reactor = reactor
        self.node = db.node
        self._holder = holder
        self._shared = db.dialect == POSTGRESQL
        self._known: dict[str, _Known] = {}
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = reactor

    async def has(self, name: str) -> bool:
        """Whether a duty is this node's; it is from now on, if it was nobody's."""
        if not self._shared:
            return True
        asked = self._reactor.seconds()
        known = self._known.get(name)
        if known is not None and asked < known.until:
            return known.ours
        try:
            taken = await self._db.write(duties.take, name, self.node, self._holder, now(), LEASE * 1_000_000)
        except Refusal:
            return False
        if taken.ours:
            self._known[name] = _Known(True, "", asked + LEASE - MARGIN)
            if not self._renewing.running:
                self._renewing.start(RENEWED, now=False)
        else:
            left = (taken.lease - now()) / 1e6
            # Soon enough to follow a node that stopped in order.
            self._known[name] = _Known(False, taken.holder, asked + min(max(left, 1.0), RENEWED))
        return taken.ours

    def elsewhere(self, name: str) -> str:
        """The node that has a duty, as far as is known; "" for this one, or for nobody."""
        known = self._known.get(name)
        return known.holder if known is not None else ""

    async def show(self, name: str, state: str) -> None:
        """Say how a duty of ours is. Raises refusals of the store."""
        if self._shared:
            await self._db.write(duties.show, name, self.node, state)

    async def shown(self, name: str) -> Shown:
        """What its holder says of a duty, and when another node used it. Raises refusals of the store."""
        return await self._db.read(duties.shown, name, now()) if self._shared else Shown()

    async def holders(self) -> dict[str, str]:
        """Who has each duty; nothing where one process has the store. Raises refusals of the store."""
        return await self._db.read(duties.holders, now()) if self._shared else {}

    async def use(self, name: str) -> None:
        """Say that this node makes use of what another looks after. Raises refusals of the store."""
        await self._db.write(duties.use, name, now())

    async def stop(self) -> None:
        """Give back what is ours."""
        if self._renewing.running:
            self._renewing.stop()
        names = [name for name, known in self._known.items() if known.ours]
        self._known.clear()
        if names:
            try:
                await self._db.write(duties.free, names, self.node)
            except Refusal:
                pass  # The leases end by themselves.

    def _renew(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._extend()).addErrback(self._failed)

    async def _extend(self) -> None:
        asked = self._reactor.seconds()
        names = [name for name, known in self._known.items() if known.ours]
        kept = await self._db.write(duties.extend, names, self.node, now(), LEASE * 1_000_000)
        for name in names:
            if name in kept:
                self._known[name] = _Known(True, "", asked + LEASE - MARGIN)
            else:
                self.log.warn("{name} is done by another node now", name=name)
                self._known.pop(name, None)

    def _failed(self, failure: Any) -> None:
        # It is tried again, and what lapses meanwhile is no longer ours.
        if not failure.check(Refusal, CancelledError):
            self.log.failure("duties of this node could not be renewed", failure)
