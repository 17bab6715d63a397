"""Journals: who gets a copy of what, and what becomes of it when the journal cannot have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.mail.envelope import Addressee, Origin
from imsd.store import messages, tracking
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]

OUTSIDE = Origin("ESMTP", "198.51.100.7", "out.test")


class Journaled(World):
    def __init__(self, database: Database, reactor: MailReactor) -> None:
        super().__init__(database, reactor)
        self.journal = self._person("journal")
        self.set(hooks__journal_in="journal@example.test", hooks__journal_out="journal@example.test")

    def here(self, alias: str = "alice") -> Addressee:
        address = f"{alias}@example.test"
        return Addressee(address, self.directory.known[address])

    def texts(self, account: AccountId | None = None) -> list[bytes]:
        rows = run(self.db.read(messages.rows, account or self.journal, INBOX, list(range(1, 9))))
        return [row.prefix + run(self.blobs.read(row.blob)) for row in rows]


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[Journaled]:
    made = Journaled(sqlite_database, store_reactor)
    run(made.runner.start())
    yield made
    run(made.runner.stop())


def test_what_comes_in_and_what_leaves_is_in_the_journal_with_its_envelope(world: Journaled) -> None:
    world.send(world.here(), sender="x@out.test", origin=OUTSIDE)
    world.send("x@far.test", "y@near.test", account=world.alice)
    world.send(world.here("root"), account=world.alice)  # Stays among us: neither.
    world.work()
    came, left = world.texts()
    assert came.startswith(
        b"Return-Path: <>\r\nDelivered-To: journal@example.test\r\n"
        b"X-Envelope-From: <x@out.test>\r\nX-Envelope-To: <alice@example.test>\r\nFrom: "
    )
    assert b"X-Envelope-To: <x@far.test>\r\nX-Envelope-To: <y@near.test>\r\n" in left
    # Who it was for hears nothing of it.
    assert b"X-Envelope" not in world.far.got[0].data + world.texts(world.alice)[0]
    events = run(world.db.read(lambda tx: tracking.query(tx, event="journaled")))
    assert [event.recipient for event in events] == ["journal@example.test"] * 2


def test_reports_are_journaled_where_that_is_asked_for(world: Journaled) -> None:
    world.send(world.here(), sender="", origin=OUTSIDE)
    assert world.texts() == []
    world.set(hooks__journal_in="journal@example.test", hooks__journal_reports=True)
    world.send(world.here(), sender="", origin=OUTSIDE)
    assert len(world.texts()) == 1


def test_a_journal_elsewhere_gets_a_message_of_its_own(world: Journaled) -> None:
    world.set(hooks__journal_out="archive@near.test")
    world.send("x@far.test", account=world.alice)
    world.work()
    (copy,) = world.near.got
    assert copy.mail.startswith("<>")
    assert copy.rcpt == ["<archive@near.test> NOTIFY=NEVER"]
    assert copy.data.startswith(b"X-Envelope-From: <alice@example.test>\r\nX-Envelope-To: <x@far.test>\r\n")
    assert world.far.got[0].mail.startswith("<alice@example.test>")
    # One that refuses is nobody's report.
    world.near.refuse["archive@near.test"] = "550 5.1.1 no"
    world.send("x@far.test", account=world.alice)
    world.work()
    assert world.texts(world.alice) == []


def test_a_full_journal_keeps_no_mail_from_anybody(world: Journaled) -> None:
    world.directory.largest[world.journal] = 10
    world.send(world.here(), sender="x@out.test", origin=OUTSIDE)
    assert len(world.texts(world.alice)) == 1
    assert world.queued() == {"journal@example.test": State.WAITING}
    world.directory.largest.clear()
    world.work()
    assert b"X-Envelope-To: <alice@example.test>" in world.texts()[0]


def test_a_journal_that_is_nobody_costs_nobody_his_mail(world: Journaled) -> None:
    world.set(hooks__journal_in="gone@example.test")
    world.send(world.here(), sender="x@out.test", origin=OUTSIDE)
    assert len(world.texts(world.alice)) == 1


def test_many_recipients_are_counted(world: Journaled) -> None:
    many = tuple(Addressee(f"{number:03}{'n' * 60}@far.test") for number in range(60))
    world.send(*many, account=world.alice)
    assert b"X-Envelope-To: (60 recipients)\r\nFrom:" in world.texts()[0]
