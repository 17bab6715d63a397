"""One piece of work: carried to its hosts, delivered here or refused, and settled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from imsd.errors import (
    LoopDetected,
    NoRoute,
    NoSuchMailbox,
    NoSuchRecipient,
    OverQuota,
    PolicyRejected,
    PostingDenied,
    Refusal,
    TooLargeHere,
    TryLater,
)
from imsd.mail.parcels import Parcels
from imsd.mail.relay import Courier, LeaseLost, Outcome
from imsd.mail.routing import Route
from imsd.mail.settling import Settling
from imsd.mail.ways import TooLargeToLeave
from imsd.mail.work import Work
from imsd.plugins.values import Attempt
from imsd.store import claims
from imsd.store.claims import Result
from imsd.store.spool import State

if TYPE_CHECKING:
    from imsd.mail.delivery import Delivery
    from imsd.store.database import Database

SOON = 300_000_000
"""Microseconds until what failed for a reason of ours is tried again."""
LATER = 60_000_000
"""Microseconds until what could not even be written is looked at again."""
_FAULT = "Internal error"


class Carrying:
    """done: told of each piece that is over. later: told when to look again, and that something may be
    done and not finished."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        delivery: Delivery,
        parcels: Parcels,
        settling: Settling,
        now: Callable[[], int],
        done: Callable[[Work], None],
        later: Callable[[int], None],
    ) -> None:
        self._db = db
        self._delivery = delivery
        self._parcels = parcels
        self._settling = settling
        self._now = now
        self._done = done
        self._later = later

    async def do(self, key: str, work: Work, courier: Courier) -> None:
        """Carry one piece of work and settle it. Raises nothing but CancelledError."""
        try:
            if work.active.lost:
                raise LeaseLost
            try:
                if work.refusal is not None:
                    outcomes = _all(work, _refused(work.refusal))
                elif work.route is None:
                    outcomes = await self._here(work)
                elif (refusal := await self._plugged(work, work.route)) is not None:
                    outcomes = _all(work, _forbidden(refusal))
                else:
                    outcomes = await courier.carry(work.route, await self._parcels.parcel(work))
                    self._delivery.counters.carried(work, outcomes)
                    self._watch_over(work.route, outcomes)
            except Refusal as refusal:
                # Our own store or directory could not: that is temporary.
                outcomes = _all(work, Outcome(State.WAITING, "4.3.0", refusal.text))
            await self._settling.settle(work, outcomes)
        except (CancelledError, GeneratorExit):
            # Stopping: the claim stays among ours, and `stop` gives it back.
            raise
        except LeaseLost:
            self.log.info("a claim on {id} was lost", id=work.message.queue_id)
        except Refusal as refusal:
            # The result cannot be written: the lease lapses, and the rows are tried again.
            self.log.info("{id} is left for later: {why}", id=work.message.queue_id, why=refusal.text)
            self._later(self._now() + LATER)
        except Exception:
            self.log.failure("{id} could not be sent", id=work.message.queue_id)
            await self._stumbled(work)
        self._done(work)

    async def _stumbled(self, work: Work) -> None:
        """A fault of ours is temporary, until the time of the message is over: then its sender is told."""
        try:
            await self._settling.settle(work, _all(work, Outcome(State.WAITING, "4.3.0", _FAULT)))
        except (CancelledError, GeneratorExit):
            raise
        except Exception:
            # It lies in how we settle: nobody is told, and nothing is lost.
            await self._defer(work)

    async def _plugged(self, work: Work, route: Route) -> Refusal | None:
        """Why plug-ins do not want a message sent, None if they do."""
        plugins = self._delivery.plugins
        if plugins is None or not plugins.wants("sending"):
            return None
        message, recipients = work.message, tuple(each.address for each in work.recipients)
        host = route.hosts[0] if route.hosts else route.domain
        attempt = Attempt(message.queue_id, message.reverse_path, recipients, str(host), message.size)
        try:
            await plugins.ask("sending", attempt)
        except (PolicyRejected, TryLater) as refusal:
            return refusal
        return None

    def _watch_over(self, route: Route, outcomes: dict[int, Outcome]) -> None:
        """Hosts that everything of a connector goes to and that nobody could reach are trouble."""
        if route.hosts and any(one.state is State.WAITING and not one.peer for one in outcomes.values()):
            self._delivery.connectors.failed(route.connector, self._now())

    async def _defer(self, work: Work) -> None:
        due = self._now() + SOON
        results = [Result(each.id, State.WAITING, _FAULT, due, each.warned) for each in work.recipients]
        try:
            await self._db.write(claims.record, work.active.claim, results, self._now())
        except Refusal:
            self._later(self._now() + LATER)

    async def _here(self, work: Work) -> dict[int, Outcome]:
        """Deliver to mailboxes of ours; outcomes of those that could not be."""
        outcomes: dict[int, Outcome] = {}
        for each in work.recipients:
            try:
                if not await self._delivery.deliver_here(work.active.claim, each):
                    raise LeaseLost
            except (NoSuchRecipient, NoSuchMailbox) as refusal:
                outcomes[each.id] = Outcome(State.FAILED, "5.1.1", refusal.text)
            except LoopDetected as refusal:
                outcomes[each.id] = Outcome(State.FAILED, "5.4.6", refusal.text)
            except TooLargeHere as refusal:
                outcomes[each.id] = Outcome(State.FAILED, "5.2.3", refusal.text)
            except OverQuota as refusal:
                # As the site wants senders to be told: at once, or when the time is over.
                if self._delivery.room.full().temporary:
                    outcomes[each.id] = Outcome(State.WAITING, "4.2.2", refusal.text)
                else:
                    outcomes[each.id] = Outcome(State.FAILED, "5.2.2", refusal.text)
            except Refusal as refusal:
                state = State.WAITING if refusal.temporary else State.FAILED
                status = "5.7.1" if isinstance(refusal, PostingDenied) else "5.3.0"
                outcomes[each.id] = Outcome(state, "4.3.0" if refusal.temporary else status, refusal.text)
        return outcomes


def _refused(refusal: Refusal) -> Outcome:
    if refusal.temporary:
        return Outcome(State.WAITING, "4.3.5", refusal.text)
    if isinstance(refusal, TooLargeToLeave):
        return Outcome(State.FAILED, "5.3.4", refusal.text)
    status = "5.4.4" if isinstance(refusal, NoRoute) else "5.7.1"
    return Outcome(State.FAILED, status, refusal.text)


def _forbidden(refusal: Refusal) -> Outcome:
    """A plug-in's word, or its silence."""
    if refusal.temporary:
        return Outcome(State.WAITING, "4.7.1", refusal.text)
    return Outcome(State.FAILED, "5.7.1", refusal.text)


def _all(work: Work, outcome: Outcome) -> dict[int, Outcome]:
    return dict.fromkeys((each.id for each in work.recipients), outcome)
