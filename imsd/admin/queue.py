"""Operations on the queue and on message tracking.

Mail is in one of four queues (ims_spec 1.3). Accepting is delivering here, so two of them are short:

inbound-conversion   copies for many people here that are still to be made
inbound-delivery     copies for people here that wait, as for a mailbox that is full
outbound-conversion  mail that would leave, but is kept: by the transfer mode, by a flow limit, by an
                     administrator, until its host asks for it, or until its release time
outbound-delivery    mail that leaves, a row for each recipient
"""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any, Literal

from imsd.admin.operations import Json, operation
from imsd.admin.settings import set_setting
from imsd.errors import ConstraintViolation
from imsd.mail.delivery import LOCAL
from imsd.mail.schedule import ends
from imsd.settings.domains import normal_domain
from imsd.settings.queue import Queue
from imsd.store import fanout, queue_rows, tracking
from imsd.store.queue_rows import Deed, Wanted
from imsd.store.spool import Queued, QueuedRecipient, State, shown
from imsd.store.transaction import Transaction

LISTED = 10_000
"""Rows that one answer holds at most (ims_spec 3.10)."""

QueueName = Literal["inbound-conversion", "inbound-delivery", "outbound-conversion", "outbound-delivery"]
_PRIORITIES = {1: "urgent", 0: "normal", -1: "non-urgent"}


def queue_of(message: Queued, recipient: QueuedRecipient, now: int) -> str:
    """Which queue a row is in."""
    if recipient.domain == LOCAL:
        return "inbound-delivery"
    kept = recipient.state in (State.PARKED, State.HELD)
    unreleased = bool(message.future) and recipient.attempts == 0 and recipient.due > now
    return "outbound-conversion" if kept or unreleased else "outbound-delivery"


@operation("queue.list")
async def list_queue(
    core: Any,
    queue: QueueName | None = None,
    domain: str = "",
    destination: str = "",
    originator: str = "",
    limit: int = LISTED,
) -> Json:
    """Waiting mail, a row for each recipient that is not done with, the oldest first."""
    wanted = Wanted((), domain, destination, originator)
    found: list[Json] = []
    limit = min(limit, LISTED)
    if queue in (None, "inbound-conversion") and wanted == Wanted():
        found += await core.db.read(_copies, limit)
    after = 0
    while len(found) < limit:
        rows, after = await core.db.read(queue_rows.rows, wanted, after)
        listed = [_row(core, row.message, row.recipient) for row in rows]
        found += [row for row in listed if queue in (None, row["queue"])]
        if not after:
            break
    return found[:limit]


def _copies(tx: Transaction, limit: int) -> list[Json]:
    """Copies that are still to be made, of the messages that are next."""
    found: list[Json] = []
    for each in fanout.pending(tx):
        for copy in fanout.take(tx, each.id, limit - len(found)):
            found.append(
                {
                    "queue": "inbound-conversion",
                    "id": each.queue_id,
                    "originator": each.reverse_path or "<>",
                    "recipient": copy.address,
                    "host": "",
                    "size": None,
                    "submitted": each.arrived,
                    "priority": "normal",
                    "attempts": 0,
                    "last_attempt": None,
                    "next_attempt": None,
                    "expires": None,
                    "state": "waiting",
                    "last_error": "",
                }
            )
    return found


def _row(core: Any, message: Queued, recipient: QueuedRecipient) -> Json:
    tried = recipient.state is State.WAITING and recipient.lease > 0
    return {
        "queue": queue_of(message, recipient, _now()),
        "id": message.queue_id,
        "originator": message.reverse_path or "<>",
        "recipient": recipient.address,
        "host": recipient.domain,
        "size": message.size,
        "submitted": message.arrived,
        "priority": _PRIORITIES[message.priority],
        "attempts": recipient.attempts,
        "last_attempt": recipient.last_attempt or None,
        "next_attempt": recipient.due if recipient.state is State.WAITING and not tried else None,
        "expires": ends(message, core.settings),
        "state": "active" if tried else recipient.state.name.lower(),
        "last_error": recipient.last_error,
    }


@operation("queue.show")
async def show_message(core: Any, message: str) -> Json:
    """One message with all its recipients."""
    queued, recipients = await core.db.read(shown, message)
    return {
        "id": queued.queue_id,
        "originator": queued.reverse_path or "<>",
        "size": queued.size,
        "submitted": queued.arrived,
        "priority": _PRIORITIES[queued.priority],
        "mt_priority": queued.mt_priority,
        "deliver_by": queued.deliver_by or None,
        "future_release": queued.future or None,
        "tls": queued.tls or None,
        "expires": ends(queued, core.settings),
        "recipients": [_row(core, queued, recipient) for recipient in recipients],
    }


@operation("queue.counts")
async def counts(core: Any) -> Json:
    """How many recipients are not done with: for here, that leave, that are kept."""
    found = await core.db.read(queue_rows.counts)
    waiting, none = found.get(State.WAITING, queue_rows.Count()), queue_rows.Count()
    return {
        "here": waiting.here,
        "leaving": waiting.all - waiting.here,
        "active": waiting.tried,
        "parked": found.get(State.PARKED, none).all,
        "held": found.get(State.HELD, none).all,
    }


