"""Greylisting (RFC 6647): a host that is not known is asked to come again, and who does is known.

1. A triplet is the peer's network (IPv4 /24, IPv6 /64), the originator and the recipient. Its first try is
   refused for now; one that comes after the delay and within the window is taken, and known from then on.
2. A network of which several triplets came again is known as a whole.
3. This machine, relay servers, exempt hosts and who has logged in are asked nothing.
4. It fails open: without a store that answers, and beyond MOST rows, mail is taken.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from imsd.errors import Greylisted, Temporary
from imsd.mail.limits import prefix_of
from imsd.settings.unknowns import Greylisting
from imsd.store import greylist
from imsd.store.greylist import Seen
from imsd.store.tables import now

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.database import Database

SECOND: Final = 1_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
MOST: Final = 1_000_000
"""Rows of the table."""
RECOUNT: Final = 1_000
"""New rows after which they are counted again."""


class Greylist:
    """One for a server."""

    log = Logger()

    def __init__(self, db: Database, settings: LiveSettings) -> None:
        self._db = db
        self._settings = settings
        self._rows = 0
        self._since = RECOUNT

    def active(self, peer: str) -> bool:
        page = self._settings[Greylisting]
        return page.enabled and not page.exempted.find(peer, False)

    async def check(self, peer: str, sender: str, recipient: str) -> None:
        """Raises Greylisted."""
        try:
            left = await self._left(prefix_of(peer), sender.casefold(), recipient.casefold())
        except Temporary as error:
            self.log.warn("greylisting does not work: {why}", why=error.text)
            return
        if left:
            raise Greylisted(f"Greylisted, try again in {max(1, left // SECOND)} seconds")

    async def _left(self, network: str, sender: str, recipient: str) -> int:
        """Microseconds that the peer has to wait, 0: it is known."""
        page, time = self._settings[Greylisting], now()
        triplet = _key("triplet", network, sender, recipient)
        whole = _key("network", network)
        found = await self._db.read(greylist.find, [triplet, whole], time)
        keep = time + page.keep_days * DAY
        of_network = found.get(whole)
        if of_network is not None and page.network_passes and of_network.passed >= page.network_passes:
            await self._renew(whole, of_network, keep)
            return 0
        seen = found.get(triplet)
        if seen is not None and seen.passed:
            await self._renew(triplet, seen, keep)
            return 0
        if seen is None:
            if not await self._room():
                return 0
            window = time + page.window_hours * HOUR
            await self._db.write(greylist.put, (triplet, Seen(time, window, 0)))
            return page.delay_seconds * SECOND
        left = seen.began + page.delay_seconds * SECOND - time
        if left > 0:
            return left
        passed = of_network.passed if of_network is not None else 0
        await self._db.write(
            greylist.put, (triplet, Seen(seen.began, keep, 1)), (whole, Seen(time, keep, passed + 1))
        )
        return 0

    async def _renew(self, key: bytes, seen: Seen, expires: int) -> None:
        """It is known for longer; written once a day at most."""
        if expires - seen.expires > DAY:
            await self._db.write(greylist.put, (key, Seen(seen.began, expires, seen.passed)))

    async def _room(self) -> bool:
        self._since += 1
        if self._since > RECOUNT:
            self._since = 0
            self._rows = await self._db.read(greylist.count)
            if self._rows >= MOST:
                self.log.warn("the greylist is full; who is not known is taken")
        return self._rows < MOST


def _key(*parts: str) -> bytes:
    return sha256("\0".join(parts).encode("utf-8", "replace")).digest()[:16]
