"""What fails alone fails alone: full disks, lost races, broken connections, unknown outcomes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest

from imsd.errors import NotPermitted, OverQuota, StoreFull, StoreUnavailable, TryLater
from imsd.store import settings, sqlite
from imsd.store.blobs import Blobs, keep, new_blob
from imsd.store.changes import SETTINGS, Change, Missed, SettingsChanged
from imsd.store.database import POLL_SECONDS, Database, Transaction, Unit
from imsd.store.readers import Latency
from imsd.store.turns import ENOUGH, LIMIT, TOGETHER, TurnWriter
from imsd.store.writer import Fault, Job, Outcome, Writer
from tests.store.test_database import get, put, put_and_refuse
from tests.support.stores import StoreReactor, open_store, run


def limit_pages(unit: Unit, more: int) -> None:
    execute: Any = unit._execute
    (used,) = execute("PRAGMA page_count").fetchone()
    execute(f"PRAGMA max_page_count={used + more}")


def put_much(unit: Unit, name: str, size: int) -> None:
    put(unit, name, "x" * size)


def test_a_full_database_refuses_only_the_unit_that_does_not_fit(sqlite_database: Database) -> None:
    run(sqlite_database.write(limit_pages, 20))
    writes = [sqlite_database.write(put, f"before{n}") for n in range(5)]
    big = sqlite_database.write(put_much, "big", 1_000_000)
    writes += [sqlite_database.write(put, f"after{n}") for n in range(5)]
    with pytest.raises(StoreFull):
        run(big)
    for write in writes:
        run(write)
    assert run(sqlite_database.read(get, "big")) is None
    assert run(sqlite_database.read(get, "after4")) == "x"
    run(sqlite_database.write(limit_pages, 10_000))
    run(sqlite_database.write(put_much, "big", 1_000_000))
    assert len(run(sqlite_database.read(get, "big")) or "") == 1_000_000


def put_twice(unit: Unit) -> None:
    put(unit, "same")
    put(unit, "same")


def test_a_unit_that_breaks_a_constraint_gets_the_error(database: Database) -> None:
    write = database.write(put_twice)
    other = database.write(put, "other")
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)):
        run(write)
    run(other)
    assert run(database.read(get, "same")) is None


class Scripted:
    """A connection that fails where the test says."""

    def __init__(self, **failures: list[Exception | None]) -> None:
        self.failures = failures
        self.calls: list[str] = []
        self.began = False
        self.lost_on_error = False

    def _at(self, place: str) -> None:
        self.calls.append(place)
        planned = self.failures.get(place)
        error = planned.pop(0) if planned else None
        if error is not None:
            raise error

    def unit(self) -> Unit:
        return Unit(0, lambda text, params: self._at("run"), lambda text, rows: None)

    def begin(self) -> None:
        self._at("begin")
        self.began = True

    def savepoint(self) -> None:
        self._at("savepoint")

    def release(self) -> None:
        self._at("release")

    def rollback_to(self) -> None:
        self._at("rollback_to")

    def commit(self) -> None:
        self._at("commit")
        self.began = False

    def rollback(self) -> None:
        self.calls.append("rollback")
        self.began = False

    def in_transaction(self) -> bool:
        return self.began and not self.lost_on_error

    def fault(self, error: Exception) -> Fault | None:
        return sqlite.fault(error)

    def commit_undone(self, error: Exception) -> bool:
        return sqlite.fault(error) is not Fault.BROKEN

    def close(self) -> None:
        self.calls.append("close")


def failing(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("scripted")
    error.sqlite_errorcode = code
    return error


def groups(connection: Scripted, *fns: Callable[[Unit], Any]) -> list[Outcome]:
    """What becomes of the functions when they wait together."""
    outcomes: list[Outcome] = []
    writer = Writer(connection, outcomes.extend)
    for place, fn in enumerate(fns):
        writer.submit(Job(fn, (), place))
    writer.stop()
    writer.run()
    return sorted(outcomes, key=lambda outcome: int(outcome.done))


def fine(unit: Unit) -> str:
    return "fine"


def test_a_lost_transaction_is_run_again_unit_by_unit() -> None:
    connection = Scripted()
    connection.lost_on_error = True
    runs: list[int] = []

    def unlucky(unit: Unit) -> None:
        runs.append(1)
        raise failing(sqlite3.SQLITE_FULL)

    one, two, three = groups(connection, fine, unlucky, fine)
    assert (one.result, three.result) == ("fine", "fine")
    assert isinstance(two.error, StoreFull)
    assert len(runs) == 2
    assert connection.calls.count("commit") == 2


def test_a_failed_commit_that_left_nothing_is_repeated() -> None:
    connection = Scripted(commit=[failing(sqlite3.SQLITE_FULL), None, None])
    one, two = groups(connection, fine, fine)
    assert (one.error, two.error) == (None, None)


def test_an_unknown_commit_is_try_later_and_publishes_nothing() -> None:
    connection = Scripted(commit=[failing(sqlite3.SQLITE_IOERR)])

    def changing(unit: Unit) -> None:
        unit.changed(SettingsChanged(SETTINGS, 0, 1, ()))

    def refused(unit: Unit) -> None:
        raise StoreFull

    one, two = groups(connection, changing, refused)
    assert isinstance(one.error, TryLater) and not one.changes
    assert isinstance(two.error, StoreFull), "its own refusal stands: nothing of it was written"
    assert connection.calls.count("commit") == 1


def test_a_begin_that_fails_refuses_each_unit() -> None:
    broken = [failing(sqlite3.SQLITE_IOERR)] * 3
    outcomes = groups(Scripted(begin=list(broken)), fine, fine)
    assert isinstance(outcomes[0].error, StoreUnavailable)
    assert outcomes[1].error is None


def test_a_watcher_that_fails_stops_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Change] = []
    reported: list[object] = []
    monkeypatch.setattr(database.feed, "_report", reported.append)
    database.feed.watch(SETTINGS, lambda change: 1 / 0)
    watch = database.feed.watch(SETTINGS, seen.append)
    run(database.write(settings.change, {"a.b": "1"}))
    assert len(seen) == 1 and reported == [SETTINGS]
    watch.stop()
    watch.stop()
    run(database.write(settings.change, {"a.b": "2"}))
    assert len(seen) == 1


def test_a_later_change_handed_in_first_becomes_missed(database: Database) -> None:
    seen: list[Change] = []
    database.feed.watch(SETTINGS, seen.append)
    for previous, following in ((0, 1), (2, 3), (1, 2), (3, 4)):
        database.feed.publish(SettingsChanged(SETTINGS, previous, following, ("k",)))
    assert [(type(each), each.previous, each.next) for each in seen] == [
        (SettingsChanged, 0, 1),
        (Missed, 1, 3),
        (SettingsChanged, 3, 4),
    ]


def test_a_slow_read_moves_to_a_thread_and_back(sqlite_database: Database) -> None:
    import threading

    def where(tx: Transaction) -> str:
        return threading.current_thread().name

    assert run(sqlite_database.read_few(where)) == "MainThread"
    sqlite_database._latencies[where.__code__].mean = 0.01
    names = [run(sqlite_database.read_few(where)) for _ in range(60)]
    assert names[0] == "imsd-reader" and names[-1] == "MainThread"


def test_too_many_waiting_units_are_refused(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    import imsd.store.database as module

    monkeypatch.setattr(module, "MAX_WAITING", -1)
    for refused in (sqlite_database.write(put, "a"), sqlite_database.read(get, "a")):
        with pytest.raises(TryLater):
            run(refused)


def test_closing_writes_what_was_submitted(tmp_path: Path, store_reactor: StoreReactor) -> None:
    database = open_store(tmp_path)
    for n in range(300):
        database.write(put, f"k{n}")
    run(database.close())
    with pytest.raises(TryLater):
        run(database.write(put, "late"))
    database = open_store(tmp_path)
    assert run(database.read(get, "k299")) == "x"
    run(database.close())


# PostgreSQL ------------------------------------------------------------------------------


def cut(url: str) -> None:
    """Have the server end every other connection to this database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def nodes(postgresql_url: str, tmp_path: Path, store_reactor: StoreReactor) -> Any:
    """Two nodes on one database."""
    opened = [open_store(tmp_path / name, postgresql_url) for name in ("one", "two")]
    yield opened
    for database in opened:
        run(database.close())


