"""A consistent copy of a store in use, and a home made from such a copy.

The copy of the database is one snapshot; content files never change, and while a backup runs
none is removed, so that the files the snapshot names are all there.

A restored store is a new incarnation (rule 22): clients must not take its UIDs for the ones that
were given out after the copy was made, so every mailbox gets a UIDVALIDITY above any ever used.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from pathlib import Path

from imsd.errors import EntryExists, StoreUnavailable, Unsupported
from imsd.store import sqlite
from imsd.store.blob_files import refusal, sync_folder
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.lock import HomeLock
from imsd.store.sql import SQLITE


async def backup(db: Database, blobs: Blobs, target: Path) -> int:
    """Copy the store into the new folder `target`; how many content files there are.

    On PostgreSQL the database's own tools copy it (pg_basebackup, pg_dump): Unsupported.
    """
    if db.dialect != SQLITE:
        raise Unsupported("Use pg_dump or pg_basebackup for the database, and copy data/blobs")
    with blobs.keeping_files():
        return await db.in_thread(_copy, db.home, target)


def _copy(home: Path, target: Path) -> int:
    if target.exists() and any(target.iterdir()):
        raise EntryExists(f"{target} is not empty")
    data = target / "data"
    try:
        data.mkdir(parents=True, mode=0o700)
        source = sqlite.connect(home / "data" / "imsd.db")
        copy = sqlite3.connect(data / "imsd.db")
        try:
            # All pages at once are one snapshot, and no write begins the copy anew.
            source.backup(copy, pages=-1)
            files = [row[0] for row in copy.execute("SELECT file FROM blob WHERE file <> ''")]
        finally:
            source.close()
            copy.close()
        for file in files:
            _copy_file(home / "data" / "blobs", data / "blobs", file)
        _sync(data / "imsd.db")
        sync_folder(data)
        sync_folder(target)
    except OSError as error:
        raise refusal(error) from error
    except sqlite3.Error as error:
        raise StoreUnavailable("The database cannot be copied") from error
    return len(files)


def _copy_file(source: Path, target: Path, file: str) -> None:
    folder = target / file[:2]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(source / file[:2] / file[2:], folder / file[2:])
    _sync(folder / file[2:])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore(source: Path, home: Path) -> None:
    """Make `home`'s store from a copy; the home must not have one. Blocks.

    Raises HomeInUse, EntryExists, StoreFull, StoreUnavailable.
    """
    lock = HomeLock(home)
    try:
        database = home / "data" / "imsd.db"
        if database.exists():
            raise EntryExists(f"{home} has a store already")
        shutil.copytree(source / "data", home / "data", dirs_exist_ok=True)
        _new_incarnation(database)
    except OSError as error:
        raise refusal(error) from error
    except sqlite3.Error as error:
        raise StoreUnavailable("The copy cannot be read") from error
    finally:
        lock.release()


def _new_incarnation(database: Path) -> None:
    connection = sqlite.connect(database)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        (last,) = connection.execute("SELECT coalesce(max(last_uidvalidity), 0) FROM account").fetchone()
        base = max(last + 1, int(time.time()))
        connection.execute("UPDATE mailbox SET uidvalidity = ? + mailbox", (base,))
        connection.execute("UPDATE account SET last_uidvalidity = ? + next_mailbox", (base,))
        connection.execute(
            "INSERT OR REPLACE INTO store (name, value) VALUES ('incarnation', ?)",
            (secrets.token_hex(8),),
        )
        # Claims of the process that was copied are nobody's now.
        connection.execute("UPDATE queue_recipient SET token = x'', lease = 0, due = 0 WHERE lease > 0")
        connection.execute("COMMIT")
    finally:
        connection.close()
