"""The queue: messages that must leave or must wait, one row for each recipient.

States of a recipient's row: WAITING (due at a time; claimed while `lease` is ahead), HELD by an
administrator, PARKED until its domain's host asks for it (RFC 1985) or its connector sends again;
then DELIVERED, RELAYED, EXPANDED or FAILED, in which it stays until every recipient of the message
came that far; then `finish` removes the message and its rows.

A claim is a token with a deadline. Results are written only where the token is still the one
that claimed (rule 24), so two nodes never both decide about a recipient.
"""

from __future__ import annotations

import secrets
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
    update,
)

from imsd.errors import NoSuchEntry
from imsd.store import blob_rows
from imsd.store.changes import QUEUE, QueueChanged
from imsd.store.ids import BlobId, QueueId
from imsd.store.sql import among, insert_row, sql
from imsd.store.tables import Bytes, Id, Number, Small, String, clean, metadata
from imsd.store.transaction import Transaction, Unit

ANY_NODE = -1


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
    Index("ix_queue_recipient_message", "message"),
    sqlite_autoincrement=True,
)
_waiting_index = Index(
    "ix_queue_recipient_due",
    queue_recipient.c.due,
    sqlite_where=queue_recipient.c.state == 0,
    postgresql_where=queue_recipient.c.state == 0,
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


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients of one message that are ours to try until `lease`."""

    token: bytes
    lease: int
    message: Queued
    recipients: tuple[QueuedRecipient, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one recipient. For WAITING, `due` is when it is tried again."""

    recipient: int
    state: State
    error: str = ""
    due: int = 0
    warned: bool = False


_m, _r = queue_message.c, queue_recipient.c
# Written out, not bound: a partial index serves only a condition that names its constant.
_ZERO: ColumnElement[int] = literal_column("0")
_MESSAGE = tuple(
    _m[name]
    for name in (
        *("queue_id", "blob", "size", "reverse_path", "arrived", "expires", "prefix", "envid"),
        *("ret", "body", "smtputf8", "account", "priority", "id"),
    )
)
_RECIPIENT = tuple(
    _r[name]
    for name in (
        *("id", "message", "address", "domain", "notify", "orcpt_type", "orcpt", "state", "due"),
        *("attempts", "last_attempt", "last_error", "warned", "lease"),
    )
)
_PUT_MESSAGE = insert_row(
    queue_message,
    *("queue_id", "blob", "prefix", "size", "reverse_path", "envid", "ret", "body", "smtputf8"),
    *("account", "arrived", "expires", "priority"),
)
_PUT_RECIPIENT = insert_row(
    queue_recipient,
    *("message", "address", "domain", "notify", "orcpt_type", "orcpt", "state", "due", "attempts"),
    *("last_attempt", "last_error", "warned", "token", "node", "lease"),
)
_DUE = sql(
    select(*_RECIPIENT)
    .where(_r.state == _ZERO, _r.due <= bindparam("now"), _r.lease <= bindparam("now"))
    .order_by(_r.due, _r.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_CLAIM = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"))
    .values(token=bindparam("token"), node=bindparam("node"), lease=bindparam("lease"))
)
_EXTEND = sql(
    update(queue_recipient)
    .where(_r.token == bindparam("claimed"), among(_r.id, "ids"))
    .values(lease=bindparam("lease"))
)
_MESSAGES = sql(select(*_MESSAGE).where(among(_m.id, "ids")))
_RECORD = sql(
    update(queue_recipient)
    .where(_r.id == bindparam("recipient"), _r.token == bindparam("claimed"))
    .values(
        # Held while it was being tried: it stays held, unless the trying ended it.
        state=case(
            # Parking is what becomes of a row that waits; what an administrator held stays held.
            (and_(_r.state == State.HELD.value, bindparam("state", type_=Small) <= 0), State.HELD.value),
            else_=bindparam("state", type_=Small),
        ),
        due=bindparam("due"),
        attempts=_r.attempts + 1,
        last_attempt=bindparam("now"),
        last_error=bindparam("error"),
        warned=bindparam("warned"),
        token=b"",
        lease=0,
    )
)
_GIVE_BACK = sql(update(queue_recipient).where(_r.token == bindparam("claimed")).values(token=b"", lease=0))
_RELEASE_ALL = sql(update(queue_recipient).where(_r.lease > 0).values(token=b"", lease=0))
_RELEASE_NODE = sql(
    update(queue_recipient).where(_r.lease > 0, _r.node == bindparam("of")).values(token=b"", lease=0)
)
_OPEN = sql(
    select(func.count())
    .select_from(queue_recipient)
    .where(_r.message == bindparam("message"), _r.state <= State.HELD.value)
)
_OF_MESSAGE = sql(select(*_RECIPIENT).where(_r.message == bindparam("message")).order_by(_r.id))
_BLOB = sql(select(_m.blob).where(_m.id == bindparam("message")))
_DELETE_RECIPIENTS = sql(delete(queue_recipient).where(_r.message == bindparam("message")))
_DELETE_MESSAGE = sql(delete(queue_message).where(_m.id == bindparam("message")))
_NEXT_FREE = sql(select(func.min(_r.due)).where(_r.state == _ZERO, _r.lease == 0))
_NEXT_LEASED = sql(select(func.min(_r.lease)).where(_r.state == _ZERO, _r.lease > 0))
_BY_QUEUE_ID = sql(select(*_MESSAGE).where(_m.queue_id == bindparam("queue_id")))
_PARKED = sql(
    select(_r.id, _r.domain, _m.expires)
    .select_from(queue_recipient.join(queue_message, _m.id == _r.message))
    .where(_r.state == State.PARKED.value)
    .order_by(_r.id)
)
_FREE = sql(select(_r.id, _r.domain).where(_r.state == _ZERO, _r.lease == 0).order_by(_r.id))
_START = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"), _r.state == State.PARKED.value)
    .values(state=State.WAITING.value, due=bindparam("now"))
)
_PARK = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"), _r.state == _ZERO, _r.lease == 0)
    .values(state=State.PARKED.value, last_error=bindparam("why"))
)
_REPORTED = sql(update(queue_recipient).where(among(_r.id, "ids")).values(warned=1))
_UNFINISHED = sql(
    select(*_MESSAGE)
    .where(
        ~select(_r.id).where(_r.message == _m.id, _r.state <= State.HELD.value).exists(),
        _m.id > bindparam("after"),
    )
    .order_by(_m.id)
    .limit(bindparam("limit"))
)
_LIST = sql(select(*_MESSAGE).where(_m.id > bindparam("after")).order_by(_m.id).limit(bindparam("limit")))
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
    .values(state=bindparam("state"), due=bindparam("due"))
)


