"""Messages that arrive together are written by one statement, and as their units would write them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from imsd.errors import NoSuchMailbox, OverQuota, StoreFull, TryLater
from imsd.mail import units
from imsd.mail.envelope import Envelope, Origin
from imsd.mail.plan import Accepted, Copy, Plan
from imsd.store import arrivals, mailboxes, messages, tracking
from imsd.store.arrivals import Arrivals
from imsd.store.blobs import NewBlob, new_blob
from imsd.store.changes import Change
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId
from imsd.store.turns import TurnWriter
from protocols.message.summary import summarize
from tests.support.mail import ALICE, BOB, NOW, make_account
from tests.support.stores import open_store, run

NOBODY = AccountId(99)


def letter(subject: str, body: str = "hello") -> NewBlob:
    text = f"From: a@example.org\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\n{body}\r\n"
    return new_blob(text.encode(), summarize(text.encode()))


class Mail:
    """Deliveries to one store; together: as arrivals."""

    def __init__(self, database: Database, together: bool = True) -> None:
        self.db = database
        self.together = together
        self.heard: list[Change] = []
        make_account(database)
        make_account(database, BOB)
        database.feed.watch_all(self.heard.append)

    def send(self, account: AccountId, content: NewBlob) -> Deferred[Accepted]:
        copy = Copy(account, f"{account}@example.test", head="X-Head: yes\r\n")
        plan = Plan({(account, ""): copy}, size=content.size)
        envelope = Envelope("s\ud800@example.org", (), origin=Origin("ESMTP", "192.0.2.1", "c"), tls="yes")
        arrival = units.arriving(plan, envelope, content, "Q") if self.together else None
        assert (arrival is not None) is self.together
        return self.db.write(units.accept, plan, envelope, content, "Q", 3600, arrival=arrival)

    def subjects(self, account: AccountId = ALICE) -> list[bytes]:
        rows = run(self.db.read(messages.rows, account, INBOX, list(range(1, 99))))
        assert [row.uid for row in rows] == list(range(1, len(rows) + 1))
        return [run(self.db.read(_subject, row.blob)) for row in rows]


def _subject(tx: Any, blob: int) -> bytes:
    return tx._execute("SELECT subject FROM blob WHERE id = ?", (blob,)).fetchone()[0]  # type: ignore[no-any-return]


@pytest.fixture
def mail(sqlite_database: Database) -> Mail:
    return Mail(sqlite_database)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each statement was to write."""
    counts: list[int] = []
    write = Arrivals.write

    def counted(self: Arrivals, given: Any) -> None:
        counts.append(len(given))
        write(self, given)

    monkeypatch.setattr(Arrivals, "write", counted)
    return counts


def _dump(tx: Any) -> dict[str, list[Any]]:
    tables = ("mailbox", "account", "blob", "content", "message", "tracking", "counter", "sqlite_sequence")
    return {name: tx._execute(f"SELECT * FROM {name}", ()).fetchall() for name in tables}


def test_it_writes_and_tells_what_the_units_do(
    tmp_path: Path, store_reactor: object, monkeypatch: pytest.MonkeyPatch, statements: list[int]
) -> None:
    for module in ("imsd.mail.units", "imsd.store.blob_rows"):
        monkeypatch.setattr(f"{module}.now", lambda: NOW)
    written = []
    for together in (False, True):
        database = open_store(tmp_path / str(together))
        mail = Mail(database, together)
        given = [mail.send(each, letter(f"n{n}")) for n, each in enumerate((ALICE, BOB, ALICE, ALICE))]
        results = [run(each) for each in given]
        written.append((run(database.read(_dump)), mail.heard, results))
        run(database.close())
    assert statements == [4]
    (one, one_heard, one_results), (other, other_heard, other_results) = written
    for name, rows in one.items():
        assert sorted(other[name], key=repr) == sorted(rows, key=repr), name
    assert len(one["message"]) == 4
    assert len(one["tracking"]) == 8
    assert (other_heard, other_results) == (one_heard, one_results)


def test_one_over_quota_hinders_nobody(mail: Mail, statements: list[int]) -> None:
    run(mail.db.write(mailboxes.set_quota, BOB, 10, 0))
    to = (ALICE, BOB, ALICE)
    first, refused, last = (mail.send(each, letter(f"n{n}")) for n, each in enumerate(to))
    with pytest.raises(OverQuota):
        run(refused)
    assert run(first).delivered == run(last).delivered == 1
    assert mail.subjects() == [b"n0", b"n2"]
    assert mail.subjects(BOB) == []
    assert statements == [3]


def test_a_quota_of_messages_is_counted_within_the_statement(mail: Mail, statements: list[int]) -> None:
    run(mail.db.write(mailboxes.set_quota, ALICE, 0, 2))
    given = [mail.send(ALICE, letter(str(n))) for n in range(3)]
    with pytest.raises(OverQuota):
        run(given[2])
    assert mail.subjects() == [b"0", b"1"]
    assert statements == [3]


def test_who_has_no_inbox_gets_nothing(mail: Mail) -> None:
    nobody, alice = mail.send(NOBODY, letter("a")), mail.send(ALICE, letter("b"))
    with pytest.raises(NoSuchMailbox):
        run(nobody)
    run(alice)
    assert mail.subjects() == [b"b"]


