"""POP3 over a real store: the maildrop is what the Inbox holds at login."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport

from imsd.errors import AuthenticationFailed, LoginTooSoon, MailboxInUse, ProtocolOff
from imsd.sessions.pop3 import REMOVE_AT_ONCE, Maildrop, Pop3Door
from imsd.store import acl, credentials, mailboxes, messages, moving
from imsd.store.blobs import Blobs, new_blob
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId, MailboxId
from imsd.store.index import MailboxIndexes
from protocols.pop3.server import Server
from tests.auth.fakes import LOOPBACK, Office
from tests.support.mail import NOW, make_account, put
from tests.support.stores import run

ALICE, BOB = AccountId(1), AccountId(2)


class Post:
    """A POP3 door for alice (1) and bob (2)."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.office = Office(database)
        self.office.give_password(1, "alice alice")
        self.indexes = MailboxIndexes(database)
        self.blobs = Blobs(database)
        self.door = Pop3Door(
            database,
            self.indexes,
            self.blobs,
            self.office.authenticator,
            self.office.settings,
            database.reactor,
            "pop.example.test",
        )
        make_account(database, ALICE)

    def set(self, **values: Any) -> None:
        self.office.settings.replace({f"pop3.{name}": json.dumps(value) for name, value in values.items()})

    def open(self, ended: Any = lambda: None) -> Maildrop:
        return run(self.door.open(self.office.login("alice", "alice alice"), ended))

    def content(self, drop: Maildrop, index: int) -> bytes:
        async def whole() -> bytes:
            return b"".join([piece async for piece in drop.content(index)])

        return run(whole())

    def uids(self) -> list[int]:
        drop = self.open()
        drop.close()
        return list(drop._uids)


def test_the_inbox_and_nothing_else(database: Database) -> None:
    post = Post(database)
    put(database, 3, ALICE)
    other = run(database.write(mailboxes.create, ALICE, "Other", NOW))
    put(database, 2, ALICE, other.id)
    drop = post.open()
    assert len(drop.sizes) == 3
    for index in range(3):
        content = post.content(drop, index)
        assert len(content) == drop.sizes[index]
        assert content.endswith(b"hello %d\r\n" % index)


def test_the_prefix_of_a_copy_goes_first(database: Database) -> None:
    post = Post(database)
    blob = new_blob(b"Subject: x\r\n\r\nbody\r\n")
    copy = messages.Delivery(ALICE, b"Return-Path: <a@example.net>\r\n")
    run(database.write(messages.deliver, [copy], blob, NOW))
    drop = post.open()
    assert post.content(drop, 0) == b"Return-Path: <a@example.net>\r\nSubject: x\r\n\r\nbody\r\n"
    assert drop.sizes[0] == len(post.content(drop, 0))


