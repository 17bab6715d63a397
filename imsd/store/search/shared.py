"""The index in PostgreSQL: trigrams as numbers in arrays, with GIN; no extension is needed.

The tables are not logged: after a crash of the database they are empty, and are filled anew.
They are made here and not by a migration, since they may be dropped at any time.

Ids of content are taken before they are committed, by several writers at once. So the horizon,
up to which the index may believe to have seen every blob, follows in two steps: an id is noted
with the transactions that run then, and counts once all of those have ended (`Horizon`).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    bindparam,
    delete,
    exists,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from imsd.store.blob_rows import blob
from imsd.store.search import filling
from imsd.store.search.filling import Document, newest
from imsd.store.search.grams import SIZE, grams
from imsd.store.search.matches import NONE, Matches, State
from imsd.store.sql import insert, sql
from imsd.store.transaction import Transaction, Unit

FORMAT: Final = 2
LOCK: Final = 1229804357
"""The advisory lock of the one node that fills the index."""

_made = MetaData()
_document = Table(
    "search_document",
    _made,
    Column("blob", BigInteger, primary_key=True, autoincrement=False),
    Column("partial", SmallInteger, nullable=False),
    Column("head", ARRAY(Integer), nullable=False),
    Column("body", ARRAY(Integer), nullable=False),
)
_state = Table(
    "search_state",
    _made,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
_CREATE = (
    "CREATE UNLOGGED TABLE IF NOT EXISTS search_state (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE UNLOGGED TABLE IF NOT EXISTS search_document (blob BIGINT PRIMARY KEY, "
    "partial SMALLINT NOT NULL, head INTEGER[] NOT NULL, body INTEGER[] NOT NULL)",
    "CREATE INDEX IF NOT EXISTS search_document_head ON search_document USING GIN (head)",
    "CREATE INDEX IF NOT EXISTS search_document_body ON search_document USING GIN (body)",
    "CREATE INDEX IF NOT EXISTS search_document_partial ON search_document (blob) WHERE partial = 1",
)

_d = _document.c
_EXISTS = sql(select(func.to_regclass("search_document")))
_FACTS = sql(select(_state.c.name, _state.c.value))
_SET = sql(
    insert(_state)
    .values(name=bindparam("name"), value=bindparam("value"))
    .on_conflict_do_update(index_elements=["name"], set_={"value": bindparam("value")})
)
_PARTIAL = sql(
    select(_d.blob).where(_d.partial == 1, _d.blob >= bindparam("low"), _d.blob <= bindparam("high"))
)
_MATCH = {
    name: sql(
        select(_d.blob).where(
            _d[name].contains(bindparam("grams", type_=ARRAY(Integer), required=True)),
            _d.blob >= bindparam("low"),
            _d.blob <= bindparam("high"),
        )
    )
    for name in ("head", "body")
}
_KEPT = sql(
    select(_d.blob, _d.partial, _d.head, _d.body).where(
        _d.blob > bindparam("low"), _d.blob <= bindparam("high")
    )
)
_COUNT = sql(select(func.count(), func.coalesce(func.sum(_d.partial), 0)))
_OCTETS = sql(select(func.pg_total_relation_size("search_document")))
_ADD = sql(
    insert(_document)
    .values(
        blob=bindparam("blob"),
        partial=bindparam("partial"),
        head=bindparam("head", type_=ARRAY(Integer)),
        body=bindparam("body", type_=ARRAY(Integer)),
    )
    .on_conflict_do_nothing(index_elements=["blob"])
)
_CLEAR = sql(delete(_document))
_CLEAR_STATE = sql(delete(_state))
_DEAD = sql(
    delete(_document).where(
        _d.blob.in_(
            select(_d.blob)
            .where(
                _d.blob > bindparam("after"),
                _d.blob <= bindparam("upto"),
                ~exists().where(blob.c.id == _d.blob),
            )
            .limit(bindparam("most"))
        )
    )
)
_TRY_LOCK = sql(select(func.pg_try_advisory_lock(LOCK)))
_RUNNING = sql(
    select(
        func.pg_snapshot_xmin(func.pg_current_snapshot()).cast(Text).cast(BigInteger),
        func.pg_snapshot_xmax(func.pg_current_snapshot()).cast(Text).cast(BigInteger),
    )
)


def number(gram: str) -> int:
    """A trigram as 32 bits; two may share one, which only lets more match."""
    return zlib.crc32(gram.encode()) - (1 << 31)


def numbers(indexed: str) -> list[int]:
    """The distinct trigrams of an indexed text."""
    return [number(gram) for gram in {indexed[at : at + SIZE] for at in range(len(indexed) - SIZE + 1)}]


def _facts(tx: Transaction, incarnation: str) -> dict[str, str] | None:
    """What the index says of itself; None where there is none of this store."""
    if tx.value(_EXISTS) is None:
        return None
    found: dict[str, str] = dict(tx.all(_FACTS))
    same = found.get("format") == str(FORMAT) and found.get("incarnation") == incarnation
    return found if same and incarnation else None


def match(
    tx: Transaction, incarnation: str, heads: Sequence[str], bodies: Sequence[str], low: int, high: int
) -> Matches:
    """As `embedded.Reader.match`."""
    facts = _facts(tx, incarnation)
    if facts is None:
        return NONE
    return Matches(
        int(facts["upto"]),
        frozenset(blob for (blob,) in tx.all(_PARTIAL, low=low, high=high)),
        _each(tx, "head", heads, low, high),
        _each(tx, "body", bodies, low, high),
    )


def _each(tx: Transaction, kind: str, texts: Sequence[str], low: int, high: int) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for one in texts:
        wanted = [number(gram) for gram in grams(one)]
        if wanted:
            rows = tx.all(_MATCH[kind], grams=wanted, low=low, high=high)
            found[one] = frozenset(blob for (blob,) in rows)
    return found


def state(tx: Transaction, incarnation: str) -> State:
    facts = _facts(tx, incarnation)
    if facts is None:
        return State()
    row = tx.one(_COUNT)
    assert row is not None
    return State(int(facts["upto"]), int(row[0]), int(row[1]), int(tx.value(_OCTETS)))


def forget(unit: Unit) -> None:
    """Have the index filled anew."""
    if unit.value(_EXISTS) is not None:
        unit.run(_CLEAR)
        unit.run(_CLEAR_STATE)


def check(tx: Transaction, incarnation: str, home: Path, after: int) -> tuple[list[str], int]:
    """What is wrong with the documents of the next blobs above `after`, and the last one looked at,
    0 at the end. A document that lacks a trigram keeps a message from being found; one without a blob
    does no harm and goes with time."""
    facts = _facts(tx, incarnation)
    if facts is None or after >= int(facts["upto"]):
        return [], 0
    right, last = filling.documents(tx, home, after, int(facts["upto"]))
    kept = {blob: parts for blob, *parts in tx.all(_KEPT, low=after, high=last)}
    found: list[str] = []
    for one in right:
        if one.blob not in kept:
            found.append(f"content {one.blob} is not in the index")
            continue
        partial, head, body = kept[one.blob]
        lacks = not set(numbers(one.text.head)) <= set(head) or not set(numbers(one.text.body)) <= set(body)
        # Of what is not indexed whole the messages are read in any case.
        if lacks and not partial:
            found.append(f"the index lacks text of content {one.blob}")
    return found, last


# The filling node ------------------------------------------------------------------------


def may_fill(tx: Transaction) -> bool:
    """Whether this connection is, for as long as it lasts, the one that fills."""
    return bool(tx.value(_TRY_LOCK))


def begin(unit: Unit, incarnation: str) -> int:
    """The id up to which all is indexed; the tables are there after it."""
    for statement in _CREATE:
        unit._execute(statement, {})
    facts = _facts(unit, incarnation)
    if facts is None:
        unit.run(_CLEAR)
        for name, value in (("format", str(FORMAT)), ("incarnation", incarnation), ("upto", "0")):
            unit.run(_SET, name=name, value=value)
        return 0
    return int(facts["upto"])


def add(unit: Unit, documents: list[Document], upto: int) -> None:
    """Documents, and the id up to which all is indexed now."""
    unit.many(
        _ADD,
        [
            {
                "blob": one.blob, "partial": int(one.text.partial),
                "head": numbers(one.text.head), "body": numbers(one.text.body),
            }
            for one in documents
        ],
    )  # fmt: skip
    unit.run(_SET, name="upto", value=str(upto))


def drop_dead(unit: Unit, after: int, upto: int, most: int = 500) -> int:
    """Take away documents whose blob is gone; how many."""
    return unit.run(_DEAD, after=after, upto=upto, most=most)


class Horizon:
    """Up to which id every blob that there will ever be can be seen."""

    PATIENCE: Final = 2.0
    """Seconds that an id is held back besides: one may be taken just before its transaction
    has a number."""

    def __init__(self) -> None:
        self.at = 0
        self._noted: list[tuple[int, int, float]] = []

    def look(self, tx: Transaction) -> int:
        row = tx.one(_RUNNING)
        assert row is not None
        oldest, following = row
        now = time.monotonic()
        while self._noted and oldest >= self._noted[0][1] and now - self._noted[0][2] > self.PATIENCE:
            self.at = self._noted.pop(0)[0]
        top = newest(tx)
        if top > self.at and (not self._noted or self._noted[-1][0] < top) and len(self._noted) < 100:
            self._noted.append((top, following, now))
        return self.at
