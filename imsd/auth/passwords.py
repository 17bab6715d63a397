"""Verifiers: how a password is stored, verified, and brought up to date (rule 17).

A verifier is text that begins with its scheme:

    SCRAM-SHA-256$...   SCRAM keys (RFC 5803 3), while challenge and response is on
    $argon2id$...       argon2id, while it is off
    {SSHA}...           another server's, until the first login with it

There is one for each person. It changes its form when a login has shown the password and the
form is not the one wanted today.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

from imsd.auth import foreign
from imsd.auth.hashing import Hashing
from imsd.auth.strength import weakness, words_of
from imsd.errors import (
    ConstraintViolation,
    PasswordTooShort,
    PasswordTooWeak,
    PasswordUnusable,
    PasswordUsedBefore,
)
from imsd.settings.logins import Logins
from protocols.sasl import BadExchange, ScramKeys, keys, saslprep

LONGEST = 1024
"""Characters of a password; a longer one is wrong."""

# RFC 9106 4, the second recommended option, with one lane: two at once take 128 MiB.
_ARGON2 = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1, type=Type.ID)


def make(password: str, settings: Logins) -> str:
    """A new verifier of the form wanted today. Slow. Raises BadExchange (SASLprep)."""
    if settings.challenge:
        return keys.pack(keys.derive(password, settings.scram_iterations))
    return _ARGON2.hash(saslprep(password).encode())


def matches(password: str, verifier: str) -> bool:
    """Is this the password? Slow; never raises for what a peer may send."""
    # What cannot be a password is wrong, whatever an import has brought; the work is still done.
    usable = 0 < len(password) <= LONGEST
    return _matches(password[:LONGEST], verifier) and usable


def _matches(password: str, verifier: str) -> bool:
    try:
        if verifier.startswith("SCRAM-SHA-256$"):
            return keys.matches(password, keys.unpack(verifier))
        if verifier.startswith("$argon2id$"):
            return _ARGON2.verify(verifier, saslprep(password).encode())
        return foreign.matches(password, verifier)
    except (BadExchange, Argon2Error, InvalidHashError, ValueError):
        return False


def outdated(verifier: str, settings: Logins) -> bool:
    """Is another form, or are more iterations, wanted today?"""
    if settings.challenge:
        stored = scram_keys(verifier)
        return stored is None or stored.iterations < settings.scram_iterations
    if not verifier.startswith("$argon2id$"):
        return True
    try:
        return _ARGON2.check_needs_rehash(verifier)
    except InvalidHashError:
        return True


def scram_keys(verifier: str) -> ScramKeys | None:
    """The keys in a verifier, None for one of another form."""
    if not verifier.startswith("SCRAM-SHA-256$"):
        return None
    try:
        return keys.unpack(verifier)
    except ValueError:
        return None


def fake_keys(name: str, key: bytes, settings: Logins) -> ScramKeys:
    """Keys nobody has the password of, always the same for one name (RFC 5802 9, rule 17)."""
    salt = hmac.digest(key, b"salt " + name.casefold().encode(), sha256)[:16]
    stored = hmac.digest(key, b"stored " + salt, sha256)
    return ScramKeys(salt, settings.scram_iterations, stored, stored)


def fake_verifier(key: bytes, settings: Logins) -> str:
    """A verifier that costs what a real one costs, and that nothing matches."""
    if settings.challenge:
        return keys.pack(fake_keys("", key, settings))
    return _ARGON2_FAKE


# The hash of something random that was thrown away.
_ARGON2_FAKE = (
    "$argon2id$v=19$m=65536,t=3,p=1$yJ3rEjt6lXGGbn4Z0VjuVw$bV1hTk0q0Z8n1XoF0nJb4b1x9mYkqk8m0cH5zX3pQ2A"
)


def may_be_used(password: str, settings: Logins) -> None:
    """Raises ConstraintViolation for a new password that is too short or has control characters."""
    if len(password) < settings.shortest_password:
        raise PasswordTooShort(f"Password of at least {settings.shortest_password} characters needed")
    if len(password) > LONGEST:
        raise PasswordUnusable(f"Password of at most {LONGEST} characters needed")
    try:
        prepared = saslprep(password)
    except BadExchange:
        prepared = ""
    if not prepared:
        raise PasswordUnusable("Password contains characters that cannot be used")


class Passwords:
    """Makes and verifies passwords without keeping the reactor waiting."""

    def __init__(
        self, hashing: Hashing, settings: Callable[[], Logins], strength: Callable[[], int] = lambda: 0
    ) -> None:
        """strength: what is asked of a new password (imsd.auth.strength)."""
        self._hashing = hashing
        self._settings = settings
        self._strength = strength

    async def make(self, password: str, former: Sequence[str] = (), known: Sequence[str] = ()) -> str:
        """The verifier of a new password. Raises ConstraintViolation, TryLater.

        former: verifiers of passwords that it may not be; each costs what a login costs. known: names and
        addresses of its owner, which make it no harder to guess.

        The verifier of another server ({SSHA}...) is taken as it is, for imports.
        """
        if foreign.looks_hashed(password) and former:
            raise PasswordUnusable("A hashed password cannot be compared with former ones")
        if password.startswith("{") and len(password) <= foreign.LONGEST_CRYPT and foreign.known(password):
            return password
        if foreign.looks_hashed(password):
            raise ConstraintViolation("Password hashed in a way that is not known here")
        settings = self._settings()
        may_be_used(password, settings)
        return await self._hashing.do(
            _make, password, settings, tuple(former), words_of(known), self._strength()
        )

    async def verify(self, password: str, verifier: str) -> tuple[bool, str]:
        """Whether it is the password, and if so the form to store instead, "" for the same.

        Raises TryLater.
        """
        return await self._hashing.do(_verify, password, verifier, self._settings())


def _make(
    password: str, settings: Logins, former: tuple[str, ...], words: tuple[str, ...], strength: int
) -> str:
    why = weakness(password, words, strength)
    if why:
        raise PasswordTooWeak(f"Password too easy to guess. {why}")
    if any(matches(password, each) for each in former):
        raise PasswordUsedBefore
    return make(password, settings)


def _verify(password: str, verifier: str, settings: Logins) -> tuple[bool, str]:
    if not matches(password, verifier):
        return False, ""
    if not outdated(verifier, settings):
        return True, ""
    try:
        return True, make(password, settings)
    except BadExchange:  # good for the other server, not for SASLprep: stays as it is
        return True, ""
