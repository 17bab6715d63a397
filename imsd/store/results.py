"""What became of recipients of many messages, written by one unit.

1. A result counts where the claim is still ours (imsd.store.claims, 4).
2. A message whose last recipient is done goes with its rows, which are then not written first. It stays
   when a delivery here is to be told of before (imsd.mail.settling).
3. The messages are locked in the order of their ids, so two nodes that finish one never both find a
   recipient that the other is about to finish.
4. The number of statements is that of the unit, not that of its messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, select, text

from imsd.store import blob_rows, claims, tracking
from imsd.store.claims import Claim, Result
from imsd.store.ids import BlobId, QueueId
from imsd.store.spool import State, queue_message, queue_recipient, remove_many
from imsd.store.sql import among, sql
from imsd.store.tracking import Event
from imsd.store.transaction import Unit

_m, _r = queue_message.c, queue_recipient.c
_LOCK = sql(select(_m.id, _m.blob).where(among(_m.id, "messages")).order_by(_m.id).with_for_update())
_TOKENS = sql(select(_r.id, _r.token).where(among(_r.id, "ids")))
_STILL_OPEN = sql(
    select(_m.id).where(
        among(_m.id, "messages"),
        select(_r.id)
        .where(_r.message == _m.id, _r.state <= State.HELD.value, ~among(_r.id, "done"))
        .exists(),
    )
)
_UNTOLD = sql(
    select(_r.message).where(
        and_(text("(state = 2 OR state = 4)"), among(_r.message, "messages")),
        _r.warned == 0,
        _r.notify.contains("SUCCESS"),
    )
)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be written of a claim, or of some of its recipients."""

    claim: Claim
    results: Sequence[Result]
    events: Sequence[Event]


def settle(unit: Unit, settlements: Sequence[Settlement], now: int) -> set[QueueId]:
    """Write what is ours; the messages that stay because deliveries here are to be told of first."""
    blobs: dict[QueueId, BlobId] = dict(
        _pairs(unit.all(_LOCK, messages=sorted({each.claim.message.id for each in settlements})))
    )
    asked = [result.recipient for each in settlements for result in each.results]
    tokens = dict(_pairs(unit.all(_TOKENS, ids=asked)))
    events: list[Event] = []
    ours: list[tuple[QueueId, Claim, Result]] = []
    for each in settlements:
        message = each.claim.message.id
        mine = [one for one in each.results if tokens.get(one.recipient) == each.claim.token]
        if mine and message in blobs:
            events += each.events
            ours += [(message, each.claim, one) for one in mine]
    if events:
        tracking.track(unit, *events)
    done = [result.recipient for _, _, result in ours if result.state > State.HELD]
    ending = {message for message, _, result in ours if result.state > State.HELD}
    untold: set[QueueId] = set()
    if ending:
        ending -= {row[0] for row in unit.all(_STILL_OPEN, messages=sorted(ending), done=done)}
    if ending:
        untold = {row[0] for row in unit.all(_UNTOLD, messages=sorted(ending))}
        ending -= untold
    claims.record_many(unit, [(claim, one) for message, claim, one in ours if message not in ending], now)
    if ending:
        remove_many(unit, sorted(ending))
        blob_rows.release_many(unit, [blobs[message] for message in ending])
    return untold


def _pairs(rows: list[tuple[Any, ...]]) -> list[tuple[Any, Any]]:
    return [(row[0], row[1]) for row in rows]