@pytest.mark.postgres
def test_a_cut_connection_is_opened_again(postgresql_url: str, nodes: list[Database]) -> None:
    one, _ = nodes
    run(one.write(put, "before"))
    cut(postgresql_url)
    run(one.write(put, "after"))
    cut(postgresql_url)
    assert [run(one.read(get, name)) for name in ("before", "after")] == ["x", "x"]


@pytest.mark.postgres
def test_a_connection_cut_in_a_unit_runs_the_unit_again(postgresql_url: str, nodes: list[Database]) -> None:
    runs: list[int] = []

    def cut_once(unit: Unit) -> None:
        runs.append(1)
        put(unit, "kept")
        if len(runs) == 1:
            cut(postgresql_url)
            put(unit, "never")

    run(nodes[0].write(cut_once))
    assert len(runs) == 2
    assert [run(nodes[0].read(get, name)) for name in ("kept", "never")] == ["x", None]


@pytest.mark.postgres
def test_a_unit_that_always_loses_its_connection_gives_up(postgresql_url: str, nodes: list[Database]) -> None:
    def cut_always(unit: Unit) -> None:
        put(unit, "never")
        cut(postgresql_url)

    with pytest.raises(TryLater):
        run(nodes[0].write(cut_always))
    assert run(nodes[0].read(get, "never")) is None


