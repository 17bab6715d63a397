"""Messages enter, change, move and leave; every change is announced with its numbers."""

import itertools

import pytest

from imsd.errors import LimitReached, NoSuchMailbox, OverQuota
from imsd.store import flags as f
from imsd.store import jobs, keywords, mailboxes, marking, messages, moving, seen
from imsd.store.changes import FlagsChanged, KeywordsNamed, MailboxScope, MessagesAdded, MessagesExpunged
from imsd.store.ids import INBOX, PUBLIC, MailboxId
from imsd.store.marking import Mark
from tests.support.mail import ALICE, BOB, NOW, content, make_account, put
from tests.support.stores import run

HERE = (ALICE, INBOX)


@pytest.fixture
def alice(database):
    make_account(database)
    make_account(database, BOB)
    return database


def inbox(database, account=ALICE):
    return run(database.read(mailboxes.get_by_id, account, INBOX))


def mark(database, uids, how, bits=0, names=(), unchanged=None):
    return run(database.write(marking.store_flags, *HERE, uids, how, bits, names, unchanged))


def test_delivery_takes_uids_in_order_and_counts(alice):
    assert put(alice, 3) == [1, 2, 3]
    row = inbox(alice)
    assert (row.messages, row.unseen, row.uidnext, row.highestmodseq) == (3, 3, 4, 4)
    assert run(alice.read(mailboxes.usage, ALICE)).messages == 3


def test_one_delivery_to_several_shares_the_content(alice):
    to = [messages.Delivery(BOB, b"Delivered-To: bob\r\n"), messages.Delivery(ALICE)]
    results = run(alice.write(messages.deliver, to, content(), NOW))
    assert [r.account for r in results] == [BOB, ALICE]
    bob, alices = (run(alice.read(messages.rows, a, INBOX, [1]))[0] for a in (BOB, ALICE))
    assert bob.blob == alices.blob
    assert bob.size == alices.size + len(b"Delivered-To: bob\r\n")


def test_a_refused_copy_does_not_hinder_the_others(alice):
    run(alice.write(mailboxes.set_quota, BOB, 10, 0))
    to = [messages.Delivery(BOB), messages.Delivery(ALICE), messages.Delivery(ALICE, mailbox=MailboxId(99))]
    bob, mine, nowhere = run(alice.write(messages.deliver, to, content(), NOW))
    assert isinstance(bob.refusal, OverQuota)
    assert isinstance(nowhere.refusal, NoSuchMailbox)
    assert mine.uid == 1
    assert inbox(alice, BOB).uidnext == 1
    assert run(alice.read(mailboxes.usage, BOB)).messages == 0


def test_quota_by_count(alice):
    run(alice.write(mailboxes.set_quota, ALICE, 0, 2))
    put(alice, 2)
    with pytest.raises(OverQuota):
        put(alice)


def test_changes_form_a_chain(alice):
    heard = []
    alice.feed.watch(MailboxScope(*HERE), heard.append)
    put(alice, 2, keywords=("$New",))
    mark(alice, [1], Mark.ADD, f.SEEN)
    mark(alice, [1], Mark.ADD, f.DELETED)
    run(alice.write(moving.expunge, *HERE, [1, 2], NOW))
    assert [type(c) for c in heard] == [
        KeywordsNamed, MessagesAdded, MessagesAdded, FlagsChanged, FlagsChanged, MessagesExpunged,
    ]  # fmt: skip
    counted = heard[1:]
    assert all(a.next == b.previous for a, b in itertools.pairwise(counted))
    assert counted[-1].uids == (1,)
    assert counted[-1].next == inbox(alice).highestmodseq


def test_flags_add_remove_replace(alice):
    put(alice, 2)
    assert [r.flags for r in mark(alice, [1, 2], Mark.ADD, f.SEEN | f.FLAGGED).rows] == [5, 5]
    assert [r.flags for r in mark(alice, [1], Mark.REMOVE, f.SEEN).rows] == [f.FLAGGED]
    assert [r.flags for r in mark(alice, [1], Mark.REPLACE, f.DRAFT).rows] == [f.DRAFT]
    assert inbox(alice).unseen == 1


def test_a_message_that_is_as_asked_keeps_its_modseq(alice):
    put(alice)
    mark(alice, [1], Mark.ADD, f.SEEN)
    before = inbox(alice).highestmodseq
    assert mark(alice, [1], Mark.ADD, f.SEEN).rows == ()
    assert inbox(alice).highestmodseq == before


def test_unchangedsince_is_decided_against_the_rows(alice):
    put(alice, 2)
    before = inbox(alice).highestmodseq
    mark(alice, [2], Mark.ADD, f.FLAGGED)
    done = mark(alice, [1, 2, 9], Mark.ADD, f.SEEN, unchanged=before)
    assert [r.uid for r in done.rows] == [1]
    assert done.failed == (2,)
    assert done.missing == (9,)


def test_keywords_keep_bits_and_ignore_case(alice):
    put(alice)
    (row,) = mark(alice, [1], Mark.ADD, 0, ("$Forwarded", "$forwarded", "Work")).rows
    assert row.keywords == 0b11
    assert run(alice.read(keywords.names, *HERE)) == ["$Forwarded", "Work"]
    (row,) = mark(alice, [1], Mark.REMOVE, 0, ("WORK", "unknown")).rows
    assert row.keywords == 1


def test_five_hundred_keywords_and_not_one_more(alice):
    put(alice)
    (row,) = mark(alice, [1], Mark.ADD, 0, tuple(f"k{n}" for n in range(500))).rows
    assert row.keywords == (1 << 500) - 1
    assert run(alice.read(messages.rows, *HERE, [1]))[0].keywords == (1 << 500) - 1
    with pytest.raises(LimitReached):
        mark(alice, [1], Mark.ADD, 0, ("k500",))


