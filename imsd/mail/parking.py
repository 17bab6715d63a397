"""What is parked: mail that waits until its domain's host asks for it, or its connector sends again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from imsd.mail.connectors import NOTHING_NEW, Connectors
from imsd.mail.delivery import LOCAL
from imsd.mail.destinations import Destination
from imsd.mail.flow import WHY, FlowGate
from imsd.store import spool
from imsd.store.spool import Parked

if TYPE_CHECKING:
    from imsd.store.database import Database


class Parking:
    """Starts and parks. now: microseconds. give_up: returns what was kept back too long (queue id)."""

    def __init__(
        self,
        db: Database,
        connectors: Connectors,
        flow: FlowGate,
        now: Callable[[], int],
        give_up: Callable[[str], Awaitable[None]],
    ) -> None:
        self._db = db
        self._flow = flow
        self._give_up = give_up
        self._connectors = connectors
        self._now = now

    async def look(self, reparking: bool) -> None:
        """Start what is parked and expired, or need not be parked any more; reparking: park what is to be
        asked for since the settings changed."""
        time, after = self._now(), 0
        while found := await self._db.read(spool.parked, after):
            after = found[-1].id
            for queue_id in dict.fromkeys(each.queue_id for each in found if self._flow.overdue(each)):
                await self._give_up(queue_id)
            start = [each for each in found if self._starts(each, each.expires <= time)]
            kept = [each for each in start if each.why == WHY and each.expires > time]
            if kept:
                # The oldest first, as there is room.
                over = {each.id for each in kept[max(0, await self._flow.room()) :]}
                start = [each for each in start if each.id not in over]
            if start:
                await self._db.write(spool.start, [each.id for each in start], time)
        if reparking and self._anything_parks():
            await self._repark()

    def _starts(self, each: Parked, expired: bool) -> bool:
        # What waits for another reason came before the connector took nothing new.
        why = self.why(each.destination, new=not each.why or each.why.endswith(NOTHING_NEW))
        return not why or (expired and not self._connectors.all[0].frozen)

    async def _repark(self) -> None:
        after = 0
        while found := await self._db.read(spool.waiting, after):
            after = found[-1][0]
            park: dict[str, list[int]] = {}
            for recipient, text in found:
                why = self.why(text)
                if why:
                    park.setdefault(why, []).append(recipient)
            for why, recipients in park.items():
                await self._db.write(spool.park, recipients, why)

    def _anything_parks(self) -> bool:
        """Whether there is a reason to look through all of the queue."""
        return self._connectors.parks or not all(each.sends for each in self._connectors.all)

    def why(self, text: str, new: bool = False) -> str:
        """Why what is bound for a destination waits to be asked for; "" if it does not. new: it waits
        already, or comes now."""
        to = Destination.parse(text)
        if not to.host and to.domain == LOCAL:
            return ""
        if to.connector or to.host:
            return self._connectors.parked(self._connectors.named(to.connector), to, new)
        whys = [self._connectors.parked(connector, to, new) for connector in self._connectors.all]
        return whys[0] if all(whys) else ""

    async def waits_for(self, link: str) -> bool:
        """Whether anything waits for a link."""
        wanted, after = self._connectors.waits_for(link) or f"Waits for link {link.lower()}", 0
        while found := await self._db.read(spool.parked, after):
            after = found[-1].id
            if any(self.why(each.destination, new=True) == wanted for each in found):
                return True
        return False
