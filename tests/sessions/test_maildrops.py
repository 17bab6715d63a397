"""Locks of maildrops, within a node and between two."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imsd.errors import MailboxInUse
from imsd.sessions.maildrops import RENEWED, Maildrops
from imsd.store import credentials, maildrops
from imsd.store.database import Database
from imsd.store.ids import AccountId
from tests.support.stores import run

ALICE, BOB = AccountId(1), AccountId(2)


def nothing() -> None:
    raise AssertionError("not lost")


def settle(database: Database) -> None:
    for _ in range(3):
        run(database.write(credentials.server_key, account=ALICE))


def until(database: Database, happened: Callable[[], bool]) -> None:
    """Be the reactor until it happened, within reason: other writers have their own pace."""
    for _ in range(200):
        if happened():
            return
        settle(database)


def test_one_at_a_time(database: Database) -> None:
    node = Maildrops(database, database.reactor)
    run(node.take(ALICE, nothing))
    run(node.take(BOB, nothing))
    with pytest.raises(MailboxInUse):
        run(node.take(ALICE, nothing))
    node.free(ALICE)
    run(node.take(ALICE, nothing))


def test_the_first_of_two_at_once_wins(database: Database) -> None:
    node = Maildrops(database, database.reactor)
    from twisted.internet.defer import Deferred

    first = Deferred.fromCoroutine(node.take(ALICE, nothing))
    with pytest.raises(MailboxInUse):
        run(node.take(ALICE, nothing))
    run(first)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nodes_keep_each_other_out(database: Database) -> None:
    one, two = Maildrops(database, database.reactor), Maildrops(database, database.reactor)
    run(one.take(ALICE, nothing))
    with pytest.raises(MailboxInUse):
        run(two.take(ALICE, nothing))
    run(two.take(BOB, nothing))
    one.free(ALICE)
    settle(database)
    run(two.take(ALICE, nothing))


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_lease_is_told(database: Database) -> None:
    lost: list[str] = []
    node = Maildrops(database, database.reactor)
    run(node.take(ALICE, lambda: lost.append("alice")))
    run(node.take(BOB, lambda: lost.append("bob")))
    database.reactor.advance(RENEWED)
    settle(database)
    assert lost == []
    assert run(database.write(maildrops.take, ALICE, b"another", 1 << 60, 1))
    database.reactor.advance(RENEWED)
    until(database, lambda: bool(lost))
    assert lost == ["alice"]


def test_a_lease_runs_out(database: Database) -> None:
    assert run(database.write(maildrops.take, ALICE, b"a", 1000, 50))
    assert not run(database.write(maildrops.take, ALICE, b"b", 1049, 50))
    assert run(database.write(maildrops.extend, [ALICE, BOB], b"a", 1049, 50)) == {ALICE}
    assert run(database.write(maildrops.extend, [ALICE], b"b", 1049, 50)) == frozenset()
    assert not run(database.write(maildrops.take, ALICE, b"b", 1099, 50))
    run(database.write(maildrops.free, ALICE, b"b"))
    assert not run(database.write(maildrops.take, ALICE, b"b", 1099, 50))
    assert run(database.write(maildrops.take, ALICE, b"b", 1100, 50))
    run(database.write(maildrops.free, ALICE, b"b"))
    assert run(database.write(maildrops.take, ALICE, b"c", 1, 50))
