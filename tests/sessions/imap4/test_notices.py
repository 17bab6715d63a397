"""NOTIFY over the store: what a session hears of mailboxes that it has not selected (RFC 5465)."""

from __future__ import annotations

import time

import pytest
from zope.interface.verify import verifyObject

from imsd.sessions.imap4 import doubts, naming
from imsd.sessions.imap4 import heard as marking
from imsd.store import acl, jobs, mailboxes
from imsd.store.changes import DIRECTORY, EntriesChanged, MailboxScope, MessagesAdded
from imsd.store.flags import DELETED, SEEN, IndexRow
from imsd.store.ids import INBOX, PUBLIC, AccountId, BlobId, EntryId, MailboxId, ModSeq, Uid
from imsd.store.marking import Mark
from protocols.imap4 import responses
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.events import Event, Group, Mailboxes, Selected, Wanted
from protocols.imap4.interfaces import INotices
from protocols.imap4.values import ListNow, StatusNow
from tests.support.imap import TEAM, mailstore, select, session, uid_set
from tests.support.mail import ALICE, BOB, NOW, make_account, put
from tests.support.stores import run

CONDSTORE = Dialect(condstore=True)
ALL = Event.MESSAGES | Event.FLAGS | Event.NAME | Event.SUBSCRIPTION


@pytest.fixture
def held(database):
    make_account(database)
    make_account(database, BOB)
    return mailstore(database)


def group(which=Mailboxes.PERSONAL, *names, events=ALL):
    return Group(which, names, events)


def listen(account, *groups, status=False, selected=Selected()):  # noqa: B008
    return run(account.notify(Wanted(selected, groups, status), lambda: None))


def told(heard, dialect=PLAIN):
    """Everything there is to tell, as lines."""
    lines = []
    while found := run(heard.take()):
        lines += [responses.notice(notice, dialect).decode().rstrip("\r\n") for notice in found]
    return [line for line in lines if line]


def first(heard):
    async def every():
        return [notice async for found in heard.first() for notice in found]

    return run(every())


def box(database, name, account=ALICE):
    return run(database.write(mailboxes.create, account, name, NOW, account=account)).id


def test_it_is_what_the_protocol_asks_for(held):
    verifyObject(INotices, listen(session(held), group()))


def test_new_messages_are_told_as_counts(held, database):
    sent = run(database.read(mailboxes.get, ALICE, "Sent")).id
    heard = listen(session(held), group())
    put(database, 2, mailbox=sent)
    put(database, 1)
    assert told(heard) == ["* STATUS Sent (MESSAGES 2 UIDNEXT 3)", "* STATUS INBOX (MESSAGES 1 UIDNEXT 2)"]
    assert told(heard) == []


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        (PLAIN, []),
        (CONDSTORE, ["* STATUS INBOX (UIDVALIDITY {v} HIGHESTMODSEQ 3)"]),
    ],
)
def test_flags_are_told_where_mod_sequences_are(held, database, dialect, line):
    put(database)
    heard = listen(session(held), group())
    run(jobs.store_flags(database, (ALICE, INBOX), [1], Mark.ADD, SEEN))
    validity = run(database.read(mailboxes.get, ALICE, "INBOX")).uidvalidity
    assert told(heard, dialect) == [text.format(v=validity) for text in line]


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        (PLAIN, "* STATUS INBOX (MESSAGES 0 UIDNEXT 2)"),
        (CONDSTORE, "* STATUS INBOX (MESSAGES 0 UIDNEXT 2)"),
        (Dialect(condstore=True, qresync=True), "* STATUS INBOX (MESSAGES 0 UIDNEXT 2 HIGHESTMODSEQ 3)"),
    ],
)
def test_expunges_are_told_as_counts(held, database, dialect, line):
    put(database, flags=DELETED)
    heard = listen(session(held), group(events=Event.MESSAGES))
    run(jobs.expunge(database, (ALICE, INBOX), [1], NOW))
    assert told(heard, dialect) == [line]


