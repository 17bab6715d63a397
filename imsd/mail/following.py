"""A server that died is followed: what it had claimed is tried by the others (design rule 24).

1. Each server of a database says that it is there, by a duty that it alone has and renews.
2. One of them looks every `ROUND` seconds for claims of servers whose duty lapsed, a minute after they died,
   and frees them. A server that comes back frees its own at once.
3. Where one process has the store there is nobody to follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.store import following
from imsd.store.tables import now

if TYPE_CHECKING:
    from imsd.duties import Duties
    from imsd.store.database import Database

ROUND: Final = 20.0


class Following:
    """node: this server's number, 0 where it has the store alone. freed: called when something is free."""

    log = Logger()

    def __init__(
        self, db: Database, duties: Duties, node: int, reactor: Any, freed: Callable[[], None]
    ) -> None:
        self._db = db
        self._duties = duties
        self._node = node
        self._freed = freed
        self._looking = LoopingCall(self._round)
        self._looking.clock = reactor

    async def start(self) -> None:
        """Say that this server is there, before it claims anything."""
        if self._node:
            await self._duties.has(following.presence(self._node))
            self._looking.start(ROUND, now=False)

    def stop(self) -> None:
        if self._looking.running:
            self._looking.stop()

    def _round(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.look()).addErrback(self._failed)

    async def look(self) -> None:
        """Say it again if need be, and look for who does not, if that is for this server to do."""
        await self._duties.has(following.presence(self._node))
        if not await self._duties.has("following"):
            return
        for node in await self._db.read(following.gone, now()):
            count = await self._db.write(following.free, node, now())
            if count:
                self.log.warn(
                    "server {node} is gone; {count} recipients that it had claimed are free again",
                    node=node, count=count, event_id=20_060,
                )  # fmt: skip
                self._freed()

    def _failed(self, failure: Any) -> None:
        # The next round looks again.
        if not failure.check(Refusal):
            self.log.failure("servers that are gone could not be looked for", failure)
