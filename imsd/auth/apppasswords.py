"""App passwords: generated, for one device or program, taken back alone.

128 random bits in lower-case base32, in groups so that people can copy them. Nobody guesses
them, so a keyed hash of one pass is enough (rule 17). They are for PLAIN and its like; SCRAM
knows one set of keys for a name, the password's.
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from collections.abc import Iterable
from secrets import token_bytes

from imsd.store.ids import EntryId

_LENGTH = 26  # of 128 bits in base32
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_SCHEME = "{APP}"


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


def matches(typed: str, entry: EntryId, stored: Iterable[str], key: bytes) -> bool:
    """Is it one of those stored for this person?"""
    if not plain(typed):
        return False
    wanted = verifier(typed, entry, key)
    return any(hmac.compare_digest(wanted, one) for one in stored)
