"""Fan-out: local copies of one message that did not fit into its accepting transaction.

A message to more than 100 local recipients is accepted with one row for each remaining copy
(rule 11). Small units then take a few rows each, deliver them and delete them in the same
transaction, so that a crash neither loses a copy nor makes two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, PrimaryKeyConstraint, Table, bindparam, delete, literal_column, select

from imsd.store import blob_rows
from imsd.store.ids import AccountId, BlobId
from imsd.store.sql import among, insert_row, sql
from imsd.store.tables import Bytes, Id, Number, String, clean, metadata
from imsd.store.transaction import Transaction, Unit


def _number(name: str) -> Column[int]:
    return Column(name, Number, nullable=False)


fanout = Table(
    "fanout",
    metadata,
    Column("id", Id, primary_key=True),
    Column("queue_id", String, nullable=False),
    _number("blob"),
    Column("prefix", Bytes, nullable=False),
    Column("reverse_path", String, nullable=False),
    _number("arrived"),
    sqlite_autoincrement=True,
)

fanout_copy = Table(
    "fanout_copy",
    metadata,
    _number("fanout"),
    _number("number"),
    _number("account"),
    _number("mailbox"),
    Column("address", String, nullable=False),
    PrimaryKeyConstraint("fanout", "number"),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy still to be made: mailbox 0 is the account's choice (INBOX, rules)."""

    account: AccountId
    address: str
    mailbox: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Fanout:
    """A message with copies still to be made."""

    id: int
    queue_id: str
    blob: BlobId
    prefix: bytes
    reverse_path: str
    arrived: int


_f, _c = fanout.c, fanout_copy.c
_PUT = insert_row(fanout, "queue_id", "blob", "prefix", "reverse_path", "arrived")
_PUT_COPY = insert_row(fanout_copy)
_FIRST = sql(
    select(_f.id, _f.queue_id, _f.blob, _f.prefix, _f.reverse_path, _f.arrived)
    .order_by(_f.id)
    .limit(bindparam("limit"))
)
_COPIES = sql(
    select(_c.account, _c.address, _c.mailbox, _c.number)
    .where(_c.fanout == bindparam("fanout"))
    .order_by(_c.number)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_DELETE_COPIES = sql(delete(fanout_copy).where(_c.fanout == bindparam("fanout"), among(_c.number, "numbers")))
_LEFT = sql(select(_c.number).where(_c.fanout == bindparam("fanout")).limit(literal_column("1")))
_DELETE = sql(delete(fanout).where(_f.id == bindparam("fanout")).returning(_f.blob))


def begin(
    unit: Unit,
    queue_id: str,
    blob_id: BlobId,
    prefix: bytes,
    reverse_path: str,
    arrived: int,
    copies: Iterable[Copy],
) -> int:
    """Leave copies for later; the caller has counted one reference of the blob for it."""
    made = unit.insert(
        _PUT,
        queue_id=queue_id,
        blob=blob_id,
        prefix=prefix,
        reverse_path=clean(reverse_path),
        arrived=arrived,
    )
    unit.many(
        _PUT_COPY,
        [
            {
                "fanout": made,
                "number": number,
                "account": copy.account,
                "mailbox": copy.mailbox,
                "address": clean(copy.address),
            }
            for number, copy in enumerate(copies)
        ],
    )
    return made


def pending(tx: Transaction, limit: int = 10) -> list[Fanout]:
    """Messages with copies still to be made, oldest first."""
    return [_fanout(row) for row in tx.all(_FIRST, limit=limit)]


def _fanout(row: Sequence[Any]) -> Fanout:
    return Fanout(*row)


def take(unit: Transaction, fanout_id: int, limit: int = 50) -> list[Copy]:
    """Some copies to make in this unit; `made` in the same unit says which were."""
    return [Copy(*row) for row in unit.all(_COPIES, fanout=fanout_id, limit=limit)]


def made(unit: Unit, fanout_id: int, copies: Iterable[Copy]) -> bool:
    """The copies are made, or refused for good; True when they were the last."""
    unit.run(_DELETE_COPIES, fanout=fanout_id, numbers=[copy.number for copy in copies])
    if unit.value(_LEFT, fanout=fanout_id) is not None:
        return False
    blob_id = unit.value(_DELETE, fanout=fanout_id)
    if blob_id is not None:
        blob_rows.release(unit, BlobId(blob_id))
    return True
