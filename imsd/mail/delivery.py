"""The one transaction that makes the 250 true (design: accepting is delivering).

1. Before the transaction recipients are worked out: lists are expanded (nested, each recipient
   once, cycles cut by the directory), contacts are re-addressed, everybody gets one copy.
2. In it, up to 100 local copies are delivered; what is over 100 is left in a fan-out row that
   `drain` works off in small units; foreign recipients get queue rows; every step is tracked.
3. Queue rows whose domain is LOCAL are for here. They stand for local recipients that could not
   have their copy (over quota, too large for them) while others had it, and for those whose success is to be
   reported (RFC 3461 4.1): the queue runner calls `deliver_here` for them and reports by its
   usual means, so that no report is lost in a crash.
4. Who that is, is worked out by imsd.mail.planning.

If a local copy is refused for everybody, `accept` raises that refusal and nothing was stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Container
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from imsd.directory.values import Local, Recipient
from imsd.errors import (
    AmbiguousRecipient,
    AskedTooOften,
    NoSuchEntry,
    NoSuchRecipient,
    OverQuota,
    QueueElsewhere,
    Refusal,
)
from imsd.mail import units
from imsd.mail.connectors import Connectors, Originator
from imsd.mail.counters import Counters
from imsd.mail.envelope import Addressee, Envelope, Origin
from imsd.mail.fairness import Turns
from imsd.mail.flow import WHY, FlowGate
from imsd.mail.journaling import journal_copy, journals
from imsd.mail.plan import LOCAL, Accepted, Plan
from imsd.mail.planning import Planner
from imsd.mail.room import Room
from imsd.mail.sending import SendingLimits
from imsd.mail.srs import Srs
from imsd.mail.work import HOUR
from imsd.plugins.messages import asked
from imsd.settings.queue import Queue
from imsd.settings.scheduling import Retry, Timeout
from imsd.store import claims, fanout, spool, tracking
from imsd.store.blobs import Blobs
from imsd.store.ids import AccountId
from imsd.store.tables import now
from imsd.store.tracking import Event

if TYPE_CHECKING:
    from imsd.diagnostics.diagnosis import Diagnosis
    from imsd.directory.directory import Directory
    from imsd.mail.archiving import Archive
    from imsd.mail.signing import Signer
    from imsd.plugins.plugins import Plugins
    from imsd.settings import LiveSettings
    from imsd.store.blobs import NewBlob
    from imsd.store.database import Database

__all__ = ["LOCAL", "Accepted", "Delivery"]

ASKED = 10
"""How often in a minute ETRN starts what is held for a domain."""


class Delivery:
    """Takes responsibility for messages, whoever brings them."""

    log = Logger()

    def __init__(self, db: Database, directory: Directory, settings: LiveSettings) -> None:
        self._db = db
        self._directory = directory
        self._settings = settings
        self.room = Room(directory, settings)
        self.connectors = Connectors(settings, directory)
        self.turns = Turns(now)
        self.flow = FlowGate(db, settings, now)
        self.sending = SendingLimits(db, settings, lambda: now() / 1_000_000)
        self.srs = Srs(directory, settings)
        self._planner = Planner(directory, self.connectors, self.room, self.srs)
        self.signer: Signer | None = None
        self.diagnosis: Diagnosis | None = None
        self.archive: Archive | None = None
        self.plugins: Plugins | None = None
        self.counters = Counters(lambda: now() / 1_000_000)
        self._asked: dict[str, tuple[int, int]] = {}
        """How often in a minute was asked for what is held, by row of ims.domains."""
        self._last = 0
        self._node = secrets.token_hex(2).upper()
        self._idle: list[Deferred[None]] = []
        self._draining = False

    def new_id(self) -> str:
        """A queue id that never repeats; it stands in the Received line and in the 250."""
        self._last = max(now(), self._last + 1)
        # Nodes that share a store must not make the same id in the same microsecond.
        return f"{self._last:X}{self._node}"

    async def accept(self, envelope: Envelope, content: NewBlob, queue_id: str = "") -> Accepted:
        """Deliver to local recipients and queue for the others, in one transaction.

        Raises StoreFull, OverQuota, TooLargeHere, NoSuchMailbox, TryLater, StoreUnavailable,
        TooManyRecipients.
        When it returns the message is on stable storage and in the mailboxes.
        """
        system = not envelope.reverse_path and envelope.account is None and envelope.origin == Origin()
        originator = Originator(envelope.account, envelope.reverse_path, system, envelope.origin.address)
        plan = Plan(size=content.size, originator=originator)
        await self._planner.add_all(plan, envelope.addressees)
        if plan.refused and not plan.local and not plan.remote and not plan.later:
            raise plan.refused[0][1]
        queue_id = queue_id or self.new_id()
        if self.plugins is not None and self.plugins.wants("received") and not system:
            verdict = await asked(self.plugins, self._db, queue_id, envelope, content)
            if verdict.discarded:
                return await self._discarded(verdict.discarded, queue_id, envelope, content)
            plan = plan.beginning_with(verdict.fields)
        self._place(plan, envelope.priority)
        if plan.remote:
            await self._limit(plan, envelope.account, envelope.reverse_path)
        if self.signer is not None:
            await self.signer.sign(plan, envelope, content)
        for address in journals(self._settings, envelope, plan):
            await self._journal(plan, envelope, address)
        if plan.remote and envelope.reverse_path and await self.flow.closed():
            plan.kept = WHY
        plan.holding = self._settings[Queue].holding
        account = next(iter(plan.local))[0] if plan.local else 0
        try:
            accepted = await self._db.write(
                units.accept,
                plan,
                envelope,
                content,
                queue_id,
                self._lifetime(envelope.priority),
                account=account,
                arrival=units.arriving(plan, envelope, content, queue_id),
            )
        except OverQuota:
            raise self.room.full() from None
        self.counters.accepted(envelope, plan)
        if accepted.delivered:
            self._tell(queue_id, limit=accepted.delivered)
        if self.archive is not None and self.archive.wanted:
            await self.archive.received(queue_id, envelope, content)
        if self.diagnosis is not None and self.diagnosis.wants(2002):
            self.diagnosis.tell(
                2002,
                "message {queue_id} of {sender} came from {peer}: {here} recipients here, {away} elsewhere",
                queue_id=queue_id,
                sender=envelope.reverse_path or "<>",
                peer=envelope.origin.address or "here",
                here=accepted.delivered,
                away=accepted.queued,
            )
        if len(plan.local) > units.MOST:
            self.wake()
        return accepted

    async def _discarded(self, by: str, queue_id: str, envelope: Envelope, content: NewBlob) -> Accepted:
        """A plug-in wants nobody to have it; its sender learns nothing."""
        self.track(
            *(
                Event(
                    now(), "filtered", queue_id, b"", envelope.reverse_path, to.address,
                    f"discarded by the plug-in {by}", envelope.origin.address, content.size,
                )
                for to in envelope.addressees
            )
        )  # fmt: skip
        await Blobs(self._db).discard(content)
        return Accepted(queue_id, 0, 0)

    def _tell(
        self, queue_id: str, since: int = 0, limit: int = 2 * units.MOST, among: Container[str] | None = None
    ) -> None:
        """Tell plug-ins who has a copy now, as it was tracked."""
        plugins = self.plugins
        if plugins is None or not plugins.wants("delivered"):
            return

        def found(events: list[Event]) -> None:
            plugins.tracked(each for each in events if among is None or each.recipient in among)

        ask = partial(tracking.query, queue_id=queue_id, event="delivered", since=since, limit=limit)
        self._db.read(ask).addCallback(found).addErrback(self._untracked)

    async def _journal(self, plan: Plan, envelope: Envelope, address: str) -> None:
        """A copy for a journal, before all others: it has room for who the message is for."""
        to: Recipient | None = None
        if self._directory.serves(address.rpartition("@")[2]):
            try:
                to = await self._directory.resolve(address)
            except (NoSuchRecipient, AmbiguousRecipient):
                self.log.error("hooks: the journal {address} is nobody", address=address, event_id=20_022)
                return
        others, plan.local = plan.local, {}
        await self._planner.add(plan, replace(journal_copy(envelope, address), recipient=to), to)
        plan.local |= {key: copy for key, copy in others.items() if key not in plan.local}
        plan.events.append(("journaled", address, ""))

    async def _limit(self, plan: Plan, account: AccountId | None, reverse_path: str) -> None:
        """Is what leaves held, because its sender has sent enough (imsd.mail.sending)?"""
        if account is None or not plan.remote:
            return
        try:
            own_limits = (await self._directory.limits(account)).sending
        except NoSuchEntry:
            own_limits = {}
        if not own_limits and not self.sending.active:
            return
        try:
            sender = await self._directory.resolve(reverse_path) if reverse_path else None
        except (NoSuchRecipient, AmbiguousRecipient):
            sender = None
        own = isinstance(sender, Local) and sender.account == account
        plan.held = await self.sending.hold(
            sender.address if own and sender else reverse_path or f"account {account}",
            len(plan.remote),
            own_limits,
        )

    async def start_held(self, domain: str, below: bool) -> int:
        """ETRN: what is held for a domain (below: and those below it) is due; how many recipients.

        Raises QueueElsewhere where nothing is held for the domain (RFC 1985 5.2), and AskedTooOften: anybody
        may say it, and each time hosts are tried.
        """
        row = self.connectors.domain_row(domain)
        if row is None or row.route != "etrn" or not self.connectors.all[0].sends:
            raise QueueElsewhere
        minute = now() // 60_000_000
        asked = self._asked.get(row.domain, (minute, 0))
        count = asked[1] + 1 if asked[0] == minute else 1
        if count > ASKED:
            raise AskedTooOften
        self._asked[row.domain] = (minute, count)
        return await self._db.write(spool.start_parked, domain, below, now())

    def track(self, *events: Event) -> None:
        """Have decisions written that nobody waits for; without a store there is nothing to tell."""
        self._db.write(tracking.track, *events).addErrback(self._untracked)
        if self.plugins is not None:
            self.plugins.tracked(events)

    def _untracked(self, failure: Any) -> None:
        if not failure.check(Refusal, CancelledError):
            self.log.failure("decisions could not be tracked", failure)

    def _lifetime(self, priority: int = 0) -> int:
        return int(self._settings[Timeout].hours(priority, self._settings[Retry]) * HOUR)

    def _place(self, plan: Plan, priority: int) -> None:
        """Who sends to many goes behind who sends to few."""
        if plan.remote:
            by = plan.originator
            plan.turn = self.turns.take(by.account or by.address, priority, len(plan.remote))

    # What was left for later ---------------------------------------------------------------

    async def deliver_here(self, claim: claims.Claim, recipient: spool.QueuedRecipient) -> bool:
        """Deliver a LOCAL queue row and record it as delivered, in one unit.

        Since it was queued the address may have become a list's or a contact's: whoever that
        names gets a copy or a row of his own.
        False: the claim is not ours any more. Raises NoSuchRecipient, LoopDetected, OverQuota,
        NoSuchMailbox and the store's refusals: the caller defers or fails the row.
        """
        message = claim.message
        originator = Originator(message.account, message.reverse_path, peer=message.peer)
        plan = Plan(size=message.size, originator=originator, queued=True)
        address = recipient.address
        to = await self._directory.resolve(address)
        notify = tuple(recipient.notify.split(",")) if recipient.notify else ()
        given = Addressee(address, to, notify, recipient.orcpt_type, recipient.orcpt)
        await self._planner.add(plan, given, to)
        if plan.nowhere is not None and not plan.local and len(plan.remote) == 1:
            raise plan.nowhere
        if plan.refused and not plan.local and not plan.remote:
            raise plan.refused[0][1]
        self._place(plan, message.priority)
        await self._limit(plan, AccountId(message.account or 0) or None, message.reverse_path)
        if self.signer is not None:
            await self.signer.sign_stored(plan, message)
        since = now()
        done = await self._db.write(units.deliver_queued, plan, claim, recipient, since)
        if done and plan.local:
            self._tell(message.queue_id, since, among={copy.address for copy in plan.local.values()})
        if len(plan.local) > units.MOST:
            self.wake()
        return done

    def start(self) -> None:
        """Finish the fan-outs that a stop interrupted."""
        self.wake()

    def wake(self) -> None:
        """Work off fan-out rows in the background."""
        if not self._draining:
            self._draining = True
            Deferred.fromCoroutine(self._work_off()).addErrback(self._failed)

    async def drained(self) -> None:
        """Wait until nothing is being worked off."""
        if self._draining:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    async def _work_off(self) -> None:
        try:
            while pending := await self._db.read(fanout.pending):
                for each in pending:
                    done = False
                    while not done:
                        since = now()
                        done = await self._db.write(units.fan_out, each, self._lifetime())
                        self._tell(each.queue_id, since)
        finally:
            self._draining = False
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _failed(self, failure: Any) -> None:
        # The rows stay; the next message or the next start goes on.
        self.log.failure("fan-out was interrupted", failure)
