"""The queue: messages that must leave or must wait, one row for each recipient.

States of a recipient's row: WAITING (due at a time; claimed while `lease` is ahead), HELD by an
administrator, PARKED until its domain's host asks for it (RFC 1985) or its connector sends again;
then DELIVERED, RELAYED, EXPANDED or FAILED, in which it stays until every recipient of the message
came that far; then `finish` removes the message and its rows.

What waits is `ready` or not: not ready, it waits for `due`; `imsd.store.claims` makes it ready then,
and hands out what is ready by lanes, one for each destination.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)

from imsd.errors import NoSuchEntry
from imsd.store import blob_rows
from imsd.store.changes import QUEUE, QueueChanged
from imsd.store.ids import BlobId, QueueId
from imsd.store.sql import among, insert_row, sql
from imsd.store.tables import Bytes, Id, Number, Small, String, clean, metadata
from imsd.store.transaction import Transaction, Unit


class State(IntEnum):
    """How far a recipient's row is."""

    PARKED = -1
    WAITING = 0
    HELD = 1
    DELIVERED = 2
    RELAYED = 3
    EXPANDED = 4
    FAILED = 5


def _number(name: str) -> Column[int]:
    return Column(name, Number, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, String, nullable=False)


def _added(name: str, kind: Any = Number) -> Column[int]:
    """A number that older programs do not write."""
    return Column(name, kind, nullable=False, server_default="0")


def _added_text(name: str) -> Column[str]:
    return Column(name, String, nullable=False, server_default="")


queue_message = Table(
    "queue_message",
    metadata,
    Column("id", Id, primary_key=True),
    _text("queue_id"),
    _number("blob"),
    Column("prefix", Bytes, nullable=False),
    _number("size"),
    _text("reverse_path"),
    _text("envid"),
    _text("ret"),
    _text("body"),
    Column("smtputf8", Small, nullable=False),
    # Who submitted it; NULL for what came from outside or from the server itself.
    Column("account", Number),
    _number("arrived"),
    _number("expires"),
    Column("priority", Small, nullable=False),
    # MT-PRIORITY (RFC 6710), NULL where it was not given.
    Column("mt_priority", Small),
    # DELIVERBY (RFC 2852): the time, 0 without; "N" or "R", with "T" for a trace.
    _added("deliver_by"),
    _added_text("by_mode"),
    # FUTURERELEASE (RFC 4865): "for;seconds" or "until;date-time", as it was asked for.
    _added_text("future"),
    # RFC 8689: "required", "optional", "" for neither (imsd.mail.requiring).
    _added_text("tls"),
    # RFC 3865: keywords with commas between them.
    _added_text("solicit"),
    # The IP address of the host that brought it, "" for none.
    _added_text("peer"),
    # The form of protocols.message.flatten that it leaves in, "" as composed.
    _added_text("form"),
    Index("ix_queue_message_queue_id", "queue_id", unique=True),
    sqlite_autoincrement=True,
)

queue_recipient = Table(
    "queue_recipient",
    metadata,
    Column("id", Id, primary_key=True),
    _number("message"),
    _text("address"),
    # Where it is bound for (imsd.mail.destinations): a domain, with or without a connector, or a host.
    _text("domain"),
    _text("notify"),
    _text("orcpt_type"),
    _text("orcpt"),
    Column("state", Small, nullable=False),
    _number("due"),
    _number("attempts"),
    _number("last_attempt"),
    _text("last_error"),
    # 1 once the sender was told of the delay.
    Column("warned", Small, nullable=False),
    Column("token", Bytes, nullable=False),
    _number("node"),
    _number("lease"),
    # 1: it is due, and waits in its lane. What is claimed is not ready: it is due when the claim lapses.
    _added("ready", Small),
    # Its place in its lane: the smaller goes first (imsd.mail.fairness).
    _added("turn"),
    Index("ix_queue_recipient_message", "message"),
    sqlite_autoincrement=True,
)

queue_lane = Table(
    "queue_lane",
    metadata,
    # A destination that something is ready for, and the turn of the first. It may stay for a while when
    # nothing is; what is ready is never without.
    Column("domain", String, primary_key=True),
    _number("turn"),
    Index("ix_queue_lane_turn", "turn", "domain"),
    sqlite_with_rowid=False,
)


def _partial(name: str, where: str, *columns: Column[Any]) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


