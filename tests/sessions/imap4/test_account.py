"""Names, namespaces, rights and APPEND of an account."""

import pytest
from zope.interface.verify import verifyObject

from imsd.auth.account import Account
from imsd.errors import (
    MailboxExists,
    MailboxHasChildren,
    NoSuchMailbox,
    NotPermitted,
    OverQuota,
    TooLarge,
    UnsupportedUse,
)
from imsd.sessions.imap4.door import ImapDoor
from imsd.sessions.imap4.held import AccountEnded
from imsd.sessions.refusals import row_of
from imsd.store import acl, mailboxes, messages
from imsd.store.ids import INBOX, PUBLIC, AccountId, EntryId
from imsd.store.mailbox_tables import message as message_table
from protocols.imap4.interfaces import IAccount, IAppend, IDoor, IView
from tests.support.imap import EVERY, flat, mailstore, number_set, select, session
from tests.support.mail import ALICE, BOB, make_account, put
from tests.support.stores import run

ROOT = AccountId(9)


@pytest.fixture
def held(database):
    make_account(database)
    make_account(database, BOB)
    return mailstore(database)


def names(account, prefix="", subscribed=False):
    return [listed.name for listed in run(account.mailboxes(prefix, subscribed))]


def append(account, name, data=b"Subject: x\r\n\r\nbody\r\n", flags=(), date=None):
    sink = run(account.append(name, flags, date, len(data)))
    waiting = sink.write(data)
    if waiting is not None:
        run(waiting)
    return run(sink.finish())


def test_sessions_have_what_the_protocol_asks_for(held, database):
    put(database)
    alice = session(held)
    verifyObject(IDoor, ImapDoor(held, None))
    verifyObject(IAccount, alice)
    verifyObject(IView, select(alice))
    sink = run(alice.append("INBOX", (), None, 10))
    verifyObject(IAppend, sink)
    sink.abandon()


def test_list_has_attributes_and_children(held):
    alice = session(held)
    run(alice.create("Work/2026", ()))
    listed = {each.name: each for each in run(alice.mailboxes("", False))}
    assert listed["Sent"].attributes == (b"\\Sent",)
    assert listed["Work"].children and not listed["Work/2026"].children
    assert listed["INBOX"].subscribed and not listed["Work"].subscribed
    assert names(alice, "Wor") == ["Work", "Work/2026"]
    assert names(alice, "INBOX") == ["INBOX"]


def test_subscribed_names_may_not_exist(held):
    alice = session(held)
    run(alice.create("x", ()))
    run(alice.subscribe("x"))
    run(alice.delete("x"))
    (listed,) = run(alice.mailboxes("x", True))
    assert not listed.exists
    with pytest.raises(NoSuchMailbox):
        run(alice.subscribe("x"))
    run(alice.unsubscribe("x"))
    assert names(alice, "x", subscribed=True) == []


def test_special_use_at_creation(held):
    alice = session(held)
    run(alice.create("Old", (b"\\archive",)))
    assert run(alice.mailboxes("Old", False))[0].attributes == (b"\\Archive",)
    for uses in ((b"\\All",), (b"\\Sent", b"\\Drafts")):
        with pytest.raises(UnsupportedUse) as refused:
            run(alice.create("All", uses))
        assert row_of(refused.value).imap == b"USEATTR"


def test_public_folders_are_read_by_all_and_managed_by_administrators(held, database):
    alice, root = session(held), session(held, ROOT, admin=True)
    with pytest.raises(NotPermitted):
        run(alice.create("Public Folders/News", ()))
    run(root.create("Public Folders/News", ()))
    assert names(alice, "Pub") == ["Public Folders", "Public Folders/News"]
    run(alice.subscribe("Public Folders/News"))
    assert "Public Folders/News" in names(alice, "", subscribed=True)
    assert append(alice, "Public Folders/News", flags=(b"\\Seen", b"\\Flagged")).uid == 1
    assert run(database.read(messages.rows, PUBLIC, 1, [1]))[0].flags == 0
    assert run(alice.status(["Public Folders/News"]))["Public Folders/News"].unseen == 0
    assert run(root.status(["Public Folders/News"]))["Public Folders/News"].unseen == 1
    for change in (alice.delete("Public Folders/News"), alice.rename("Public Folders/News", "x")):
        with pytest.raises(NotPermitted):
            run(change)
    run(root.delete("Public Folders/News"))


