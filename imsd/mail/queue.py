"""The queue runner: claims what is due, has it carried, writes down what became of it.

1. Rows are claimed with a lease, grouped by destination, and wait in memory for a lane. A lane
   is one courier with one connection. There are at most `connections` lanes, and at most
   `connections_per_host` for one destination; destinations take turns.
2. A row without domain is for here (imsd.mail.delivery, rule 3); so is a row whose domain has
   become ours.
3. A sender is told before the result is written: a stop between the two repeats the telling,
   never forgets it. The same holds for relaying: a stop between the other server's 250 and our
   row sends twice, never not at all. Success that `deliver_here` recorded is told after it, and
   marked; start-up finds what was not.
4. A result is written only where the claim is still ours. A courier whose lease is near its end
   renews it before the final dot, or stops (rule 24).
5. What goes wrong here and not there is temporary: the rows are tried again.
6. Retries follow the profile of the settings; the last try is at the message's expiry.
"""

from __future__ import annotations

import socket
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import (
    LoopDetected,
    NoRoute,
    NoSuchMailbox,
    NoSuchRecipient,
    OverQuota,
    Refusal,
    TooLargeHere,
)
from imsd.mail.connectors import Originator
from imsd.mail.delivery import LOCAL, Delivery
from imsd.mail.destinations import Destination
from imsd.mail.names import Dns, Names
from imsd.mail.parcels import Parcels
from imsd.mail.relay import Courier, LeaseLost, Outcome, Slots
from imsd.mail.reporting import Reporter
from imsd.mail.routing import Route, Routing, route
from imsd.mail.settling import Settling
from imsd.mail.work import Active, Work
from imsd.settings.connectors import Delivery as DeliveryPage
from imsd.settings.connectors import Ims
from imsd.settings.queue import Queue
from imsd.store import spool, tables
from imsd.store.blobs import Blobs
from imsd.store.changes import QUEUE, Change, QueueChanged
from imsd.store.database import in_thread
from imsd.store.spool import Claim, QueuedRecipient, Result, State
from imsd.store.sql import SQLITE

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.database import Database, Watch
    from protocols.smtp.client import Timeouts

LEASE = 600_000_000
CLAIM = 100
MOST_CLAIMED = 500
BACKLOG = 2
"""Waiting pieces of work for each lane of a destination before there is another lane."""
RENEW = 60.0
GRACE = 15.0
SOON = 300_000_000
"""Microseconds until what failed for a reason of ours is tried again."""


