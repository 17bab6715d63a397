"""The units of delivery: what one transaction does with a planned message.

They may run more than once (rule 1), so they change nothing but rows. `accept` is the unit behind
every 250; `fan_out` makes what did not fit into it; `deliver_queued` makes a copy that waited.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imsd.errors import NoSuchMailbox, Refusal
from imsd.mail.enqueuing import by_sender, enqueue, enqueue_all
from imsd.mail.envelope import Addressee, Envelope, Origin, Timing
from imsd.mail.plan import LOCAL, Accepted, Copy, Plan
from imsd.store import arrivals, blobs, claims, fanout, mailboxes, messages, spool, tracking
from imsd.store.ids import INBOX, PUBLIC, AccountId, MailboxId
from imsd.store.tables import now
from imsd.store.tracking import Event
from protocols.smtp.parameters import EIGHT_BIT

if TYPE_CHECKING:
    from imsd.store.arrivals import Arrival
    from imsd.store.blobs import NewBlob
    from imsd.store.transaction import Unit
MOST = messages.MAX_DELIVERIES


def prefix_of(reverse_path: str, address: str) -> bytes:
    """The header fields of one copy (RFC 5321 4.4), cut to what a row holds."""
    return f"Return-Path: <{reverse_path}>\r\nDelivered-To: {address}\r\n".encode("utf-8", "replace")


def fields_of(copy: Copy, reverse_path: str) -> bytes:
    """All that this copy has before the content."""
    return prefix_of(reverse_path if copy.sender is None else copy.sender, copy.address) + copy.head.encode()


def said_of(envelope: Envelope) -> str:
    """What is tracked of how a message came."""
    told = [envelope.origin.told, f"TLS {envelope.tls}" if envelope.tls else ""]
    return ", ".join(filter(None, told))


def arriving(plan: Plan, envelope: Envelope, content: NewBlob, queue_id: str) -> Arrival | None:
    """What `accept` would write, where that is one copy for an INBOX and nothing else; or None."""
    if (
        len(plan.local) != 1
        or plan.remote
        or plan.later
        or plan.refused
        or plan.events
        or envelope.timing.release
        or content.data is None
        or content.summary is None
    ):
        return None
    (copy,) = plan.local.values()
    if copy.folder or copy.reported:
        return None
    fields = fields_of(copy, envelope.reverse_path)
    if len(fields) > messages.MAX_PREFIX:
        return None
    return arrivals.arrival(
        copy.account,
        content,
        fields,
        now(),
        queue_id,
        envelope.reverse_path,
        copy.address,
        said_of(envelope),
        envelope.origin.address,
        Accepted(queue_id, 1, 0),
    )


def accept(
    unit: Unit, plan: Plan, envelope: Envelope, content: NewBlob, queue_id: str, lifetime: int
) -> Accepted:
    time = now()
    copies = list(plan.local.values())
    later = [copy for copy in copies if copy.reported]
    if later:
        copies = [copy for copy in copies if not copy.reported]
    if envelope.timing.release > time:
        # Kept back: nobody has it before its time, here or elsewhere (RFC 4865 4.2).
        later, copies = later + copies, []
    copies, waiting = _divided(copies, envelope)
    later += [*waiting, *plan.later]
    delivered, refused = _copies(unit, copies[:MOST], envelope.reverse_path, content, time)
    if refused and not delivered and len(refused) == len(plan.local) and not plan.remote and not plan.later:
        raise refused[0][1]
    refused += plan.refused
    if len(copies) > MOST:
        refused += _leave_all(unit, copies[MOST:], envelope, content, queue_id, time)
    later += [copy for copy, _ in refused]
    rows: list[Addressee | Copy] = [*plan.remote.values(), *later]
    queued = enqueue_all(unit, rows, envelope, content, queue_id, time, lifetime, plan) if rows else []
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

    events = [event("accepted", "", said_of(envelope))]
    events += [event(word, recipient, reason) for word, recipient, reason in plan.events]
    events += [event("delivered", copy.address) for copy in delivered]
    events += [event("deferred", copy.address, refusal.text) for copy, refusal in refused]
    for row, of in queued:
        reason = row.why if row.held else f"as {of}" if of != queue_id else ""
        events.append(event("held" if row.held else "queued", row.address, reason))
    tracking.track(unit, *events)
    return Accepted(queue_id, len(delivered), len(rows) + max(0, len(copies) - MOST))


def _divided(copies: list[Copy], envelope: Envelope) -> tuple[list[Copy], list[Copy]]:
    """Copies to make or to fan out, and those that wait in the queue instead: a fan-out row has no
    room for what RFC 3461 says of the report, should the copy be refused."""
    if len(copies) <= MOST:
        return copies, []
    first, rest = copies[:MOST], copies[MOST:]
    if envelope.ret or envelope.envid or envelope.smtputf8 or envelope.tls:
        return first, rest
    plain = [copy for copy in rest if not copy.notify and not copy.orcpt]
    return first + plain, [copy for copy in rest if copy.notify or copy.orcpt]


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
        placed.append((copy, messages.Delivery(copy.account, fields_of(copy, reverse_path), mailbox)))
    delivered = []
    results = messages.deliver(unit, [item for _, item in placed], content, time)
    for (copy, _), result in zip(placed, results, strict=True):
        if isinstance(result, messages.Refused):
            refused.append((copy, result.refusal))
        else:
            delivered.append(copy)
    return delivered, refused


def _leave_all(
    unit: Unit, copies: list[Copy], envelope: Envelope, content: NewBlob, queue_id: str, time: int
) -> list[tuple[Copy, Refusal]]:
    refused: list[tuple[Copy, Refusal]] = []
    for own, of, some in by_sender(copies, envelope, queue_id):
        refused += _leave(unit, some, own, content, of, time, some[0].head.encode())
    return refused


def _leave(
    unit: Unit,
    copies: list[Copy],
    envelope: Envelope,
    content: NewBlob,
    queue_id: str,
    time: int,
    head: bytes,
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
        fanout.begin(unit, queue_id, blob, head, envelope.reverse_path, time, left)
    return refused


def _mailbox(unit: Unit, copy: Copy) -> MailboxId:
    return mailboxes.get(unit, PUBLIC, copy.folder).id if copy.folder else INBOX


def fan_out(unit: Unit, each: fanout.Fanout, lifetime: int) -> bool:
    """Make some of the copies; True when none is left. What is refused waits in the queue."""
    copies = fanout.take(unit, each.id)
    content = blobs.known(unit, each.blob)
    deliveries = [
        messages.Delivery(
            copy.account,
            prefix_of(each.reverse_path, copy.address) + each.prefix,
            MailboxId(copy.mailbox or INBOX),
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
        # What was said of the content is not known any more; 8BITMIME is true of any text.
        envelope = Envelope(each.reverse_path, (), EIGHT_BIT)
        of = f"{each.queue_id}.{copies[0].number}"
        enqueue(unit, rows, envelope, content, of, time, lifetime, each.prefix)
    return fanout.made(unit, each.id, copies)


def deliver_queued(
    unit: Unit, plan: Plan, claim: claims.Claim, recipient: spool.QueuedRecipient, time: int
) -> bool:
    # Success is told once: here if somebody here has it, or a list did; else by whoever the rows lead to.
    here = bool(plan.local) or not plan.remote
    # Delivery to a mailing list is final; to an alias of many it is not (RFC 3464 2.3.3).
    done = plan.listed == "list" or (here and not plan.listed)
    state = spool.State.DELIVERED if done else spool.State.EXPANDED
    result = claims.Result(recipient.id, state, warned=not here and not plan.listed)
    if not claims.record(unit, claim, [result], time):
        return False
    message = claim.message
    content = blobs.known(unit, message.blob)
    envelope = Envelope(
        message.reverse_path,
        (),
        message.body,
        message.smtputf8,
        message.ret,
        message.envid,
        AccountId(message.account) if message.account is not None else None,
        Origin(address=message.peer),
        priority=message.priority,
        mt_priority=message.mt_priority,
        timing=Timing(message.deliver_by, message.by_mode, future=message.future),
        tls=message.tls,
        solicit=tuple(filter(None, message.solicit.split(","))),
    )
    # A message of its own in the queue: its id must be another's.
    queue_id = f"{message.queue_id}.{recipient.id}"
    plan = plan.beginning_with(message.prefix.decode())
    copies, later = _divided(list(plan.local.values()), envelope)
    delivered, refused = _copies(unit, copies[:MOST], message.reverse_path, content, time)
    if refused and not delivered and len(refused) == len(plan.local) and not plan.remote:
        raise refused[0][1]
    refused += plan.refused
    refused += _leave_all(unit, copies[MOST:], envelope, content, queue_id, time)
    rows: list[Addressee | Copy] = [*plan.remote.values(), *later, *(copy for copy, _ in refused)]
    if here:
        rows = [replace(row, notify=_without_success(row.notify)) for row in rows]
    left = max(0, message.expires - time)
    queued = enqueue_all(unit, rows, envelope, content, queue_id, time, left, plan)

    def event(word: str, address: str, reason: str = "", of: str = message.queue_id) -> Event:
        return Event(time, word, of, b"", message.reverse_path, address, reason, "", content.size)

    events = [event(word, address, reason) for word, address, reason in plan.events]
    events += [event("delivered", copy.address) for copy in delivered]
    events += [event("deferred", copy.address, refusal.text) for copy, refusal in refused]
    events += [event("queued", row.address, f"as {of}") for row, of in queued]
    events += [event("queued", row.address, of=of) for row, of in queued]
    if events:
        tracking.track(unit, *events)
    return True


def _without_success(notify: tuple[str, ...]) -> tuple[str, ...]:
    """NOTIFY for who follows from an address whose success is told already (RFC 3461 5.2.7.1)."""
    words = tuple(word for word in notify if word != "SUCCESS")
    return words or (notify and ("NEVER",))
