"""Verifiers of other servers, name forms, app passwords: tables."""

from __future__ import annotations

import pytest

from imsd.auth import apppasswords, foreign
from imsd.auth.names import LogonName, candidates
from imsd.auth.passwords import Passwords, fake_verifier, matches, outdated
from imsd.errors import ConstraintViolation
from imsd.settings.logins import Logins
from imsd.store.credentials import AppPassword, Credentials
from imsd.store.ids import EntryId


@pytest.mark.parametrize(
    "verifier",
    [
        "{SHA}AMr9EmGC6KnnwBuy8N/QBJa+ck8=",
        "{SSHA}rKgOj4tKUCFGtyx9Ew9Uh+MJ5XNzYWx0",
        "{ssha256}l8CetcYan+1qnNoEzTukfg6PFH/PdCNheCSJWmzHmUBzYWx0",
        "{CRYPT}$6$rounds=1000$saltsalt$"
        "LvweozNq3uy/.3XRgMXda4Dkj6Safv9Yd0DC3zz8ZSfufZc3t21qW1YwrbMBMKZI3arOYmnVgPAJWMORDSoZ6.",
        "{CRYPT}$1$saltsalt$2HM3oGhH6VPi/5dxZ798f/",
        "{CRYPT}abmizb72ph5go",
    ],
)
def test_foreign_verifiers(verifier: str) -> None:
    assert foreign.known(verifier)
    assert matches("secret1", verifier)
    assert not matches("secret2", verifier)
    assert outdated(verifier, Logins())


@pytest.mark.parametrize(
    "verifier",
    [
        "",
        "secret",
        "{SHA}",
        "{SHA}AAAA",
        "{SHA}!",
        "{SSHA}AMr9EmGC6KnnwBuy8N/QBJa+ck8=",
        "{MD5}AAAA",
        "{CRYPT}x",
    ],
)
def test_what_is_no_foreign_verifier(verifier: str) -> None:
    assert not foreign.known(verifier)
    assert not matches("secret1", verifier)


def test_an_imported_empty_password_is_no_password() -> None:
    verifier = "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="
    assert foreign.matches("", verifier)
    assert not matches("", verifier)
    assert not matches("\ud800", verifier)
    assert not matches("x" * 2000, verifier)


@pytest.mark.parametrize("challenge", [True, False])
def test_nothing_matches_the_fake_verifier(challenge: bool) -> None:
    verifier = fake_verifier(b"key", Logins(challenge=challenge))
    assert not matches("", verifier)
    assert not outdated(verifier, Logins(challenge=challenge)), "it costs what a real one costs"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("alice", [LogonName("alice")]),
        ("alice@example.test", [LogonName("alice@example.test")]),
        ("DOM\\alice", [LogonName("DOM\\alice")]),
        ("DOM/alice", [LogonName("DOM\\alice"), LogonName("DOM/alice")]),
        ("DOM/alice/bob", [LogonName("DOM\\alice", "bob"), LogonName("DOM/alice/bob")]),
        ("DOM\\alice\\bob", [LogonName("DOM\\alice", "bob")]),
        ("DOM\\alice\\alice", [LogonName("DOM\\alice")]),
        ("cn=a/b,o=x", [LogonName("cn=a/b,o=x")]),
        ("cn=a\\,b,o=x", [LogonName("cn=a\\,b,o=x")]),
        ("a/b@example.test", [LogonName("a\\b@example.test"), LogonName("a/b@example.test")]),
        ("/", [LogonName("/")]),
        ("", []),
        ("a\x00b", []),
        ("x" * 513, []),
    ],
)
def test_name_forms(typed: str, meant: list[LogonName]) -> None:
    assert candidates(typed) == meant


def test_app_passwords_are_128_random_bits() -> None:
    made = {apppasswords.generate() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        assert len(apppasswords.plain(one)) == 26
        assert len(one) == 31


def test_app_passwords_belong_to_one_person() -> None:
    made = apppasswords.generate()
    one = AppPassword(1, apppasswords.verifier(made, EntryId(1), b"key"), "telephone", 0)
    held = Credentials(apps=(AppPassword(2, "{APP}other", "tablet", 0), one))
    assert apppasswords.found(made, EntryId(1), held, b"key") is one
    assert apppasswords.found(made, EntryId(2), held, b"key") is None
    assert apppasswords.found(made, EntryId(1), held, b"other") is None
    empty = AppPassword(1, apppasswords.verifier("", EntryId(1), b"key"), "", 0)
    assert apppasswords.found("", EntryId(1), Credentials(apps=(empty,)), b"key") is None


@pytest.mark.parametrize(
    ("protocols", "networks", "expires", "protocol", "peer", "reason"),
    [
        ((), (), 0, "imap", "203.0.113.5", ""),
        (("imap", "smtp"), (), 0, "smtp", "203.0.113.5", ""),
        (("imap", "smtp"), (), 0, "ldap", "203.0.113.5", "it is not for ldap"),
        ((), ("192.0.2.0/24", "2001:db8::/32"), 0, "imap", "192.0.2.77", ""),
        ((), ("192.0.2.0/24", "2001:db8::/32"), 0, "imap", "2001:db8::1", ""),
        ((), ("192.0.2.0/24",), 0, "imap", "::ffff:192.0.2.77", ""),
        ((), ("192.0.2.0/24",), 0, "imap", "203.0.113.5", "it is not for 203.0.113.5"),
        ((), ("192.0.2.0/24",), 0, "imap", "", ""),
        ((), (), 1000, "imap", "", "it has expired"),
        ((), (), 1001, "imap", "", ""),
    ],
)
def test_where_an_app_password_is_good(
    protocols: tuple[str, ...],
    networks: tuple[str, ...],
    expires: int,
    protocol: str,
    peer: str,
    reason: str,
) -> None:
    one = AppPassword(1, "", "telephone", 0, protocols, networks, expires)
    assert apppasswords.unfit(one, protocol, peer, 1000) == reason


@pytest.mark.parametrize(
    "hashed",
    ["{SSHA}xx", "{MD5}AAAA", "{PBKDF2-SHA512}10000$c2FsdA$aGFzaA", "{ARGON2}$argon2id$v=19$x", "{NT}0123"],
)
def test_a_hash_that_is_not_known_here_is_not_taken_for_a_password(hashed: str) -> None:
    passwords = Passwords(None, Logins)  # type: ignore[arg-type]  # refused before any hashing
    with pytest.raises(ConstraintViolation):
        passwords.make(hashed).send(None)


@pytest.mark.parametrize("chosen", ["{", "{}", "{abc}defghij", "{SSHA", "x{SSHA}y", "{shaken}"])
def test_a_password_may_have_braces(chosen: str) -> None:
    assert not foreign.looks_hashed(chosen)
