"""SQLite: how its connections are opened, and what its errors mean.

One connection writes (the writer thread's), a few read; WAL lets them not wait for each
other. synchronous=FULL makes a COMMIT survive power loss; one COMMIT serves a whole group.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from imsd.store.arrivals import Arrivals
from imsd.store.sql import SQLITE
from imsd.store.transaction import Transaction, Unit
from imsd.store.writer import Fault

Error = sqlite3.Error

APPLICATION_ID = 0x494D5344
"""The bytes IMSD in the file's header; file(1) and a careful administrator can tell."""
PAGE_SIZE = 4096
"""Measured with 4 KiB messages: 8192 writes more to the WAL, 16384 is a third slower."""
_CHECKPOINT_PAGES = 4000

_UNAVAILABLE = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT}

# sqlite3 searches for an adapter of each bytes value anew, a microsecond each, unless there is one.
sqlite3.register_adapter(bytes, bytes.__bytes__)


def _unhexed(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings; a new file gets what can only be chosen then (rule 23)."""
    new = not path.exists() or path.stat().st_size == 0
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=1024)
    if new:
        connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-32768")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    connection.create_function("unhexed", 1, _unhexed, deterministic=True)
    return connection


def fault(error: Exception) -> Fault | None:
    """What an error means; None when it is not the database's."""
    if isinstance(error, MemoryError):
        return Fault.BROKEN
    if not isinstance(error, sqlite3.Error):
        return None
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Fault.FULL
    if code in _UNAVAILABLE:
        return Fault.BROKEN
    return Fault.BUSY if code in _BUSY else None


class WriteConnection:
    """The writer's connection.

    There are no statistics (ANALYZE) for SQLite to plan by: it would keep those of a small store, and
    walk a table of which it believes that it has five rows. Without them it takes the index that is there.
    """

    def __init__(self, path: Path) -> None:
        self.raw = connect(path)
        self.raw.execute("DROP TABLE IF EXISTS sqlite_stat1")
        self._execute: Any = self.raw.execute
        self.arrivals = Arrivals(self.raw)

    def unit(self) -> Unit:
        return Unit(SQLITE, self._execute, self.raw.executemany)

    def begin(self) -> None:
        self._execute("BEGIN IMMEDIATE")

    def savepoint(self) -> None:
        self._execute("SAVEPOINT u")

    def release(self) -> None:
        self._execute("RELEASE u")

    def rollback_to(self) -> None:
        self._execute("ROLLBACK TO u")
        self._execute("RELEASE u")

    def commit(self) -> None:
        # Gives the interpreter's lock away once; `execute` does so again to reset the statement.
        self.raw.commit()

    def rollback(self) -> None:
        if self.raw.in_transaction:
            try:
                self._execute("ROLLBACK")
            except sqlite3.Error:
                pass  # SQLite rolls back by itself where ROLLBACK fails.

    def in_transaction(self) -> bool:
        return self.raw.in_transaction

    def fault(self, error: Exception) -> Fault | None:
        return fault(error)

    def commit_undone(self, error: Exception) -> bool:
        # A failed write or sync of the WAL may still have put a whole commit on the disk.
        return fault(error) is not Fault.BROKEN

    def close(self) -> None:
        try:
            self.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # The next opener checkpoints.
        self.raw.close()


class ReadConnection:
    """A reader's connection; each use is one snapshot."""

    def __init__(self, path: Path) -> None:
        self.raw = connect(path)
        self.raw.execute("PRAGMA query_only=1")
        self._execute: Any = self.raw.execute
        self._tx = Transaction(SQLITE, self._execute)

    def begin(self) -> Transaction:
        self._execute("BEGIN")
        return self._tx

    def end(self) -> None:
        if self.raw.in_transaction:
            self._execute("COMMIT")

    def fault(self, error: Exception) -> Fault | None:
        return fault(error)

    def close(self) -> None:
        self.raw.close()


_SHRINK = 500


def shrink(unit: Unit) -> int:
    """Give some free pages back to the file system; how many, 0 while few are free."""
    execute: Any = unit._execute
    (free,) = execute("PRAGMA freelist_count").fetchone()
    (pages,) = execute("PRAGMA page_count").fetchone()
    # What is free now will mostly be used again soon.
    if free <= max(_SHRINK, pages // 4):
        return 0
    execute(f"PRAGMA incremental_vacuum({_SHRINK})").fetchall()
    return _SHRINK