def test_content_that_is_there_is_stored_once(mail: Mail) -> None:
    given = [mail.send(ALICE, letter("a")), mail.send(BOB, letter("a")), mail.send(BOB, letter("b"))]
    for each in given:
        run(each)
    assert mail.subjects() == [b"a"]
    assert sorted(mail.subjects(BOB)) == [b"a", b"b"]
    assert [row[3] for row in run(mail.db.read(_dump))["blob"]] == [2, 1]


def test_more_than_a_statement_holds_are_several(mail: Mail, statements: list[int]) -> None:
    given = [mail.send(ALICE, letter(str(n))) for n in range(arrivals.MOST + 1)]
    for each in given:
        run(each)
    assert mail.subjects() == [b"%d" % n for n in range(arrivals.MOST + 1)]
    assert statements == [arrivals.MOST, 1]


def test_arrivals_keep_their_place_among_units(mail: Mail, statements: list[int]) -> None:
    first = mail.send(ALICE, letter("a"))
    between = mail.db.write(mailboxes.set_quota, ALICE, 0, 1)
    last = mail.send(ALICE, letter("b"))
    run(first)
    run(between)
    with pytest.raises(OverQuota):
        run(last)
    assert mail.subjects() == [b"a"]
    assert statements[0] == 1


class Failing:
    """A connection on which the next INSERT of arrivals fails so."""

    def __init__(self, raw: sqlite3.Connection, error: Exception) -> None:
        self._raw = raw
        self._error: Exception | None = error

    def execute(self, statement: str, *rest: Any) -> Any:
        if statement.startswith("INSERT INTO arrival") and self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._raw.execute(statement, *rest)


def fail(database: Database, code: int) -> None:
    (writer,) = database._writers
    assert isinstance(writer, TurnWriter)
    assert writer._arrivals is not None
    error = sqlite3.OperationalError("it fails")
    error.sqlite_errorcode = code
    writer._arrivals._raw = Failing(writer._arrivals._raw, error)  # type: ignore[assignment]


def test_a_statement_that_has_done_nothing_leaves_it_to_the_units(mail: Mail) -> None:
    fail(mail.db, sqlite3.SQLITE_FULL)
    given = [mail.send(ALICE, letter("a")), mail.send(NOBODY, letter("b")), mail.send(ALICE, letter("c"))]
    assert run(given[0]).delivered == 1
    with pytest.raises(NoSuchMailbox):
        run(given[1])
    run(given[2])
    assert mail.subjects() == [b"a", b"c"]


def test_where_nobody_knows_everybody_is_to_try_again(mail: Mail) -> None:
    fail(mail.db, sqlite3.SQLITE_IOERR)
    given = [mail.send(ALICE, letter("a")), mail.send(BOB, letter("b"))]
    for each in given:
        with pytest.raises(TryLater):
            run(each)
    run(mail.send(ALICE, letter("c")))
    assert mail.subjects() == [b"c"]


def test_a_full_disk_is_said(mail: Mail) -> None:
    pages = run(mail.db.write(_bound_pages))
    with pytest.raises(StoreFull):
        run(mail.send(ALICE, letter("a", "x" * 100_000)))
    run(mail.db.write(_bound_pages, pages + 10_000))
    run(mail.send(ALICE, letter("b")))
    assert mail.subjects() == [b"b"]


def _bound_pages(unit: Any, most: int = 0) -> int:
    """Let the file grow to so many pages, or to no more than it has."""
    (pages,) = unit._execute("PRAGMA page_count", ()).fetchone()
    unit._execute(f"PRAGMA max_page_count={most or pages}", ()).fetchone()
    return int(pages)


@pytest.mark.parametrize(
    "change",
    [
        {"remote": {"x@example.org": None}},
        {"events": [("redirected", "a", "b")]},
        {"later": [Copy(BOB, "b@example.test")]},
        {"local": {(ALICE, ""): Copy(ALICE, "a"), (BOB, ""): Copy(BOB, "b")}},
        {"local": {(ALICE, "Team"): Copy(ALICE, "a", "Team")}},
        {"local": {(ALICE, ""): Copy(ALICE, "a", notify=("SUCCESS",))}},
        {"local": {(ALICE, ""): Copy(ALICE, "a", head="X: y\r\n" * 1000)}},
    ],
)
def test_what_is_more_than_one_copy_for_an_inbox_is_no_arrival(change: dict[str, Any]) -> None:
    plan = Plan(**({"local": {(ALICE, ""): Copy(ALICE, "a")}} | change))
    assert units.arriving(plan, Envelope("", ()), letter("a"), "Q") is None


def test_every_column_is_written() -> None:
    """A column that a migration adds must be thought of here, too, unless it has a default."""
    known = set(arrivals._ROW)
    for table in (messages.t.message, tracking.tracking):
        needed = {c.name for c in table.c if not c.nullable and c.server_default is None}
        assert needed <= set(" ".join(arrivals._PREPARE).replace(",", " ").replace("(", " ").split()) | known
