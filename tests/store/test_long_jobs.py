"""How far a long job is, on both databases."""

from __future__ import annotations

from imsd.store import long_jobs
from imsd.store.database import Database
from tests.support.stores import run


def test_the_last_state_counts(database: Database) -> None:
    assert run(database.read(long_jobs.read, "job")) == ""
    for state in ("{}", '{"after": 7}'):
        run(database.write(long_jobs.put, "job", state))
        assert run(database.read(long_jobs.read, "job")) == state
    assert run(database.read(long_jobs.read, "other")) == ""
