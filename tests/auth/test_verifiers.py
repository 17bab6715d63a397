"""Verifiers of other servers, name forms, app passwords: tables."""

from __future__ import annotations

import pytest

from imsd.auth import apppasswords, foreign
from imsd.auth.names import LogonName, candidates
from imsd.auth.passwords import Passwords, fake_verifier, matches, outdated
from imsd.errors import ConstraintViolation
from imsd.settings.logins import Logins
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
    stored = [apppasswords.verifier(made, EntryId(1), b"key")]
    assert apppasswords.matches(made, EntryId(1), stored, b"key")
    assert not apppasswords.matches(made, EntryId(2), stored, b"key")
    assert not apppasswords.matches(made, EntryId(1), stored, b"other")
    assert not apppasswords.matches("", EntryId(1), [apppasswords.verifier("", EntryId(1), b"key")], b"key")


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
