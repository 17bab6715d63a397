"""The throttle is asked before anything is hashed, and before the cache answers."""

from __future__ import annotations

import pytest

from imsd.errors import AuthenticationFailed, Throttled
from imsd.store.database import Database
from tests.auth.fakes import Office, tls


def test_throttled_before_hashing(sqlite_database: Database) -> None:
    office = Office(sqlite_database, account_failures=3)
    office.give_password(1, "alice alice")
    for number in range(3):
        with pytest.raises(AuthenticationFailed):
            office.login("alice", f"wrong {number}", tls())
    hashed = office.hashed
    for name in ("alice", "alice@example.test", "EXAMPLE\\alice"):
        with pytest.raises(Throttled):
            office.login(name, "alice alice", tls())
    assert office.hashed == hashed
    office.reactor.advance(1.1)
    assert office.login("alice", "alice alice", tls()).id == 1


def test_unknown_names_are_throttled_alike(sqlite_database: Database) -> None:
    office = Office(sqlite_database, account_failures=3)
    for number in range(3):
        with pytest.raises(AuthenticationFailed):
            office.login("nobody", f"wrong {number}", tls())
    with pytest.raises(Throttled):
        office.login("Nobody ", "wrong again", tls())


def test_the_cache_is_no_way_around(sqlite_database: Database) -> None:
    office = Office(sqlite_database, account_failures=3)
    office.give_password(1, "alice alice")
    office.login("alice", "alice alice", tls("203.0.113.5"))
    for number in range(3):
        with pytest.raises(AuthenticationFailed):
            office.login("alice", f"wrong {number}", tls())
    with pytest.raises(Throttled):
        office.login("alice", "alice alice", tls())
    assert office.login("alice", "alice alice", tls("203.0.113.5")).id == 1


def test_a_telephone_with_an_old_password_locks_nobody_out(sqlite_database: Database) -> None:
    office = Office(sqlite_database, account_failures=3)
    office.give_password(1, "alice alice")
    for _ in range(50):
        with pytest.raises(AuthenticationFailed):
            office.login("alice", "last year's", tls())
    assert office.hashed == 1
    assert office.login("alice", "alice alice", tls()).id == 1