def test_only_what_was_asked_for_is_told(held, database):
    inbox_alone = listen(session(held), group(Mailboxes.INBOXES, events=Event.MESSAGES))
    names_alone = listen(session(held), group(events=Event.NAME))
    work = box(database, "Work")
    put(database, mailbox=work)
    put(database)
    assert told(inbox_alone) == ["* STATUS INBOX (MESSAGES 1 UIDNEXT 2)"]
    assert told(names_alone) == ['* LIST (\\HasNoChildren) "/" Work']


@pytest.mark.parametrize(
    ("which", "names", "found"),
    [
        (Mailboxes.SUBTREE, ("Work",), ["Work", "Work/2026"]),
        (Mailboxes.MAILBOXES, ("Work", "Elsewhere"), ["Work"]),
        (Mailboxes.MAILBOXES, ("Wor%", "*"), []),
        (Mailboxes.SUBSCRIBED, (), ["Workshop"]),
        (Mailboxes.PERSONAL, (), ["Work", "Work/2026", "Workshop"]),
    ],
)
def test_filters(held, database, which, names, found):
    boxes = [box(database, name) for name in ("Work", "Work/2026", "Workshop")]
    run(database.write(mailboxes.subscribe, ALICE, "Workshop", account=ALICE))
    heard = listen(session(held), group(which, *names, events=Event.MESSAGES))
    for mailbox in boxes:
        put(database, mailbox=mailbox)
    assert told(heard) == [f"* STATUS {name} (MESSAGES 1 UIDNEXT 2)" for name in found]


def test_subscriptions_are_followed(held, database):
    work = box(database, "Work")
    heard = listen(session(held), group(Mailboxes.SUBSCRIBED, events=Event.MESSAGES))
    put(database, mailbox=work)
    assert told(heard) == []
    run(database.write(mailboxes.subscribe, ALICE, "Work", account=ALICE))
    put(database, mailbox=work)
    assert told(heard) == ["* STATUS Work (MESSAGES 2 UIDNEXT 3)"]


def test_names_that_come_go_and_change(held, database):
    heard = listen(session(held), group(events=Event.NAME))
    box(database, "Work/2026")
    assert told(heard) == ['* LIST (\\HasChildren) "/" Work', '* LIST (\\HasNoChildren) "/" Work/2026']
    run(jobs.rename(database, ALICE, "Work", "Done", NOW))
    # Nothing of the inferiors (5.4).
    assert told(heard) == ['* LIST (\\HasChildren) "/" Done ("OLDNAME" (Work))']
    run(database.write(mailboxes.delete_mailbox, ALICE, "Done/2026", NOW, account=ALICE))
    assert told(heard) == [
        '* LIST (\\NonExistent) "/" Done/2026', '* LIST (\\HasNoChildren) "/" Done',
    ]  # fmt: skip
    run(database.write(mailboxes.delete_mailbox, ALICE, "Done", NOW, account=ALICE))
    run(database.write(mailboxes.create, ALICE, "Done", NOW, account=ALICE))
    assert told(heard) == ['* LIST (\\HasNoChildren) "/" Done']


def test_a_deleted_name_with_inferiors_cannot_be_selected(held, database):
    box(database, "Work/2026")
    heard = listen(session(held), group(events=Event.NAME))
    run(database.write(mailboxes.delete_mailbox, ALICE, "Work", NOW, account=ALICE))
    assert told(heard) == ['* LIST (\\Noselect \\HasChildren) "/" Work']


def test_subscriptions_are_told(held, database):
    heard = listen(session(held), group(events=Event.SUBSCRIPTION))
    run(database.write(mailboxes.unsubscribe, ALICE, "Sent", account=ALICE))
    run(database.write(mailboxes.unsubscribe, ALICE, "Never", account=ALICE))
    assert told(heard) == ['* LIST (\\Sent \\HasNoChildren) "/" Sent']
    run(database.write(mailboxes.subscribe, ALICE, "Sent", account=ALICE))
    run(database.write(mailboxes.subscribe, ALICE, "Sent", account=ALICE))
    assert told(heard) == ['* LIST (\\Sent \\HasNoChildren \\Subscribed) "/" Sent']


