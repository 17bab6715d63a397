"""Every state of the crash table (imsd.store): the process is killed there, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imsd.store import claims, fanout, housekeeping, mailboxes, spool, tracking
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import INBOX
from imsd.store.verify import verify
from tests.store.crash_child import STEPS
from tests.support.mail import ALICE, BOB, NOW, make_account
from tests.support.stores import StoreReactor, open_store, run

ROOT = Path(__file__).parent.parent.parent

# Failpoint, the last step the child told of, messages of Alice and Bob, queue rows, copies to make.
POINTS = [
    ("blob.file-synced", "", (0, 0, 0, 0)),
    ("blob.file-named", "", (0, 0, 0, 0)),
    ("writer.before-commit:1", "built", (0, 0, 0, 0)),
    ("writer.after-commit:1", "built", (1, 0, 1, 1)),
    ("writer.before-commit:2", "accepted", (1, 0, 1, 1)),
    ("writer.after-commit:2", "accepted", (1, 0, 1, 1)),
    ("writer.before-commit:3", "claimed", (1, 0, 1, 1)),
    ("writer.after-commit:3", "claimed", (1, 0, 0, 1)),
    ("writer.before-commit:4", "relayed", (1, 0, 0, 1)),
    ("writer.after-commit:4", "relayed", (1, 1, 0, 0)),
    ("writer.before-commit:5", "copied", (1, 1, 0, 0)),
    ("writer.after-commit:6", "copied", (0, 0, 0, 0)),
    ("writer.before-commit:7", "expunged", (0, 0, 0, 0)),
    ("writer.after-commit:7", "expunged", (0, 0, 0, 0)),
    ("writer.before-commit:9", "released", (0, 0, 0, 0)),
    ("writer.after-commit:9", "released", (0, 0, 0, 0)),
    ("blob.file-removed", "released", (0, 0, 0, 0)),
]


def state(database: Database) -> tuple[int, int, int, int]:
    counts = [run(database.read(mailboxes.get_by_id, account, INBOX)).messages for account in (ALICE, BOB)]
    queued = sum(count for _, _, count, _ in run(database.read(spool.by_domain)))
    copies = len(run(database.read(fanout.pending)))
    return counts[0], counts[1], queued, copies


@pytest.mark.parametrize(("point", "told", "expected"), POINTS, ids=[each[0] for each in POINTS])
def test_what_was_told_is_true_and_nothing_is_half(
    point: str,
    told: str,
    expected: tuple[int, int, int, int],
    database_url: str,
    tmp_path: Path,
    store_reactor: StoreReactor,
) -> None:
    home = tmp_path / "home"
    database = open_store(home, database_url)
    make_account(database)
    make_account(database, BOB)
    run(database.close())
    child = subprocess.run(
        [sys.executable, "-m", "tests.store.crash_child", str(home), database_url],
        cwd=ROOT,
        env={**os.environ, "IMSD_FAILPOINT": point, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    said = child.stdout.split()
    assert said == list(STEPS[: STEPS.index(told) + 1 if told else 0])
    database = open_store(home, database_url)
    try:
        check(database, expected, accepted=point not in [each[0] for each in POINTS[:3]])
    finally:
        run(database.close())


def check(database: Database, expected: tuple[int, int, int, int], accepted: bool) -> None:
    blobs = Blobs(database)
    run(housekeeping.begin(database))
    assert state(database) == expected
    assert run(verify(database, blobs)).problems == []
    tracked = run(database.read(lambda tx: tracking.query(tx, queue_id="Q1")))
    assert bool(tracked) == accepted
    if expected[2] and database.dialect == 0:
        (claim,) = run(database.write(claims.claim_due, NOW + 5, 10))
        assert claim.recipients[0].address == "far@far.test", "a dead process's claim is free"
    if not any(expected[2:]) and not any(expected[:2]) and database.dialect == 0:
        # Nothing refers to the content: housekeeping leaves no file behind.
        run(housekeeping.tidy(database, blobs, NOW + 10**15))
        run(blobs.collect(age=-1_000_000, grace=-1))
        run(blobs.sweep())
        assert [path for path in blobs.files.root.rglob("*") if path.is_file()] == []