_INDEXES = (
    _partial("ix_queue_recipient_timer", "state = 0 AND ready = 0", queue_recipient.c.due),
    _partial(
        "ix_queue_recipient_lane",
        "state = 0 AND ready = 1",
        *(queue_recipient.c[name] for name in ("domain", "turn", "id")),
    ),
    _partial("ix_queue_recipient_leased", "lease > 0", queue_recipient.c.node),
    _partial("ix_queue_recipient_still", "state = -1 OR state = 1", queue_recipient.c.id),
    # Deliveries whose message may be left unfinished by a stop.
    _partial("ix_queue_recipient_here", "state = 2 OR state = 4", queue_recipient.c.message),
)


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """A recipient to enqueue; notify as given, joined with commas (RFC 3461 4.1)."""

    address: str
    domain: str
    due: int
    notify: str = ""
    orcpt_type: str = ""
    orcpt: str = ""
    held: bool = False
    parked: bool = False
    turn: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What the recipients of one queued message share. `size` is of prefix and blob together."""

    queue_id: str
    blob: BlobId
    size: int
    reverse_path: str
    arrived: int
    expires: int
    prefix: bytes = b""
    envid: str = ""
    ret: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    account: int | None = None
    priority: int = 0
    mt_priority: int | None = None
    deliver_by: int = 0
    by_mode: str = ""
    future: str = ""
    tls: str = ""
    solicit: str = ""
    peer: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True)
class Queued(NewMessage):
    """A queued message; `id` is what recipients refer to."""

    id: QueueId = QueueId(0)  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient's row."""

    id: int
    message: QueueId
    address: str
    domain: str
    notify: str
    orcpt_type: str
    orcpt: str
    state: State
    due: int
    attempts: int
    last_attempt: int
    last_error: str
    warned: bool
    lease: int
    turn: int = 0


SLICE = 500
"""Rows that one unit or one read looks at."""

_m, _r = queue_message.c, queue_recipient.c
# Written out, not bound: a partial index serves only a condition that names its constant.
ZERO: ColumnElement[int] = literal_column("0")
MESSAGE = tuple(
    _m[name]
    for name in (
        *("queue_id", "blob", "size", "reverse_path", "arrived", "expires", "prefix", "envid"),
        *("ret", "body", "smtputf8", "account", "priority", "mt_priority", "deliver_by", "by_mode"),
        *("future", "tls", "solicit", "peer", "form", "id"),
    )
)
RECIPIENT = tuple(
    _r[name]
    for name in (
        *("id", "message", "address", "domain", "notify", "orcpt_type", "orcpt", "state", "due"),
        *("attempts", "last_attempt", "last_error", "warned", "lease", "turn"),
    )
)
_PUT_MESSAGE = insert_row(
    queue_message,
    *("queue_id", "blob", "prefix", "size", "reverse_path", "envid", "ret", "body", "smtputf8"),
    *("account", "arrived", "expires", "priority", "mt_priority", "deliver_by", "by_mode", "future"),
    *("tls", "solicit", "peer", "form"),
)
_PUT_RECIPIENT = insert_row(
    queue_recipient,
    *("message", "address", "domain", "notify", "orcpt_type", "orcpt", "state", "due", "attempts"),
    *("last_attempt", "last_error", "warned", "token", "node", "lease", "turn"),
)
_OPEN = sql(
    select(func.count())
    .select_from(queue_recipient)
    .where(_r.message == bindparam("message"), _r.state <= State.HELD.value)
)
_OF_MESSAGE = sql(select(*RECIPIENT).where(_r.message == bindparam("message")).order_by(_r.id))
_BLOB = sql(select(_m.blob).where(_m.id == bindparam("message")))
_DELETE_RECIPIENTS = sql(delete(queue_recipient).where(_r.message == bindparam("message")))
_DELETE_MESSAGE = sql(delete(queue_message).where(_m.id == bindparam("message")))
_DELETE_RECIPIENTS_OF = sql(delete(queue_recipient).where(among(_r.message, "messages")))
_DELETE_MESSAGES = sql(delete(queue_message).where(among(_m.id, "messages")))
_NEXT = sql(select(func.min(_r.due)).where(_r.state == ZERO, _r.ready == ZERO))
_BY_QUEUE_ID = sql(select(*MESSAGE).where(_m.queue_id == bindparam("queue_id")))
_PARKED = sql(
    select(_r.id, _r.domain, _m.expires, _r.last_error, _m.arrived, _m.queue_id)
    .select_from(queue_recipient.join(queue_message, _m.id == _r.message))
    .where(text("(queue_recipient.state = -1 OR queue_recipient.state = 1)"), _r.state == State.PARKED.value)
    .where(_r.id > bindparam("after"))
    .order_by(_r.id)
    .limit(bindparam("limit"))
)
_LEAVING = sql(
    select(func.count()).select_from(
        select(_r.id)
        .where(_r.state == ZERO, _r.domain != "", _r.id > ZERO)
        .limit(bindparam("most"))
        .subquery()
    )
)
_FREE = sql(
    select(_r.id, _r.domain)
    .where(_r.state == ZERO, _r.lease == 0, _r.id > bindparam("after"))
    .order_by(_r.id)
    .limit(bindparam("limit"))
)
_START = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"), _r.state == State.PARKED.value)
    .values(
        state=State.WAITING.value,
        # What is kept back until a time of its own is not released before it (RFC 4865).
        due=case(
            (and_(_r.attempts == ZERO, _r.due > bindparam("now", type_=Number)), _r.due),
            else_=bindparam("now", type_=Number),
        ),
        ready=0,
    )
)
_PARK = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"), _r.state == ZERO, _r.lease == 0)
    .values(state=State.PARKED.value, last_error=bindparam("why"))
)
_REPORTED = sql(update(queue_recipient).where(among(_r.id, "ids")).values(warned=1))
_HERE = sql(
    select(_r.message)
    .distinct()
    .where(text("(state = 2 OR state = 4)"), _r.message > bindparam("after"))
    .order_by(_r.message)
    .limit(bindparam("limit"))
)
_CLOSED = sql(
    select(*MESSAGE)
    .where(
        ~select(_r.id).where(_r.message == _m.id, _r.state <= State.HELD.value).exists(),
        among(_m.id, "ids"),
    )
    .order_by(_m.id)
)
_LIST = sql(select(*MESSAGE).where(_m.id > bindparam("after")).order_by(_m.id).limit(bindparam("limit")))
_BY_DOMAIN = sql(
    select(_r.domain, _r.state, func.count(), func.min(_r.due))
    .where(_r.state <= State.HELD.value)
    .group_by(_r.domain, _r.state)
    .order_by(_r.domain, _r.state)
)
_SET_STATE = sql(
    update(queue_recipient)
    .where(
        _r.message == bindparam("of"),
        _r.state <= State.HELD.value,
    )
    # What is claimed is due when its claim lapses, whatever becomes of it meanwhile.
    .values(state=bindparam("state"), due=case((_r.lease > 0, _r.due), else_=bindparam("due")), ready=0)
)