def test_copy_keeps_flags_keywords_dates_and_identity(alice):
    put(alice, 2, flags=f.SEEN, keywords=("a", "b"))
    target = run(alice.write(mailboxes.create, ALICE, "x", NOW))
    run(alice.write(marking.store_flags, ALICE, INBOX, [1], Mark.REMOVE, 0, ("a",)))
    done = run(alice.write(moving.copy, HERE, [1, 2, 5], (ALICE, target.id), NOW + 1))
    assert (done.source, done.target, done.uidvalidity) == ((1, 2), (1, 2), target.uidvalidity)
    first, _second = run(alice.read(messages.rows, ALICE, target.id, [1, 2]))
    original = run(alice.read(messages.rows, *HERE, [1]))[0]
    assert (first.flags, first.date, first.email, first.blob) == (
        f.SEEN, original.date, original.email, original.blob,
    )  # fmt: skip
    names = run(alice.read(keywords.names, ALICE, target.id))
    assert [n for bit, n in enumerate(names) if first.keywords >> bit & 1] == ["b"]


def test_copy_into_the_same_mailbox(alice):
    put(alice, keywords=("a",))
    done = run(alice.write(moving.copy, HERE, [1], HERE, NOW))
    assert done.target == (2,)
    assert run(alice.read(messages.rows, *HERE, [2]))[0].keywords == 1


def test_move_leaves_one_and_enters_the_other_at_full_quota(alice):
    put(alice, 3)
    used = run(alice.read(mailboxes.usage, ALICE))
    run(alice.write(mailboxes.set_quota, ALICE, used.bytes, used.messages))
    target = run(alice.write(mailboxes.create, ALICE, "x", NOW))
    done = run(alice.write(moving.move, HERE, [1, 3], (ALICE, target.id), NOW))
    assert done.source == (1, 3)
    assert inbox(alice).messages == 1
    after = run(alice.read(mailboxes.usage, ALICE))
    assert (after.bytes, after.messages) == (used.bytes, used.messages)
    assert run(alice.read(messages.vanished_since, *HERE, 0)) == [1, 3]


def test_copy_of_many_is_all_or_none(alice):
    put(alice, jobs.BATCH + 5)
    run(alice.write(mailboxes.set_quota, BOB, 0, jobs.BATCH + 1))
    with pytest.raises(OverQuota):
        run(jobs.copy(alice, HERE, list(range(1, jobs.BATCH + 6)), (BOB, INBOX), NOW))
    assert inbox(alice, BOB).messages == 0
    run(alice.write(mailboxes.set_quota, BOB, 0, 0))
    done = run(jobs.copy(alice, HERE, list(range(1, jobs.BATCH + 6)), (BOB, INBOX), NOW))
    assert len(done.target) == jobs.BATCH + 5


def test_expunge_removes_only_what_is_deleted(alice):
    put(alice, 3)
    mark(alice, [2], Mark.ADD, f.DELETED)
    assert run(alice.write(moving.expunge, *HERE, [1, 2, 3], NOW)) == (2,)
    row = inbox(alice)
    assert (row.messages, row.deleted, row.unseen) == (2, 0, 2)
    assert [r.uid for r in run(alice.read(messages.departed, *HERE, [1, 2]))] == [2]


def test_content_of_the_expunged_is_released_later(alice):
    put(alice)
    run(jobs.expunge(alice, HERE, [1], NOW, only_deleted=False))
    assert run(jobs.release_expunged(alice, NOW - 1)) == 0
    assert run(jobs.release_expunged(alice, NOW)) == 1
    assert run(alice.read(messages.departed, *HERE, [1])) == []
    assert run(alice.read(messages.vanished_since, *HERE, 0)) == [1]


def test_changed_since(alice):
    put(alice, 3)
    before = inbox(alice).highestmodseq
    mark(alice, [2], Mark.ADD, f.SEEN)
    assert [r.uid for r in run(alice.read(messages.changed_since, *HERE, before))] == [2]


def test_seen_in_public_folders_is_each_readers_own(alice):
    folder = run(alice.write(mailboxes.create, PUBLIC, "News", NOW))
    put(alice, 3, PUBLIC, folder.id)
    run(
        alice.write(
            marking.store_flags, PUBLIC, folder.id, [1, 2], Mark.ADD, f.SEEN | f.FLAGGED, (), None, ALICE
        )
    )
    assert run(alice.read(seen.ranges, PUBLIC, folder.id, ALICE)) == [(1, 2)]
    assert run(alice.read(seen.ranges, PUBLIC, folder.id, BOB)) == []
    assert [r.flags for r in run(alice.read(messages.rows, PUBLIC, folder.id, [1, 2, 3]))] == [4, 4, 0]
    run(alice.write(marking.store_flags, PUBLIC, folder.id, [1], Mark.REPLACE, 0, (), None, ALICE))
    assert run(alice.read(seen.ranges, PUBLIC, folder.id, ALICE)) == [(2, 2)]


def test_seen_travels_between_a_public_folder_and_a_mailbox(alice):
    folder = run(alice.write(mailboxes.create, PUBLIC, "News", NOW))
    put(alice, 1, flags=f.SEEN)
    run(alice.write(moving.copy, HERE, [1], (PUBLIC, folder.id), NOW, ALICE))
    assert run(alice.read(messages.rows, PUBLIC, folder.id, [1]))[0].flags == 0
    assert run(alice.read(seen.ranges, PUBLIC, folder.id, ALICE)) == [(1, 1)]
    run(alice.write(moving.copy, (PUBLIC, folder.id), [1], HERE, NOW, ALICE))
    assert run(alice.read(messages.rows, *HERE, [2]))[0].flags == f.SEEN
