"""The queue as an administrator sees it: rows in the order in which they came, and what he does to them.

Everything goes by pieces, by the recipients' ids: however long the queue is, nobody waits for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import and_, bindparam, case, func, not_, or_, select, update

from imsd.store.spool import (
    MESSAGE,
    RECIPIENT,
    SLICE,
    ZERO,
    Queued,
    QueuedRecipient,
    State,
    announce,
    queue_message,
    queue_recipient,
    read_message,
    read_recipient,
)
from imsd.store.sql import among, sql
from imsd.store.tables import Number
from imsd.store.transaction import Transaction, Unit

_m, _r = queue_message.c, queue_recipient.c
_OPEN = _r.state <= State.HELD.value


@dataclass(frozen=True, slots=True)
class Row:
    """A recipient that is not done with, and its message."""

    message: Queued
    recipient: QueuedRecipient


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: those of messages (queue ids), for a recipient's domain, bound for a destination, from an
    originator; what is empty chooses nothing out. All of them must fit."""

    messages: tuple[str, ...] = ()
    domain: str = ""
    destination: str = ""
    originator: str = ""

    def fits(self, row: Row) -> bool:
        message, recipient = row.message, row.recipient
        return (
            (not self.messages or message.queue_id in self.messages)
            and (not self.domain or recipient.address.rpartition("@")[2].lower() == self.domain.lower())
            and (not self.destination or _place(recipient.domain) == self.destination.lower())
            and (not self.originator or message.reverse_path.lower() == self.originator.strip("<>").lower())
        )


def _place(destination: str) -> str:
    """The host or domain that a row is bound for, without the connector."""
    return destination.rpartition(">")[2].removeprefix("=").lower()


class Deed(Enum):
    """What is done to rows. HOLD: they stay until they are released. RELEASE: what is held is due now. RETRY:
    what waits is due now, and what is parked is tried. What is kept back until a time of its own (RFC 4865)
    leaves before that by none of these, but by NOW, for what is named."""

    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    NOW = "now"


_ROWS = sql(
    select(*RECIPIENT, *MESSAGE)
    .select_from(queue_recipient.join(queue_message, _m.id == _r.message))
    .where(_OPEN, _r.id > bindparam("after"))
    .order_by(_r.id)
    .limit(bindparam("limit"))
)
_BY_IDS = sql(
    select(*RECIPIENT, *MESSAGE)
    .select_from(queue_message.join(queue_recipient, _m.id == _r.message))
    .where(among(_m.queue_id, "messages"), _OPEN, _r.id > bindparam("after"))
    .order_by(_r.id)
    .limit(bindparam("limit"))
)
# What is claimed is due when its claim lapses, whatever becomes of it meanwhile.
_NOW = bindparam("now", type_=Number)
_DUE = case((_r.lease > ZERO, _r.due), else_=_NOW)
_KEPT = and_(_r.attempts == ZERO, _r.lease == ZERO, _r.due > _NOW)
_NOT_BEFORE = case((or_(_r.lease > ZERO, _KEPT), _r.due), else_=_NOW)
_HOLD = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"), _OPEN)
    .values(state=State.HELD.value, due=_NOT_BEFORE, ready=0)
)
_RELEASE = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"), _r.state == State.HELD.value)
    .values(state=State.WAITING.value, due=_NOT_BEFORE, ready=0)
)
_TRIED = update(queue_recipient).where(among(_r.id, "ids"), _r.state <= State.WAITING.value)
_RETRY = sql(_TRIED.where(not_(_KEPT)).values(state=State.WAITING.value, due=_DUE, ready=0))
_AT_ONCE = sql(_TRIED.values(state=State.WAITING.value, due=_DUE, ready=0))
_DO = {Deed.HOLD: _HOLD, Deed.RELEASE: _RELEASE, Deed.RETRY: _RETRY, Deed.NOW: _AT_ONCE}
_COUNTS = sql(
    select(
        _r.state,
        func.count(),
        func.sum(case((_r.domain == "", 1), else_=0)),
        func.sum(case((and_(_r.lease > 0), 1), else_=0)),
    )
    .where(_OPEN)
    .group_by(_r.state)
)


def rows(tx: Transaction, wanted: Wanted, after: int = 0, limit: int = SLICE) -> tuple[list[Row], int]:
    """Some rows that are wanted, the oldest first, and where to go on; 0 at the end."""
    if wanted.messages:
        found = tx.all(_BY_IDS, messages=list(wanted.messages), after=after, limit=limit)
    else:
        found = tx.all(_ROWS, after=after, limit=limit)
    cut = len(RECIPIENT)
    made = [Row(read_message(row[cut:]), read_recipient(row[:cut])) for row in found]
    return [row for row in made if wanted.fits(row)], made[-1].recipient.id if len(made) == limit else 0


def do(unit: Unit, deed: Deed, recipients: Sequence[int], now: int) -> int:
    """Do it to recipients; to how many it was done."""
    count = unit.run(_DO[deed], ids=list(recipients), now=now)
    if count and deed is not Deed.HOLD:
        announce(unit, now)
    return count


@dataclass(frozen=True, slots=True)
class Count:
    """How many recipients are in a state; of them for here, and being tried."""

    all: int = 0
    here: int = 0
    tried: int = 0


def counts(tx: Transaction) -> dict[State, Count]:
    """How many recipients are not done with."""
    return {State(row[0]): Count(row[1], int(row[2] or 0), int(row[3] or 0)) for row in tx.all(_COUNTS)}


_LOAD = sql(select(func.count(), func.coalesce(func.sum(queue_message.c.size), 0)).select_from(queue_message))


def load(tx: Transaction) -> tuple[int, int]:
    """How many messages wait, and how many octets of content they have; a thousand thousand take a while."""
    messages, octets = tx.all(_LOAD)[0]
    return int(messages), int(octets)
