"""The greylist: who came, and whether he came again.

A row stands for a triplet (network, originator, recipient), or for a network of which several triplets
came again. Its key is a hash: what strangers send is of one length here. `passed` is 0 while it is
waited for; of a network it counts. A row that nobody came back to goes when it expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column as Col
from sqlalchemy import Index, SmallInteger, Table, bindparam, delete, func, select

from imsd.store.sql import among, insert, sql
from imsd.store.tables import Bytes, Number, metadata
from imsd.store.transaction import Transaction, Unit

BATCH: Final = 500

greylist = Table(
    "greylist",
    metadata,
    Col("key", Bytes, primary_key=True),
    # Microseconds.
    Col("began", Number, nullable=False),
    Col("expires", Number, nullable=False),
    Col("passed", SmallInteger, nullable=False),
    Index("ix_greylist_expires", "expires"),
    sqlite_with_rowid=False,
)
_g = greylist.c

_FIND = sql(select(_g.key, _g.began, _g.expires, _g.passed).where(among(_g.key, "keys")))
_put = insert(greylist)
_PUT = sql(
    _put.values(
        key=bindparam("key"),
        began=bindparam("began"),
        expires=bindparam("expires"),
        passed=bindparam("passed"),
    ).on_conflict_do_update(
        index_elements=[_g.key],
        set_={
            "began": _put.excluded.began,
            "expires": _put.excluded.expires,
            "passed": _put.excluded.passed,
        },
    )
)
_OLD = sql(select(_g.key).where(_g.expires < bindparam("now")).order_by(_g.expires).limit(bindparam("limit")))
_DROP = sql(delete(greylist).where(among(_g.key, "keys")))
_COUNT = sql(select(func.count()).select_from(greylist))


@dataclass(frozen=True, slots=True)
class Seen:
    """Microseconds; passed: how often it came again."""

    began: int
    expires: int
    passed: int


def find(tx: Transaction, keys: list[bytes], now: int) -> dict[bytes, Seen]:
    """Those of the keys that are there and have not expired."""
    rows = tx.all(_FIND, keys=keys)
    return {bytes(row[0]): Seen(row[1], row[2], row[3]) for row in rows if row[2] >= now}


def put(unit: Unit, *rows: tuple[bytes, Seen]) -> None:
    """Write rows, or write them anew."""
    for key, seen in rows:
        unit.run(_PUT, key=key, began=seen.began, expires=seen.expires, passed=min(seen.passed, 30_000))


def expire(unit: Unit, now: int) -> int:
    """Drop some that expired; how many."""
    keys = [bytes(row[0]) for row in unit.all(_OLD, now=now, limit=BATCH)]
    return unit.run(_DROP, keys=keys) if keys else 0


def count(tx: Transaction) -> int:
    return int(tx.value(_COUNT) or 0)