def _message(row: Sequence[Any]) -> Queued:
    values = list(row)
    values[10] = bool(values[10])
    return Queued(*values)


def _recipient(row: Sequence[Any]) -> QueuedRecipient:
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
            "last_error": "",
            "warned": 0,
            "token": b"",
            "node": 0,
            "lease": 0,
        }
        for each in recipients
    ]
    unit.many(_PUT_RECIPIENT, rows)
    _changed(unit, min((each["due"] for each in rows), default=message.arrived))
    return made


def _changed(unit: Unit, due: int) -> None:
    previous, following = unit.advance(QUEUE)
    unit.changed(QueueChanged(QUEUE, previous, following, due))


def claim_due(unit: Unit, now: int, limit: int, lease: int = 600_000_000, node: int = 0) -> list[Claim]:
    """Claim up to `limit` due recipients for `lease` microseconds; one claim for each message."""
    found = [_recipient(row) for row in unit.all(_DUE, now=now, limit=limit)]
    if not found:
        return []
    by_message: dict[QueueId, list[QueuedRecipient]] = {}
    for each in found:
        by_message.setdefault(each.message, []).append(each)
    messages = {row[-1]: _message(row) for row in unit.all(_MESSAGES, ids=list(by_message))}
    claims = []
    for message, recipients in by_message.items():
        token = secrets.token_bytes(12)
        unit.run(_CLAIM, ids=[each.id for each in recipients], token=token, node=node, lease=now + lease)
        claims.append(Claim(token, now + lease, messages[message], tuple(recipients)))
    return claims


def extend(unit: Unit, claim: Claim, lease: int) -> bool:
    """Hold the claim until `lease`; False when it is ours no longer: stop before the final dot."""
    ids = [each.id for each in claim.recipients]
    return unit.run(_EXTEND, claimed=claim.token, ids=ids, lease=lease) > 0


def record(unit: Unit, claim: Claim, results: Iterable[Result], now: int) -> list[int]:
    """Write results where the claim is still ours; the recipients that were."""
    written, next_due = [], 0
    for each in results:
        count = unit.run(
            _RECORD,
            recipient=each.recipient,
            claimed=claim.token,
            state=each.state.value,
            due=each.due,
            now=now,
            error=clean(each.error),
            warned=int(each.warned),
        )
        if count:
            written.append(each.recipient)
            if each.state is State.WAITING:
                next_due = min(next_due or each.due, each.due)
    if next_due:
        _changed(unit, next_due)
    return written


def give_back(unit: Unit, claim: Claim) -> None:
    """Leave the claim's recipients as they are for the next who claims."""
    unit.run(_GIVE_BACK, claimed=claim.token)


