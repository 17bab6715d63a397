"""Tokens of URLAUTH's mechanism INTERNAL (RFC 4467 2.5, 3).

    01 00686f2b10 6e34...       version, seconds since the epoch when it was made, HMAC-SHA-256

All hexadecimal. What is signed: the two before it, and the URL up to its mechanism as it was given, so
that neither the message nor who may have it nor until when can be changed. With the time in it a token
can be outlived whose URL says nothing of its end.
"""

from __future__ import annotations

import hmac
from typing import Final

VERSION: Final = b"\x01"
_TIME: Final = 5
_SIZE: Final = len(VERSION) + _TIME + 32


def sign(key: bytes, rump: bytes, now: int) -> str:
    """now: seconds since the epoch."""
    head = VERSION + now.to_bytes(_TIME, "big")
    return (head + hmac.digest(key, head + rump, "sha256")).hex()


def made(key: bytes, rump: bytes, token: str) -> int | None:
    """When the token was made of this URL with this key, None where it was not."""
    try:
        given = bytes.fromhex(token)
    except ValueError:
        return None
    head = given[: len(VERSION) + _TIME]
    if len(given) != _SIZE or not head.startswith(VERSION):
        return None
    expected = hmac.digest(key, head + rump, "sha256")
    if not hmac.compare_digest(expected, given[len(head) :]):
        return None
    return int.from_bytes(head[len(VERSION) :], "big")
