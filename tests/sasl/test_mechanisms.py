"""PLAIN, LOGIN, EXTERNAL, and what is offered when."""

from __future__ import annotations

import pytest

from protocols.sasl import (
    BadExchange,
    Challenge,
    EncryptionNeeded,
    NoSuchMechanism,
    Success,
    begin,
    offered,
)
from protocols.security import Security
from tests.sasl.fakes import CLEAR, EVERYTHING, LOOPBACK, TLS, FakeAuthenticator, Wrong, steps


def test_whoever_the_system_knows_needs_no_password() -> None:
    assert offered(Security(loopback=True, user=1000), EVERYTHING)[0] == "EXTERNAL"


def test_offered_depends_on_security() -> None:
    assert offered(CLEAR, EVERYTHING) == []
    assert offered(LOOPBACK, EVERYTHING) == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
    assert offered(TLS, ("PLAIN", "SCRAM-SHA-256")) == ["SCRAM-SHA-256", "PLAIN"]
    assert offered(CLEAR, ("PLAIN",), cleartext=True) == ["PLAIN"]


def test_plus_needs_a_tls_channel() -> None:
    assert "SCRAM-SHA-256-PLUS" in offered(TLS_WITHOUT_CERTIFICATE, EVERYTHING)
    assert "SCRAM-SHA-256-PLUS" not in offered(LOOPBACK, EVERYTHING)


class NoCertificate(type(TLS._handle)):  # type: ignore[misc]
    def get_peer_certificate(self, as_cryptography: bool = False) -> None:
        return None


TLS_WITHOUT_CERTIFICATE = type(TLS)(encrypted=True, _handle=NoCertificate())


def test_external_needs_a_verified_certificate() -> None:
    assert "EXTERNAL" not in offered(TLS_WITHOUT_CERTIFICATE, EVERYTHING)


@pytest.mark.parametrize("name", [b"PLAIN", b"plain", "Plain"])
def test_begin_takes_the_name_in_any_case(name: bytes | str) -> None:
    assert begin(name, FakeAuthenticator(), LOOPBACK) is not None


def test_begin_refuses_what_is_not_offered() -> None:
    with pytest.raises(EncryptionNeeded):
        begin(b"PLAIN", FakeAuthenticator(), CLEAR)
    with pytest.raises(NoSuchMechanism) as caught:
        begin(b"CRAM-MD5", FakeAuthenticator(), CLEAR)
    assert not isinstance(caught.value, EncryptionNeeded)
    with pytest.raises(NoSuchMechanism):
        begin(b"\xff", FakeAuthenticator(), LOOPBACK)


def test_plain() -> None:
    authenticator = FakeAuthenticator()
    assert steps(begin("PLAIN", authenticator, LOOPBACK), b"\0user\0pencil") == Success("user")
    assert steps(begin("PLAIN", authenticator, LOOPBACK), None) == Challenge(b"")
    assert steps(begin("PLAIN", authenticator, LOOPBACK), None, b"boss\0user\0pencil") == Success("boss")
    with pytest.raises(Wrong):
        steps(begin("PLAIN", authenticator, LOOPBACK), b"\0user\0pen")


@pytest.mark.parametrize(
    "response", [b"", b"user", b"\0user", b"\0\0pencil", b"\0user\0", b"\0user\0pencil\0", b"\0us\xffer\0x"]
)
def test_plain_refuses_what_is_no_message(response: bytes) -> None:
    with pytest.raises(BadExchange):
        steps(begin("PLAIN", FakeAuthenticator(), LOOPBACK), response)


def test_login_prompts() -> None:
    exchange = begin("LOGIN", FakeAuthenticator(), LOOPBACK)
    assert steps(exchange, None) == Challenge(b"Username:")
    assert steps(exchange, b"user") == Challenge(b"Password:")
    assert steps(exchange, b"pencil") == Success("user")


def test_login_with_the_name_in_the_command() -> None:
    exchange = begin("LOGIN", FakeAuthenticator(), LOOPBACK)
    assert steps(exchange, b"user") == Challenge(b"Password:")
    assert steps(exchange, b"pencil") == Success("user")


def test_login_without_a_name() -> None:
    with pytest.raises(BadExchange):
        steps(begin("LOGIN", FakeAuthenticator(), LOOPBACK), None, b"")