def read_message(row: Sequence[Any]) -> Queued:
    """A row of MESSAGE."""
    values = list(row)
    values[10] = bool(values[10])
    return Queued(*values)


def read_recipient(row: Sequence[Any]) -> QueuedRecipient:
    """A row of RECIPIENT."""
    values = list(row)
    values[7], values[12] = State(values[7]), bool(values[12])
    return QueuedRecipient(*values)


def enqueue(unit: Unit, message: NewMessage, recipients: Iterable[NewRecipient]) -> QueueId:
    """Put a message in the queue; the caller has counted one reference of its blob for it."""
    made = QueueId(
        unit.insert(
            _PUT_MESSAGE,
            queue_id=message.queue_id,
            blob=message.blob,
            prefix=message.prefix,
            size=message.size,
            reverse_path=clean(message.reverse_path),
            envid=clean(message.envid),
            ret=message.ret,
            body=message.body,
            smtputf8=int(message.smtputf8),
            account=message.account,
            arrived=message.arrived,
            expires=message.expires,
            priority=message.priority,
            mt_priority=message.mt_priority,
            deliver_by=message.deliver_by,
            by_mode=message.by_mode,
            future=clean(message.future),
            tls=message.tls,
            solicit=clean(message.solicit),
            peer=clean(message.peer),
            form=message.form,
        )
    )
    rows: list[dict[str, Any]] = [
        {
            "message": made,
            "address": clean(each.address),
            "domain": clean(each.domain),
            "notify": each.notify,
            "orcpt_type": clean(each.orcpt_type),
            "orcpt": clean(each.orcpt),
            "state": State.PARKED.value if each.parked else int(each.held),
            "due": each.due,
            "attempts": 0,
            "last_attempt": 0,
            "last_error": clean(each.why),
            "warned": 0,
            "token": b"",
            "node": 0,
            "lease": 0,
            "turn": each.turn or each.due,
        }
        for each in recipients
    ]
    unit.many(_PUT_RECIPIENT, rows)
    announce(unit, min((each["due"] for each in rows), default=message.arrived))
    return made


def announce(unit: Unit, due: int) -> None:
    """Say that something is due then."""
    previous, following = unit.advance(QUEUE)
    unit.changed(QueueChanged(QUEUE, previous, following, due))


def finish(unit: Unit, message: QueueId) -> tuple[QueuedRecipient, ...]:
    """Remove the message if no recipient waits or is held; its recipients then, else ()."""
    if unit.value(_OPEN, message=message):
        return ()
    recipients = tuple(read_recipient(row) for row in unit.all(_OF_MESSAGE, message=message))
    remove(unit, message)
    return recipients


def reported(unit: Unit, recipients: Iterable[int]) -> None:
    """Remember that the sender was told what became of these recipients."""
    unit.run(_REPORTED, ids=list(recipients))


