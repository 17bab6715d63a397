"""The policy of passwords at logins: expiry, grace, a change that is due, locks."""

from __future__ import annotations

import time
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from imsd import errors
from imsd.auth.account import Account
from imsd.store import credentials
from imsd.store.credentials import NewPassword
from imsd.store.database import Database
from imsd.store.ids import EntryId
from tests.auth.fakes import CLEAR, Office, tls
from tests.auth.test_scram_login import scram
from tests.support.stores import run

DAY = 86_400
ALICE = EntryId(1)
RIGHT = "alice alice"


def office_of(database: Database, **settings: Any) -> Office:
    """With alice; the clock stands at the hour in which her password was made."""
    office = Office(database, **settings)
    office.reactor.advance(time.time() + 1)
    office.give_password(1, RIGHT)
    return office


def ldap(office: Office, password: str = RIGHT) -> Account:
    authenticator = office.authenticator.of_protocol("ldap", office.authenticator._methods)
    account: Account = run(authenticator.password("", "alice", password, tls()))
    return account


def fail(office: Office, times: int, start: int = 0) -> None:
    for number in range(start, start + times):
        with pytest.raises(errors.AuthenticationFailed):
            office.login("alice", f"wrong {number}", tls(f"192.0.2.{number}"))


def test_without_a_policy_nothing_expires_nor_locks(database: Database) -> None:
    office = office_of(database, account_failures=1000)
    fail(office, 20)
    office.reactor.advance(3650 * DAY)
    assert office.login("alice", RIGHT).id == 1


def test_it_expires_after_its_grace_logins(database: Database) -> None:
    office = office_of(database, passwords__max_age_days=10, passwords__grace_logins=2)
    office.reactor.advance(10 * DAY - 100)
    assert office.login("alice", RIGHT).id == 1
    office.reactor.advance(200)  # a login that is remembered does not outlive it
    for _ in range(2):
        assert office.login("alice", RIGHT).id == 1
    for _ in range(3):
        with pytest.raises(errors.PasswordExpired):
            office.login("alice", RIGHT)
    with pytest.raises(errors.PasswordExpired):
        scram(office, "alice", RIGHT)
    fail(office, 1)
    office.give_password(1, "another one")
    assert run(office.database.read_few(credentials.read, ALICE)).grace == 0


def test_an_expired_one_is_no_guess(database: Database) -> None:
    office = office_of(database, passwords__max_age_days=1, account_failures=1, address_failures=1)
    office.reactor.advance(2 * DAY)
    for _ in range(5):
        with pytest.raises(errors.PasswordExpired):
            office.login("alice", RIGHT, tls())


def test_app_passwords_and_certificates_outlive_it(database: Database) -> None:
    office = office_of(database, passwords__max_age_days=1, passwords__lockout_failures=1)
    made = run(office.authenticator.add_app_password(ALICE, "Telephone"))
    office.reactor.advance(2 * DAY)
    fail(office, 1)
    assert office.login("alice", made).app
    assert run(office.authenticator.vouched("alice")).id == 1


def test_a_stricter_policy_holds_for_remembered_logins(database: Database) -> None:
    office = office_of(database)
    office.reactor.advance(2 * DAY)
    office.login("alice", RIGHT)
    office.set(passwords__max_age_days=1)
    with pytest.raises(errors.PasswordExpired):
        office.login("alice", RIGHT)


def test_what_must_be_changed_is_good_for_ldap_alone(database: Database) -> None:
    office = office_of(database)
    stored = office.stored(1)
    run(office.database.write(credentials.set_password, ALICE, NewPassword(stored, must_change=True)))
    assert ldap(office).must_change
    for _ in range(2):
        with pytest.raises(errors.PasswordMustChange):
            office.login("alice", RIGHT)
        with pytest.raises(errors.PasswordMustChange):
            scram(office, "alice", RIGHT)
    assert not run(office.authenticator.vouched("alice")).must_change
    authenticator = office.authenticator.of_protocol("ldap", office.authenticator._methods)
    with pytest.raises(errors.PasswordMustChange):
        run(authenticator.password("bob", "alice", RIGHT, tls()))
    run(office.database.write(credentials.set_password, ALICE, stored))
    assert not ldap(office).must_change
    assert office.login("alice", RIGHT).id == 1


