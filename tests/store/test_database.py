"""The door: reads, writes, groups, changes, faults."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import bindparam, select

from imsd.errors import NotPermitted
from imsd.store import readers
from imsd.store.changes import QUEUE, Change, QueueChanged
from imsd.store.database import Database, HomeInUse, Transaction, Unit
from imsd.store.readers import Readers
from imsd.store.settings import setting
from imsd.store.sql import insert_row, sql
from tests.support.stores import open_store, run

PUT = insert_row(setting)
GET = sql(select(setting.c.value).where(setting.c.key == bindparam("key")))


def put(unit: Unit, name: str, value: str = "x") -> int:
    return unit.run(PUT, key=name, value=value, version=1)


def get(tx: Transaction, name: str) -> str | None:
    value: str | None = tx.value(GET, key=name)
    return value


def put_and_refuse(unit: Unit, name: str) -> None:
    put(unit, name)
    raise NotPermitted


def test_what_was_written_is_read(database: Database) -> None:
    assert run(database.write(put, "a", "1")) == 1
    assert run(database.read(get, "a")) == "1"
    assert run(database.read_few(get, "a")) == "1"


def test_a_refused_unit_leaves_its_neighbours(database: Database) -> None:
    writes = [database.write(put, "a"), database.write(put_and_refuse, "b"), database.write(put, "c")]
    run(writes[0])
    with pytest.raises(NotPermitted):
        run(writes[1])
    run(writes[2])
    assert [run(database.read(get, name)) for name in "abc"] == ["x", None, "x"]


def due(unit: Unit, when: int) -> None:
    previous, following = unit.advance(QUEUE)
    unit.changed(QueueChanged(QUEUE, previous, following, when))


def test_changes_come_in_order_before_the_write_fires(database: Database) -> None:
    seen: list[object] = []
    database.feed.watch(QUEUE, seen.append)
    writes = [database.write(due, n) for n in range(3)]
    writes[0].addCallback(lambda _: seen.append("fired"))
    run(writes[2])
    changes = [each for each in seen if isinstance(each, Change)]
    assert [(each.previous, each.next) for each in changes] == [(0, 1), (1, 2), (2, 3)]
    assert seen.index("fired") > 0


def test_a_second_opener_is_refused(sqlite_database: Database) -> None:
    with pytest.raises(HomeInUse, match="in use by process"):
        open_store(sqlite_database.home)


def test_cancelling_a_write_does_not_withdraw_it(database: Database) -> None:
    write = database.write(put, "kept")
    write.addErrback(lambda _: None)
    write.cancel()
    run(database.write(put, "later"))
    assert run(database.read(get, "kept")) == "x"


def test_a_read_of_a_few_rows_does_not_wait_for_those_of_many():
    """One thread is left for it, and it goes first."""
    gate, heard, done = threading.Event(), [], threading.Event()

    class Connection:
        def begin(self):
            return None

        def end(self):
            pass

        def close(self):
            pass

    def deliver(job, result, error):
        heard.append(result)
        done.set()

    threads = Readers([Connection() for _ in range(3)], deliver)
    for _ in range(5):
        threads.submit(readers.Job(lambda tx: gate.wait(10) and "many", (), None, False))
    threads.submit(readers.Job(lambda tx: "few", (), None, True))
    assert done.wait(10)
    assert heard == ["few"]
    give_up = time.monotonic() + 10
    while threads.waiting() != 3:  # The others have begun, or are about to.
        assert time.monotonic() < give_up
        time.sleep(0.005)
    gate.set()
    threads.stop()
    assert heard == ["few", *["many"] * 5]
