"""SCRAM and certificates through the portal."""

from __future__ import annotations

import datetime
import os
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import maybeDeferred

from imsd.auth import authenticator
from imsd.errors import AccountDisabled, AuthenticationFailed, ConstraintViolation, NotPermitted, Throttled
from imsd.store import credentials
from imsd.store.database import Database
from imsd.store.ids import EntryId
from protocols.sasl import begin, converse
from protocols.sasl.client import ScramClient
from protocols.security import Security
from tests.auth.fakes import Office, tls
from tests.support.stores import run


def office_with_alice(database: Database, **settings: object) -> Office:
    office = Office(database, **settings)
    office.give_password(1, "alice alice")
    return office


def scram(office: Office, name: str, password: str, security: Security | None = None) -> Any:
    from base64 import b64decode, b64encode

    client = ScramClient(name, password)
    security = security or tls()

    async def ask(challenge: bytes) -> bytes:
        return b64encode(client.respond(b64decode(challenge)))

    exchange = begin("SCRAM-SHA-256", office.authenticator, security)
    success = run(converse(ask, exchange, b64encode(client.initial() or b"")))
    client.finish()
    return success.identity


def test_scram(database: Database) -> None:
    office = office_with_alice(database)
    account = scram(office, "alice@example.test", "alice alice")
    assert (account.id, account.generation) == (1, 1)
    assert office.hashed == 0, "the client does the work"
    with pytest.raises(AuthenticationFailed):
        scram(office, "alice", "wrong")


def test_a_password_alone_is_not_enough_with_a_second_factor(database: Database) -> None:
    office = office_with_alice(database)
    run(database.write(credentials.set_totp, EntryId(1), "secret", (), True))
    assert scram(office, "alice", "alice alice").id == 1, "it waits for its first code"
    run(database.write(credentials.set_totp, EntryId(1), "secret"))
    with pytest.raises(AuthenticationFailed):
        scram(office, "alice", "alice alice")
    with pytest.raises(ConstraintViolation):
        run(database.write(credentials.set_totp, EntryId(1), "another", (), True))
    run(database.write(credentials.set_totp, EntryId(1), ""))
    assert scram(office, "alice", "alice alice").id == 1


def test_unknown_users_have_a_stable_salt(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)

    def keys(name: str) -> Any:
        return run(office.authenticator.scram(name, tls()))

    assert keys("nobody") == keys("NOBODY") != keys("somebody")
    assert len(keys("nobody").salt) == len(keys("alice").salt)
    assert keys("nobody").iterations == keys("alice").iterations
    for name in ("nobody", "bob"):
        with pytest.raises(AuthenticationFailed):
            scram(office, name, "alice alice")


def test_the_salt_survives_a_restart(sqlite_database: Database) -> None:
    one = run(Office(sqlite_database).authenticator.scram("nobody", tls()))
    assert one == run(Office(sqlite_database).authenticator.scram("nobody", tls()))


def test_scram_after_the_password_changed_meanwhile(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    keys = run(office.authenticator.scram("alice", tls()))
    office.give_password(1, "another one")
    with pytest.raises(AuthenticationFailed):
        run(office.authenticator.scram_done("", "alice", keys, True, tls()))


def test_scram_of_the_disabled(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database)
    office.change(1, disabled=True)
    with pytest.raises(AccountDisabled):
        scram(office, "alice", "alice alice")


def test_scram_is_throttled_too(sqlite_database: Database) -> None:
    office = office_with_alice(sqlite_database, account_failures=3)
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            scram(office, "alice", "wrong")
    with pytest.raises(Throttled):
        scram(office, "alice@example.test", "alice alice", tls("198.51.100.1"))
    office.reactor.advance(2)
    assert scram(office, "alice", "alice alice").id == 1


class Handle:
    def __init__(self, *names: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
        start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=9))
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(name) for name in names]), False)
            .sign(key, hashes.SHA256())
        )


class CertifiedSecurity:
    """A connection whose client certificate was verified."""

    peer = "192.0.2.1"
    encrypted = private = True
    binds = False
    user = None

    def __init__(self, *names: str) -> None:
        self.client_certificate = Handle(*names).certificate


def test_external(sqlite_database: Database) -> None:
    office = Office(sqlite_database)
    security: Any = CertifiedSecurity("stranger@example.net", "alice@example.test", "bob@example.test")
    assert "EXTERNAL" in office.authenticator.mechanisms(security)
    assert run(office.authenticator.external("", security)).id == 1
    assert run(office.authenticator.external("bob", security)).id == 2
    with pytest.raises(NotPermitted):
        run(office.authenticator.external("root", security))
    with pytest.raises(AuthenticationFailed):
        run(office.authenticator.external("", CertifiedSecurity("stranger@example.net")))
    with pytest.raises(AuthenticationFailed):
        run(office.authenticator.external("", tls()))


def test_the_user_at_a_local_socket_is_who_has_that_login_name(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(sqlite_database)

    def at(user: int, authzid: str = "") -> int:
        return int(run(office.authenticator.external(authzid, Security(loopback=True, user=user))).id)

    names = {4711: "alice", 4712: ""}
    monkeypatch.setattr(authenticator, "_login_name", lambda user: names[user])
    monkeypatch.setattr(office.reactor, "getThreadPool", lambda: None, raising=False)
    at_once = lambda reactor, pool, function, user: maybeDeferred(function, user)  # noqa: E731
    monkeypatch.setattr(authenticator, "deferToThreadPool", at_once)
    assert at(4711) == at(0, "u:alice") == at(os.geteuid(), "dn:alice") == 1
    for user, authzid in [(4712, ""), (4711, "u:nobody"), (0, ""), (0, "u:nobody")]:
        with pytest.raises((AuthenticationFailed, NotPermitted)):
            at(user, authzid)
    with pytest.raises(AuthenticationFailed):
        run(office.authenticator.external("", Security(loopback=True)))
