"""The one transaction that makes the 250 true (design: accepting is delivering).

1. Before the transaction recipients are worked out: lists are expanded (nested, each recipient
   once, cycles cut by the directory), contacts are re-addressed, everybody gets one copy.
2. In it, up to 100 local copies are delivered; what is over 100 is left in a fan-out row that
   `drain` works off in small units; foreign recipients get queue rows; every step is tracked.
3. Queue rows whose domain is LOCAL are for here. They stand for local recipients that could not
   have their copy (over quota, too large for them) while others had it, and for those whose success is to be
   reported (RFC 3461 4.1): the queue runner calls `deliver_here` for them and reports by its
   usual means, so that no report is lost in a crash.
4. A list is an alias in the sense of RFC 5321 3.9.1 as long as its sender hears of failures: the
   reverse-path stays, and RFC 3461 5.2.7.3 (c) says what is reported: members inherit everything but
   SUCCESS. One whose owner hears of them is a mailing list (5.2.7.1): the reverse-path is the owner's.
   Either is expanded by the queue runner, who reports it, where SUCCESS is asked for. Lists within a
   list follow the first.
5. A mailbox with an alternate recipient leaves its mail to that. Where those lead in a circle, or to
   nobody, the mailbox where that shows gets it. What a contact or an alternate sends on to other domains
   gets a reverse-path of ours (imsd.mail.srs).
6. Who does not accept from the sender gets no copy: RCPT is refused, and what a list leads to is
   reported (imsd.mail.posting).

If a local copy is refused for everybody, `accept` raises that refusal and nothing was stored.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from imsd.directory.imcea import Foreign, encode
from imsd.directory.restrictions import Reports
from imsd.directory.values import Contact, DistributionList, Local, PublicFolder, Recipient
from imsd.errors import (
    AmbiguousRecipient,
    LoopDetected,
    NoRoute,
    NoSuchEntry,
    NoSuchRecipient,
    OverQuota,
    PolicyRejected,
    PostingDenied,
    QueueElsewhere,
    Refusal,
)
from imsd.mail import posting, units
from imsd.mail.connectors import Connectors, Originator
from imsd.mail.counters import Counters
from imsd.mail.destinations import Destination
from imsd.mail.envelope import Addressee, Envelope, Origin
from imsd.mail.fairness import Turns
from imsd.mail.flow import WHY, FlowGate
from imsd.mail.journaling import journal_copy, journals
from imsd.mail.room import Room
from imsd.mail.sending import SendingLimits
from imsd.mail.srs import Srs
from imsd.mail.units import LOCAL, Accepted, Copy, Plan
from imsd.mail.work import HOUR
from imsd.settings.scheduling import Retry, Timeout
from imsd.store import claims, fanout, spool, tracking
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.tables import now
from imsd.store.tracking import Event

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.blobs import NewBlob
    from imsd.store.database import Database

__all__ = ["LOCAL", "Accepted", "Delivery"]

DEPTH = 8
"""How often a contact may lead to another address of ours."""


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
        self.sending = SendingLimits(settings, lambda: now() / 1_000_000)
        self.srs = Srs(directory, settings)
        self.counters = Counters(lambda: now() / 1_000_000)
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
        for addressee in envelope.addressees:
            await self._plan(plan, addressee, addressee.recipient, 0)
        if plan.refused and not plan.local and not plan.remote and not plan.later:
            raise plan.refused[0][1]
        self._place(plan, envelope.priority)
        if plan.remote:
            await self._limit(plan, envelope.account, envelope.reverse_path)
        for address in journals(self._settings, envelope, plan):
            await self._journal(plan, envelope, address)
        if plan.remote and envelope.reverse_path and await self.flow.closed():
            plan.kept = WHY
        account = next(iter(plan.local))[0] if plan.local else 0
        try:
            accepted = await self._db.write(
                units.accept,
                plan,
                envelope,
                content,
                queue_id or self.new_id(),
                self._lifetime(envelope.priority),
                account=account,
            )
        except OverQuota:
            raise self.room.full() from None
        self.counters.accepted(envelope, plan)
        if len(plan.local) > units.MOST:
            self.wake()
        return accepted

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
        await self._plan(plan, replace(journal_copy(envelope, address), recipient=to), to, 0)
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
        plan.held = self.sending.hold(
            sender.address if own and sender else reverse_path or f"account {account}",
            len(plan.remote),
            own_limits,
        )

    async def start_held(self, domain: str, below: bool) -> int:
        """ETRN: what is held for a domain (below: and those below it) is due; how many recipients.

        Raises QueueElsewhere where nothing is held for the domain (RFC 1985 5.2).
        """
        row = self.connectors.domain_row(domain)
        if row is None or row.route != "etrn" or not self.connectors.all[0].sends:
            raise QueueElsewhere
        return await self._db.write(spool.start_parked, domain, below, now())

    def track(self, *events: Event) -> None:
        """Have decisions written that nobody waits for; without a store there is nothing to tell."""
        self._db.write(tracking.track, *events).addErrback(self._untracked)

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

    # Working out who gets a copy -----------------------------------------------------------

    async def _plan(self, plan: Plan, addressee: Addressee, to: Recipient | None, depth: int) -> None:
        if (
            to is not None
            and to.restricted
            and not await posting.admits(self._directory, to, plan.originator)
        ):
            _refuse(plan, addressee)
        elif isinstance(to, Local):
            await self._to_mailbox(plan, addressee, to, depth)
        elif isinstance(to, PublicFolder):
            # RCPT asked for whom it knew: not for members of lists, nor as things are by now.
            if plan.originator.system or await posting.posts(self._directory, to, plan.originator.account):
                _add(plan, PUBLIC, to.pathname, addressee)
            else:
                _refuse(plan, addressee)
        elif isinstance(to, DistributionList):
            await self._expand(plan, addressee, to, depth)
        elif isinstance(to, Contact):
            await self._readdress(plan, addressee, to, depth)
        else:
            plan.remote.setdefault(_folded(addressee.address), await self._bound(plan, addressee))

    async def _to_mailbox(self, plan: Plan, addressee: Addressee, to: Local, depth: int) -> None:
        alternate = await self._alternate(plan, to, depth) if to.alternate is not None else None
        if alternate is None or to.keeps:
            refusal = await self.room.too_large(to.account, plan.size)
            _add(plan, to.account, "", addressee, refusal)
        if alternate is None:
            return
        plan.events.append(("redirected", to.address, alternate.address))
        if to.keeps:
            # What is to be told is told of one of them (RFC 3461 5.2.7.3 b).
            addressee = replace(addressee, notify=("NEVER",), orcpt="", orcpt_type="")
        onward = replace(addressee, address=alternate.address, recipient=alternate)
        await self._plan(plan, onward, alternate, depth + 1)

    async def _alternate(self, plan: Plan, to: Local, depth: int) -> Recipient | None:
        """Who gets the mail in place of a mailbox; None: it does."""
        if to.alternate is None or to.account in plan.redirected or depth >= DEPTH:
            return None
        plan.redirected.add(to.account)
        try:
            return await self._directory.recipient(to.alternate)
        except NoSuchRecipient:
            return None

    async def _bound(self, plan: Plan, addressee: Addressee) -> Addressee:
        """A foreign addressee with what its connector makes of it."""
        if addressee.destination or self._directory.serves(addressee.address.rpartition("@")[2]):
            return addressee
        try:
            out = await self.connectors.out(addressee.address, plan.originator)
        except (NoRoute, PolicyRejected):
            return addressee  # It is refused when it is tried, and the sender is told.
        if not out.parked and not out.destination.connector:
            return addressee
        bound = str(out.destination) if out.destination.connector else ""
        return replace(addressee, address=out.address, destination=bound, parked=bool(out.parked))

    async def _expand(self, plan: Plan, addressee: Addressee, to: DistributionList, depth: int) -> None:
        async def admits(member: Recipient) -> bool:
            return await posting.admits(self._directory, member, plan.originator)

        found = await self._directory.expand(to, admits=admits)
        if "SUCCESS" in addressee.notify and not plan.queued:
            plan.later.append(_copy(AccountId(0), "", addressee))
            return
        # One whose reports go to who sent the message has aliases, with his reverse-path.
        plan.listed = plan.listed or ("alias" if to.reports is Reports.ORIGINATOR else "list")
        plan.events.append(("expanded", to.address, f"{len(found.recipients)} recipients"))
        null = not (plan.originator.address if addressee.sender is None else addressee.sender)
        given = await self._of_list(addressee, to, null)
        for recipient in (*found.recipients, *found.refused):
            member = replace(given, address=recipient.address, recipient=recipient)
            await self._plan(plan, member, recipient, depth)

    async def _of_list(self, given: Addressee, to: DistributionList, null: bool) -> Addressee:
        """What members have of what was said of their list (rule 4). null: nobody is to be told of what
        fails (RFC 5321 4.5.5): a report that goes to a list stays one, or an owner whose mail the list
        gets would be told of what he is told without end."""
        if to.reports is Reports.ORIGINATOR:
            # What is reported of a member is its failure; success is the list's (RFC 3461 5.2.7.3 c).
            notify = tuple(word for word in given.notify if word != "SUCCESS")
            if given.notify and not notify:
                notify = ("NEVER",)
            return replace(given, notify=notify)
        sender, notify = "", ("NEVER",) if to.reports is Reports.NOBODY else ()
        if to.reports is Reports.OWNER and to.owner is not None and not null:
            try:
                owner = await self._directory.recipient(to.owner)
                sender = owner.address if "@" in owner.address else ""
            except NoSuchRecipient:
                pass  # The postmaster is told.
        return replace(given, notify=notify, orcpt="", orcpt_type="", sender=sender, anew=True)

    async def _readdress(self, plan: Plan, addressee: Addressee, to: Contact, depth: int) -> None:
        plan.events.append(("redirected", to.address, to.target))
        sender = addressee.sender
        next_to: Recipient | None = None
        address, destination, parked = to.target, "", False
        if to.kind != "SMTP":
            try:
                out = await self.connectors.out_contact(to, plan.originator)
                address, destination, parked = out.address, str(out.destination), bool(out.parked)
            except (NoRoute, PolicyRejected) as refusal:
                # An address of ours that nobody has: the queue runner tells the sender.
                address, plan.nowhere = self._nowhere(to), refusal
        elif self._directory.serves(to.target.rpartition("@")[2]):
            # What leads nowhere is queued, and the queue runner tells the sender.
            try:
                if depth >= DEPTH:
                    raise LoopDetected("Contacts lead to each other")
                next_to = await self._directory.resolve(to.target)
            except (NoSuchRecipient, LoopDetected) as refusal:
                host = self._directory.share_host(to.target.rpartition("@")[2])
                if host and not isinstance(refusal, LoopDetected):
                    destination = str(Destination(host=host))
                else:
                    plan.nowhere = refusal
        else:
            held = plan.originator.address if sender is None else sender
            rewritten = await self.srs.forward(held) if held and plan.originator.account is None else held
            sender = rewritten if rewritten != held else sender
        onward = replace(
            addressee,
            address=address,
            recipient=next_to,
            destination=destination,
            parked=parked,
            sender=sender,
        )
        await self._plan(plan, onward, next_to, depth + 1)

    def _nowhere(self, to: Contact) -> str:
        domain = (self._directory.domains.served or ("invalid",))[0]
        return f"{encode(Foreign(to.kind, to.target))}@{domain}"

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
        await self._plan(plan, given, to, 0)
        if plan.nowhere is not None and not plan.local and len(plan.remote) == 1:
            raise plan.nowhere
        if plan.refused and not plan.local and not plan.remote:
            raise plan.refused[0][1]
        self._place(plan, message.priority)
        await self._limit(plan, AccountId(message.account or 0) or None, message.reverse_path)
        done = await self._db.write(units.deliver_queued, plan, claim, recipient, now())
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
                    while not await self._db.write(units.fan_out, each, self._lifetime()):
                        pass
        finally:
            self._draining = False
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _failed(self, failure: Any) -> None:
        # The rows stay; the next message or the next start goes on.
        self.log.failure("fan-out was interrupted", failure)


def _add(
    plan: Plan, account: AccountId, folder: str, given: Addressee, refusal: Refusal | None = None
) -> None:
    copy = _copy(account, folder, given)
    if refusal is not None:
        plan.refused.append((copy, refusal))
    else:
        plan.local.setdefault((account, folder), copy)


def _copy(account: AccountId, folder: str, given: Addressee) -> Copy:
    return Copy(
        account,
        given.address,
        folder,
        given.notify,
        given.orcpt_type,
        given.orcpt,
        given.sender,
        given.anew,
        given.head,
    )


def _refuse(plan: Plan, given: Addressee) -> None:
    refusal = PostingDenied("This recipient does not accept messages from this sender")
    plan.refused.append((_copy(AccountId(0), "", given), refusal))


def _folded(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"
