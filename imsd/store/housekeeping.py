"""What the store does for itself: once at start, and now and then while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from imsd.store import claims, greylist, jobs, sent, sqlite, tracking
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.sql import SQLITE

_SECOND = 1_000_000
_DAY = 86400 * _SECOND


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long, in microseconds, what is gone is still kept."""

    expunged: int = 7 * _DAY
    content: int = 3600 * _SECOND
    fresh_tracking: int = 60 * _SECOND
    tracking: int = 90 * _DAY


async def begin(db: Database) -> None:
    """Put right what a crash left, before anything is claimed.

    What this home had claimed was claimed by a process that is dead; other nodes' claims lapse
    by their deadline.
    """
    await db.write(claims.release_leases, db.node or claims.ANY_NODE)


async def tidy(db: Database, blobs: Blobs, now: int, keep: Keep | None = None) -> None:
    """One round of small units; they wait their turn between those of people."""
    keep = keep or Keep()
    await jobs.purge(db)
    await jobs.release_expunged(db, now - keep.expunged)
    await blobs.collect(keep.content)
    while await db.write(tracking.settle, now - keep.fresh_tracking):
        pass
    while await db.write(tracking.expire, now - keep.tracking):
        pass
    while await db.write(greylist.expire, now):
        pass
    while await db.write(sent.expire, now / _SECOND):
        pass
    if db.dialect == SQLITE:
        while await db.write(sqlite.shrink):
            pass