def test_one_session_at_a_time(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    drop = post.open()
    with pytest.raises(MailboxInUse):
        post.open()
    drop.close()
    drop.close()
    post.open().close()


def test_unique_ids_stay(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    put(sqlite_database, 3, ALICE)
    drop = post.open()
    before = [drop.unique_id(index) for index in range(3)]
    assert run(drop.remove([0]))
    drop.close()
    put(sqlite_database, 1, ALICE)
    drop = post.open()
    after = [drop.unique_id(index) for index in range(3)]
    assert after[:2] == before[1:] and after[2] not in before
    assert all(0 < len(one) <= 70 for one in after)


def test_removal_frees_the_messages_and_no_others(database: Database) -> None:
    post = Post(database)
    put(database, 4, ALICE)
    drop = post.open()
    put(database, 1, ALICE)
    assert run(drop.remove([0, 2]))
    drop.close()
    assert post.uids() == [2, 4, 5]


def test_removal_of_many_is_done_in_small_units(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    count = REMOVE_AT_ONCE * 2 + 5
    put(sqlite_database, count, ALICE)
    drop = post.open()
    assert run(drop.remove(range(count)))
    drop.close()
    assert post.uids() == []


def test_what_others_expunge_keeps_its_number(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    put(sqlite_database, 3, ALICE)
    drop = post.open()
    run(sqlite_database.write(_expunge, ALICE, INBOX, [2]))
    assert post.content(drop, 2).endswith(b"hello 2\r\n")
    assert post.content(drop, 1).endswith(b"hello 1\r\n"), "kept for those who still see it"
    assert run(drop.remove([1, 2]))
    drop.close()
    assert post.uids() == [1]


def _expunge(unit: Any, account: AccountId, mailbox: MailboxId, uids: list[int]) -> None:
    moving.expunge(unit, account, mailbox, uids, NOW, only_deleted=False)


def test_newest_first(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    put(sqlite_database, 3, ALICE)
    post.set(order="newest_first")
    drop = post.open()
    assert post.content(drop, 0).endswith(b"hello 2\r\n")
    assert drop.unique_id(0).endswith(b".3")
    assert run(drop.remove([0]))
    drop.close()
    assert post.uids() == [2, 1]


def test_switched_off(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    post.set(enabled=False)
    with pytest.raises(ProtocolOff):
        post.open()


def test_login_delay(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    post.set(login_delay=60)
    assert post.door.login_delay() == 60
    post.open().close()
    sqlite_database.reactor.advance(59)
    with pytest.raises(LoginTooSoon) as caught:
        post.open()
    explained = post.door.explain(caught.value)
    assert explained is not None and explained.code == b"LOGIN-DELAY"
    sqlite_database.reactor.advance(2)
    post.open().close()


def test_a_person_without_a_mailbox_leaves_no_lock(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    run(sqlite_database.write(mailboxes.delete_account_mailboxes, ALICE, NOW))
    for _ in range(2):
        with pytest.raises(Exception, match="No such mailbox"):
            post.open()


def test_the_session_of_a_disabled_account_ends(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    heard: list[str] = []
    drop = post.open(lambda: heard.append("ended"))
    post.office.settle()
    assert heard == []
    post.office.change(1, disabled=True)
    post.office.settle()
    assert heard == ["ended"]
    drop.close()


def test_a_reader_of_anothers_inbox_does_not_keep_its_owner_out(database: Database) -> None:
    post = Post(database)
    post.office.give_password(2, "bob bob b")
    put(database, 1, ALICE)
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lr"))
    opening = post.door.authenticator
    bob = run(opening.password("", "EXAMPLE/bob/alice", "bob bob b", LOOPBACK))
    heard: list[str] = []
    his = run(post.door.open(bob, lambda: heard.append("ended")))
    hers = post.open()
    # She holds the lock, and keeps it when he goes.
    his.close()
    with pytest.raises(MailboxInUse):
        post.open()
    hers.close()
    # What he may do later does not help a session without a lock.
    his = run(post.door.open(bob, lambda: heard.append("ended")))
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lrte"))
    assert not run(his.remove([0]))
    with_lock = run(post.door.open(bob, lambda: None))
    with pytest.raises(MailboxInUse):
        post.open()
    with_lock.close()
    post.office.settle()
    assert heard == []
    run(database.write(acl.grant, ALICE, INBOX, BOB, ""))
    post.office.settle()
    assert heard == ["ended"]
    his.close()
    post.open().close()


def test_a_whole_conversation(sqlite_database: Database) -> None:
    post = Post(sqlite_database)
    put(sqlite_database, 2, ALICE)
    with pytest.raises(AuthenticationFailed):
        post.office.login("alice", "wrong")
    post.office.login("alice", "alice alice")  # both are remembered: nothing below waits for a hash
    transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 4321))
    server = Server(post.door, sqlite_database.reactor)
    server.makeConnection(transport)
    server.dataReceived(
        b"USER alice\r\nPASS wrong\r\nUSER alice\r\nPASS alice alice\r\nSTAT\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n"
    )
    for _ in range(50):
        run(sqlite_database.write(credentials.server_key))
        sqlite_database.reactor.advance(0)
        if transport.disconnecting:
            break
    heard = transport.value().split(b"\r\n")
    assert heard[2] == b"-ERR [AUTH] Authentication failed"
    assert heard[4].startswith(b"+OK Maildrop has 2 messages")
    assert heard[-3:] == [b"+OK Message 1 deleted", b"+OK Bye", b""]
    assert post.uids() == [2]
