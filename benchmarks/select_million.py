"""SELECT of a mailbox with a million messages, cold: at most 150 ms is the goal.

    python -m benchmarks.select_million [messages]

Makes the rows directly (a few bytes of content shared by all), reads the mailbox once from
rows, writes its pack, then opens it with empty indexes and says how long that took and what
the longest turn of the reactor was. Garbage is collected as the server does it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import bindparam, update
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred

from imsd.auth.account import Account
from imsd.garbage import Garbage
from imsd.sessions.imap4.account import ImapAccount
from imsd.sessions.imap4.held import Mailstore
from imsd.settings import PAGES, LiveSettings
from imsd.store import blob_rows, mailbox_tables, mailboxes, messages
from imsd.store.blobs import Blobs, new_blob
from imsd.store.database import Database
from imsd.store.flags import SEEN, IndexRow
from imsd.store.ids import INBOX, AccountId, EntryId
from imsd.store.index import MailboxIndexes
from imsd.store.sql import sql
from imsd.store.transaction import Unit
from protocols.imap4.dialect import PLAIN
from protocols.imap4.sets import SequenceSet
from protocols.message.summary import summarize

ALICE = AccountId(7)
STEP = 20_000
_m = mailbox_tables.mailbox.c
_SET = sql(
    update(mailbox_tables.mailbox)
    .where(_m.account == bindparam("a"), _m.mailbox == bindparam("m"))
    .values(uidnext=bindparam("next_uid"), messages=bindparam("count"), highestmodseq=bindparam("modseq"))
)


def fill(unit: Unit, start: int, stop: int) -> None:
    data = b"Subject: one of very many\r\n\r\nx\r\n"
    blob = blob_rows.keep(unit, new_blob(data, summarize(data)), stop - start)
    rows = [IndexRow(uid, SEEN, 0, uid, len(data), uid * 1_000_000, blob) for uid in range(start, stop)]
    messages.insert_messages(unit, ALICE, INBOX, rows, [row.uid for row in rows], [b""] * len(rows), start)
    unit.run(_SET, a=ALICE, m=INBOX, next_uid=stop, count=stop - 1, modseq=stop)


class Turns:
    """The longest time between two turns that are asked for every millisecond."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._turn()

    def _turn(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last - 0.001)
        self._last = now
        reactor.callLater(0.001, self._turn)

    def reset(self) -> None:
        self._last, self.longest = time.perf_counter(), 0.0


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = await Database.open("sqlite", Path(folder) / "home", reactor)
        await db.write(mailboxes.create_account_mailboxes, ALICE, 1_700_000_000_000_000)
        for start in range(1, count + 1, STEP):
            await db.write(fill, start, min(start + STEP, count + 1))
        garbage = Garbage(reactor)
        garbage.start()
        turns = Turns()
        for title in ("from rows", "from the pack", "from the pack again"):
            held = Mailstore(db, Blobs(db), MailboxIndexes(db, 1 << 30), None, LiveSettings(PAGES), reactor)
            account = ImapAccount(held, Account(ALICE, EntryId(7), "", (), 1, False, 1, ALICE))
            turns.reset()
            started = time.perf_counter()
            cpu = time.process_time()
            view = await account.select("INBOX", False, PLAIN)
            first = view.first_unseen, view.exists
            took = time.perf_counter() - started
            cpu = time.process_time() - cpu
            print(
                f"{title}: {first[1]} messages, {took * 1000:.0f} ms ({cpu * 1000:.0f} ms of CPU), "
                f"longest turn {turns.longest * 1000:.1f} ms, {view.index.memory >> 20} MiB"
            )
            turns.reset()
            started = time.perf_counter()
            rows = sum(len(batch) for batch in view.rows(SequenceSet(((1, 10_000),))))
            print(f"  FETCH 1:{rows} FLAGS rows: {(time.perf_counter() - started) * 1000:.1f} ms")
            if title == "from rows":
                await held.indexes.save(ALICE, INBOX)
                # The pack may be under way already, begun when the rows had been read.
                while any(keeper._saving for keeper in held.indexes._keepers.values()):
                    await held.breath()
            view.close()
            held.indexes.close()
        garbage.stop()
        await db.close()


def run() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000

    def failed(failure: object) -> None:
        failure.printTraceback()  # type: ignore[attr-defined]

    reactor.callWhenRunning(
        lambda: ensureDeferred(main(count)).addErrback(failed).addBoth(lambda _: reactor.stop())
    )
    reactor.run()


if __name__ == "__main__":
    run()
