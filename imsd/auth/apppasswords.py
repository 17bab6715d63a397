"""App passwords: generated, for one device or program, taken back alone.

128 random bits in lower-case base32, in groups so that people can copy them. Nobody guesses
them, so a keyed hash of one pass is enough (rule 17). They are for PLAIN and its like; SCRAM
knows one set of keys for a name, the password's.

One may be for some protocols only, from some networks, until some day. Elsewhere it is as wrong as any other
password, but nobody is held back for it: a telephone that asks too much is no guesser.
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from secrets import token_bytes

from imsd.settings.networks import address, network
from imsd.store.credentials import AppPassword, Credentials
from imsd.store.ids import EntryId

_LENGTH = 26  # of 128 bits in base32
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_SCHEME = "{APP}"

PROTOCOLS = ("imap", "ldap", "pop3", "smtp")
"""What one may be for."""

HOUR = 3600 * 1_000_000


def generate() -> str:
    """A new one, as it is shown to its owner, once."""
    text = b32encode(token_bytes(16)).decode().rstrip("=").lower()
    return "-".join(text[start : start + 5] for start in range(0, _LENGTH, 5))


def plain(typed: str) -> str:
    """Without what people add when they copy; "" for what cannot be one."""
    if len(typed) > 64:
        return ""
    text = typed.replace("-", "").replace(" ", "").lower()
    return text if len(text) == _LENGTH and _ALPHABET.issuperset(text) else ""


def verifier(typed: str, entry: EntryId, key: bytes) -> str:
    """What is stored. key: the organisation's secret."""
    return _SCHEME + hmac.digest(key, f"app {entry} {plain(typed)}".encode(), "sha256").hex()


def found(typed: str, entry: EntryId, held: Credentials, key: bytes) -> AppPassword | None:
    """Which of those stored for this person it is."""
    if not plain(typed):
        return None
    wanted = verifier(typed, entry, key)
    for one in held.apps:
        if hmac.compare_digest(wanted, one.verifier):
            return one
    return None


def unfit(one: AppPassword, protocol: str, peer: str, now: int) -> str:
    """Why it is not good for this login, "" where it is. now: microseconds since the epoch."""
    if one.expires and now >= one.expires:
        return "it has expired"
    if one.protocols and protocol not in one.protocols:
        return f"it is not for {protocol or 'this'}"
    if one.networks:
        where = address(peer)
        # A local socket is this machine.
        if where is not None and not any(where in network(text) for text in one.networks):
            return f"it is not for {peer}"
    return ""