def test_what_the_session_does_itself_is_not_told(held, database):
    put(database, 2)
    alice, other = session(held), session(held)
    heard, others = listen(alice, group()), listen(other, group())
    run(alice.create("Work/2026", ()))
    run(alice.rename("Work", "Done"))
    run(alice.subscribe("Done"))
    run(alice.unsubscribe("Done"))
    view = select(alice)
    run(view.copy(uid_set(1), "Done"))
    run(view.move(uid_set(2), "Done/2026"))
    sink = run(alice.append("Drafts", (), None, 5))
    sink.write(b"a: b\n")
    run(sink.finish())
    run(alice.delete("Done/2026"))
    assert told(heard) == []
    assert len(told(others)) > 5
    # What others do at the same time is.
    put(database, mailbox=run(database.read(mailboxes.get, ALICE, "Drafts")).id)
    assert told(heard) == ["* STATUS Drafts (MESSAGES 2 UIDNEXT 3)"]


def test_messages_of_others_are_told_though_the_session_makes_some_too(held, database):
    alice = session(held)
    heard = listen(alice, group())
    with alice.making() as made:
        (own,) = put(database)
        put(database)
        made((ALICE, INBOX), [own])
    assert told(heard) == ["* STATUS INBOX (MESSAGES 2 UIDNEXT 3)"]


def test_the_selected_mailbox_is_left_to_its_view(held, database):
    alice = session(held)
    heard = listen(alice, group())
    view = select(alice)
    put(database)
    assert told(heard) == []
    view.close()
    put(database)
    assert told(heard) == ["* STATUS INBOX (MESSAGES 2 UIDNEXT 3)"]


def test_what_is_made_in_the_selected_mailbox_is_known(held, database):
    alice = session(held)
    view = select(alice)
    put(database)
    run(view.copy(uid_set((1, 0)), "INBOX"))
    list(view.updates(True))
    run(view.copy(uid_set(1), "INBOX"))
    sink = run(alice.append("INBOX", (), None, 5))
    sink.write(b"a: b\n")
    run(sink.finish())
    assert alice.made == {2, 3}


def test_status_of_all_mailboxes_first(held, database):
    put(database, 2)
    alice = session(held)
    found = first(listen(alice, group(Mailboxes.INBOXES, events=ALL), status=True))
    status = run(alice.status(["INBOX"]))["INBOX"]
    assert found == [StatusNow("INBOX", status, new=True, flags=True, valid=True)]
    line = responses.notice(found[0], PLAIN).decode()
    assert (
        line == f"* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY {status.uid_validity} HIGHESTMODSEQ 3)\r\n"
    )
    found = first(listen(alice, group(Mailboxes.INBOXES, events=Event.MESSAGES), status=True))
    line = responses.notice(found[0], PLAIN).decode()
    assert line == f"* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY {status.uid_validity})\r\n"
    assert first(listen(alice, group(events=Event.MESSAGES))) == []


def test_mailboxes_of_others_by_the_rights_of_the_moment(held, database):
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lr", account=BOB))
    sent = run(database.read(mailboxes.get, BOB, "Sent")).id
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users/bob", events=Event.MESSAGES))
    put(database, account=BOB)
    put(database, account=BOB, mailbox=sent)
    assert told(heard) == ['* STATUS "Other Users/bob/INBOX" (MESSAGES 1 UIDNEXT 2)']
    run(database.write(acl.grant, BOB, INBOX, ALICE, "l", account=BOB))
    run(database.write(acl.grant, BOB, sent, ALICE, "lr", account=BOB))
    put(database, account=BOB)
    put(database, account=BOB, mailbox=sent)
    assert told(heard) == ['* STATUS "Other Users/bob/Sent" (MESSAGES 2 UIDNEXT 3)']


def test_a_mailbox_that_may_be_seen_but_not_read_is_named_so(held, database):
    run(database.write(acl.grant, BOB, INBOX, ALICE, "l", account=BOB))
    (notice,) = first(listen(session(held), group(Mailboxes.MAILBOXES, "Other Users/bob/INBOX"), status=True))
    assert isinstance(notice, ListNow)
    assert responses.notice(notice, PLAIN).startswith(b"* LIST (\\NoAccess ")