@pytest.mark.parametrize("how", ["plain", "scram"])
def test_failures_lock_the_account_and_time_unlocks_it(database: Database, how: str) -> None:
    office = office_of(
        database, passwords__lockout_failures=3, passwords__lockout_minutes=10, account_failures=1000
    )
    office.login("alice", RIGHT)  # remembered
    for number in range(3):
        with pytest.raises(errors.AuthenticationFailed):
            if how == "scram":
                scram(office, "alice", "wrong")
            else:
                office.login("alice", f"wrong {number}")
    for _ in range(2):
        with pytest.raises(errors.AccountLocked, match=r"^Authentication failed$"):
            office.login("alice", RIGHT)
    with pytest.raises(errors.AccountLocked, match=r"^Authentication failed$"):
        scram(office, "alice", RIGHT)
    with pytest.raises(errors.AccountLocked, match=r"^Authentication failed$"):
        office.login("alice", "wrong again")
    office.reactor.advance(601)
    assert office.login("alice", RIGHT).id == 1
    assert run(office.database.read_few(credentials.read, ALICE)).failures == 0


def test_one_that_time_does_not_unlock(database: Database) -> None:
    office = office_of(
        database, passwords__lockout_failures=2, passwords__lockout_minutes=0, passwords__tell_locked=True
    )
    fail(office, 2)
    office.reactor.advance(100 * DAY)
    with pytest.raises(errors.AccountLocked, match="locked"):
        office.login("alice", RIGHT)
    run(office.database.write(credentials.unlock, ALICE))
    assert office.login("alice", RIGHT).id == 1


def test_failures_are_of_a_row_and_of_a_time(database: Database) -> None:
    office = office_of(
        database, passwords__lockout_failures=3, passwords__lockout_minutes=10, account_failures=1000
    )
    fail(office, 2)
    assert office.login("alice", RIGHT, tls()).id == 1
    fail(office, 2, 10)
    office.reactor.advance(601)
    fail(office, 2, 20)
    assert office.login("alice", RIGHT, tls()).id == 1


def test_the_same_wrong_password_counts_once(database: Database) -> None:
    office = office_of(database, passwords__lockout_failures=3, account_failures=1000)
    for _ in range(10):  # a telephone that has the old one
        with pytest.raises(errors.AuthenticationFailed):
            office.login("alice", "my old one")
    assert office.login("alice", RIGHT).id == 1


def test_former_passwords_are_recognised_and_bounded(database: Database) -> None:
    office = office_of(database)
    for password in ("second one", "third one", "fourth one"):
        verifier = run(office.passwords.make(password))
        run(office.database.write(credentials.set_password, ALICE, NewPassword(verifier, keep=2)))
    held = run(office.database.read_few(credentials.read, ALICE))
    assert len(held.former) == 2
    former = (held.password, *held.former)
    for password in ("second one", "third one", "fourth one"):
        with pytest.raises(errors.PasswordUsedBefore):
            run(office.passwords.make(password, former))
    with pytest.raises(errors.PasswordUnusable):
        run(office.passwords.make("{SSHA}rKgOj4tKUCFGtyx9Ew9Uh+MJ5XNzYWx0", former))
    assert run(office.passwords.make(RIGHT, former))
    run(office.database.write(credentials.set_password, ALICE, held.password))
    assert run(office.database.read_few(credentials.read, ALICE)).former == ()


def test_one_that_is_to_be_replaced_may_have_expired(database: Database) -> None:
    office = office_of(database, passwords__max_age_days=1, account_failures=1000)
    office.reactor.advance(2 * DAY)
    run(office.authenticator.confirm("alice", RIGHT, tls()))
    with pytest.raises(errors.AuthenticationFailed):
        run(office.authenticator.confirm("alice", "wrong", tls()))
    with pytest.raises(errors.PasswordExpired):
        office.login("alice", RIGHT)
    with pytest.raises(errors.EncryptionRequired):
        run(office.authenticator.confirm("alice", RIGHT, CLEAR))


def test_a_login_that_was_under_way_when_the_account_was_locked_is_not_remembered(database: Database) -> None:
    office = office_of(database, passwords__lockout_failures=1, account_failures=1000)
    reached: Deferred[None] = Deferred()
    right: Deferred[None] = Deferred()
    passed = office.authenticator._policy.passed

    async def slow(*given: Any) -> tuple[bool, bool]:
        found = await passed(*given)
        reached.callback(None)
        await right
        return found

    office.authenticator._policy.passed = slow  # type: ignore[method-assign]
    done = Deferred.fromCoroutine(office.authenticator.password("", "alice", RIGHT, tls()))
    run(reached)
    fail(office, 1)
    right.callback(None)
    assert run(done).id == 1, "it was right in time"
    office.authenticator._policy.passed = passed  # type: ignore[method-assign]
    with pytest.raises(errors.AccountLocked):
        office.login("alice", RIGHT)
