"""One-time codes by time (RFC 6238: SHA-1, six digits, thirty seconds), and codes for emergencies: values.

Where a password is asked for, the code stands right behind it: `secret-word123456`.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlencode

STEP: Final = 30
DIGITS: Final = 6
WINDOW: Final = 1
"""Steps that a clock may be off, in either direction (RFC 6238 5.2)."""
RECOVERY: Final = 10
"""Codes for emergencies that are made at once."""

_CODE: Final = re.compile(r"(.*?) ?([0-9]{6})", re.DOTALL)
_RECOVERY: Final = re.compile(r"(.*?) ?([a-z2-7]{5}-[a-z2-7]{5})", re.DOTALL)


def new_secret() -> str:
    """160 bits (RFC 4226 4), base32 as programs want it."""
    return base64.b32encode(secrets.token_bytes(20)).decode("ascii")


def uri(secret: str, who: str, issuer: str) -> str:
    """What a QR code for an authenticator program holds."""
    query = urlencode({"secret": secret, "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(who)}?{query}"


def code(secret: str, step: int) -> str:
    """The code of a step (RFC 4226 5.3)."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(given: str, secret: str, seconds: float) -> int | None:
    """The step that a code is of, around a time; None for a wrong one."""
    now = int(seconds // STEP)
    found = None
    for step in range(max(0, now - WINDOW), now + WINDOW + 1):
        # All are compared, so that time tells nothing.
        if hmac.compare_digest(code(secret, step).encode(), given.encode()) and found is None:
            found = step
    return found


def divided(password: str) -> tuple[str, str]:
    """A password, and the code behind it; "" where there is none."""
    for pattern in (_CODE, _RECOVERY):
        found = pattern.fullmatch(password)
        if found is not None:
            return found[1], found[2]
    return password, ""


def new_recovery() -> tuple[str, ...]:
    """Codes of fifty bits that are good once each."""

    def one() -> str:
        text = base64.b32encode(secrets.token_bytes(7)).decode("ascii").lower()[:10]
        return f"{text[:5]}-{text[5:]}"

    return tuple(one() for _ in range(RECOVERY))


def hashed(codes: Iterable[str], entry: int, key: bytes) -> tuple[str, ...]:
    """How codes for emergencies are stored."""
    told = (b"recovery %d %b" % (entry, each.encode()) for each in codes)
    return tuple(hmac.digest(key, each, "sha256").hex() for each in told)
