"""Messages that arrive together, written by one statement (SQLite; PostgreSQL runs their units).

A delivery by its unit is nine statements, each with values around it that Python makes, on the reactor.
Nearly all mail is for one person's INBOX and small; of such messages a whole group is one INSERT into a
view, whose trigger does for each row what the unit would do. That statement is its own transaction: it
runs, commits and syncs in the writer's thread, which lets go of the interpreter's lock once.

1. A row that the trigger leaves out (no such mailbox, over quota, no UIDs left, content that is stored
   already) is not in `arrived`. Its unit is run then, and says why, or does what is to be done.
2. A statement that fails has done nothing, or nobody knows, as with COMMIT (imsd.store.writer, rule 4).
3. What the trigger writes is what `imsd.mail.units.accept` writes; tests/store/test_arrivals.py holds
   them to each other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from imsd.store.blob_rows import SUMMARY, NewBlob, summary_columns
from imsd.store.changes import MailboxScope, MessagesAdded
from imsd.store.flags import IndexRow
from imsd.store.ids import INBOX, AccountId, BlobId, ModSeq, Uid
from imsd.store.tables import clean
from protocols.values import value

MOST: Final = 32
"""Rows of one statement. Each count that occurs is prepared once."""

_ROW: Final = (
    "n", "account", "hash", "size", "octets", "time", "bytes", "prefix", "queue_id", "from_path", "recipient",
    "reason", "peer", *SUMMARY,
)  # fmt: skip
"""octets: size with the prefix."""


def _quoted(names: Sequence[str], before: str = "") -> str:
    return ", ".join(f'{before}"{name}"' for name in names)


# What is in the trigger is quoted where it is a word of SQL.
_MAILBOX = f"account = NEW.account AND mailbox = {INBOX}"
_EVENT = "time, event, queue_id, message_id, sender, recipient, reason, peer, size"

_PREPARE: Final = (
    "CREATE TEMP TABLE arrived "
    "(n INTEGER PRIMARY KEY, uid INTEGER, modseq INTEGER, octets INTEGER, blob INTEGER)",
    "CREATE TEMP VIEW arrival AS SELECT " + ", ".join(f'NULL AS "{name}"' for name in _ROW),
    f"""CREATE TEMP TRIGGER arrive INSTEAD OF INSERT ON arrival
    WHEN EXISTS (
        SELECT 1 FROM main.mailbox AS m JOIN main.account AS a ON a.account = m.account
        WHERE m.account = NEW.account AND m.mailbox = {INBOX} AND m.selectable = 1 AND m.uidnext < {1 << 32}
        AND (a.quota_bytes = 0 OR a.used_bytes + NEW.octets <= a.quota_bytes)
        AND (a.quota_messages = 0 OR a.used_messages + 1 <= a.quota_messages)
    ) AND NOT EXISTS (SELECT 1 FROM main.blob WHERE hash = NEW.hash)
    BEGIN
        UPDATE mailbox SET uidnext = uidnext + 1, highestmodseq = highestmodseq + 1, messages = messages + 1,
            unseen = unseen + 1, bytes = bytes + NEW.octets WHERE {_MAILBOX};
        UPDATE account SET used_bytes = used_bytes + NEW.octets, used_messages = used_messages + 1,
            next_email = next_email + 1 WHERE account = NEW.account;
        INSERT INTO blob (hash, size, refs, released, created, file, {_quoted(SUMMARY)})
            VALUES (NEW.hash, NEW.size, 1, 0, NEW.time, '', {_quoted(SUMMARY, "NEW.")});
        INSERT INTO content (id, bytes) VALUES (last_insert_rowid(), NEW.bytes);
        INSERT INTO message (account, mailbox, uid, modseq, blob, size, date, saved, email, flags, keywords,
            more_keywords, prefix)
            SELECT m.account, m.mailbox, m.uidnext - 1, m.highestmodseq, last_insert_rowid(), NEW.octets,
                NEW.time, NEW.time, a.next_email - 1, 0, 0, NULL, NEW.prefix
            FROM mailbox AS m JOIN account AS a ON a.account = m.account
            WHERE m.account = NEW.account AND m.mailbox = {INBOX};
        INSERT INTO arrived SELECT NEW.n, uidnext - 1, highestmodseq, NEW.octets, last_insert_rowid()
            FROM mailbox WHERE {_MAILBOX};
        INSERT INTO tracking ({_EVENT}) VALUES (NEW.time, 'accepted', NEW.queue_id, NEW."message_id",
            NEW.from_path, '', NEW.reason, NEW.peer, NEW.size);
        INSERT INTO tracking ({_EVENT}) VALUES (NEW.time, 'delivered', NEW.queue_id, NEW."message_id",
            NEW.from_path, NEW.recipient, '', NEW.peer, NEW.size);
    END""",
)


@value(frozen=True, slots=True)
class Arrival:
    """A message for one INBOX, as its row. result: what its unit would return."""

    account: AccountId
    time: int
    row: tuple[Any, ...]
    result: Any

    def change(self, uid: int, modseq: int, octets: int, blob: int) -> MessagesAdded:
        """What others hear of it."""
        row = IndexRow(Uid(uid), 0, 0, ModSeq(modseq), octets, self.time, BlobId(blob))
        scope = MailboxScope(self.account, INBOX)
        return MessagesAdded(scope, modseq - 1, modseq, (row,))


def arrival(
    account: AccountId,
    content: NewBlob,
    prefix: bytes,
    time: int,
    queue_id: str,
    sender: str,
    recipient: str,
    reason: str,
    peer: str,
    result: Any,
) -> Arrival:
    """prefix: the copy's own header fields; the rest is what is tracked (imsd.store.tracking.Event). The
    content is in memory."""
    size = content.size
    row = (
        account, content.sha256, size, size + len(prefix), time, content.data, prefix, queue_id,
        clean(sender), clean(recipient), clean(reason), peer, *summary_columns(content.summary),
    )  # fmt: skip
    return Arrival(account, time, row, result)


@cache
def _insert(count: int) -> str:
    row = f"({', '.join('?' * len(_ROW))})"
    return f"INSERT INTO arrival VALUES {', '.join([row] * count)}"


class Arrivals:
    """The view on the writer's connection."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._prepared = False

    def write(self, arrivals: Sequence[Arrival]) -> None:
        """Write these, in their order. They are durable when it returns."""
        if not self._prepared:
            for statement in _PREPARE:
                self._raw.execute(statement)
            self._prepared = True
        values = [value for n, each in enumerate(arrivals) for value in (n, *each.row)]
        self._raw.execute(_insert(len(arrivals)), values)

    def written(self) -> list[tuple[int, int, int, int, int]]:
        """Of those written last, but for who was left out: place, UID, mod-sequence, octets, content."""
        rows: list[tuple[int, int, int, int, int]] = self._raw.execute("SELECT * FROM arrived").fetchall()
        self._raw.execute("DELETE FROM arrived")
        return rows
