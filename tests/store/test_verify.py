"""The proof of the store finds what does not agree, and a repair makes it agree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import and_, delete, update

from imsd.errors import EntryExists
from imsd.store import blob_rows, jobs, mailboxes
from imsd.store.backup import backup, restore
from imsd.store.blobs import THRESHOLD, Blobs, keep
from imsd.store.database import Database, HomeInUse, Unit
from imsd.store.ids import INBOX
from imsd.store.mailbox_tables import account, mailbox, message
from imsd.store.sql import sql
from imsd.store.verify import Report, verify
from tests.store.test_blobs import build
from tests.support.mail import ALICE, BOB, NOW, make_account, put
from tests.support.stores import open_store, run

ALICES_INBOX = and_(mailbox.c.account == ALICE, mailbox.c.mailbox == INBOX)


@pytest.fixture
def used(database: Database) -> Database:
    """Two people, messages read and deleted and expunged, a queue of nothing."""
    make_account(database)
    make_account(database, BOB)
    put(database, 3)
    put(database, 2, BOB, flags=9)
    run(jobs.expunge(database, (BOB, INBOX), [1], NOW))
    return database


def check(database: Database, **how: bool) -> Report:
    return run(verify(database, Blobs(database), **how))


def spoil(database: Database, statement: object) -> None:
    def fn(unit: Unit) -> None:
        unit.run(sql(statement))  # type: ignore[arg-type]

    run(database.write(fn))


def test_a_store_in_use_is_sound(used: Database) -> None:
    report = check(used)
    assert report.problems == []
    assert report.blobs == 3 and report.bytes > 300


@pytest.mark.parametrize(
    ("statement", "kind", "count"),
    [
        (update(blob_rows.blob).where(blob_rows.blob.c.id == 1).values(refs=9), "references", 1),
        (update(mailbox).where(mailbox.c.account == 7).values(messages=9, unseen=0), "counters", None),
        (update(mailbox).where(ALICES_INBOX).values(uidnext=2), "counters", 1),
        (
            update(mailbox).where(ALICES_INBOX).values(highestmodseq=1),
            "counters",
            1,
        ),
        (update(account).where(account.c.account == 8).values(used_bytes=1), "counters", 1),
    ],
)
def test_wrong_numbers_are_found_and_repaired(
    used: Database, statement: object, kind: str, count: int | None
) -> None:
    spoil(used, statement)
    report = check(used)
    assert {problem.kind for problem in report.problems} == {kind}
    assert count is None or len(report.problems) == count
    assert all(problem.repair for problem in report.problems)
    assert not check(used, repair=True).sound
    assert check(used).problems == []


def test_lost_and_changed_bytes_are_reported(used: Database) -> None:
    spoil(used, update(blob_rows.content).where(blob_rows.content.c.id == 1).values(bytes=b"other"))
    spoil(used, delete(blob_rows.content).where(blob_rows.content.c.id == 2))
    whats = [problem.what for problem in check(used, repair=True).problems]
    assert whats == ["the bytes of content 1 are not what they were", "the bytes of content 2 are gone"]
    assert len(check(used, contents=False).problems) == 1


def test_a_reference_to_nothing_is_reported(used: Database) -> None:
    spoil(used, update(message).where(message.c.account == 7, message.c.uid == 1).values(blob=999))
    kinds = [(problem.kind, problem.repair) for problem in check(used).problems]
    assert ("references", "") in kinds


def test_files_are_checked_and_old_strangers_removed(used: Database) -> None:
    blobs = Blobs(used)
    one, two = run(build(blobs, b"1" * THRESHOLD)), run(build(blobs, b"2" * THRESHOLD))
    run(used.write(keep, one, 0))
    assert check(used).problems == [], "young files may be about to get their row"
    os.utime(blobs.files.path(two.file), (1, 1))
    (problem,) = check(used, repair=True).problems
    assert problem.kind == "files" and two.file in problem.what
    blobs.files.path(one.file).write_bytes(b"short")
    (problem,) = check(used).problems
    assert problem.kind == "contents"


def test_a_backup_of_a_used_store_is_whole_and_restores_as_a_new_incarnation(
    sqlite_database: Database, tmp_path: Path
) -> None:
    database = sqlite_database
    make_account(database)
    put(database, 3)
    blobs = Blobs(database)
    large = os.urandom(THRESHOLD)
    blob_id = run(database.write(keep, run(build(blobs, large)), 0))
    before = run(database.read(mailboxes.get_by_id, ALICE, INBOX))
    assert run(backup(database, blobs, tmp_path / "copy")) == 1
    put(database, 2)
    with pytest.raises(EntryExists):
        run(backup(database, blobs, tmp_path / "copy"))
    with pytest.raises(HomeInUse):
        restore(tmp_path / "copy", database.home)
    restore(tmp_path / "copy", tmp_path / "again")
    restored = open_store(tmp_path / "again")
    try:
        assert check(restored).problems == []
        after = run(restored.read(mailboxes.get_by_id, ALICE, INBOX))
        assert after.messages == 3 and after.uidvalidity > before.uidvalidity
        assert run(Blobs(restored).read(blob_id)) == large
    finally:
        run(restored.close())
    with pytest.raises(EntryExists):
        restore(tmp_path / "copy", tmp_path / "again")


def test_no_file_is_removed_while_a_backup_runs(sqlite_database: Database) -> None:
    blobs = Blobs(sqlite_database)
    new = run(build(blobs, b"d" * THRESHOLD))
    run(sqlite_database.write(blob_rows.unlink, new.file, -1))
    with blobs.keeping_files():
        run(blobs.collect())
        assert blobs.files.path(new.file).exists()
    run(blobs.collect())
    assert not blobs.files.path(new.file).exists()
