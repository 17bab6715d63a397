"""Content: built piece by piece, stored once however many refer to it, read in pieces.

    builder = BlobBuilder(blobs, limit=25_000_000)
    builder.write(piece); await builder.drained()       memory below 128 KiB, a file above
    new = await builder.finish(summary)                  or builder.abandon()
    blob_id = keep(unit, new)                            in the unit that refers to it
    data = await blobs.read(blob_id, start, length)
    async for piece in blobs.stream(blob_id): ...

Who drops a finished NewBlob without a unit that kept it calls `blobs.discard(new)`; what a crash
leaves behind is swept at the next start.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imsd.errors import TooLarge
from imsd.store import blob_rows
from imsd.store.blob_files import Files, refusal
from imsd.store.blob_rows import (
    NewBlob,
    describe,
    keep,
    known,
    refer,
    refer_many,
    release,
    release_many,
    summary,
)
from imsd.store.database import Database, forked
from imsd.store.failpoints import reached
from imsd.store.ids import BlobId
from imsd.store.sql import SQLITE
from imsd.store.tables import now
from protocols.message.summary import Summary

__all__ = [
    "THRESHOLD",
    "BlobBuilder",
    "Blobs",
    "NewBlob",
    "describe",
    "keep",
    "known",
    "new_blob",
    "refer",
    "refer_many",
    "release",
    "release_many",
    "summary",
]

THRESHOLD = 128 * 1024
"""Bytes from which content is a file and no longer a row."""
PIECE = 256 * 1024
"""The most bytes handed out at once."""
_BACKLOG = 4 * PIECE
_DAY = 86400.0


def new_blob(data: bytes, summary: Summary | None = None) -> NewBlob:
    """Content that is in memory already, however large the caller let it become."""
    return NewBlob(len(data), hashlib.sha256(data).digest(), data, "", summary)


class Blobs:
    """The content of one open store."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.files = Files(db.home)
        self._keeping = 0

    def builder(self, limit: int | None = None) -> BlobBuilder:
        return BlobBuilder(self, limit)

    async def read(self, blob_id: BlobId, start: int = 0, length: int | None = None) -> bytes:
        """Bytes from `start`, all that follow or `length`; less where the content ends."""
        count = 2**31 - 1 if length is None else length
        size, file, data = await self.db.read_few(blob_rows.piece, blob_id, start, count)
        if not file:
            return data or b""
        count = min(count, max(0, size - start))
        return await self.db.in_thread(self.files.read, file, start, count)

    async def stream(self, blob_id: BlobId, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `stop`, in pieces of at most 256 KiB."""
        first = PIECE if stop is None else max(0, min(PIECE, stop - start))
        size, file, data = await self.db.read_few(blob_rows.piece, blob_id, start, first)
        stop = size if stop is None else min(stop, size)
        if data and not file:
            yield data
            start += len(data)
        while start < stop:
            count = min(PIECE, stop - start)
            if file:
                data = await self.db.in_thread(self.files.read, file, start, count)
            else:
                data = await self.read(blob_id, start, count)
            if not data:
                return
            yield data
            start += len(data)

    async def summary(self, blob_id: BlobId) -> Summary | None:
        """What delivery computed of the content."""
        return await self.db.read_few(blob_rows.summary, blob_id)

    async def discard(self, new: NewBlob) -> None:
        """Forget finished content that no unit kept (or perhaps kept: then it stays)."""
        if new.file and not await self.db.read(blob_rows.known_files, [new.file]):
            await self.db.write(blob_rows.unlink, new.file)

    # In the background -----------------------------------------------------------------

    async def collect(self, age: int = 3600 * 1_000_000, grace: int = blob_rows.UNLINK_GRACE) -> int:
        """Take away content released `age` microseconds ago, and files whose grace is over."""
        total = 0
        while count := await self.db.write(blob_rows.collect, now() - age, 100, grace):
            total += count
        while not self._keeping and (files := await self.db.read(blob_rows.due_files, now())):
            # A discarded file may have found a row after all.
            known = await self.db.read(_with_row, files)
            await self.db.in_thread(self.files.remove, [each for each in files if each not in known])
            reached("blob.file-removed")
            await self.db.write(blob_rows.unlinked, files)
        return total

    @contextmanager
    def keeping_files(self) -> Iterator[None]:
        """While it lasts, no file is removed from which a row was."""
        self._keeping += 1
        try:
            yield
        finally:
            self._keeping -= 1

    async def sweep(self) -> int:
        """Remove files that a crash left without a row; run once after opening.

        Alone in the home, everything unnamed that is older than this process is such a file;
        where several nodes share the folder, it must be a day old.
        """
        age = 0.0 if self.db.dialect == SQLITE else _DAY
        count = await self.db.in_thread(self.files.clear_temporary, age)
        folders = self.files.older(age)
        while names := await self.db.in_thread(next, folders, None):
            known = await self.db.read(blob_rows.known_files, names)
            lost = [name for name in names if name not in known]
            await self.db.in_thread(self.files.remove, lost)
            count += len(lost)
        return count


def _with_row(tx: Any, files: list[str]) -> set[str]:
    return {row[0] for row in tx.all(blob_rows._NAMED, files=files)}


class BlobBuilder:
    """Content under construction. Raises TooLarge above `limit` bytes."""

    def __init__(self, blobs: Blobs, limit: int | None = None) -> None:
        self._blobs = blobs
        self._limit = limit
        self.size = 0
        self._hash = hashlib.sha256()  # of what is in the file
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._spilled = False
        self._path: Path | None = None
        self._descriptor = -1
        self._work: Any = None
        self._error: Exception | None = None
        self._abandoned = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes. Never blocks; who may be fast awaits `drained` now and then."""
        self.size += len(data)
        if self._limit is not None and self.size > self._limit:
            self.abandon()
            raise TooLarge
        if self._abandoned:
            return
        self._pieces.append(bytes(data))
        self._waiting += len(data)
        if self._spilled or self.size >= THRESHOLD:
            self._spilled = True
            self._start()

    def content(self) -> bytes | None:
        """The bytes so far, while they are in memory only."""
        return None if self._spilled else b"".join(self._pieces)

    async def drained(self) -> None:
        """Wait until what is not written yet is little; raises StoreFull, StoreUnavailable."""
        while self._waiting > _BACKLOG and self._error is None:
            await self._turn()
        if self._error is not None:
            raise self._error

    async def finish(self, summary: Summary | None = None) -> NewBlob:
        """The finished content; a file is on stable storage. Raises as `drained` does."""
        if not self._spilled:
            return new_blob(b"".join(self._pieces), summary)
        while self._waiting and self._error is None:
            await self._turn()
        if self._error is not None:
            self.abandon()
            raise self._error
        assert self._path is not None
        digest = self._hash.digest()
        descriptor, self._descriptor = self._descriptor, -1
        path, self._path = self._path, None
        file = await self._blobs.db.in_thread(self._publish, path, descriptor, digest)
        return NewBlob(self.size, digest, None, file, summary)

    def abandon(self) -> None:
        """Forget everything; may be called at any time."""
        self._abandoned = True
        self._pieces.clear()
        self._waiting = 0
        if self._work is None and self._path is not None:
            self._blobs.db.in_thread(self._remove).addErrback(lambda _: None)

    # The thread's part -----------------------------------------------------------------

    def _start(self) -> None:
        """Have what waits written, unless that is under way."""
        if self._work is None and self._error is None:
            self._work = self._blobs.db.in_thread(self._write)
            self._work.addBoth(self._written)

    async def _turn(self) -> None:
        """Wait for one round of the thread."""
        if self._work is None:
            self._start()
        if self._work is not None:
            await forked(self._work)

    def _written(self, outcome: Any) -> None:
        self._work = None
        if isinstance(outcome, int):
            self._waiting -= outcome
        else:
            self._error = outcome.value
        if self._abandoned:
            self.abandon()
        elif self._pieces:
            self._start()

    def _write(self) -> int:
        """Write and hash what waits; how many bytes."""
        count = 0
        try:
            if self._descriptor < 0:
                self._path, self._descriptor = self._blobs.files.create()
            while self._pieces:
                try:
                    data = self._pieces.popleft()
                except IndexError:
                    break  # Abandoned meanwhile.
                self._hash.update(data)
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
                count += len(data)
        except OSError as error:
            raise refusal(error) from error
        return count

    def _publish(self, path: Path, descriptor: int, digest: bytes) -> str:
        try:
            return self._blobs.files.publish(path, descriptor, digest)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise refusal(error) from error

    def _remove(self) -> None:
        path, self._path = self._path, None
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        if path is not None:
            path.unlink(missing_ok=True)
