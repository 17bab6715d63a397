"""Delay notices when their hour has come, whether or not anything is being tried just then (ims_spec 3.5).

1. Once a minute the messages are looked at whose hour came since the last look, by priority, the oldest
   first and by pages; a start looks at all. A recipient that waits and was not told of is told of, once:
   his row says so (`warned`), and a result that is written later leaves that as it is.
2. What is being tried is told of too, if it is ours: then `noticed` keeps the try from telling again.
   What another node tries, that one tells of when the try fails, or the next look does.
3. Of nodes that share a database one looks (`mine`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.mail.bounce import Action, Fate, wanted
from imsd.mail.schedule import ends
from imsd.mail.work import HOUR, Active
from imsd.settings.scheduling import DelayNotice
from imsd.store import late, tracking
from imsd.store.ids import QueueId
from imsd.store.spool import Queued, QueuedRecipient
from imsd.store.tracking import Event

if TYPE_CHECKING:
    from imsd.mail.reporting import Reporter
    from imsd.settings import LiveSettings
    from imsd.store.database import Database
    from imsd.store.transaction import Unit

ROUND: Final = 60.0
"""Seconds between looks."""
PRIORITIES: Final = (1, 0, -1)
UNTRIED: Final = "It waits for its turn"
STATUS: Final = "4.0.0"
"""Of a delay that no host gave a reason for (RFC 3463 3.1)."""


class Lateness:
    """Tells senders. held: what is being tried here; `noticed`: recipients among it that were told of."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        reporter: Reporter,
        settings: LiveSettings,
        held: Callable[[], Iterable[Active]],
        now: Callable[[], int],
        reactor: Any,
        mine: Callable[[], Awaitable[bool]],
    ) -> None:
        self._db = db
        self._now = now
        self._mine = mine
        self._looking = LoopingCall(self._round)
        self._looking.clock = reactor
        self._stopping = False
        self._reporter = reporter
        self._settings = settings
        self._held = held
        self._seen: dict[int, tuple[float, QueueId]] = {}
        self.noticed: set[int] = set()

    def start(self) -> None:
        self._looking.start(ROUND, now=False)

    def stop(self) -> None:
        self._stopping = True
        if self._looking.running:
            self._looking.stop()

    def _round(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.take_turn())

    async def take_turn(self) -> None:
        """Look, if it is for this node to do; what goes wrong is logged."""
        try:
            if await self._mine():
                await self.look()
        except Refusal as refusal:
            self.log.info("late mail could not be looked for: {why}", why=refusal.text)
        except Exception:
            self.log.failure("late mail could not be looked for")

    async def look(self) -> None:
        """Tell of everything whose hour has come."""
        time = self._now()
        self.noticed &= self._ours()
        for priority in PRIORITIES:
            hours = self._settings[DelayNotice].hours(priority)
            if hours <= 0:
                self._seen.pop(priority, None)
                continue
            known, after = self._seen.get(priority, (hours, QueueId(0)))
            if known != hours:
                after = QueueId(0)
            before = time - int(hours * HOUR)
            while page := await self._db.read(late.messages, priority, before, after):
                for message, some in page:
                    while some and not self._stopping:
                        await self._tell(message, some, time)
                        more = len(some) == late.MOST
                        some = await self._db.read(late.waiting, message.id, some[-1].id) if more else []
                if self._stopping:
                    return
                after = page[-1][0].id
                self._seen[priority] = (hours, after)

    def _ours(self) -> set[int]:
        return {number for active in self._held() for number in active.left}

    async def _tell(self, message: Queued, recipients: Iterable[QueuedRecipient], time: int) -> None:
        ours, until = self._ours(), ends(message, self._settings)
        late_ones = [
            each
            for each in recipients
            if wanted(each.notify, Action.DELAYED)
            and (each.lease <= time or each.id in ours)
            # What is kept back until a time of its own is not late before it (RFC 4865).
            and (each.attempts or each.lease or each.due <= time)
        ]
        if not message.reverse_path or not late_ones:
            return
        ids = [each.id for each in late_ones]
        self.noticed |= ours.intersection(ids)
        try:
            fates = [
                Fate(each, Action.DELAYED, STATUS, each.last_error or UNTRIED, will_retry_until=until)
                for each in late_ones
            ]
            told = await self._reporter.tell(message, fates, time / 1e6)
            events = [
                Event(
                    time,
                    told.word,
                    message.queue_id,
                    b"",
                    message.reverse_path,
                    each.address,
                    f"{Action.DELAYED.value}: {told}",
                    "",
                    message.size,
                )
                for each in late_ones
            ]
            await self._db.write(_told, ids, events)
        except Refusal as refusal:
            # The next start, or the next try, tells.
            self.noticed.difference_update(ids)
            self.log.info(
                "{id} is late, and nobody could be told: {why}", id=message.queue_id, why=refusal.text
            )


def _told(unit: Unit, recipients: list[int], events: list[Event]) -> None:
    late.warned(unit, recipients)
    tracking.track(unit, *events)
