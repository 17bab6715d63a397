"""What one node at a time does: leases that are taken, kept, lost, given back and followed."""

from __future__ import annotations

import pytest

from imsd.duties import LEASE, MARGIN, RENEWED, Duties
from imsd.errors import StoreUnavailable
from imsd.store import duties as rows
from imsd.store.database import Database
from tests.support.stores import run


def pair(database: Database) -> tuple[Duties, Duties]:
    one, two = (Duties(database, database.reactor, name) for name in ("one", "two"))
    two.node = one.node + 1
    return one, two


def settle(database: Database) -> None:
    for _ in range(20):
        run(database.write(lambda unit: None))


def holder(database: Database, name: str) -> str:
    taken: rows.Taken = run(database.write(rows.take, name, -1, "nobody", 0, 0))
    return taken.holder


def test_who_has_the_store_alone_has_every_duty(sqlite_database: Database) -> None:
    one, two = pair(sqlite_database)
    assert run(one.has("a")) and run(two.has("a"))
    assert holder(sqlite_database, "a") == "nobody", "there was no row"
    run(one.stop())


def test_a_lease_runs_out(database: Database) -> None:
    assert run(database.write(rows.take, "a", 1, "one", 1000, 50)) == rows.Taken(True, "one", 1050)
    assert run(database.write(rows.take, "a", 2, "two", 1049, 50)) == rows.Taken(False, "one", 1050)
    assert run(database.write(rows.take, "a", 1, "one", 1049, 50)).lease == 1099, "again, after a crash"
    assert run(database.write(rows.extend, ["a", "b"], 1, 1060, 50)) == {"a"}
    assert run(database.write(rows.extend, ["a"], 2, 1060, 50)) == frozenset()
    run(database.write(rows.free, ["a"], 2))
    assert not run(database.write(rows.take, "a", 2, "two", 1109, 50)).ours
    assert run(database.write(rows.take, "a", 2, "two", 1111, 50)).ours
    run(database.write(rows.free, ["a"], 2))
    assert run(database.write(rows.take, "a", 1, "one", 1, 50)).ours


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nodes_follow_each_other(database: Database) -> None:
    one, two = pair(database)
    assert run(one.has("a")) and run(two.has("b"))
    assert not run(two.has("a")) and not run(one.has("b"))
    assert (two.elsewhere("a"), one.elsewhere("a")) == ("one", "")
    for _ in range(2 * LEASE // RENEWED):
        database.reactor.advance(RENEWED)
        settle(database)
    assert run(one.has("a")) and not run(two.has("a")), "it is renewed"
    run(one.stop())
    assert not run(two.has("a")), "asked a moment ago"
    database.reactor.advance(RENEWED)
    assert run(two.has("a")) and two.elsewhere("a") == ""
    run(two.stop())
    assert holder(database, "a") == "nobody"


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_duty_that_was_taken_away_is_known_to_be_lost(database: Database) -> None:
    one, two = pair(database)
    assert run(one.has("a"))
    assert run(database.write(rows.take, "a", two.node, "two", 1 << 60, 1)).ours
    database.reactor.advance(RENEWED)
    settle(database)
    assert not run(one.has("a")) and one.elsewhere("a") == "two"
    run(one.stop())


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_the_database_it_is_ours_no_longer_than_the_lease(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair(database)
    assert run(one.has("a"))

    async def away(*_: object, **__: object) -> object:
        raise StoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(database, "write", away)
        for _ in range((LEASE - MARGIN) // 5 - 1):
            database.reactor.advance(5)
            assert run(one.has("a"))
        database.reactor.advance(5)
        assert not run(one.has("a"))
    assert run(one.has("a"))
    run(one.stop())


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_holder_says_how_it_is_and_others_that_they_use_it(database: Database) -> None:
    one, two = pair(database)
    assert run(one.has("a")) and not run(two.has("a"))
    run(one.show("a", "up"))
    run(two.show("a", "down"))
    assert run(two.shown("a")) == rows.Shown("up", 0)
    run(two.use("a"))
    assert run(one.shown("a")).used > 0
    assert run(database.read(rows.shown, "a", 1 << 62)) == rows.Shown(), "a dead node says nothing"
    run(one.stop())
    database.reactor.advance(RENEWED)
    assert run(two.has("a")) and run(two.shown("a")) == rows.Shown()
    run(two.stop())