def unfinished(tx: Transaction, after: int = 0, limit: int = 100) -> tuple[list[Queued], int]:
    """Messages whose recipients are all done, but which are still here: a stop came before `finish`.

    Only deliveries here are written without what finishes (imsd.mail.settling), so only messages with
    one are looked at: some of them after `after`, and where to go on, 0 at the end.
    """
    ids = [row[0] for row in tx.all(_HERE, after=after, limit=limit)]
    if not ids:
        return [], 0
    return [read_message(row) for row in tx.all(_CLOSED, ids=ids)], ids[-1]


def remove(unit: Unit, message: QueueId) -> bool:
    """Remove a message whatever its state, and give its content back."""
    blob_id = unit.value(_BLOB, message=message)
    if blob_id is None:
        return False
    unit.run(_DELETE_RECIPIENTS, message=message)
    unit.run(_DELETE_MESSAGE, message=message)
    blob_rows.release(unit, BlobId(blob_id))
    return True


def remove_many(unit: Unit, messages: Sequence[QueueId]) -> None:
    """Remove the rows of messages; the caller gives their content back."""
    unit.run(_DELETE_RECIPIENTS_OF, messages=messages)
    unit.run(_DELETE_MESSAGES, messages=messages)


def hold(unit: Unit, message: QueueId, now: int) -> int:
    """Hold what waits; how many recipients."""
    return unit.run(_SET_STATE, of=message, state=State.HELD.value, due=now)


def retry(unit: Unit, message: QueueId, now: int) -> int:
    """Make what waits or is held due now; how many recipients."""
    count = unit.run(_SET_STATE, of=message, state=State.WAITING.value, due=now)
    if count:
        announce(unit, now)
    return count


def next_due(tx: Transaction) -> int | None:
    """When a row next needs somebody: it becomes due, or its claim lapses. None: nothing is waited for.

    What is ready already is not counted: it waits for room.
    """
    due: int | None = tx.value(_NEXT)
    return due


def start_parked(unit: Unit, domain: str, below: bool, now: int) -> int:
    """Make due what is parked for a domain (below: and for those below it); how many recipients."""
    started = after = 0
    while rows := unit.all(_PARKED, after=after, limit=SLICE):
        after = rows[-1][0]
        found = [row[0] for row in rows if _is_for(row[1], domain, below)]
        if found:
            unit.run(_START, ids=found, now=now)
            started += len(found)
    if started:
        announce(unit, now)
    return started


def _is_for(destination: str, domain: str, below: bool) -> bool:
    name = destination.rpartition(">")[2]
    return name == domain or (below and name.endswith(f".{domain}"))


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked recipient. destination: what it is bound for; why: what was said when it was parked."""

    id: int
    destination: str
    expires: int
    why: str
    arrived: int
    queue_id: str


def parked(tx: Transaction, after: int = 0) -> list[Parked]:
    """Some that are parked, the oldest first; [] at the end."""
    return [Parked(*row) for row in tx.all(_PARKED, after=after, limit=SLICE)]


def leaving(tx: Transaction, most: int) -> int:
    """How many recipients wait to leave, counted up to `most`."""
    return int(tx.value(_LEAVING, most=most))


def waiting(tx: Transaction, after: int = 0) -> list[tuple[int, str]]:
    """Recipient and destination of some that wait and are not claimed; [] at the end."""
    return [(row[0], row[1]) for row in tx.all(_FREE, after=after, limit=SLICE)]


def start(unit: Unit, recipients: Sequence[int], now: int) -> None:
    """Make parked recipients due."""
    unit.run(_START, ids=list(recipients), now=now)
    announce(unit, now)


def park(unit: Unit, recipients: Sequence[int], why: str) -> None:
    """Park recipients that wait and are not claimed."""
    unit.run(_PARK, ids=list(recipients), why=why)


def listed(tx: Transaction, after: int = 0, limit: int = 100) -> list[Queued]:
    """Messages in the queue, oldest first; continue after the last one's id."""
    return [read_message(row) for row in tx.all(_LIST, after=after, limit=limit)]


def shown(tx: Transaction, queue_id: str) -> tuple[Queued, tuple[QueuedRecipient, ...]]:
    """One message with its recipients. Raises NoSuchEntry."""
    row = tx.one(_BY_QUEUE_ID, queue_id=queue_id)
    if row is None:
        raise NoSuchEntry("No such message in the queue")
    message = read_message(row)
    recipients = tx.all(_OF_MESSAGE, message=message.id)
    return message, tuple(read_recipient(each) for each in recipients)


def recipients_of(tx: Transaction, message: QueueId) -> tuple[QueuedRecipient, ...]:
    """All recipients of a message, whatever their state."""
    return tuple(read_recipient(row) for row in tx.all(_OF_MESSAGE, message=message))


def by_domain(tx: Transaction) -> list[tuple[str, State, int, int]]:
    """Domain, state, how many recipients, the earliest due time."""
    return [(row[0], State(row[1]), row[2], row[3]) for row in tx.all(_BY_DOMAIN)]