# What is done to rows ------------------------------------------------------------------------


async def _do(core: Any, deed: Deed, wanted: Wanted) -> int:
    for one in wanted.messages:
        await core.db.read(shown, one)  # One that is not there is said before anything is done.
    done = after = 0
    while True:
        rows, after = await core.db.read(queue_rows.rows, wanted, after)
        ids = [row.recipient.id for row in rows]
        if ids:
            done += await core.db.write(queue_rows.do, deed, ids, _now())
        if not after:
            return done


@operation("queue.retry")
async def retry(
    core: Any,
    messages: list[str] | None = None,
    domain: str = "",
    destination: str = "",
    originator: str = "",
) -> Json:
    """Make what waits due now, all of it or what is chosen; how many recipients. What is kept back until a
    time of its own (FUTURERELEASE) must be named."""
    deed = Deed.NOW if messages else Deed.RETRY
    return await _do(core, deed, Wanted(tuple(messages or ()), domain, destination, originator))


@operation("queue.hold")
async def hold(
    core: Any,
    messages: list[str] | None = None,
    held: bool = True,
    domain: str = "",
    destination: str = "",
    originator: str = "",
) -> Json:
    """Keep mail from leaving, or let it; how many recipients. By a domain alone: what comes for it, too."""
    wanted = Wanted(tuple(messages or ()), domain, destination, originator)
    if domain and wanted == Wanted((), domain):
        await _keep(core, domain, held)
    return await _do(core, Deed.HOLD if held else Deed.RELEASE, wanted)


async def _keep(core: Any, domain: str, held: bool) -> None:
    """Put a domain on the list of those that are held, or take it from there."""
    try:
        name = normal_domain(domain)
    except ValueError as error:
        raise ConstraintViolation(str(error)) from None
    before = core.settings[Queue].held
    after = [each for each in before if each != name] + ([name] if held else [])
    if set(after) != set(before):
        await set_setting(core, "queue.held", json.dumps(after))


@operation("queue.delete", needs_server=True)
async def delete(
    core: Any,
    messages: list[str] | None = None,
    ndr: bool = True,
    domain: str = "",
    destination: str = "",
    originator: str = "",
    everything: bool = False,
) -> Json:
    """Give up on messages, named or of rows that are chosen, or on all; with `ndr` their originators are
    told."""
    wanted = Wanted((), domain, destination, originator)
    chosen = dict.fromkeys(messages or ())
    after = 0
    while everything or wanted != Wanted():
        rows, after = await core.db.read(queue_rows.rows, wanted, after)
        chosen.update(dict.fromkeys(row.message.queue_id for row in rows))
        if not after:
            break
    for one in chosen:
        await core.server.queue.give_up(one, notify=ndr)
    return len(chosen)


@operation("track")
async def track(
    core: Any,
    what: str = "",
    limit: int = 100,
    wanted: str = "",
    reached: str = "",
    verified: str = "",
    hours: int = 24,
) -> Json:
    """The events of a message (queue id or Message-ID) or of an address, oldest first, and the latest
    where there are more; of those, or of the last hours, such as were sent under a protection that was
    wanted, reached or verified so."""
    protection: dict[str, Any] = {"tls_wanted": wanted, "tls_reached": reached, "tls_verified": verified}
    if not what and not any(protection.values()):
        raise ConstraintViolation("Name a queue id, a Message-ID, an address or a protection")
    since = 0 if what else _now() - hours * 3_600_000_000
    return await core.db.read(_track, what, min(limit, LISTED), protection, since)


def _track(tx: Transaction, what: str, limit: int, protection: dict[str, Any], since: int) -> list[Json]:
    ask = partial(tracking.query, tx, limit=limit, since=since, latest=True, **protection)
    if not what:
        events = ask()
    elif what.startswith("<"):
        events = ask(message_id=what.encode("utf-8", "replace"))
    elif "@" in what:
        events = ask(sender=what) + ask(recipient=what)
    else:
        events = ask(queue_id=what)
    unique = {(event.time, event.event, event.queue_id, event.recipient): event for event in events}
    return [
        {
            "at": event.time,
            "event": event.event,
            "queue_id": event.queue_id,
            "message_id": event.message_id.decode("utf-8", "replace"),
            "sender": event.sender,
            "recipient": event.recipient,
            "reason": event.reason,
            "peer": event.peer,
            "size": event.size,
            "tls": {
                "wanted": event.tls_wanted,
                "reached": event.tls_reached,
                "cipher": event.tls_cipher,
                "verified": event.tls_verified,
                "name": event.tls_name,
            }
            if event.tls_wanted
            else None,
        }
        for event in sorted(unique.values(), key=lambda event: event.time)[-limit:]
    ]


def _now() -> int:
    return time.time_ns() // 1000
