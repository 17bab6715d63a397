"""The queue runner: claims what is due, has it carried, writes down what became of it.

1. Rows are claimed with a lease (imsd.mail.claiming), cut into work by where it goes (imsd.mail.ways),
   and carried by lanes (imsd.mail.lanes, imsd.mail.carrying). Who goes first is a matter of turns
   (imsd.mail.fairness).
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
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.duties import Duties
from imsd.errors import NoSuchEntry, Refusal
from imsd.mail.carrying import Carrying
from imsd.mail.claiming import LEASE as LEASE
from imsd.mail.claiming import Claiming
from imsd.mail.flow import TOO_LATE
from imsd.mail.following import Following
from imsd.mail.handover import Handovers
from imsd.mail.lanes import Lanes
from imsd.mail.lateness import Lateness
from imsd.mail.names import Dns, Names
from imsd.mail.ourselves import Ourselves, addresses_of_interfaces
from imsd.mail.parcels import Parcels
from imsd.mail.parking import Parking
from imsd.mail.relay import Courier, Protections, Transport
from imsd.mail.reporting import Reporter
from imsd.mail.retrieving import ask_too
from imsd.mail.routing import Routing
from imsd.mail.settling import Settling
from imsd.mail.slots import Slots
from imsd.mail.tlsreports import Counter, TlsReporter
from imsd.mail.tlsreports.posting import Poster
from imsd.mail.ways import Ways
from imsd.mail.work import HOUR, Active
from imsd.settings.connectors import Delivery as DeliveryPage
from imsd.settings.connectors import Ims
from imsd.settings.security import Tls
from imsd.store import claims, spool, tables
from imsd.store.blobs import Blobs
from imsd.store.changes import QUEUE, Change, QueueChanged
from imsd.store.database import in_thread
from imsd.store.keyring import Keyring
from imsd.store.sql import SQLITE
from imsd.trust.fetching import Fetcher
from imsd.trust.policies import Policies

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings
    from imsd.store.database import Database, Watch
    from protocols.smtp.client import Timeouts

RENEW = 60.0
GRACE = 15.0


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
        ports: tuple[int, ...] = (),
        names: Names | None = None,
        now: Callable[[], int] = tables.now,
        timeouts: Timeouts | None = None,
        keyring: Keyring | None = None,
        interfaces: Callable[[], Collection[str]] = addresses_of_interfaces,
        duties: Duties | None = None,
    ) -> None:
        self._db = db
        self._settings = settings
        self._reactor = reactor
        self._hostname = hostname or socket.getfqdn()
        self._node = node
        self._now = now
        self.dns = Dns(
            lambda: settings[DeliveryPage].nameservers,
            lambda address: settings[DeliveryPage].trusts(address),
        )
        self.names = names or Names(reactor, partial(in_thread, reactor), self.dns.lookup)
        ourselves = Ourselves(
            self._hostname,
            own,
            named=lambda: settings[DeliveryPage].own,
            check=lambda: settings[DeliveryPage].loopback_check,
            ports=ports,
            interfaces=interfaces,
        )
        self.routing = Routing(self.names, ourselves, first=lambda: settings[DeliveryPage].prefer)
        keyring = keyring or Keyring(Path())
        fetch = Fetcher(
            reactor,
            self.names,
            partial(in_thread, reactor),
            lambda: keyring.path(settings[Tls].ca_file) if settings[Tls].ca_file else None,
            lambda: settings[Tls].mta_sts_port,
        )
        self.policies = Policies(db, self.names, fetch, now, lambda: settings[Tls].mta_sts)
        self.transport = Transport(
            reactor,
            self._hostname,
            self.routing,
            settings,
            partial(in_thread, reactor),
            keyring,
            Protections(settings, self.names, self.policies),
            now,
            timeouts,
            also=lambda client: ask_too(client, directory, settings),
            counters=delivery.counters,
            diagnosis=delivery.diagnosis,
        )
        self.counter = self.transport.counted = Counter(db, settings, reactor, now)
        post = Poster(
            reactor,
            self.names,
            partial(in_thread, reactor),
            lambda: keyring.path(settings[Tls].ca_file) if settings[Tls].ca_file else None,
            lambda: settings[DeliveryPage].loopback_check,
        )
        self.reports = TlsReporter(db, delivery, directory, settings, self.names, post, reactor, now)
        self.connectors = delivery.connectors
        reporter = Reporter(delivery, directory, settings, blobs, self._hostname)
        self._settling = Settling(db, reporter, settings, now, self._hold)
        self._settling.diagnosis, self._settling.archive = delivery.diagnosis, delivery.archive
        self._settling.plugins = delivery.plugins
        self._parcels = Parcels(blobs, self._hold, reactor, delivery.counters.conversion)
        carrying = Carrying(db, delivery, self._parcels, self._settling, now, self._done, self._later)
        self.lanes = Lanes(settings, reactor, self._courier, carrying.do, self._look_on)
        self._ways = Ways(self.connectors, directory, settings, now)
        self.claiming = Claiming(db, settings, self.lanes, self._ways, reactor, node, now, self._tell_idle)
        duties = duties or Duties(db, reactor, self._hostname)
        self.lateness = Lateness(
            db,
            reporter,
            settings,
            lambda: self.claiming.held.values(),
            now,
            reactor,
            partial(duties.has, "delay notices"),
        )
        self._settling.noticed = self.lateness.noticed
        self.following = Following(db, duties, node, reactor, self.wake)
        delivery.flow.now = now
        self._parking = Parking(db, self.connectors, delivery.flow, now, self._kept_too_long)
        self.waits_for = self._parking.waits_for
        self.handovers = Handovers(
            db,
            settings,
            self.connectors,
            self.claiming,
            carrying.do,
            self.transport,
            node,
            now,
        )
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
        self._refreshed = now()

    # Starting and stopping -------------------------------------------------------------------

    async def start(self) -> None:
        """Free what a stop left claimed, finish what it left unfinished, begin."""
        # A node that shares its store frees what is its own; those of others that are gone, Following.
        if self._node or self._db.dialect == SQLITE:
            await self._db.write(claims.release_leases, self._node or claims.ANY_NODE)
        await self.following.start()
        await self._db.write(claims.mend_lanes)
        await self._finish_left()
        self._watch = self._db.feed.watch(QUEUE, self._changed)
        self._unwatch_settings = self._settings.on_change(self._settings_changed)
        self._renewing.start(RENEW, now=False)
        self.lateness.start()
        self.wake()

    async def _finish_left(self) -> None:
        """Finish messages whose recipients are all done."""
        self._left = False
        left, after = await self._db.read(spool.unfinished, 0)
        while after:
            for message in left:
                await self._settling.close(message, self._now())
            left, after = await self._db.read(spool.unfinished, after)

    def stop(self) -> Deferred[None]:
        """Let what is being sent end, for a while; leave the rest to the next start."""
        self._stopping = self.lanes.stopping = True
        self.reports.stop()
        self.claiming.stop()
        self.lateness.stop()
        self.following.stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._watch is not None and self._unwatch_settings is not None:
            self._watch.stop()
            self._unwatch_settings()
            self._watch = self._unwatch_settings = None
        if self._renewing.running:
            self._renewing.stop()
        waiting = [*self.lanes.open, *filter(None, (self.claiming.filling, self._looking))]
        if waiting:
            patience = self._reactor.callLater(GRACE, self._give_up)
            await DeferredList([_shadow(each) for each in waiting], consumeErrors=True)
            if patience.active():
                patience.cancel()
        await self.claiming.give_back()
        await self.counter.stop()

    def _give_up(self) -> None:
        for lane in list(self.lanes.open):
            lane.cancel()

    async def give_up(self, queue_id: str, notify: bool = True) -> None:
        """Take a message out of the queue; its sender is told if notify. Raises NoSuchEntry."""
        message, recipients = await self._db.read(spool.shown, queue_id)
        for active in self.claiming.held.values():
            if active.claim.message.id == message.id:
                active.lost = True  # A courier that carries it stops before the final dot.
        await self._settling.give_up(message, recipients, notify)

    async def _kept_too_long(self, queue_id: str) -> None:
        try:
            message, recipients = await self._db.read(spool.shown, queue_id)
        except NoSuchEntry:
            return
        await self._settling.give_up(message, recipients, True, TOO_LATE, "4.4.7", "failed")

    # What wakes it ---------------------------------------------------------------------------

    def wake(self) -> None:
        """Look for what is due."""
        self.claiming.wake()

    def _changed(self, change: Change) -> None:
        self.claiming.schedule(change.next_due if isinstance(change, QueueChanged) else 0)

    def links_moved(self) -> None:
        """A link came up, or went down: what waits for it may go, or waits again."""
        self._ways.forget()
        self._look(reparking=True)
        self.wake()

    def _settings_changed(self) -> None:
        pages = (self._settings[Ims], self._settings[DeliveryPage])
        before, self._pages = self._pages, pages
        self._ways.forget()
        self.lanes.slots.look()
        if before != pages:
            self._look(reparking=True)
        self.wake()

    def _look_on(self) -> None:
        """A lane has ended, or waits: there may be room."""
        if not self._stopping:
            self.wake()
        self._tell_idle()

    async def idle(self) -> None:
        """Wait until nothing is being claimed or carried."""
        if not self._is_idle():
            waiter: Deferred[None] = Deferred()
            self._idle.append(waiter)
            await waiter

    def _is_idle(self) -> bool:
        return self.claiming.filling is None and self._looking is None and not self.lanes.open

    def _tell_idle(self) -> None:
        if self._is_idle():
            waiting, self._idle = self._idle, []
            for waiter in waiting:
                waiter.callback(None)

    # What its parts ask for --------------------------------------------------------------------

    def _courier(self, slots: Slots) -> Courier:
        return Courier(self.transport, slots)

    async def _hold(self, active: Active) -> None:
        await self.claiming.hold(active)

    def _done(self, work: Any) -> None:
        self.claiming.done(work)

    def _later(self, due: int) -> None:
        self._left = True
        self.claiming.schedule(due)

    # From time to time -------------------------------------------------------------------------

    def _look(self, reparking: bool = False) -> None:
        """Look after what is parked, once more if that is being done. reparking: settings changed."""
        self._repark |= reparking
        self._look_again = self._looking is not None
        if self._looking is None and not self._stopping:
            self._looking = Deferred.fromCoroutine(self._look_after_parked())
            self._looking.addErrback(self.claiming.trouble)
            self._looking.addCallback(self._looked)

    def _looked(self, _: None) -> None:
        self._looking = None
        if self._look_again:
            self._look()
        self._tell_idle()

    async def _look_after_parked(self) -> None:
        reparking, self._repark = self._repark, False
        await self._parking.look(reparking)

    async def _renew(self) -> None:
        await self.claiming.renew()
        self._look()
        if self._left:
            try:
                await self._finish_left()
            except Refusal as refusal:
                self._left = True
                self.log.info("what is done could not be finished: {why}", why=refusal.text)
        if self._now() - self._refreshed >= HOUR:
            self._refreshed = self._now()
            try:
                await self.policies.refresh()
            except Refusal as refusal:
                self.log.info("policies could not be refreshed: {why}", why=refusal.text)


def _shadow(lane: Deferred[None]) -> Deferred[None]:
    """Fires when the other does, and leaves its result alone."""
    shadow: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        shadow.callback(None)
        return result

    lane.addBoth(fired)
    return shadow
