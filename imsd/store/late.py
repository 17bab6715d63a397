"""Queued messages that are older than they should be, and their recipients who wait untold."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, update

from imsd.store.ids import QueueId
from imsd.store.spool import (
    MESSAGE,
    RECIPIENT,
    Queued,
    QueuedRecipient,
    State,
    queue_message,
    queue_recipient,
    read_message,
    read_recipient,
)
from imsd.store.sql import among, sql
from imsd.store.transaction import Transaction, Unit

PAGE = 100
"""Messages of one look."""
MOST = 500
"""Recipients of a message that one report names."""

_m, _r = queue_message.c, queue_recipient.c
_MESSAGES = sql(
    select(*MESSAGE)
    .where(
        _m.id > bindparam("after"), _m.priority == bindparam("priority"), _m.arrived <= bindparam("before")
    )
    .order_by(_m.id)
    .limit(bindparam("limit"))
)
_RECIPIENTS = sql(
    select(*RECIPIENT)
    .where(_r.message == bindparam("message"), _r.id > bindparam("after"))
    .where(_r.state == State.WAITING.value, _r.warned == 0)
    .order_by(_r.id)
    .limit(bindparam("limit"))
)
_WARNED = sql(update(queue_recipient).where(among(_r.id, "ids")).values(warned=1))


def messages(
    tx: Transaction, priority: int, before: int, after: QueueId
) -> list[tuple[Queued, list[QueuedRecipient]]]:
    """Some messages of a priority that arrived by `before`, with the recipients who wait and were not told
    of; [] at the end."""
    found = tx.all(_MESSAGES, after=after, priority=priority, before=before, limit=PAGE)
    return [(message, waiting(tx, message.id)) for message in map(read_message, found)]


def waiting(tx: Transaction, message: QueueId, after: int = 0) -> list[QueuedRecipient]:
    """Some recipients of a message who wait and were not told of."""
    return [read_recipient(row) for row in tx.all(_RECIPIENTS, message=message, after=after, limit=MOST)]


def warned(unit: Unit, recipients: Sequence[int]) -> None:
    """The sender was told that they wait."""
    unit.run(_WARNED, ids=recipients)
