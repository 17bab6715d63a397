"""The reverse-path of what is forwarded to other domains (Sender Rewriting Scheme).

A message from elsewhere that a contact or an alternate recipient sends on to another domain would come
from here with a reverse-path of a domain that does not name us as its sender (RFC 7208). So the
reverse-path becomes an address of ours that holds the old one, and reports to it come back here and
are sent on to where they belong.

    SRS0 "=" hash "=" day "=" domain "=" local "@" ours     the first who forwards
    SRS1 "=" hash "=" first "=" rest "@" ours               the next: rest is what followed SRS0

hash: of the rest, with a key of the organisation's, so that nobody but us makes such addresses. day: in
two characters of base32, days modulo 1024; after `routing.srs_days` the address is nobody's. Case does not
matter, because others may change it. Only the null reverse-path may use one: what comes to it is
reports, and whoever learns an address cannot send anything else through us by it.

A reverse-path is left as it is if it is ours or null, or would not fit into 64 octets (RFC 5321
4.5.3.1.1), or has a quoted local part.
"""

from __future__ import annotations

import hmac
import time
from base64 import b32encode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from imsd.settings.routing import Rerouting

if TYPE_CHECKING:
    from collections.abc import Callable

    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings

DAYS: Final = 1024
MOST_LOCAL: Final = 64
HASH: Final = 6
"""Characters of a hash, 30 bits: one guess costs a RCPT, and refused ones are counted."""
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PURPOSE: Final = b"sender rewriting"


class Srs:
    """Rewrites and takes back, for one organisation."""

    def __init__(
        self, directory: Directory, settings: LiveSettings, seconds: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._seconds = seconds
        self._key = b""

    async def forward(self, reverse_path: str) -> str:
        """The reverse-path under which mail of this one is sent on."""
        local, _, domain = reverse_path.rpartition("@")
        served = self._directory.domains.served
        if not self._settings[Rerouting].srs or not served or not local or local.startswith('"'):
            return reverse_path
        if self._directory.serves(domain):
            return reverse_path
        word, _, rest = local.partition("=")
        match word.upper():
            case "SRS0" if rest:
                made = await self._second(domain, "=" + rest)
            case "SRS1" if rest.count("=") > 2:
                _, first, opaque = rest.split("=", 2)
                made = await self._second(first, opaque)
            case _:
                tail = f"{self._day(self._today())}={domain}={local}"
                made = f"SRS0={await self._hash(tail)}={tail}"
        return f"{made}@{served[0]}" if len(made.encode()) <= MOST_LOCAL else reverse_path

    async def _second(self, first: str, opaque: str) -> str:
        tail = f"{first}={opaque}"
        return f"SRS1={await self._hash(tail)}={tail}"

    async def back(self, address: str) -> str:
        """The reverse-path that an address of ours holds, "" if it holds none, or none any more."""
        local, _, domain = address.rpartition("@")
        word, _, rest = local.partition("=")
        given, _, tail = rest.partition("=")
        if word.upper() not in ("SRS0", "SRS1") or not tail or not self._directory.serves(domain):
            return ""
        if not hmac.compare_digest(given.upper().encode(), (await self._hash(tail)).encode()):
            return ""
        if word.upper() == "SRS1":
            first, _, opaque = tail.partition("=")
            return f"SRS0{opaque}@{first}" if first and opaque else ""
        day, _, held = tail.partition("=")
        host, _, user = held.partition("=")
        age = (self._today() - _number(day)) % DAYS
        if not host or not user or age > self._settings[Rerouting].srs_days:
            return ""
        return f"{user}@{host}"

    async def _hash(self, text: str) -> str:
        if not self._key:
            self._key = await self._directory.secret(_PURPOSE)
        made = hmac.new(self._key, text.lower().encode(), sha256).digest()
        return b32encode(made).decode()[:HASH]

    def _today(self) -> int:
        return int(self._seconds() // 86_400) % DAYS

    @staticmethod
    def _day(number: int) -> str:
        return _DIGITS[number >> 5] + _DIGITS[number & 31]


def _number(day: str) -> int:
    """Days of two characters; what is none is very old."""
    found = [_DIGITS.find(c) for c in day.upper()]
    return found[0] << 5 | found[1] if len(found) == 2 and min(found) >= 0 else -DAYS
