"""Values in memory in which parts are looked for.

The store's index finds values by how they begin; what is somewhere in a value, SQL finds by looking at all
of them, which takes 4 ms of 20,000 and 200 of a million. So a kind of value that took long to look through
is read once and kept, in a form in which parts are found (`imsd.directory.pieces`).

1. A pool is what a snapshot held. An entry that changed since then is read from the rows for each look;
   of more than a few, what they have is put in the pool. What they had before stays there until the pool is
   made again: whoever asks verifies what is found, as with the index.
2. Where something was missed, or more changed than is worth following, the pool is dropped. Nobody waits
   for another: until it is there, SQL does it.
3. Pools are bounded, in octets all together.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from twisted.python.failure import Failure

from imsd.directory import schema
from imsd.directory.pieces import PIECE, Body, Piece, pieces
from imsd.errors import Refusal
from imsd.store import entry_index
from imsd.store.database import Database
from imsd.store.entry_index import INDEXED_LENGTH
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction

SLOW: Final = 0.002
"""Seconds that a look by SQL takes which is worth a pool."""
TAIL: Final = 1 << 17
"""Octets of a piece of what came since: it is looked through in a tenth of a millisecond."""
FEW: Final = 32
"""Changed entries that are read for each look; more of them are put in."""
MOST_CHANGED: Final = 20_000
MOST_OCTETS: Final = 256 << 20
REST: Final = 20
"""Times that making a pool took, until the next is made: others may change everything all the time."""


@dataclass(slots=True)
class Pool:
    """What is held of one attribute. long: entries with a value that is cut off in the index.
    changed: entries whose values may be others, with the number of that change."""

    body: Body | None = None
    """None until it is made."""
    tail: list[Piece] = field(default_factory=list)
    long: set[EntryId] = field(default_factory=set)
    changed: dict[EntryId, int] = field(default_factory=dict)
    added: int = 0
    """Octets of the tail."""

    @property
    def octets(self) -> int:
        return self.added + (self.body.octets if self.body is not None else 0)


class Pools:
    """Of one directory. All methods are the reactor's."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pools: dict[str, Pool] = {}
        self._not_before: dict[str, float] = {}
        self._number = 0

    def changed(self, ids: tuple[EntryId, ...] | None, attributes: frozenset[str] | None = None) -> None:
        """These entries changed, None: any may have. attributes: those that alone are others."""
        # Values with options (RFC 3866) stand in the index without them.
        concerned = None if attributes is None else {schema.plain(each) for each in attributes}
        if ids is None:
            self._pools.clear()
            return
        self._number += 1
        for key, pool in list(self._pools.items()):
            if concerned is not None and key not in concerned:
                continue
            pool.changed.update(dict.fromkeys(ids, self._number))
            if len(pool.changed) > MOST_CHANGED:
                del self._pools[key]

    # Looking -----------------------------------------------------------------------------

    async def containing(self, key: str, part: str, most: int) -> list[EntryId]:
        """Entries with a value that may contain the part; `most` of them where there are more."""
        pool = self._pools.get(key)
        if pool is None or pool.body is None:
            return await self._by_rows(key, part, most)
        held, changed = (pool.body, *pool.tail), dict(pool.changed)
        found, fresh = await self._db.read(_look, key, part, most, held, pool.long, list(changed))
        if len(changed) > FEW and self._pools.get(key) is pool:
            self._put_in(key, pool, fresh, changed)
        return found

    async def _by_rows(self, key: str, part: str, most: int) -> list[EntryId]:
        seconds, found = await self._db.read(_timed, key, part, most)
        if seconds > SLOW and key not in self._pools and time.monotonic() >= self._not_before.get(key, 0):
            self._make(key)
        return found

    def _put_in(
        self, key: str, pool: Pool, fresh: list[tuple[str, EntryId]], changed: dict[EntryId, int]
    ) -> None:
        """What was read of entries that changed. Of one that changed again meanwhile, it is read again."""
        for piece in pieces(fresh, TAIL):
            pool.added += piece.octets
            if pool.tail and len(pool.tail[-1].text) + len(piece.text) <= TAIL:
                piece = pool.tail.pop().joined(piece)
            pool.tail.append(piece)
        # Another set: threads may be reading this one.
        pool.long = pool.long | {entry_id for value, entry_id in fresh if len(value) >= INDEXED_LENGTH}
        for entry_id, number in changed.items():
            if pool.changed.get(entry_id) == number:
                del pool.changed[entry_id]
        if pool.body is None or pool.added > max(pool.body.octets // 4, TAIL):
            del self._pools[key]

    # Making ------------------------------------------------------------------------------

    def _make(self, key: str) -> None:
        """What changes from now on is noted; what is read holds all that was before."""
        pool = self._pools[key] = Pool()
        left = MOST_OCTETS - sum(each.octets for each in self._pools.values())
        done = self._db.read(_read, key, left)
        done.addCallback(self._made, key, pool)
        done.addErrback(self._not_made, key, pool)

    def _made(self, read: tuple[float, Body | None, set[EntryId]], key: str, pool: Pool) -> None:
        seconds, body, long = read
        self._not_before[key] = time.monotonic() + REST * seconds
        if self._pools.get(key) is not pool:
            return
        if body is None:
            del self._pools[key]  # there is no room for it
            return
        pool.body, pool.long = body, long

    def _not_made(self, failure: Failure, key: str, pool: Pool) -> None:
        if self._pools.get(key) is pool:
            del self._pools[key]
        failure.trap(Refusal)


# In a thread -----------------------------------------------------------------------------


def _timed(tx: Transaction, key: str, part: str, most: int) -> tuple[float, list[EntryId]]:
    start = time.perf_counter()
    found = entry_index.containing(tx, key, part, most)
    return time.perf_counter() - start, found


def _read(tx: Transaction, key: str, most: int) -> tuple[float, Body | None, set[EntryId]]:
    """How long it took, and the values; None where there are more octets than that."""
    start = time.perf_counter()
    long: set[EntryId] = set()
    body: Body | None = None
    try:
        body = Body(pieces(_noting(entry_index.values(tx, key), long), PIECE), most)
    except MemoryError:
        pass
    return time.perf_counter() - start, body, long


def _noting(rows: Iterable[tuple[str, EntryId]], long: set[EntryId]) -> Iterator[tuple[str, EntryId]]:
    for row in rows:
        if len(row[0]) >= INDEXED_LENGTH:
            long.add(row[1])
        yield row


def _look(
    tx: Transaction,
    key: str,
    part: str,
    most: int,
    held: Sequence[Body | Piece],
    long: set[EntryId],
    changed: list[EntryId],
) -> tuple[list[EntryId], list[tuple[str, EntryId]]]:
    """The entries found, and the values that those have which changed."""
    found: dict[EntryId, None] = dict.fromkeys(long)
    fresh = entry_index.values_of(tx, key, changed) if changed else []
    for value, entry_id in fresh:
        if part in value or len(value) >= INDEXED_LENGTH:
            found[entry_id] = None
    wanted = part.encode()
    for piece in held:
        if len(found) >= most:
            break
        piece.find(wanted, found, most)
    return list(found)[:most], fresh