def test_public_folders_are_heard_of(held, database):
    news = box(database, "News", PUBLIC)
    heard = listen(
        session(held), group(Mailboxes.SUBTREE, "Public Folders", events=Event.MESSAGES | Event.NAME)
    )
    put(database, account=PUBLIC, mailbox=news)
    box(database, "News/Old", PUBLIC)
    assert told(heard) == [
        '* LIST (\\HasNoChildren) "/" "Public Folders/News/Old"',
        '* LIST (\\HasChildren) "/" "Public Folders/News"',
        '* STATUS "Public Folders/News" (MESSAGES 1 UIDNEXT 2)',
    ]  # fmt: skip


def test_a_new_mailbox_has_a_new_uidvalidity(held, database):
    heard = listen(session(held), group(events=Event.MESSAGES | Event.FLAGS))
    box(database, "Work")
    validity = run(database.read(mailboxes.get, ALICE, "Work")).uidvalidity
    assert told(heard) == [f"* STATUS Work (MESSAGES 0 UIDNEXT 1 UIDVALIDITY {validity} HIGHESTMODSEQ 1)"]


def test_one_notice_for_a_burst(held, database):
    heard = listen(session(held), group())
    put(database, 30)
    assert told(heard) == ["* STATUS INBOX (MESSAGES 30 UIDNEXT 31)"]


def test_too_much_is_told_to_be_too_much(held, database, monkeypatch):
    monkeypatch.setattr(marking, "MOST", 5)
    heard = listen(session(held), group())
    for number in range(7):
        box(database, f"box{number}")
    assert run(heard.take()) == () and heard.overflowed


def test_who_ended_is_not_called(held, database):
    calls = []
    alice = session(held)
    heard = run(alice.notify(Wanted(Selected(), (group(),)), lambda: calls.append(1)))
    put(database)
    heard.close()
    heard.close()
    run(held.breath())
    put(database)
    run(held.breath())
    assert not calls and not len(held.trees)


def test_many_mailboxes_cost_a_mark_each(held, database):
    """10,000 mailboxes: nothing is kept of those where nothing happens; a change costs microseconds."""
    heard = listen(session(held), group(events=Event.MESSAGES))
    assert not heard.heard.marks
    row = IndexRow(Uid(1), 0, 0, ModSeq(2), 1, 1, BlobId(1))
    began = time.perf_counter()
    for number in range(10_000):
        scope = MailboxScope(ALICE, MailboxId(number + 100))
        database.feed.publish(MessagesAdded(scope, 1, 2, (row,)))
    assert time.perf_counter() - began < 2.0
    assert len(heard.heard.marks) == 10_000 and not heard.overflowed
    assert told(heard) == []


def settled(held, database):
    """Let what other nodes did be read; a read that asks nothing of the database is much quicker."""
    for _ in range(20_000):
        run(held.breath())
        run(database.read(lambda tx: None))
        if not held.trees._trees[ALICE]._reading:
            return


def test_another_node_is_heard_of(held, database):
    """What comes is only that something may have changed."""
    work = box(database, "Work")
    heard = listen(session(held), group())
    held.trees._trees[ALICE]._read_again()
    settled(held, database)
    publish = database.feed.publish
    database.feed.publish = lambda change: None
    try:
        put(database, mailbox=work)
        run(database.write(mailboxes.create, ALICE, "New", NOW, account=ALICE))
        run(jobs.rename(database, ALICE, "Sent", "Gone", NOW))
        run(database.write(mailboxes.subscribe, ALICE, "New", account=ALICE))
    finally:
        database.feed.publish = publish
    assert told(heard) == []
    database.feed.doubt(None)
    settled(held, database)
    lines = told(heard, CONDSTORE)
    assert {line for line in lines if "LIST" in line} == {
        '* LIST (\\Sent \\HasNoChildren) "/" Gone ("OLDNAME" (Sent))',
        '* LIST (\\HasNoChildren \\Subscribed) "/" New',
    }
    assert any(line.startswith("* STATUS Work (MESSAGES 1 UIDNEXT 2 ") for line in lines)
    database.feed.doubt([MailboxScope(ALICE, work)])
    assert [line[:16] for line in told(heard)] == ["* STATUS Work (M"]