@pytest.mark.postgres
def test_a_commit_whose_answer_was_lost_is_try_later(
    nodes: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    from imsd.store.postgresql import WriteConnection

    commit = WriteConnection.commit

    def lost(self: WriteConnection) -> None:
        commit(self)
        raise psycopg.OperationalError("the connection is closed")

    with monkeypatch.context() as patch:
        patch.setattr(WriteConnection, "commit", lost)
        with pytest.raises(TryLater):
            run(nodes[0].write(put, "perhaps"))
    assert run(nodes[0].read(get, "perhaps")) == "x"


@pytest.mark.postgres
def test_nodes_that_collide_both_succeed(nodes: list[Database]) -> None:
    writes = [
        node.write(settings.change, {f"k.{place}{n}": "1"}, account=n)
        for n in range(20)
        for place, node in enumerate(nodes)
    ]
    versions = sorted(run(write) for write in writes)
    assert versions == list(range(1, 41))


@pytest.mark.postgres
def test_another_nodes_change_is_heard_of(nodes: list[Database]) -> None:
    one, two = nodes
    seen: list[Change] = []
    two.feed.watch(SETTINGS, seen.append)
    run(one.write(settings.change, {"a.b": "1"}))
    for _ in range(20_000):
        # Hints come from a thread; where one is lost, the poll finds the same.
        two.reactor.advance(POLL_SECONDS)
        run(two.read(lambda tx: None))
        if seen:
            break
    assert [(type(each), each.next) for each in seen] == [(Missed, 1)]


@pytest.mark.postgres
def test_two_nodes_keep_equal_content_once(nodes: list[Database]) -> None:
    writes = [node.write(keep, new_blob(b"same"), account=n) for n in range(8) for node in nodes]
    assert len({run(write) for write in writes}) == 1
    assert run(Blobs(nodes[1]).read(run(writes[0]))) == b"same"


class Turns:
    """A reactor whose turns the test takes."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self.imsd_ready = 0

    def callFromThread(self, fn: Callable[..., Any], *args: Any) -> None:
        self.calls.put((fn, args))

    def turn(self) -> None:
        fn, args = self.calls.get(timeout=10)
        fn(*args)


def turns(connection: Scripted, *fns: Callable[[Unit], Any], cost: float = 0.0) -> list[Outcome]:
    """What becomes of functions of known cost, in seconds, when they wait together."""
    reactor = Turns()
    outcomes: list[Outcome] = []
    writer = TurnWriter(connection, outcomes.extend, reactor)
    for fn in fns:
        writer._costs[fn.__code__] = Latency()
        writer._costs[fn.__code__].mean = cost
    writer.start()
    for place, fn in enumerate(fns):
        writer.submit(Job(fn, (), place))
    while len(outcomes) < len(fns):
        reactor.turn()
    writer.stop()
    writer.join()
    return outcomes


def test_a_group_in_a_turn_has_no_savepoints() -> None:
    connection = Scripted()
    assert [each.result for each in turns(connection, fine, fine, fine)] == ["fine"] * 3
    assert connection.calls == ["begin", "commit", "close"]


def slow(unit: Unit) -> str:
    return "slow"


def test_units_that_belong_in_the_thread_share_a_commit() -> None:
    connection = Scripted()
    outcomes = turns(connection, *[slow] * 3, cost=2 * LIMIT)
    assert [(each.done, each.result) for each in outcomes] == [(0, "slow"), (1, "slow"), (2, "slow")]
    assert connection.calls == ["begin", *["savepoint", "release"] * 3, "commit", "close"]


def test_as_many_as_are_done_soon() -> None:
    connection = Scripted()
    turns(connection, *[slow] * 3, cost=TOGETHER / 1.5)
    one, two = ["begin", "savepoint", "release", "commit"], ["begin", *["savepoint", "release"] * 2, "commit"]
    assert connection.calls == [*two, *one, "close"]


def test_one_of_them_that_raises_fails_alone() -> None:
    def wrong(unit: Unit) -> None:
        raise OverQuota

    connection = Scripted()
    outcomes = turns(connection, slow, wrong, slow, cost=2 * LIMIT)
    assert [type(each.error) for each in outcomes] == [type(None), OverQuota, type(None)]
    assert connection.calls.count("commit") == 1 and "rollback_to" in connection.calls


def test_who_is_quick_is_not_taken_along() -> None:
    connection = Scripted()
    reactor = Turns()
    outcomes: list[Outcome] = []
    writer = TurnWriter(connection, outcomes.extend, reactor)
    writer._costs[slow.__code__] = Latency()
    writer._costs[slow.__code__].mean = 2 * LIMIT
    writer._costs[fine.__code__] = Latency()
    writer.start()
    for place, fn in enumerate((slow, fine, slow)):
        writer.submit(Job(fn, (), place))
    while len(outcomes) < 3:
        reactor.turn()
    writer.stop()
    writer.join()
    assert [each.done for each in outcomes] == [0, 1, 2]
    assert connection.calls.count("commit") == 3


class Gathering:
    """A writer beside a reactor that serves others."""

    def __init__(self) -> None:
        self.connection = Scripted()
        self.reactor = Turns()
        self.reactor.imsd_ready = 1
        self.outcomes: list[Outcome] = []
        self.writer = TurnWriter(self.connection, self.outcomes.extend, self.reactor)
        self.writer._costs[fine.__code__] = Latency()
        self.writer.start()

    def submit(self) -> None:
        self.writer.submit(Job(fine, (), 0))

    def end(self) -> list[str]:
        """What the connection was asked when all that was submitted is written."""
        while self.writer._busy or self.writer.waiting():
            self.reactor.turn()
        self.writer.stop()
        self.writer.join()
        return self.connection.calls


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> Gathering:
    monkeypatch.setattr("imsd.store.turns.GATHER", 60.0)
    return Gathering()


def test_a_group_waits_for_those_whom_the_reactor_serves(gathering: Gathering) -> None:
    for _ in range(3):
        gathering.submit()
        gathering.reactor.turn()
    assert gathering.connection.calls == []
    gathering.reactor.imsd_ready = 0
    assert gathering.end() == ["begin", "commit", "close"]
    assert len(gathering.outcomes) == 3


def test_a_group_that_is_large_enough_waits_for_nobody(gathering: Gathering) -> None:
    for _ in range(ENOUGH):
        assert gathering.connection.calls == []
        gathering.submit()
    assert gathering.end() == ["begin", "commit", "close"]


def test_a_group_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsd.store.turns.GATHER", 0.0)
    gathering = Gathering()
    gathering.submit()
    gathering.reactor.turn()
    assert gathering.connection.calls[0] == "begin"
    gathering.end()


def test_a_unit_that_raises_in_a_turn_fails_alone() -> None:
    connection = Scripted()
    runs: list[str] = []

    def before(unit: Unit) -> None:
        runs.append("before")

    def wrong(unit: Unit) -> None:
        runs.append("wrong")
        raise OverQuota

    def after(unit: Unit) -> None:
        runs.append("after")

    outcomes = turns(connection, before, wrong, after)
    assert [type(each.error) for each in outcomes] == [type(None), OverQuota, type(None)]
    assert [each.done for each in outcomes] == [0, 1, 2], "order is kept"
    assert runs == ["before", "wrong", "before", "wrong", "after"]
    assert connection.calls == [
        *("begin", "rollback", "begin", "savepoint", "release"),
        *("savepoint", "rollback_to", "savepoint", "release", "commit", "close"),
    ]


def test_a_transaction_lost_in_a_turn_is_run_again_unit_by_unit() -> None:
    connection = Scripted()
    connection.lost_on_error = True
    full = [failing(sqlite3.SQLITE_FULL)] * 3

    def big(unit: Unit) -> None:
        if full:
            raise full.pop()

    outcomes = turns(connection, fine, big)
    assert [type(each.error) for each in outcomes] == [type(None), StoreFull]


def test_what_a_refused_unit_did_is_undone_and_its_neighbours_stay(database: Database) -> None:
    for number in range(3):
        # Known to be quick from the second time on.
        names = [f"{word}{number}" for word in ("first", "refused", "last")]
        writes = [database.write(each, name) for each, name in zip(_THREE, names, strict=True)]
        run(writes[0])
        with pytest.raises(NotPermitted):
            run(writes[1])
        run(writes[2])
        assert [run(database.read(get, name)) for name in names] == ["x", None, "x"]


_THREE = (put, put_and_refuse, put)
