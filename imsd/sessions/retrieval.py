"""The Message Format page for POP3 (ims_spec 7.4): messages in the form that a mailbox wants.

1. A message's octets as they are handed out are a function of its content and the form, so that a
   size that was told is the size that comes (RFC 1939 11), in this session and the next.
2. When a maildrop is opened the stored part trees say which messages would change; these alone
   are read and converted to know their size, which is then remembered for the process.
3. Converting is done in a thread unless it is short. What is larger than `LARGEST` is handed out as it
   was composed.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

from imsd.settings.pop3 import Pop3
from imsd.slices import in_slices
from imsd.store import contents
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId, BlobId
from imsd.store.transaction import Transaction
from protocols.message.flatten import flatten, needed
from protocols.message.part import Scan, StaleScan

LARGEST: Final = 16 << 20
"""Octets of a message that is converted at most."""
SHORT: Final = 16 << 10
"""Octets that are converted at once; more in a thread."""
BATCH: Final = 100
REMEMBERED: Final = 200_000
"""Sizes kept."""

Shape = tuple[Any, str, int]
"""Form, charset, line length."""


class Retrieval:
    """One for the process. clock: the reactor."""

    def __init__(self, db: Database, blobs: Blobs, clock: Any) -> None:
        self._db = db
        self._clock = clock
        self._blobs = blobs
        self._sizes: dict[tuple[BlobId, Shape], int] = {}

    @staticmethod
    def shape(page: Pop3) -> Shape | None:
        """None: as composed."""
        return None if page.format == "as-composed" else (page.format, page.charset, page.line_wrap)

    async def sizes(self, account: AccountId, uids: Sequence[int], shape: Shape) -> dict[int, int]:
        """Octets of those messages that are handed out in another form than they have, by UID."""
        found: dict[int, int] = {}
        for start in range(0, len(uids), BATCH):
            batch = sorted(uids[start : start + BATCH])
            rows = await self._db.read(_trees, account, batch)
            for row in rows:
                if row.size > LARGEST or not await in_slices(_changes(row.packed, shape), self._clock):
                    continue
                size = self._sizes.get((row.blob, shape))
                if size is None:
                    size = len(await self.converted(row.blob, shape))
                found[row.uid] = len(row.prefix) + size
        return found

    async def converted(self, blob: BlobId, shape: Shape) -> bytes:
        """The content in another form. Raises StoreUnavailable where it is gone."""
        data = await self._blobs.read(blob)
        made = (
            _convert(None, data, shape) if len(data) <= SHORT else await self._db.read(_convert, data, shape)
        )
        if len(self._sizes) >= REMEMBERED:
            self._sizes.clear()
        self._sizes[blob, shape] = len(made)
        return made


def _trees(tx: Transaction, account: AccountId, uids: Sequence[int]) -> list[contents.Content]:
    return contents.read(tx, account, INBOX, uids, scan=True)


def _convert(_tx: Transaction | None, data: bytes, shape: Shape) -> bytes:
    form, charset, wrap = shape
    return flatten(data, form, charset, wrap)


def _changes(packed: bytes, shape: Shape) -> Generator[None, None, bool]:
    try:
        tree = yield from Scan.unpacking(packed)
        yield
        return needed(tree, shape[0])
    except StaleScan:
        return True  # it is looked at when it is read