def test_others_are_seen_only_with_rights(held, database):
    alice = session(held)
    for use in (
        alice.select("Other Users/bob/INBOX", False, None),
        alice.subscribe("Other Users/bob/INBOX"),
        alice.rename("Other Users/bob/Sent", "Other Users/bob/Mine"),
        alice.select("Other Users/nobody/INBOX", False, None),
    ):
        with pytest.raises(NoSuchMailbox):
            run(use)
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lr"))
    put(database, 1, BOB)
    assert names(alice, "Oth") == ["Other Users", "Other Users/bob", "Other Users/bob/INBOX"]
    view = select(alice, "Other Users/bob/INBOX")
    assert view.exists == 1 and view.read_only
    with pytest.raises(NotPermitted):
        run(alice.append("Other Users/bob/INBOX", (), None, 10))
    with pytest.raises(NotPermitted):
        run(alice.delete("Other Users/bob/INBOX"))


def test_roots_of_namespaces_are_not_mailboxes(held):
    alice = session(held, admin=True)
    for name in ("Public Folders", "Other Users"):
        with pytest.raises(MailboxExists):
            run(alice.create(name, ()))
        with pytest.raises(MailboxHasChildren):
            run(alice.delete(name))
        with pytest.raises(NoSuchMailbox):
            run(alice.select(name, False, None))


def test_status_counts(held, database):
    alice = session(held)
    put(database, 3)
    append(alice, "INBOX", flags=(b"\\Deleted", b"\\Seen"))
    status = run(alice.status(["INBOX", "nowhere", "Drafts"]))
    assert set(status) == {"INBOX", "Drafts"}
    inbox = status["INBOX"]
    assert (inbox.messages, inbox.recent, inbox.unseen, inbox.deleted, inbox.uid_next) == (4, 4, 3, 1, 5)
    assert inbox.size == sum(row.size for row in flat(select(alice).rows(number_set(EVERY))))
    assert run(alice.status(["INBOX"]))["INBOX"].recent == 0


def test_append_small_and_large(held, database):
    alice = session(held)
    assert append(alice, "INBOX", flags=(b"\\Flagged", b"$a"), date=5_000_000).uid == 1
    big = b"Subject: big\r\n\r\n" + b"x" * 998 * 300 + b"\r\n"
    assert append(alice, "INBOX", big).uid == 2
    first, second = flat(select(alice).rows(number_set(EVERY)))
    assert (first.internal_date, first.flags) == (5_000_000, b"\\Flagged \\Recent $a")
    assert second.size == len(big)


def test_append_is_refused_before_the_content(held, database):
    alice = session(held)
    with pytest.raises(NoSuchMailbox):
        run(alice.append("nowhere", (), None, 10))
    with pytest.raises(TooLarge):
        run(alice.append("INBOX", (), None, 1 << 30))
    run(database.write(mailboxes.set_quota, ALICE, 100, 0))
    with pytest.raises(OverQuota):
        run(alice.append("INBOX", (), None, 101))
    with pytest.raises(NotPermitted):
        run(alice.append("INBOX", (b"\\Recent",), None, 10))


def test_an_abandoned_append_leaves_nothing(held, database):
    sink = run(session(held).append("INBOX", (), None, 10))
    sink.write(b"abc")
    sink.abandon()
    sink.abandon()
    assert select(session(held)).exists == 0


def test_deleting_frees_in_the_background(held, database):
    alice = session(held)
    run(alice.create("x", ()))
    append(alice, "x")
    run(alice.delete("x"))
    while run(database.read(_rows_left)):
        pass
    assert run(database.read(mailboxes.usage, ALICE)).messages == 0


def _rows_left(tx):
    from sqlalchemy import func, select

    from imsd.store.sql import sql

    return tx.value(sql(select(func.count()).select_from(message_table)))


def test_an_ended_account_does_nothing_more(held):
    alice = session(held)
    view = select(alice)
    told = []
    alice.watch(told.append)
    alice.rights_moved(None)
    assert told[0].bye and view.gone
    with pytest.raises(AccountEnded):
        run(alice.mailboxes("", False))


def test_rights_follow_the_account(held):
    root = session(held, ROOT)
    with pytest.raises(NotPermitted):
        run(root.create("Public Folders/x", ()))
    root.rights_moved(Account(ROOT, EntryId(9), "cn=root", (), 2, True, 1, ROOT))
    run(root.create("Public Folders/x", ()))


def test_uid_is_not_told_to_whom_may_not_read(held, database):
    run(database.write(acl.grant, BOB, INBOX, ALICE, "li"))
    assert append(session(held), "Other Users/bob/INBOX").uid == 0
    assert run(database.read(mailboxes.get_by_id, BOB, INBOX)).messages == 1
