"""Logging in with a password: verifiers, name forms, the cache, acting for others."""

from __future__ import annotations

import time
from typing import Any

import pytest

from imsd.auth.account import Account
from imsd.auth.protocols import Methods
from imsd.errors import (
    AccountDisabled,
    AuthenticationFailed,
    ConstraintViolation,
    EncryptionRequired,
    NotPermitted,
    TryLater,
    Unsupported,
)
from imsd.store import credentials
from imsd.store.database import Database
from imsd.store.ids import EntryId
from tests.auth.fakes import CLEAR, Office, tls
from tests.support.stores import run

SSHA = "{SSHA}rKgOj4tKUCFGtyx9Ew9Uh+MJ5XNzYWx0"


def office_with_alice(database: Database, **settings: object) -> Office:
    office = Office(database, **settings)
    office.give_password(1, "alice alice")
    return office


def test_the_right_password(database: Database) -> None:
    office = office_with_alice(database)
    account = office.login("alice", "alice alice")
    assert (account.id, account.actor, account.address) == (1, 1, "alice@example.test")
    assert not account.is_admin and account.rights_version == 1


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "ALICE",
        " alice ",
        "alice@example.test",
        "cn=alice,o=Example",
        "EXAMPLE\\alice",
        "EXAMPLE/alice",
        "EXAMPLE/alice/alice",
        "EXAMPLE\\alice\\alice",
    ],
)
def test_name_forms(sqlite_database: Database, name: str) -> None:
    assert office_with_alice(sqlite_database).login(name, "alice alice").id == 1


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "alice"),
        ("alice", ""),
        ("alice", "x" * 100_000),
        ("alice", "alice alice\x00"),
        ("alice", "\ud800"),
        ("nobody", "alice alice"),
        ("", "alice alice"),
        ("bob", "anything"),
        ("bob", ""),
        ("a\nb", "x"),
        ("x" * 10_000, "x"),
    ],
)
def test_everything_wrong_looks_alike(sqlite_database: Database, name: str, password: str) -> None:
    office = office_with_alice(sqlite_database)
    with pytest.raises(AuthenticationFailed) as caught:
        office.login(name, password)
    assert caught.value.text == "Authentication failed"
    assert office.hashed == 1, "the work is the same, whoever is asked for"