def release_leases(unit: Unit, node: int = ANY_NODE) -> int:
    """At start: what this node (the only one, by default) had claimed is free again."""
    if node == ANY_NODE:
        return unit.run(_RELEASE_ALL)
    return unit.run(_RELEASE_NODE, of=node)


def finish(unit: Unit, message: QueueId) -> tuple[QueuedRecipient, ...]:
    """Remove the message if no recipient waits or is held; its recipients then, else ()."""
    if unit.value(_OPEN, message=message):
        return ()
    recipients = tuple(_recipient(row) for row in unit.all(_OF_MESSAGE, message=message))
    remove(unit, message)
    return recipients


def reported(unit: Unit, recipients: Iterable[int]) -> None:
    """Remember that the sender was told what became of these recipients."""
    unit.run(_REPORTED, ids=list(recipients))


def unfinished(tx: Transaction, after: int = 0, limit: int = 100) -> list[Queued]:
    """Messages whose recipients are all done, but which are still here: a stop came before `finish`."""
    return [_message(row) for row in tx.all(_UNFINISHED, after=after, limit=limit)]


def remove(unit: Unit, message: QueueId) -> bool:
    """Remove a message whatever its state, and give its content back."""
    blob_id = unit.value(_BLOB, message=message)
    if blob_id is None:
        return False
    unit.run(_DELETE_RECIPIENTS, message=message)
    unit.run(_DELETE_MESSAGE, message=message)
    blob_rows.release(unit, BlobId(blob_id))
    return True


def hold(unit: Unit, message: QueueId, now: int) -> int:
    """Hold what waits; how many recipients."""
    return unit.run(_SET_STATE, of=message, state=State.HELD.value, due=now)


def retry(unit: Unit, message: QueueId, now: int) -> int:
    """Make what waits or is held due now; how many recipients."""
    count = unit.run(_SET_STATE, of=message, state=State.WAITING.value, due=now)
    if count:
        _changed(unit, now)
    return count


def next_due(tx: Transaction) -> int | None:
    """When a row next needs somebody: it becomes due, or its claim lapses. None: nothing waits."""
    times = [tx.value(_NEXT_FREE), tx.value(_NEXT_LEASED)]
    return min((each for each in times if each is not None), default=None)


def start_parked(unit: Unit, domain: str, below: bool, now: int) -> int:
    """Make due what is parked for a domain (below: and for those below it); how many recipients."""
    found = [row[0] for row in unit.all(_PARKED) if _is_for(row[1], domain, below)]
    for at in range(0, len(found), 500):
        unit.run(_START, ids=found[at : at + 500], now=now)
    if found:
        _changed(unit, now)
    return len(found)


def _is_for(destination: str, domain: str, below: bool) -> bool:
    name = destination.rpartition(">")[2]
    return name == domain or (below and name.endswith(f".{domain}"))


def parked(tx: Transaction) -> list[tuple[int, str, int]]:
    """Recipient, destination and when the message expires, of all that is parked."""
    return [(row[0], row[1], row[2]) for row in tx.all(_PARKED)]


def waiting(tx: Transaction) -> list[tuple[int, str]]:
    """Recipient and destination of all that waits and is not claimed."""
    return [(row[0], row[1]) for row in tx.all(_FREE)]


def start(unit: Unit, recipients: Sequence[int], now: int) -> None:
    """Make parked recipients due."""
    unit.run(_START, ids=list(recipients), now=now)
    _changed(unit, now)


def park(unit: Unit, recipients: Sequence[int], why: str) -> None:
    """Park recipients that wait and are not claimed."""
    unit.run(_PARK, ids=list(recipients), why=why)


def listed(tx: Transaction, after: int = 0, limit: int = 100) -> list[Queued]:
    """Messages in the queue, oldest first; continue after the last one's id."""
    return [_message(row) for row in tx.all(_LIST, after=after, limit=limit)]


def shown(tx: Transaction, queue_id: str) -> tuple[Queued, tuple[QueuedRecipient, ...]]:
    """One message with its recipients. Raises NoSuchEntry."""
    row = tx.one(_BY_QUEUE_ID, queue_id=queue_id)
    if row is None:
        raise NoSuchEntry("No such message in the queue")
    message = _message(row)
    recipients = tx.all(_OF_MESSAGE, message=message.id)
    return message, tuple(_recipient(each) for each in recipients)


def recipients_of(tx: Transaction, message: QueueId) -> tuple[QueuedRecipient, ...]:
    """All recipients of a message, whatever their state."""
    return tuple(_recipient(row) for row in tx.all(_OF_MESSAGE, message=message))


def by_domain(tx: Transaction) -> list[tuple[str, State, int, int]]:
    """Domain, state, how many recipients, the earliest due time."""
    return [(row[0], State(row[1]), row[2], row[3]) for row in tx.all(_BY_DOMAIN)]
