"""The one transaction that makes the 250 true (design: accepting is delivering).

1. Before the transaction recipients are worked out: lists are expanded (nested, each recipient
   once, cycles cut by the directory), contacts are re-addressed, everybody gets one copy.
2. In it, up to 100 local copies are delivered; what is over 100 is left in a fan-out row that
   `drain` works off in small units; foreign recipients get queue rows; every step is tracked.
3. Queue rows whose domain is LOCAL are for here. They stand for local recipients that could not
   have their copy now (over quota) while others had it, and for those whose success is to be
   reported (RFC 3461 4.1): the queue runner calls `deliver_here` for them and reports by its
   usual means, so that no report is lost in a crash.
4. The reverse-path stays the sender's when a list is expanded: lists here are aliases in the
   sense of RFC 5321 3.9.1 and RFC 3461 5.2.7.1, not mailing lists with a return address.

If a local copy is refused for everybody, `accept` raises that refusal and nothing was stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.directory.values import Contact, DistributionList, Local, PublicFolder, Recipient
from imsd.errors import NoSuchMailbox, NoSuchRecipient, Refusal
from imsd.mail.envelope import Addressee, Envelope
from imsd.settings.smtp import Smtp
from imsd.store import blobs, fanout, mailboxes, messages, spool, tracking
from imsd.store.ids import INBOX, PUBLIC, AccountId, MailboxId
from imsd.store.tables import now
from imsd.store.tracking import Event

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.blobs import NewBlob
    from imsd.store.database import Database
    from imsd.store.transaction import Unit

LOCAL = ""
"""The domain of queue rows that are delivered here."""

MOST = messages.MAX_DELIVERIES
DEPTH = 8
"""How often a contact may lead to another address of ours."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is ours: its id, how many copies were delivered, how many wait."""

    queue_id: str
    delivered: int
    queued: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A local copy: of a person's INBOX, or of a public folder by its pathname."""

    account: AccountId
    address: str
    folder: str = ""
    notify: tuple[str, ...] = ()
    orcpt_type: str = ""
    orcpt: str = ""

    @property
    def reported(self) -> bool:
        return "SUCCESS" in self.notify


@dataclass(slots=True)
class Plan:
    """Who gets a copy, worked out before the transaction."""

    local: dict[tuple[AccountId, str], Copy] = field(default_factory=dict)
    remote: dict[str, Addressee] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)