class QueueRunner:
    """Start it after the store and the directory, stop it before them."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        delivery: Delivery,
        directory: Directory,
        settings: LiveSettings,
        blobs: Blobs,
        reactor: Any,
        hostname: str = "",
        *,
        node: int = 0,
        own: tuple[str, ...] = (),
        names: Names | None = None,
        now: Callable[[], int] = tables.now,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._db = db
        self._delivery = delivery
        self._directory = directory
        self._settings = settings
        self._blobs = blobs
        self._reactor = reactor
        self._hostname = hostname or socket.getfqdn()
        self._node = node
        self._now = now
        self._timeouts = timeouts
        dns = Dns(lambda: settings[DeliveryPage].nameservers)
        self.names = names or Names(reactor, partial(in_thread, reactor), dns.lookup)
        self.routing = Routing(self.names, self._hostname, own)
        self.connectors = delivery.connectors
        reporter = Reporter(delivery, directory, settings, blobs, self._hostname)
        self._settling = Settling(db, reporter, settings, now, self._hold)
        self._parcels = Parcels(blobs, self._hold)
        self._slots = Slots()
        self._pending: OrderedDict[str, deque[Work]] = OrderedDict()
        self._running: dict[str, int] = {}
        self._lanes: set[Deferred[None]] = set()
        self._claims: dict[bytes, Active] = {}
        self._filling: Deferred[None] | None = None
        self._again = False
        self._timer: Any = None
        self._watch: Watch | None = None
        self._unwatch_settings: Callable[[], None] | None = None
        self._renewing = LoopingCall(self._renew)
        self._renewing.clock = reactor
        self._idle: list[Deferred[None]] = []
        self._stopping = False
        self._pages = (settings[Ims], settings[DeliveryPage])
        self._looking: Deferred[None] | None = None
        self._look_again = self._repark = False
        self._left = False  # Something may be done and not finished.

    # Starting and stopping -------------------------------------------------------------------

    async def start(self) -> None:
        """Free what a stop left claimed, finish what it left unfinished, begin."""
        # A node that shares its store frees what is its own; others' claims lapse by themselves.
        if self._node or self._db.dialect == SQLITE:
            await self._db.write(spool.release_leases, self._node or spool.ANY_NODE)
        await self._finish_left()
        self._watch = self._db.feed.watch(QUEUE, self._changed)
        self._unwatch_settings = self._settings.on_change(self._settings_changed)
        self._renewing.start(RENEW, now=False)
        self.wake()

    async def _finish_left(self) -> None:
        """Finish messages whose recipients are all done."""
        self._left = False
        after = 0
        while left := await self._db.read(spool.unfinished, after):
            for message in left:
                await self._settling.close(message, self._now())
            after = left[-1].id

    def stop(self) -> Deferred[None]:
        """Let what is being sent end, for a while; leave the rest to the next start."""
        self._stopping = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._watch is not None and self._unwatch_settings is not None:
            self._watch.stop()
            self._unwatch_settings()
            self._watch = self._unwatch_settings = None
        if self._renewing.running:
            self._renewing.stop()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        waiting = [*self._lanes, *filter(None, (self._filling, self._looking))]
        if waiting:
            patience = self._reactor.callLater(GRACE, self._give_up)
            await DeferredList([_shadow(each) for each in waiting], consumeErrors=True)
            if patience.active():
                patience.cancel()
        claims, self._claims = self._claims, {}
        for active in claims.values():
            try:
                await self._db.write(spool.give_back, active.claim)
            except Refusal:
                break  # The store is closed: the leases lapse.

    def _give_up(self) -> None:
        for lane in list(self._lanes):
            lane.cancel()

    async def give_up(self, queue_id: str, notify: bool = True) -> None:
        """Take a message out of the queue; its sender is told if notify. Raises NoSuchEntry."""
        message, recipients = await self._db.read(spool.shown, queue_id)
        for active in self._claims.values():
            if active.claim.message.id == message.id:
                active.lost = True  # A courier that carries it stops before the final dot.
        await self._settling.give_up(message, recipients, notify)

    # Claiming --------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        self._schedule(change.next_due if isinstance(change, QueueChanged) else 0)

    def _schedule(self, due: int) -> None:
        if self._stopping:
            return
        delay = min(max(0.0, (due - self._now()) / 1e6), 3600.0)
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._reactor.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(delay, self.wake)

    def _settings_changed(self) -> None:
        pages = (self._settings[Ims], self._settings[DeliveryPage])
        before, self._pages = self._pages, pages
        if before != pages:
            self._look(reparking=True)
        self.wake()

    def wake(self) -> None:
        """Look for what is due."""
        if self._stopping:
            return
        if self._filling is not None:
            self._again = True
            return
        self._filling = Deferred.fromCoroutine(self._fill())
        self._filling.addErrback(self._trouble)
        self._filling.addCallback(self._filled)

    def _trouble(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the queue could not be read", failure)
        self._schedule(self._now() + 60_000_000)

    def _filled(self, _: None) -> None:
        self._filling = None
        if self._again:
            self._again = False
            self.wake()
        self._tell_idle()

    async def idle(self) -> None:
        """Wait until nothing is being claimed or carried."""
        if not self._is_idle():
            waiter: Deferred[None] = Deferred()
            self._idle.append(waiter)
            await waiter

    def _is_idle(self) -> bool:
        return self._filling is None and self._looking is None and not self._lanes

    def _tell_idle(self) -> None:
        if self._is_idle():
            waiting, self._idle = self._idle, []
            for waiter in waiting:
                waiter.callback(None)

    async def _fill(self) -> None:
        while not self._stopping and not self._settings[Queue].paused:
            self._pump()
            if self._waiting() >= MOST_CLAIMED:
                return  # A lane that ends wakes us.
            claims = await self._db.write(spool.claim_due, self._now(), CLAIM, LEASE, self._node)
            for claim in claims:
                await self._sort(claim)
            self._pump()
            if not claims:
                due = await self._db.read(spool.next_due)
                if due is not None:
                    self._schedule(max(due, self._now() + 1_000_000))
                return

    def _waiting(self) -> int:
        return sum(len(active.left) for active in self._claims.values())

    async def _sort(self, claim: Claim) -> None:
        """Cut a claim into work by destination."""
        active = Active(claim, {each.id for each in claim.recipients}, claim.lease)
        self._claims[claim.token] = active
        by_destination: dict[tuple[str, str, str], tuple[Routed, list[QueuedRecipient]]] = {}
        for each in claim.recipients:
            routed = await self._routed(claim, each)
            refused = routed.refusal.text if routed.refusal is not None else ""
            key = (routed.key, routed.parks, refused)
            by_destination.setdefault(key, (routed, []))[1].append(each)
        most = self._settings[Queue].recipients_per_message
        for routed, recipients in by_destination.values():
            waiting = self._pending.setdefault(routed.key, deque())
            for at in range(0, len(recipients), most):
                some = tuple(recipients[at : at + most])
                waiting.append(Work(active, some, routed.route, routed.parks, routed.refusal))

    async def _routed(self, claim: Claim, each: QueuedRecipient) -> Routed:
        """Where a recipient goes at this try, by which connector."""
        to, connectors = Destination.parse(each.domain), self.connectors
        if not to.host and (to.domain == LOCAL or self._directory.serves(to.domain)):
            return Routed()
        message = claim.message
        if to.connector or to.host:
            connector = connectors.named(to.connector)
        else:
            originator = Originator(message.account, message.reverse_path)
            try:
                out = await connectors.out(each.address, originator, attempts=each.attempts, now=self._now())
            except Refusal as refusal:
                return Routed(refusal=refusal)
            connector = out.connector
        parks = connectors.parked(connector, to)
        if parks and message.expires <= self._now():
            return Routed(refusal=Expired(parks))
        row = None if to.host else connectors.domain_row(to.domain)
        return Routed(route(connector, row, to), parks)

    def _pump(self) -> None:
        """Start lanes while there is work and room; destinations take turns."""
        page = self._settings[Queue]
        idle = 0
        while not self._stopping and idle < len(self._pending):
            # What stays here needs no connection, and waits for nobody who is slow elsewhere.
            full = sum(self._running.values()) - self._running.get(LOCAL, 0) >= page.connections
            if full and LOCAL not in self._pending:
                break
            key, waiting = next(iter(self._pending.items()))
            self._pending.move_to_end(key)
            running = self._running.get(key, 0)
            if not waiting:
                del self._pending[key]
                continue
            if full and key != LOCAL:
                idle += 1
                continue
            # A lane that runs takes more of what waits: another one is for a real backlog.
            if running >= page.connections_per_host or 0 < len(waiting) <= running * BACKLOG:
                idle += 1
                continue
            idle = 0
            work = waiting.popleft()
            self._running[key] = running + 1
            lane = Deferred.fromCoroutine(self._lane(key, work))
            if not lane.called:
                self._lanes.add(lane)
            lane.addBoth(self._lane_ended, lane, key)

    def _lane_ended(self, result: Any, lane: Deferred[None], key: str) -> None:
        self._lanes.discard(lane)
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        if hasattr(result, "check") and not result.check(CancelledError):
            self.log.failure("a lane of the queue broke", result)
        if not self._stopping:
            self.wake()
        self._tell_idle()

    # Carrying --------------------------------------------------------------------------------

    async def _lane(self, key: str, work: Work) -> None:
        courier = Courier(
            self._reactor, self._hostname, self.routing, self._settings, self._slots, self._timeouts
        )
        try:
            done = 0
            while True:
                await self._do(key, work, courier)
                done += 1
                page, waiting = self._settings[Queue], self._pending.get(key)
                if not waiting or self._stopping or page.paused or done >= page.messages_per_connection:
                    break
                work = waiting.popleft()
            await courier.close()
        finally:
            courier.abort()

    async def _do(self, key: str, work: Work, courier: Courier) -> None:
        """Carry one piece of work and settle it. Raises nothing but CancelledError."""
        try:
            if work.active.lost:
                raise LeaseLost
            try:
                if work.refusal is not None:
                    outcomes = _all(work, _refused(work.refusal))
                elif work.route is None:
                    outcomes = await self._here(work)
                else:
                    outcomes = await courier.carry(work.route, await self._parcels.parcel(work))
                    self._watch_over(work.route, outcomes)
            except Refusal as refusal:
                # Our own store or directory could not (rule 5).
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
            self._left = True
            self._schedule(self._now() + 60_000_000)
        except Exception:
            self.log.failure("{id} could not be sent", id=work.message.queue_id)
            await self._defer(work)
        self._done(work)

    def _watch_over(self, route: Route, outcomes: dict[int, Outcome]) -> None:
        """Hosts that everything of a connector goes to and that nobody could reach are trouble."""
        if route.hosts and any(one.state is State.WAITING and not one.peer for one in outcomes.values()):
            self.connectors.failed(route.connector, self._now())

    def _done(self, work: Work) -> None:
        active = work.active
        active.left -= {each.id for each in work.recipients}
        if not active.left:
            self._claims.pop(active.claim.token, None)

    async def _defer(self, work: Work) -> None:
        due = self._now() + SOON
        text = "Internal error"
        results = [Result(each.id, State.WAITING, text, due, each.warned) for each in work.recipients]
        try:
            await self._db.write(spool.record, work.active.claim, results, self._now())
        except Refusal:
            self._schedule(self._now() + 60_000_000)

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
                outcomes[each.id] = Outcome(State.WAITING, "4.2.2", refusal.text)
            except Refusal as refusal:
                state = State.WAITING if refusal.temporary else State.FAILED
                outcomes[each.id] = Outcome(state, "4.3.0" if refusal.temporary else "5.3.0", refusal.text)
        return outcomes

    # Leases ----------------------------------------------------------------------------------

    async def _hold(self, active: Active) -> None:
        """Make sure that the claim is ours for a while. Raises LeaseLost."""
        if not active.lost and active.lease - self._now() < LEASE // 2:
            until = self._now() + LEASE
            if await self._db.write(spool.extend, active.claim, until):
                active.lease = until
            else:
                active.lost = True
        if active.lost:
            raise LeaseLost

    def _look(self, reparking: bool = False) -> None:
        """Look after what is parked, once more if that is being done. reparking: settings changed."""
        self._repark |= reparking
        self._look_again = self._looking is not None
        if self._looking is None and not self._stopping:
            self._looking = Deferred.fromCoroutine(self._look_after_parked())
            self._looking.addErrback(self._trouble)
            self._looking.addCallback(self._looked)

    def _looked(self, _: None) -> None:
        self._looking = None
        if self._look_again:
            self._look()
        self._tell_idle()

    async def _look_after_parked(self) -> None:
        """Start what is parked and expired, or need not be parked any more; park what is to be asked
        for since the settings changed."""
        reparking, self._repark = self._repark, False
        start, time = [], self._now()
        for recipient, text, expires in await self._db.read(spool.parked):
            if expires <= time or not self._parks(text):
                start.append(recipient)
        for at in range(0, len(start), CLAIM):
            await self._db.write(spool.start, start[at : at + CLAIM], time)
        if not reparking:
            return
        park: dict[str, list[int]] = {}
        for recipient, text in await self._db.read(spool.waiting):
            why = self._parks(text)
            if why:
                park.setdefault(why, []).append(recipient)
        for why, recipients in park.items():
            for at in range(0, len(recipients), CLAIM):
                await self._db.write(spool.park, recipients[at : at + CLAIM], why)

    def _parks(self, text: str) -> str:
        """Why what is bound for a destination waits to be asked for; "" if it does not."""
        to = Destination.parse(text)
        if not to.host and to.domain == LOCAL:
            return ""
        if to.connector or to.host:
            return self.connectors.parked(self.connectors.named(to.connector), to)
        row = self.connectors.domain_row(to.domain)
        if row is not None and row.route == "etrn":
            return "Held until the domain's host asks for it by ETRN"
        if any(connector.sends for connector in self.connectors.all):
            return ""
        return self.connectors.parked(self.connectors.all[0], to)

    async def _renew(self) -> None:
        for active in list(self._claims.values()):
            try:
                await self._hold(active)
            except LeaseLost:
                pass
            except Refusal as refusal:
                self.log.info("a claim could not be renewed: {why}", why=refusal.text)
        self._look()
        if self._left:
            try:
                await self._finish_left()
            except Refusal as refusal:
                self._left = True
                self.log.info("what is done could not be finished: {why}", why=refusal.text)


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a recipient goes: by a route, here (None), or nowhere."""

    route: Route | None = None
    parks: str = ""
    refusal: Refusal | None = None

    @property
    def key(self) -> str:
        return LOCAL if self.route is None else self.route.key


class Expired(Refusal):
    """Nobody asked for the message in time."""

    temporary = True


def _refused(refusal: Refusal) -> Outcome:
    if refusal.temporary:
        return Outcome(State.WAITING, "4.3.5", refusal.text)
    status = "5.4.4" if isinstance(refusal, NoRoute) else "5.7.1"
    return Outcome(State.FAILED, status, refusal.text)


def _all(work: Work, outcome: Outcome) -> dict[int, Outcome]:
    return dict.fromkeys((each.id for each in work.recipients), outcome)


def _shadow(lane: Deferred[None]) -> Deferred[None]:
    """Fires when the other does, and leaves its result alone."""
    shadow: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        shadow.callback(None)
        return result

    lane.addBoth(fired)
    return shadow
