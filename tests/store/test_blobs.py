"""Content: built, kept once, read in pieces, collected."""

from __future__ import annotations

import errno
import os

import pytest
from sqlalchemy import func, select

from imsd.errors import StoreDamaged, StoreFull, TooLarge
from imsd.store import blob_rows
from imsd.store.blobs import (
    THRESHOLD,
    Blobs,
    NewBlob,
    keep,
    new_blob,
    refer_many,
    release,
    release_many,
    summary,
)
from imsd.store.database import Database, Transaction
from imsd.store.ids import BlobId
from imsd.store.sql import sql
from protocols.message.summary import summarize
from tests.support.stores import run

MESSAGE = b"From: Ann <ann@example.test>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n\r\nHello\r\n"
COUNT = sql(select(func.count()).select_from(blob_rows.blob))
REFS = sql(select(blob_rows.blob.c.refs))


def count(tx: Transaction) -> int:
    number: int = tx.value(COUNT)
    return number


def refs(tx: Transaction) -> list[int]:
    return [row[0] for row in tx.all(REFS)]


async def build(blobs: Blobs, data: bytes, step: int = 50_000) -> NewBlob:
    builder = blobs.builder()
    for start in range(0, len(data), step):
        builder.write(data[start : start + step])
        await builder.drained()
    return await builder.finish()


def files(blobs: Blobs) -> list[str]:
    return [path.name for path in blobs.files.root.rglob("*") if path.is_file()]


def settled(blobs: Blobs) -> list[str]:
    """The files that are left when the threads had their turns to remove them."""
    # Empty once may mean that the thread has not made its file yet; empty for a while does not.
    empty = 0
    for _ in range(20_000):
        run(blobs.db.in_thread(int))
        empty = 0 if files(blobs) else empty + 1
        if empty == 50:
            break
    return files(blobs)


@pytest.mark.parametrize("size", [0, 1, THRESHOLD - 1, THRESHOLD, 3 * 1024 * 1024 + 7])
def test_content_comes_back_whole_and_in_parts(database: Database, size: int) -> None:
    blobs = Blobs(database)
    data = os.urandom(size)
    new = run(build(blobs, data))
    assert (new.file != "") == (size >= THRESHOLD)
    blob_id = run(database.write(keep, new))
    assert run(blobs.read(blob_id)) == data
    assert run(blobs.read(blob_id, size // 2, 10)) == data[size // 2 : size // 2 + 10]
    assert run(blobs.read(blob_id, size + 5)) == b""

    async def streamed() -> list[bytes]:
        return [piece async for piece in blobs.stream(blob_id, 1, size - 1)]

    pieces = run(streamed())
    assert b"".join(pieces) == data[1 : max(1, size - 1)]
    assert all(len(piece) <= 256 * 1024 for piece in pieces)


def test_equal_content_is_stored_once(database: Database) -> None:
    blobs = Blobs(database)
    data = os.urandom(THRESHOLD)
    first = run(database.write(keep, run(build(blobs, data))))
    second = run(database.write(keep, run(build(blobs, data)), 2))
    assert first == second
    assert run(database.read(refs)) == [3]


def test_the_same_new_blob_kept_twice_keeps_its_file(database: Database) -> None:
    blobs = Blobs(database)
    new = run(build(blobs, b"2" * THRESHOLD))
    blob_id = run(database.write(keep, new))
    assert run(database.write(keep, new)) == blob_id
    assert run(database.read(blob_rows.due_files, 2**62)) == []


def test_a_summary_is_a_row_read(database: Database) -> None:
    whole = summarize(MESSAGE)
    blob_id = run(database.write(keep, new_blob(MESSAGE, whole)))
    assert run(database.read_few(summary, blob_id)) == whole
    bare = run(database.write(keep, new_blob(b"x")))
    assert run(database.read_few(summary, bare)) is None
    run(database.write(blob_rows.describe, bare, whole))
    described = run(database.read_few(summary, bare))
    assert described is not None and described.subject == "Caf\u00e9"


def test_released_content_is_collected_and_its_file_removed_after_grace(database: Database) -> None:
    blobs = Blobs(database)
    blob_id = run(database.write(keep, run(build(blobs, os.urandom(THRESHOLD)))))
    run(database.write(refer_many, [blob_id, blob_id]))
    run(database.write(release_many, [blob_id, blob_id]))
    assert run(blobs.collect(age=0)) == 0
    run(database.write(release, blob_id))
    assert run(blobs.collect(age=3600_000_000)) == 0
    assert run(blobs.collect(age=-1_000_000)) == 1
    assert run(database.read(count)) == 0
    assert len(files(blobs)) == 1, "a reader may be in the middle of it"
    names = run(database.read(blob_rows.due_files, 2**62))
    assert len(names) == 1
    run(database.write(blob_rows.unlinked, names))
    run(database.write(blob_rows.unlink, names[0], -1))
    run(blobs.collect())
    assert files(blobs) == []


def test_content_referred_to_again_is_not_collected(database: Database) -> None:
    blobs = Blobs(database)
    blob_id = run(database.write(keep, new_blob(b"again")))
    run(database.write(release, blob_id))
    assert run(database.write(keep, new_blob(b"again"))) == blob_id
    assert run(blobs.collect(age=-1_000_000)) == 0
    assert run(blobs.read(blob_id)) == b"again"


def test_discarding_spares_what_a_row_names(database: Database) -> None:
    blobs = Blobs(database)
    kept, dropped = run(build(blobs, b"k" * THRESHOLD)), run(build(blobs, b"d" * THRESHOLD))
    run(database.write(keep, kept))
    run(blobs.discard(kept))
    run(blobs.discard(dropped))
    assert run(database.read(blob_rows.due_files, 2**62)) == [dropped.file]


def test_a_sweep_removes_what_a_crash_left(sqlite_database: Database) -> None:
    blobs = Blobs(sqlite_database)
    kept = run(build(blobs, b"k" * THRESHOLD))
    run(sqlite_database.write(keep, kept))
    lost = run(build(blobs, b"d" * THRESHOLD))
    half, descriptor = blobs.files.create()
    os.close(descriptor)
    for path in (half, blobs.files.path(lost.file), blobs.files.path(kept.file)):
        os.utime(path, (1, 1))
    assert run(blobs.sweep()) == 2
    assert files(blobs) == [kept.file[2:]]


def test_too_much_is_refused_and_leaves_no_file(database: Database) -> None:
    blobs = Blobs(database)
    builder = blobs.builder(limit=2 * THRESHOLD)
    builder.write(bytes(2 * THRESHOLD))
    with pytest.raises(TooLarge):
        builder.write(b"x")
    assert settled(blobs) == []


def test_a_full_disk_refuses_the_content_and_leaves_no_file(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(database)

    def full(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    builder = blobs.builder()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        builder.write(bytes(THRESHOLD))
        with pytest.raises(StoreFull):
            run(builder.finish())
    assert settled(blobs) == []
    assert run(build(blobs, bytes(THRESHOLD))).size == THRESHOLD


def test_missing_content_is_a_refusal(database: Database) -> None:
    from imsd.errors import StoreUnavailable

    with pytest.raises(StoreUnavailable):
        run(Blobs(database).read(BlobId(999)))


def test_a_lost_content_file_is_damage_not_an_outage(database):
    blobs = Blobs(database)
    with pytest.raises(StoreDamaged):
        blobs.files.read("00" * 32 + "-0", 0, 1)