class Delivery:
    """Takes responsibility for messages, whoever brings them."""

    log = Logger()

    def __init__(self, db: Database, directory: Directory, settings: LiveSettings) -> None:
        self._db = db
        self._directory = directory
        self._settings = settings
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

        Raises StoreFull, OverQuota, NoSuchMailbox, TryLater, StoreUnavailable, TooManyRecipients.
        When it returns the message is on stable storage and in the mailboxes.
        """
        plan = Plan()
        for addressee in envelope.addressees:
            await self._plan(plan, addressee, addressee.recipient, 0)
        account = next(iter(plan.local))[0] if plan.local else 0
        accepted = await self._db.write(
            _accept,
            plan,
            envelope,
            content,
            queue_id or self.new_id(),
            self._lifetime(),
            account=account,
        )
        if len(plan.local) > MOST:
            self.wake()
        return accepted

    def _lifetime(self) -> int:
        return self._settings[Smtp].expire_hours * 3_600_000_000

    # Working out who gets a copy -----------------------------------------------------------

    async def _plan(self, plan: Plan, addressee: Addressee, to: Recipient | None, depth: int) -> None:
        if isinstance(to, Local):
            _add(plan, to.account, "", addressee)
        elif isinstance(to, PublicFolder):
            _add(plan, PUBLIC, to.pathname, addressee)
        elif isinstance(to, DistributionList):
            await self._expand(plan, addressee, to, depth)
        elif isinstance(to, Contact):
            await self._readdress(plan, addressee, to, depth)
        else:
            plan.remote.setdefault(_folded(addressee.address), addressee)

    async def _expand(self, plan: Plan, addressee: Addressee, to: DistributionList, depth: int) -> None:
        found = await self._directory.expand(to)
        plan.events.append(("expanded", to.address, f"{len(found.recipients)} recipients"))
        # What is reported of a member is its failure; success was the list's (RFC 3461 5.2.7.1).
        notify = tuple(word for word in addressee.notify if word != "SUCCESS")
        if addressee.notify and not notify:
            notify = ("NEVER",)
        for recipient in found.recipients:
            member = replace(
                addressee,
                address=recipient.address,
                recipient=recipient,
                notify=notify,
                orcpt="",
                orcpt_type="",
            )
            await self._plan(plan, member, recipient, depth)

    async def _readdress(self, plan: Plan, addressee: Addressee, to: Contact, depth: int) -> None:
        plan.events.append(("redirected", to.address, to.target))
        next_to: Recipient | None = None
        if depth < DEPTH and self._directory.serves(to.target.rpartition("@")[2]):
            try:
                next_to = await self._directory.resolve(to.target)
            except NoSuchRecipient:
                # It is queued, and the queue runner says to the sender that nobody is there.
                next_to = None
        await self._plan(plan, replace(addressee, address=to.target, recipient=next_to), next_to, depth + 1)

    # What was left for later ---------------------------------------------------------------

    async def deliver_here(self, claim: spool.Claim, recipient: spool.QueuedRecipient) -> bool:
        """Deliver a LOCAL queue row and record it as delivered, in one unit.

        False: the claim is not ours any more. Raises NoSuchRecipient, OverQuota, NoSuchMailbox and
        the store's refusals: the caller defers or fails the row.
        """
        plan = Plan()
        address = recipient.address
        to = await self._directory.resolve(address)
        await self._plan(plan, Addressee(address, to), to, 0)
        return await self._db.write(_deliver_queued, plan, claim, recipient, now())

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
                    while not await self._db.write(_fan_out, each, self._lifetime()):
                        pass
        finally:
            self._draining = False
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _failed(self, failure: Any) -> None:
        # The rows stay; the next message or the next start goes on.
        self.log.failure("fan-out was interrupted", failure)


def _add(plan: Plan, account: AccountId, folder: str, given: Addressee) -> None:
    copy = Copy(account, given.address, folder, given.notify, given.orcpt_type, given.orcpt)
    plan.local.setdefault((account, folder), copy)


def _folded(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"


def prefix_of(reverse_path: str, address: str) -> bytes:
    """The header fields of one copy (RFC 5321 4.4), cut to what a row holds."""
    return f"Return-Path: <{reverse_path}>\r\nDelivered-To: {address}\r\n".encode("utf-8", "replace")


# Units -------------------------------------------------------------------------------------


def _accept(
    unit: Unit, plan: Plan, envelope: Envelope, content: NewBlob, queue_id: str, lifetime: int
) -> Accepted:
    time = now()
    copies = list(plan.local.values())
    later = [copy for copy in copies if copy.reported]
    if later:
        copies = [copy for copy in copies if not copy.reported]
    delivered, refused = _copies(unit, copies[:MOST], envelope.reverse_path, content, time)
    if refused and not delivered and len(refused) == len(plan.local) and not plan.remote:
        raise refused[0][1]
    if len(copies) > MOST:
        refused += _leave(unit, copies[MOST:], envelope, content, queue_id, time)
    later += [copy for copy, _ in refused]
    rows = _rows(plan.remote.values(), later, time)
    if rows:
        _queue(unit, rows, envelope, content, queue_id, time, lifetime)
    message_id = content.summary.message_id if content.summary is not None else b""

    def event(word: str, recipient: str, reason: str = "") -> Event:
        return Event(
            time,
            word,
            queue_id,
            message_id,
            envelope.reverse_path,
            recipient,
            reason,
            envelope.origin.address,
            content.size,
        )

    events = [event("accepted", "", envelope.origin.protocol)]
    events += [event(word, recipient, reason) for word, recipient, reason in plan.events]
    events += [event("delivered", copy.address) for copy in delivered]
    events += [event("deferred", copy.address, refusal.text) for copy, refusal in refused]
    events += [event("queued", row.address) for row in rows]
    tracking.track(unit, *events)
    return Accepted(queue_id, len(delivered), len(rows) + max(0, len(copies) - MOST))


def _copies(
    unit: Unit, copies: list[Copy], reverse_path: str, content: NewBlob, time: int
) -> tuple[list[Copy], list[tuple[Copy, Refusal]]]:
    """Deliver these; those that were, and those that were refused, with the reason."""
    if not copies:
        return [], []
    refused: list[tuple[Copy, Refusal]] = []
    placed: list[tuple[Copy, messages.Delivery]] = []
    for copy in copies:
        try:
            mailbox = _mailbox(unit, copy)
        except NoSuchMailbox as refusal:
            refused.append((copy, refusal))
            continue
        prefix = prefix_of(reverse_path, copy.address)
        placed.append((copy, messages.Delivery(copy.account, prefix, mailbox)))
    delivered = []
    results = messages.deliver(unit, [item for _, item in placed], content, time)
    for (copy, _), result in zip(placed, results, strict=True):
        if isinstance(result, messages.Refused):
            refused.append((copy, result.refusal))
        else:
            delivered.append(copy)
    return delivered, refused


def _rows(remote: Iterable[Addressee], later: Iterable[Copy], time: int) -> list[spool.NewRecipient]:
    rows = []
    for each in remote:
        domain = each.address.rpartition("@")[2].lower()
        rows.append(
            spool.NewRecipient(each.address, domain, time, ",".join(each.notify), each.orcpt_type, each.orcpt)
        )
    for copy in later:
        notify = ",".join(copy.notify)
        rows.append(spool.NewRecipient(copy.address, LOCAL, time, notify, copy.orcpt_type, copy.orcpt))
    return rows


def _queue(
    unit: Unit,
    rows: list[spool.NewRecipient],
    envelope: Envelope,
    content: NewBlob,
    queue_id: str,
    time: int,
    lifetime: int,
) -> None:
    message = spool.NewMessage(
        queue_id,
        blobs.keep(unit, content),
        content.size,
        envelope.reverse_path,
        time,
        time + lifetime,
        envid=envelope.envid,
        ret=envelope.ret,
        body=envelope.body,
        smtputf8=envelope.smtputf8,
        account=envelope.account,
        priority=envelope.priority,
    )
    spool.enqueue(unit, message, rows)


def _leave(
    unit: Unit, copies: list[Copy], envelope: Envelope, content: NewBlob, queue_id: str, time: int
) -> list[tuple[Copy, Refusal]]:
    """The copies over the limit of one unit become rows (rule 11); those that cannot be."""
    left: list[fanout.Copy] = []
    refused: list[tuple[Copy, Refusal]] = []
    for copy in copies:
        try:
            left.append(fanout.Copy(copy.account, copy.address, _mailbox(unit, copy)))
        except NoSuchMailbox as refusal:
            refused.append((copy, refusal))
    if left:
        blob = blobs.keep(unit, content)
        fanout.begin(unit, queue_id, blob, b"", envelope.reverse_path, time, left)
    return refused


def _mailbox(unit: Unit, copy: Copy) -> MailboxId:
    return mailboxes.get(unit, PUBLIC, copy.folder).id if copy.folder else INBOX


def _fan_out(unit: Unit, each: fanout.Fanout, lifetime: int) -> bool:
    """Make some of the copies; True when none is left. What is refused waits in the queue."""
    copies = fanout.take(unit, each.id)
    content = blobs.known(unit, each.blob)
    deliveries = [
        messages.Delivery(
            copy.account, prefix_of(each.reverse_path, copy.address), MailboxId(copy.mailbox or INBOX)
        )
        for copy in copies
    ]
    results = messages.deliver(unit, deliveries, content, each.arrived)
    time = now()
    events, rows = [], []
    for copy, result in zip(copies, results, strict=True):
        word, reason = "delivered", ""
        if isinstance(result, messages.Refused):
            word, reason = "deferred", result.refusal.text
            rows.append(spool.NewRecipient(copy.address, LOCAL, time))
        events.append(
            Event(time, word, each.queue_id, b"", each.reverse_path, copy.address, reason, "", content.size)
        )
    if events:
        tracking.track(unit, *events)
    if rows:
        # One message of the queue for each unit: its id must be another's.
        envelope = Envelope(each.reverse_path, ())
        _queue(unit, rows, envelope, content, f"{each.queue_id}.{copies[0].number}", time, lifetime)
    return fanout.made(unit, each.id, copies)


def _deliver_queued(
    unit: Unit, plan: Plan, claim: spool.Claim, recipient: spool.QueuedRecipient, time: int
) -> bool:
    result = spool.Result(recipient.id, spool.State.DELIVERED)
    if not spool.record(unit, claim, [result], time):
        return False
    content = blobs.known(unit, claim.message.blob)
    reverse_path = claim.message.reverse_path
    _, refused = _copies(unit, list(plan.local.values())[:MOST], reverse_path, content, time)
    if refused:
        raise refused[0][1]
    event = Event(
        time, "delivered", claim.message.queue_id, b"", reverse_path, recipient.address, "", "", content.size
    )
    tracking.track(unit, event)
    return True
