"""How much mailboxes and domains have sent elsewhere lately, for their limits (imsd.mail.sending).

A row stands for five minutes of one mailbox, or of "@domain". An hour is the twelve latest of them, a day
288; rows that are older go. `take` locks the newest row of each key before it adds up, so that servers that
share the rows do not both let the last one by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Index, Table, bindparam, case, delete, func, select

from imsd.store.sql import insert, sql
from imsd.store.tables import Number, String, clean, metadata
from imsd.store.transaction import Transaction, Unit

SLOT: Final = 300
"""Seconds."""
HOUR: Final = 3_600 // SLOT
DAY: Final = 86_400 // SLOT
BATCH: Final = 500

sent = Table(
    "sent",
    metadata,
    Column("who", String, primary_key=True),
    Column("slot", Number, primary_key=True),
    Column("messages", Number, nullable=False),
    Column("recipients", Number, nullable=False),
    # How often more was wanted.
    Column("refused", Number, nullable=False),
    Index("ix_sent_slot", "slot"),
    sqlite_with_rowid=False,
)
_s = sent.c

_put = insert(sent)
_ADD = sql(
    _put.values(
        who=bindparam("key"),
        slot=bindparam("at"),
        messages=bindparam("more_messages"),
        recipients=bindparam("more_recipients"),
        refused=bindparam("more_refused"),
    ).on_conflict_do_update(
        index_elements=[_s.who, _s.slot],
        set_={
            "messages": _s.messages + _put.excluded.messages,
            "recipients": _s.recipients + _put.excluded.recipients,
            "refused": _s.refused + _put.excluded.refused,
        },
    )
)
_lately = case((_s.slot > bindparam("hour"), 1), else_=0)
_SUMS = (
    func.coalesce(func.sum(_s.messages * _lately), 0),
    func.coalesce(func.sum(_s.messages), 0),
    func.coalesce(func.sum(_s.recipients * _lately), 0),
    func.coalesce(func.sum(_s.recipients), 0),
    func.coalesce(func.sum(_s.refused * _lately), 0),
)
_USED = sql(select(*_SUMS).where(_s.who == bindparam("key"), _s.slot > bindparam("day")))
_BUSY = sql(
    select(_s.who, *_SUMS)
    .where(_s.slot > bindparam("day"))
    .group_by(_s.who)
    .order_by(func.sum(_s.refused).desc(), func.sum(_s.recipients).desc())
    .limit(bindparam("limit"))
)
_FORGET = sql(delete(sent).where(_s.who == bindparam("key")).returning(_s.slot))
_OLDEST = sql(
    select(_s.who, _s.slot).where(_s.slot <= bindparam("day")).order_by(_s.slot).limit(bindparam("limit"))
)
_DROP = sql(delete(sent).where(_s.who == bindparam("key"), _s.slot == bindparam("at")))


@dataclass(frozen=True, slots=True)
class Used:
    """refused: within the hour."""

    messages_per_hour: int = 0
    messages_per_day: int = 0
    recipients_per_hour: int = 0
    recipients_per_day: int = 0
    refused: int = 0

    def of(self, limit: str) -> int:
        found: int = getattr(self, limit)
        return found


@dataclass(frozen=True, slots=True)
class Over:
    """Whose limit it is, which, and how much it is."""

    who: str
    limit: str
    most: int


def _slot(now: float) -> int:
    return int(now // SLOT)


def used(tx: Transaction, who: str, now: float) -> Used:
    """now: seconds."""
    (row,) = tx.all(_USED, key=who, hour=_slot(now) - HOUR, day=_slot(now) - DAY)
    return Used(*map(int, row))


def take(
    unit: Unit, asked: Iterable[tuple[str, Mapping[str, int | None]]], recipients: int, now: float
) -> Over | None:
    """Count a message to so many, if that stays within every limit of everybody who is named; else the limit
    that it does not stay within."""
    keys = [(clean(who), limits) for who, limits in asked]
    for who, _ in keys:
        _add(unit, who, now)
    for who, limits in keys:
        known = used(unit, who, now)
        for name, amount in (("messages", 1), ("recipients", recipients)):
            for span in ("hour", "day"):
                limit = f"{name}_per_{span}"
                most = limits[limit]
                if most is not None and known.of(limit) + amount > most:
                    _add(unit, who, now, refused=1)
                    return Over(who, limit, most)
    for who, _ in keys:
        _add(unit, who, now, 1, recipients)
    return None


def _add(unit: Unit, who: str, now: float, messages: int = 0, recipients: int = 0, refused: int = 0) -> None:
    unit.run(
        _ADD,
        key=who,
        at=_slot(now),
        more_messages=messages,
        more_recipients=recipients,
        more_refused=refused,
    )


def busy(tx: Transaction, now: float, limit: int = 1_000) -> dict[str, Used]:
    """Who has sent something within a day: those who wanted more first, then the busiest."""
    rows = tx.all(_BUSY, hour=_slot(now) - HOUR, day=_slot(now) - DAY, limit=limit)
    return {row[0]: Used(*map(int, row[1:])) for row in rows}


def forget(unit: Unit, who: str) -> bool:
    """Whether there was anything."""
    return bool(unit.all(_FORGET, key=who))


def expire(unit: Unit, now: float) -> int:
    """Drop some rows that are over; how many."""
    rows = unit.all(_OLDEST, day=_slot(now) - DAY, limit=BATCH)
    for who, slot in rows:
        unit.run(_DROP, key=who, at=slot)
    return len(rows)