def test_what_is_opened_and_closed_is_told(held, database):
    sent = run(database.read(mailboxes.get, BOB, "Sent")).id
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lr", account=BOB))
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users/bob", events=Event.MESSAGES))
    run(database.write(acl.grant, BOB, INBOX, ALICE, "r", account=BOB))
    assert told(heard) == ['* LIST (\\NoAccess \\HasNoChildren) "/" "Other Users/bob/INBOX"']
    put(database, 1, BOB)
    assert told(heard) == []
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lrs", account=BOB))
    run(database.write(acl.grant, BOB, sent, ALICE, "l", account=BOB))
    assert told(heard) == ['* LIST (\\HasNoChildren) "/" "Other Users/bob/INBOX"']
    put(database, 1, BOB)
    assert told(heard) == ['* STATUS "Other Users/bob/INBOX" (MESSAGES 2 UIDNEXT 3)']
    # What changes nothing that the client can see is not told.
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lrw", account=BOB))
    run(database.write(acl.grant, BOB, sent, ALICE, "lr", account=BOB))
    assert told(heard) == []


def test_what_is_opened_first_is_a_new_name(held, database):
    sent = run(database.read(mailboxes.get, BOB, "Sent")).id
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lr", account=BOB))
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users/bob"))
    run(database.write(acl.grant, BOB, sent, ALICE, "l", account=BOB))
    assert told(heard) == ['* LIST (\\HasNoChildren) "/" "Other Users/bob/Sent"']


def test_nothing_is_told_of_what_could_never_be_seen(held, database):
    run(database.write(acl.grant, BOB, INBOX, ALICE, "l", account=BOB))
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users/bob"))
    secret = box(database, "Secret", BOB)
    told(heard)
    run(database.write(acl.grant, BOB, secret, ALICE, "r", account=BOB))
    run(database.write(acl.grant, BOB, secret, ALICE, "", account=BOB))
    assert told(heard) == []
    run(database.write(acl.grant, BOB, secret, ALICE, "l", account=BOB))
    run(database.write(mailboxes.delete_mailbox, BOB, "Secret", NOW, account=BOB))
    assert not any("NoAccess" in line for line in told(heard))


def test_who_wants_no_events_of_it_is_not_told(held, database):
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lr", account=BOB))
    heard = listen(session(held), group())
    run(database.write(acl.grant, BOB, INBOX, ALICE, "", account=BOB))
    assert told(heard) == []


def test_the_inbox_is_not_renamed_but_emptied(held, database):
    """A new mailbox and no OLDNAME; the INBOX stays, and its messages go (RFC 5465 5.4, RFC 9051 6.3.6)."""
    put(database, 3)
    run(database.write(mailboxes.subscribe, ALICE, "INBOX", account=ALICE))
    alice, other = session(held), session(held)
    heard, others = listen(alice, group()), listen(other, group())
    run(alice.rename("INBOX", "Old/Mail"))
    lines = told(others)
    assert lines[:2] == ['* LIST (\\HasChildren) "/" Old', '* LIST (\\HasNoChildren) "/" Old/Mail']
    assert [line[:38] for line in lines[2:]] == [
        "* STATUS Old (MESSAGES 0 UIDNEXT 1 UID",
        "* STATUS Old/Mail (MESSAGES 3 UIDNEXT ",
        "* STATUS INBOX (MESSAGES 0 UIDNEXT 4)",
    ]
    # Nothing of what the session did itself.
    assert told(heard) == []


def test_who_wants_names_alone_hears_of_the_new_one_when_the_inbox_is_emptied(held, database):
    put(database, 2)
    heard = listen(session(held), group(events=Event.NAME))
    run(session(held).rename("INBOX", "Old"))
    assert told(heard) == ['* LIST (\\HasNoChildren) "/" Old']


