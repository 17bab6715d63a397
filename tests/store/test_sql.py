"""Statements: compiled once for each driver, lists bound at run time, ids of what was inserted."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, func, or_, select, update

from imsd.errors import StoreUnavailable
from imsd.store import postgresql
from imsd.store.changes import AccountScope, MailboxScope, NamedScope, Scope
from imsd.store.database import Database, Transaction, Unit
from imsd.store.ids import AccountId, MailboxId
from imsd.store.sql import POSTGRESQL, SQLITE, among, insert, insert_row, sql
from imsd.store.tables import clean, now
from imsd.store.tracking import tracking
from tests.support.stores import run

C = tracking.c
COLUMNS = ("time", "event", "queue_id", "message_id", "sender", "recipient", "reason", "peer", "size")
PUT = insert_row(tracking, *COLUMNS)
SIZES = sql(select(C.size).where(among(C.time, "times")).order_by(C.size))
BY_BYTES = sql(select(C.time).where(among(C.message_id, "ids")).order_by(C.time))
BY_TEXT = sql(select(C.time).where(among(C.sender, "senders")).order_by(C.time))
OTHERS = sql(select(C.time).where(or_(~among(C.time, "times"), C.size == 2)).order_by(C.time))
SUM = sql(select(func.sum(C.size), func.count()).select_from(tracking))
GROW = sql(update(tracking).where(C.time == bindparam("at")).values(size=C.size + 10))


def row(time: int, text: str = "s") -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(COLUMNS, "x")
    return values | {"time": time, "size": time, "message_id": b"<%d>" % time, "sender": text}


def fill(unit: Unit, count: int = 4) -> list[int]:
    return [unit.insert(PUT, **row(time, f"s'{time}\"\u20ac")) for time in range(1, count + 1)]


def test_inserted_rows_have_ids_that_ascend(database: Database) -> None:
    ids = run(database.write(fill))
    assert ids == sorted(set(ids)) and len(ids) == 4


def test_a_row_that_was_there_has_no_new_id(database: Database) -> None:
    put = sql(
        insert(tracking)
        .values({name: bindparam(name) for name in ("id", *COLUMNS)})
        .on_conflict_do_nothing(index_elements=["id"])
    )

    def twice(unit: Unit) -> list[int]:
        return [unit.insert(put, id=number, **row(1)) for number in (7, 8, 7)]

    assert run(database.write(twice)) == [7, 8, 0]


def test_lists_of_numbers_bytes_and_text(database: Database) -> None:
    run(database.write(fill))

    def ask(tx: Transaction) -> list[list[tuple[Any, ...]]]:
        return [
            tx.all(SIZES, times=[1, 3, 99]),
            tx.all(SIZES, times=[]),
            tx.all(BY_BYTES, ids=[b"<2>", b"\0\xff"]),
            tx.all(BY_TEXT, senders=["s'4\"\u20ac", "none"]),
            tx.all(OTHERS, times=[1, 2, 3]),
        ]

    assert run(database.read(ask)) == [[(1,), (3,)], [], [(2,)], [(4,)], [(2,), (4,)]]


def test_sums_are_whole_numbers_and_counts_tell_rows(database: Database) -> None:
    run(database.write(fill))

    def grow(unit: Unit) -> tuple[int, int]:
        return unit.run(GROW, at=2), unit.run(GROW, at=77)

    assert run(database.write(grow)) == (1, 0)
    total, count = run(database.read(lambda tx: tx.one(SUM)))
    assert (total, count) == (20, 4) and type(total) is int


def test_many_rows_and_rows_one_by_one(database: Database) -> None:
    run(database.write(lambda unit: unit.many(PUT, [row(time) for time in range(50)])))
    found = run(database.read(lambda tx: [size for (size,) in tx.each(SIZES, times=range(50))]))
    assert found == list(range(50))


def test_the_databases_clock_is_about_ours(database: Database) -> None:
    assert abs(run(database.read(lambda tx: tx.now())) - now()) < 60_000_000


def test_readers_cannot_write(database: Database) -> None:
    def cheat(tx: Transaction) -> None:
        tx.all(PUT, **row(1))

    with pytest.raises((StoreUnavailable, psycopg.errors.ReadOnlySqlTransaction)):
        run(database.read(cheat))
    assert run(database.read(lambda tx: tx.value(SUM))) is None


def test_a_list_is_served_by_an_index() -> None:
    assert "= 1" not in SIZES.compile(SQLITE).text
    assert "ANY" in SIZES.compile(POSTGRESQL).text


def test_an_insert_knows_conflicts_on_both() -> None:
    upsert = sql(
        insert(tracking)
        .values(id=bindparam("id"), size=1)
        .on_conflict_do_update(index_elements=["id"], set_={"size": 2})
    )
    for dialect in (SQLITE, POSTGRESQL):
        assert "ON CONFLICT (id) DO UPDATE" in upsert.compile(dialect).text


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(text=st.text(st.characters()))
def test_clean_text_comes_back(database: Database, text: str) -> None:
    kept = clean(text)

    def through(unit: Unit) -> str:
        at = unit.insert(PUT, **(row(1) | {"sender": kept}))
        found: str = unit.value(sql(select(C.sender).where(C.id == bindparam("at"))), at=at)
        return found

    assert run(database.write(through)) == kept


scopes: st.SearchStrategy[Scope] = st.one_of(
    st.builds(MailboxScope, st.integers(0, 2**62).map(AccountId), st.integers(0, 2**62).map(MailboxId)),
    st.builds(AccountScope, st.integers(0, 2**62).map(AccountId)),
    st.sampled_from(["directory", "settings", "queue"]).map(NamedScope),
)


@given(st.lists(scopes))
def test_scopes_travel_between_nodes(found: list[Scope]) -> None:
    assert postgresql.unpack_scopes(postgresql.pack_scopes(found)) == found