def test_stored_as_scram_keys_or_as_argon2(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    assert office.stored(1).startswith("SCRAM-SHA-256$65536:")
    office.set(challenge=False)
    office.login("alice", "alice alice")
    assert office.stored(1).startswith("$argon2id$")
    office.set(challenge=True, scram_iterations=120_000, cache_seconds=0)
    office.login("alice", "alice alice")
    assert office.stored(1).startswith("SCRAM-SHA-256$120000:")


def test_equal_work_for_unknown_users_with_argon2(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database, challenge=False)
    started = time.perf_counter()
    with pytest.raises(AuthenticationFailed):
        office.login("nobody", "alice alice")
    assert time.perf_counter() - started > 0.01
    assert office.hashed == 1


@pytest.mark.parametrize("who", ["without_password", "everybody"])
@pytest.mark.parametrize("password", ["wrong", ""])
def test_equal_work_while_another_directory_knows_passwords(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, who: str, password: str
) -> None:
    office = office_with_alice(sqlite_database, outside__who=who, outside__servers=["ldap://there.test"],
                               outside__name="uid=%u,o=There")  # fmt: skip
    asked: list[str] = []
    answers = [True]

    async def ask(_self: object, _page: object, _where: object, values: dict[str, str], given: str) -> bool:
        assert given, "an empty password is never sent"
        asked.append(values["%u"])
        if not answers:
            raise OSError("nobody there")
        return values["%u"] == "bob" and given == "known there"

    monkeypatch.setattr("imsd.auth.outside.OutsidePasswords._ask", ask)
    assert office.login("bob", "known there").id == 2
    # alice has a password here; bob and root have none, one is there, one is nowhere.
    for name in ("alice", "bob", "root", "nobody"):
        for error in (AuthenticationFailed, TryLater):
            office.hashed, asked[:], answers[:] = 0, [], [True] * (error is AuthenticationFailed)
            with pytest.raises(error):
                office.login(name, password and f"{password} {error.__name__}")
            assert (office.hashed, len(asked)) == (1, 1), (name, error)
            office.authenticator._verified.clear()
    assert all(name in ("alice", "bob", "root") or name.startswith("nobody-") for name in asked)


def test_a_foreign_password_is_replaced_at_the_first_success(database: Database) -> None:
    office = Office(database)
    run(database.write(credentials.set_password, EntryId(1), SSHA))
    with pytest.raises(AuthenticationFailed):
        office.login("alice", "wrong")
    assert office.stored(1) == SSHA
    before = run(database.read_few(credentials.generation, EntryId(1)))
    assert office.login("alice", "secret1").generation == before
    assert office.stored(1).startswith("SCRAM-SHA-256$")
    assert office.login("alice@example.test", "secret1").generation == before


def test_the_second_login_is_not_hashed(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    first = office.login("alice", "alice alice")
    assert office.login("alice", "alice alice") is first
    assert office.hashed == 1
    office.reactor.advance(301)
    office.login("alice", "alice alice")
    assert office.hashed == 2


def test_the_cache_can_be_switched_off(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database, cache_seconds=0)
    office.login("alice", "alice alice")
    office.login("alice", "alice alice")
    assert office.hashed == 2


def test_a_new_password_makes_the_old_one_wrong_at_once(database: Database) -> None:
    office = office_with_alice(database)
    office.login("alice", "alice alice")
    office.give_password(1, "another one")
    with pytest.raises(AuthenticationFailed):
        office.login("alice", "alice alice")
    assert office.login("alice", "another one").generation == 2


def test_a_wrong_password_that_became_right(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    with pytest.raises(AuthenticationFailed):
        office.login("alice", "another one")
    office.give_password(1, "another one")
    assert office.login("alice", "another one").id == 1


def test_disabled_is_only_told_to_who_knows_the_password(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    office.login("alice", "alice alice")
    office.change(1, disabled=True)
    with pytest.raises(AccountDisabled):
        office.login("alice", "alice alice")
    with pytest.raises(AuthenticationFailed):
        office.login("alice", "wrong")


def test_deleted_while_cached(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    office.login("alice", "alice alice")
    office.change(1, gone=True)
    with pytest.raises(AuthenticationFailed):
        office.login("alice", "alice alice")


def test_the_password_changed_while_it_was_hashed(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    new = run(office.passwords.make("another one"))
    login = office.authenticator.password("", "alice", "alice alice", tls())
    from twisted.internet.defer import Deferred

    waiting = Deferred.fromCoroutine(login)  # its hash is in a thread now
    failures: list[object] = []
    waiting.addErrback(lambda failure: failures.append(failure.value))
    run(office.database.write(credentials.set_password, EntryId(1), new))
    run(waiting)
    assert isinstance(failures[0], AuthenticationFailed)


def test_many_at_once_are_hashed_once(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    from twisted.internet.defer import Deferred, gatherResults

    logins = [
        Deferred.fromCoroutine(office.authenticator.password("", "alice", "alice alice", tls()))
        for _ in range(20)
    ]
    logins[0].addErrback(lambda _: None)
    logins[0].cancel()  # the first one's connection is lost: the others must not care
    accounts = run(gatherResults(logins[1:]))
    assert {account.id for account in accounts} == {1}
    assert office.hashed == 1


def test_the_queue_is_bounded(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database, hash_threads=1, hash_queue=2, account_failures=1000)
    from twisted.internet.defer import Deferred

    outcomes: list[object] = []
    logins = [
        Deferred.fromCoroutine(office.authenticator.password("", "alice", f"wrong {i}", tls()))
        for i in range(5)
    ]
    for login in logins:
        login.addErrback(lambda failure: outcomes.append(failure.type))
    assert outcomes == [TryLater, TryLater]
    for login in logins:
        run(login)
    assert outcomes[2:] == [AuthenticationFailed] * 3
    assert office.login("alice", "alice alice").id == 1


def test_clear_text_needs_encryption(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    with pytest.raises(EncryptionRequired):
        office.login("alice", "alice alice", CLEAR)
    assert office.login("alice", "alice alice", tls()).id == 1
    office.set(allow_cleartext=True)
    assert office.login("alice", "alice alice", CLEAR).id == 1
    office.set(basic=False)
    with pytest.raises(Unsupported):
        office.login("alice", "alice alice", tls())


def test_mechanisms_follow_the_settings(sqlite_database: Database) -> None:
    office = Office(sqlite_database)
    names = office.authenticator.mechanisms
    assert names(CLEAR) == []
    assert names(tls()) == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
    office.set(basic=False)
    assert names(tls()) == ["SCRAM-SHA-256"]
    office.set(challenge=False)
    assert names(tls()) == ["PLAIN", "LOGIN"]


def test_acting_for_another(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    office.give_password(9, "root root")
    for own in ("alice@example.test", "u:alice", "U:alice@example.test", "dn:cn=alice,o=Example"):
        assert office.login("alice", "alice alice", authzid=own).id == 1
    for name, authzid in (
        ("alice", "bob"),
        ("alice", "u:bob"),
        ("alice", "dn:"),
        ("alice", "u:nobody"),
        ("EXAMPLE/alice/bob", "bob"),
        ("alice", "nobody"),
    ):
        with pytest.raises(NotPermitted):
            office.login(name, "alice alice", authzid=authzid)
    # Where no mailboxes are opened, that is alice.
    assert office.login("EXAMPLE/alice/bob", "alice alice").id == 1
    with pytest.raises(NotPermitted):
        office.login("root", "root root", authzid="alice")
    office.set(administrators_act=True)
    account = office.login("root", "root root", authzid="alice")
    assert (account.id, account.actor, account.is_admin) == (1, 9, False)
    assert office.login("EXAMPLE\\root\\alice", "root root") == account


def test_app_passwords(database: Database) -> None:
    office = office_with_alice(database)
    made = run(office.authenticator.add_app_password(EntryId(1), "telephone"))
    office.login("alice", made)
    office.login("alice", made.upper().replace("-", " "))
    assert office.hashed == 0
    with pytest.raises(AuthenticationFailed):
        office.login("bob", made)
    assert office.login("alice", "alice alice").id == 1
    held = run(database.read_few(credentials.read, EntryId(1))).apps
    assert [app.label for app in held] == ["telephone"] and made not in held[0].verifier
    run(database.write(credentials.remove_app_password, EntryId(1), held[0].slot))
    with pytest.raises(AuthenticationFailed):
        office.login("alice", made)


def test_app_passwords_have_a_scope(database: Database) -> None:
    office = office_with_alice(database, failures=2)
    pop3 = office.authenticator.of_protocol("pop3", lambda: Methods(True, True, True, True))
    scope = ("pop3",), ("192.0.2.0/24",), int((office.reactor.seconds() + 500) * 1_000_000)
    made = run(office.authenticator.add_app_password(EntryId(1), "telephone", *scope))

    def login(authenticator: Any, peer: str) -> Account:
        account: Account = run(authenticator.password("", "alice", made, tls(peer)))
        return account

    assert login(pop3, "192.0.2.7").app
    for _ in range(5):
        # Neither is held back for it, nor is the one who may.
        with pytest.raises(AuthenticationFailed):
            login(pop3, "203.0.113.7")
        with pytest.raises(AuthenticationFailed):
            login(office.authenticator, "192.0.2.7")
    assert login(pop3, "192.0.2.8").id == 1
    assert not office.login("alice", "alice alice").app
    office.reactor.advance(500)
    with pytest.raises(AuthenticationFailed):
        login(pop3, "192.0.2.7")


def test_it_is_known_when_an_app_password_was_used(database: Database) -> None:
    office = office_with_alice(database, cache_seconds=0)
    office.reactor.advance(10_000)
    made = run(office.authenticator.add_app_password(EntryId(1), "telephone"))

    def used() -> float:
        return run(database.read_few(credentials.read, EntryId(1))).apps[0].used / 1_000_000

    assert used() == 0
    first = office.reactor.seconds()
    account = office.login("alice", made)
    assert used() == pytest.approx(first)
    office.reactor.advance(600)
    assert office.login("alice", made).generation == account.generation
    assert used() == pytest.approx(first)
    office.reactor.advance(3600)
    office.login("alice", made)
    assert used() == pytest.approx(first + 4200)


def test_new_passwords_are_checked(sqlite_database: Database) -> None:
    office = Office(sqlite_database)
    for bad in ("short", "", "x" * 1025, "control\x07character", "\u00ad" * 10):
        with pytest.raises(ConstraintViolation):
            run(office.passwords.make(bad))
    assert run(office.passwords.make(SSHA)) == SSHA
    # A hash that cannot be verified here is nobody's password: whoever stole it must not log in with it.
    for stolen in ("{SSHA}no base64!", "{PBKDF2}10000$abc$def"):
        with pytest.raises(ConstraintViolation):
            run(office.passwords.make(stolen))


def test_a_cached_login_asks_nobody(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    office = office_with_alice(sqlite_database)
    office.login("alice", "alice alice")
    office.hashed = 0

    def asked(*_: object) -> None:
        raise AssertionError("neither the store nor the directory is asked")

    for name in ("read", "read_few", "write"):
        monkeypatch.setattr(office.database, name, asked)
    for name in ("person", "person_by_login"):
        monkeypatch.setattr(office.directory, name, asked)
    with pytest.raises(StopIteration) as done:
        office.authenticator.password("", "alice", "alice alice", tls()).send(None)  # it waits for nothing
    assert done.value.value.addresses == ("alice@example.test",)
    assert office.hashed == 0
