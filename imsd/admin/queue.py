"""Operations on the queue and on message tracking."""

from __future__ import annotations

import time
from typing import Any

from imsd.admin.operations import Json, operation
from imsd.store import spool, tracking
from imsd.store.spool import Queued, QueuedRecipient, State
from imsd.store.transaction import Transaction, Unit

LISTED = 10_000
"""Rows that one answer holds at most (ims_spec 3.10)."""


@operation("queue.list")
async def list_queue(core: Any) -> Json:
    """Waiting mail, a row for each recipient that is not done with."""
    return await core.db.read(_list)


def _list(tx: Transaction) -> list[Json]:
    rows: list[Json] = []
    after = 0
    while len(rows) < LISTED:
        messages = spool.listed(tx, after)
        if not messages:
            break
        for message in messages:
            after = message.id
            waiting = (one for one in spool.recipients_of(tx, message.id) if one.state in _OPEN)
            rows += [_row(message, recipient) for recipient in waiting]
    return rows[:LISTED]


_OPEN = (State.PARKED, State.WAITING, State.HELD)


def _row(message: Queued, recipient: QueuedRecipient) -> Json:
    return {
        "id": message.queue_id,
        "originator": message.reverse_path or "<>",
        "recipient": recipient.address,
        "host": recipient.domain,
        "size": message.size,
        "submitted": message.arrived,
        "attempts": recipient.attempts,
        "last_attempt": recipient.last_attempt or None,
        "next_attempt": recipient.due if recipient.state is State.WAITING else None,
        "expires": message.expires,
        "state": recipient.state.name.lower(),
        "last_error": recipient.last_error,
    }


@operation("queue.show")
async def show_message(core: Any, message: str) -> Json:
    """One message with all its recipients."""
    queued, recipients = await core.db.read(spool.shown, message)
    return {
        "id": queued.queue_id,
        "originator": queued.reverse_path or "<>",
        "size": queued.size,
        "submitted": queued.arrived,
        "expires": queued.expires,
        "recipients": [_row(queued, recipient) for recipient in recipients],
    }


@operation("queue.retry")
async def retry(core: Any, messages: list[str] | None = None) -> Json:
    """Make messages (all of them, if none is named) due now; how many recipients."""
    wanted = messages or await core.db.read(_all)
    return sum([await core.db.write(_retry, one, _now()) for one in wanted])


@operation("queue.hold")
async def hold(core: Any, messages: list[str], held: bool = True) -> Json:
    """Keep messages from leaving, or let them; how many recipients."""
    change = _hold if held else _retry
    return sum([await core.db.write(change, one, _now()) for one in messages])


@operation("queue.delete", needs_server=True)
async def delete(core: Any, messages: list[str], ndr: bool = True) -> Json:
    """Give up on messages; with `ndr` their originators are told."""
    for one in messages:
        await core.server.queue.give_up(one, notify=ndr)
    return len(messages)


def _all(tx: Transaction) -> list[str]:
    found: list[str] = []
    after = 0
    while messages := spool.listed(tx, after):
        found += [message.queue_id for message in messages]
        after = messages[-1].id
    return found


def _retry(unit: Unit, message: str, now: int) -> int:
    return spool.retry(unit, spool.shown(unit, message)[0].id, now)


def _hold(unit: Unit, message: str, now: int) -> int:
    return spool.hold(unit, spool.shown(unit, message)[0].id, now)


@operation("track")
async def track(core: Any, what: str, limit: int = 100) -> Json:
    """The events of a message (queue id or Message-ID) or of an address, oldest first."""
    return await core.db.read(_track, what, min(limit, LISTED))


def _track(tx: Transaction, what: str, limit: int) -> list[Json]:
    if what.startswith("<"):
        events = tracking.query(tx, message_id=what.encode("utf-8", "replace"), limit=limit)
    elif "@" in what:
        events = tracking.query(tx, sender=what, limit=limit) + tracking.query(
            tx, recipient=what, limit=limit
        )
    else:
        events = tracking.query(tx, queue_id=what, limit=limit)
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
        }
        for event in sorted(unique.values(), key=lambda event: event.time)[:limit]
    ]


def _now() -> int:
    return time.time_ns() // 1000
