"""The store's own rounds: after the start, every minute, and whatever fails."""

from __future__ import annotations

import os

import pytest

from imsd.duties import Duties
from imsd.errors import StoreUnavailable
from imsd.store import housekeeping, tracking
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.upkeep import ROUND, Upkeep
from tests.support.stores import run


def settle(database: Database) -> None:
    """Let the round that is under way reach its end."""
    for _ in range(100):
        run(database.read(lambda tx: None))
        run(database.write(lambda unit: None))
        run(database.in_thread(int))


def make(database: Database) -> Upkeep:
    async def purge() -> None:
        pass

    return Upkeep(database, Blobs(database), Duties(database, database.reactor, ""), purge, database.reactor)


def test_a_round_sweeps_once_then_tidies_every_minute(sqlite_database: Database) -> None:
    blobs = Blobs(sqlite_database)
    stray, descriptor = blobs.files.create()
    os.close(descriptor)
    os.utime(stray, (1, 1))
    upkeep = make(sqlite_database)
    upkeep.start()
    settle(sqlite_database)
    assert not stray.exists()
    run(sqlite_database.write(tracking.track, tracking.Event(1, "accepted", "Q")))
    sqlite_database.reactor.advance(ROUND)
    settle(sqlite_database)
    assert run(sqlite_database.write(tracking.settle, 2**62)) == 0, "the round moved it"
    upkeep.stop()


def test_a_failed_round_does_not_end_upkeep(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []

    async def fail(*_: object) -> None:
        rounds.append(1)
        raise StoreUnavailable

    monkeypatch.setattr(housekeeping, "tidy", fail)
    upkeep = make(sqlite_database)
    upkeep.start()
    settle(sqlite_database)
    sqlite_database.reactor.advance(ROUND)
    settle(sqlite_database)
    upkeep.stop()
    assert len(rounds) == 2