def test_who_has_the_inbox_selected_sees_its_messages_go(held, database):
    put(database, 2)
    other = session(held)
    view = select(other)
    heard = listen(other, group(Mailboxes.PERSONAL, events=Event.NAME))
    run(session(held).rename("INBOX", "Old"))
    assert [update.uid for update in view.updates(True)] == [1, 2]
    assert told(heard) == ['* LIST (\\HasNoChildren) "/" Old']


def test_another_node_that_empties_the_inbox_is_heard_of(held, database):
    put(database, 2)
    heard = listen(session(held), group())
    held.trees._trees[ALICE]._read_again()
    settled(held, database)
    publish = database.feed.publish
    database.feed.publish = lambda change: None
    try:
        run(jobs.rename(database, ALICE, "INBOX", "Old", NOW))
    finally:
        database.feed.publish = publish
    database.feed.doubt(None)
    settled(held, database)
    lines = told(heard)
    assert lines[0] == '* LIST (\\HasNoChildren) "/" Old'
    assert {line.split()[2] for line in lines[1:]} == {"INBOX", "Old"}
    assert not any("OLDNAME" in line for line in lines)


def test_a_name_of_ones_own_that_comes_is_told_without_a_look_at_all_others(held, database, monkeypatch):
    """Whoever has ten thousand mailboxes would have all of them read for each name that comes."""
    heard = listen(session(held), group())
    monkeypatch.setattr(held.db, "read", None)
    monkeypatch.setattr(mailboxes, "names_of", None)
    box(database, "Work/2026")
    assert [line for line in told(heard) if "LIST" in line] == [
        '* LIST (\\HasChildren) "/" Work',
        '* LIST (\\HasNoChildren) "/" Work/2026',
    ]


def doubted(held, database):
    """The directory says that an entry is another, and the session looks."""
    database.feed.publish(EntriesChanged(DIRECTORY, 1, 2, ()))
    database.reactor.advance(doubts.SOON)


def test_a_group_opens_and_closes(held, database):
    """RFC 5465 5.9: what grants and takes the right is not always a list."""
    run(database.write(acl.grant, BOB, INBOX, AccountId(TEAM), "lr", account=BOB))
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users"))
    doubted(held, database)
    assert not told(heard)
    held.directory.members = {EntryId(ALICE): frozenset({TEAM})}
    doubted(held, database)
    assert heard.waiting
    assert told(heard) == ['* LIST (\\HasNoChildren) "/" "Other Users/bob/INBOX"']
    put(database, 1, BOB)
    assert told(heard) == ['* STATUS "Other Users/bob/INBOX" (MESSAGES 1 UIDNEXT 2)']
    held.directory.members = {}
    doubted(held, database)
    assert told(heard) == ['* LIST (\\NoAccess \\HasNoChildren) "/" "Other Users/bob/INBOX"']
    assert not heard.waiting
    put(database, 1, BOB)
    assert told(heard) == []


def test_a_delegate_hears_that_he_is_one(held, database):
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users"))
    held.directory.named = {BOB: frozenset({EntryId(ALICE)})}
    doubted(held, database)
    assert '* LIST (\\HasNoChildren) "/" "Other Users/bob/Sent"' in told(heard)
    held.directory.named = {}
    doubted(held, database)
    assert '* LIST (\\NoAccess \\HasNoChildren) "/" "Other Users/bob/Sent"' in told(heard)


def test_names_are_not_read_for_each_entry_that_changes(held, database, monkeypatch):
    heard = listen(session(held), group(Mailboxes.SUBTREE, "Other Users"))
    monkeypatch.setattr(naming, "names", None)
    before = len(database.reactor.getDelayedCalls())
    for _ in range(3):
        database.feed.publish(EntriesChanged(DIRECTORY, 1, 2, ()))
    assert len(database.reactor.getDelayedCalls()) == before + 1
    database.reactor.advance(doubts.SOON)
    assert told(heard) == []
    database.feed.publish(EntriesChanged(DIRECTORY, 1, 2, ()))
    heard.close()
    assert len(database.reactor.getDelayedCalls()) == before
