"""Tracking: one row for each decision about a message, appended, never changed.

Fresh rows go to a table without secondary indexes, so that accepting mail stays cheap; `settle`
moves them, in small units, to one that is indexed by what administrators ask for (rule 23).
A query reads both.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    literal_column,
    select,
)

from imsd.store.sql import Statement, among, insertion, sql
from imsd.store.tables import Bytes, Id, Number, String, clean, metadata
from imsd.store.transaction import Transaction, Unit
from protocols.values import value

TLS = ("tls_wanted", "tls_reached", "tls_cipher", "tls_verified", "tls_name")


def _columns() -> list[Column[Any]]:
    return [
        Column("time", Number, nullable=False),
        Column("event", String, nullable=False),
        Column("queue_id", String, nullable=False),
        Column("message_id", Bytes, nullable=False),
        Column("sender", String, nullable=False),
        Column("recipient", String, nullable=False),
        Column("reason", String, nullable=False),
        Column("peer", String, nullable=False),
        Column("size", Number, nullable=False),
        # Of what was sent, or tried: see Event.
        *(Column(name, String, nullable=False, server_default="") for name in TLS),
    ]


tracking = Table(
    "tracking",
    metadata,
    Column("id", Id, primary_key=True),
    *_columns(),
    # Rows leave this table, and a number must not come again.
    sqlite_autoincrement=True,
)

tracking_history = Table(
    "tracking_history",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    *_columns(),
    Index("ix_tracking_history_time", "time"),
    Index("ix_tracking_history_queue_id", "queue_id"),
    Index("ix_tracking_history_message_id", "message_id"),
    Index("ix_tracking_history_sender", "sender", "time"),
    Index("ix_tracking_history_recipient", "recipient", "time"),
)


@value(frozen=True, slots=True)
class Event:
    """A decision: what happened to which message for whom, and why.

    event: a word ("accepted", "delivered", "refused", "queued", "deferred", "relayed",
    "bounced", ...). recipient "" is the message as a whole. peer: who told us, or whom we told.
    tls_wanted: what the policy asked for ("" where nothing was sent); tls_reached: the version of TLS,
    "clear", or "" where no connection came about; tls_verified: by what ("dane", "sts", "pkix"), tls_name:
    what the certificate is for.
    """

    time: int
    event: str
    queue_id: str = ""
    message_id: bytes = b""
    sender: str = ""
    recipient: str = ""
    reason: str = ""
    peer: str = ""
    size: int = 0
    tls_wanted: str = ""
    tls_reached: str = ""
    tls_cipher: str = ""
    tls_verified: str = ""
    tls_name: str = ""


_NAMES = Event.__slots__
# Most events are of no connection, and accepting mail pays for each column.
_PLAIN = tuple(name for name in _NAMES if name not in TLS)
_PUT = insertion(tracking, *_PLAIN)
_PUT_SENT = insertion(tracking, *_NAMES)
_SETTLE = sql(
    select(tracking.c.id, *(tracking.c[name] for name in _NAMES))
    .where(tracking.c.time < bindparam("before"))
    .order_by(tracking.c.id)
    .limit(bindparam("limit"))
)
_PUT_HISTORY = insertion(tracking_history, "id", *_NAMES)
_SETTLED = sql(delete(tracking).where(among(tracking.c.id, "ids")))
_OLD = sql(
    select(tracking_history.c.id)
    .where(tracking_history.c.time < bindparam("before"))
    .order_by(tracking_history.c.time)
    .limit(bindparam("limit"))
)
_EXPIRE = sql(delete(tracking_history).where(among(tracking_history.c.id, "ids")))


def track(unit: Unit, *events: Event) -> None:
    """Append rows."""
    # In their order, which is that of what happened within a microsecond.
    for sent, some in groupby(events, key=_was_sent):
        unit.put_all(_PUT_SENT if sent else _PUT, [_row(event) for event in some])


def _was_sent(event: Event) -> bool:
    return bool(event.tls_wanted)


def _row(event: Event) -> tuple[Any, ...]:
    row = (
        event.time,
        event.event,
        event.queue_id,
        event.message_id,
        clean(event.sender),
        clean(event.recipient),
        clean(event.reason),
        event.peer,
        event.size,
    )
    return (*row, *(clean(getattr(event, name)) for name in TLS)) if event.tls_wanted else row


def settle(unit: Unit, before: int, limit: int = 200) -> int:
    """Move up to `limit` rows older than `before` to where they are indexed; how many."""
    rows = unit.all(_SETTLE, before=before, limit=limit)
    if rows:
        unit.put_all(_PUT_HISTORY, rows)
        unit.run(_SETTLED, ids=[row[0] for row in rows])
    return len(rows)


def expire(unit: Unit, before: int, limit: int = 500) -> int:
    """Forget up to `limit` indexed rows older than `before`; how many."""
    ids = [row[0] for row in unit.all(_OLD, before=before, limit=limit)]
    if ids:
        unit.run(_EXPIRE, ids=ids)
    return len(ids)


def query(
    tx: Transaction,
    *,
    queue_id: str = "",
    message_id: bytes = b"",
    sender: str = "",
    recipient: str = "",
    event: str = "",
    tls_wanted: str = "",
    tls_reached: str = "",
    tls_verified: str = "",
    since: int = 0,
    until: int = 2**62,
    after: int = 0,
    limit: int = 200,
    latest: bool = False,
) -> list[Event]:
    """Rows that match everything given, in order; continue after the last one's time. latest: where there are
    more, the last of them, and not the first."""
    given: dict[str, Any] = {
        "queue_id": queue_id,
        "message_id": message_id,
        "sender": sender,
        "recipient": recipient,
        "event": event,
        "tls_wanted": tls_wanted,
        "tls_reached": tls_reached,
        "tls_verified": tls_verified,
    }
    asked = {name: value for name, value in given.items() if value}
    question = _question(tuple(asked), latest)
    rows = tx.all(question, since=max(since, after + 1), until=until, limit=limit, **asked)
    return [Event(*row[1:]) for row in (reversed(rows) if latest else rows)]


_questions: dict[tuple[tuple[str, ...], bool], Statement] = {}


def _question(names: tuple[str, ...], latest: bool) -> Statement:
    key = (names, latest)
    if key not in _questions:
        both = _matching(tracking, names).union_all(_matching(tracking_history, names))
        order: list[ColumnElement[Any]] = [literal_column("time"), literal_column("id")]
        order = [each.desc() for each in order] if latest else order
        _questions[key] = sql(both.order_by(*order).limit(bindparam("limit")))
    return _questions[key]


def _matching(table: Table, names: Iterable[str]) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [
        table.c.time >= bindparam("since"),
        table.c.time < bindparam("until"),
    ]
    conditions += [table.c[name] == bindparam(name) for name in names]
    return select(table.c.id, *(table.c[name] for name in _NAMES)).where(and_(*conditions))
