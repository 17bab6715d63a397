"""The shared index says what the rows say, however it came to know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from imsd.errors import NoSuchMailbox
from imsd.store import flags as f
from imsd.store import index as index_module
from imsd.store import jobs, mailboxes, messages, uidsets
from imsd.store.changes import MailboxScope, Missed
from imsd.store.flags import IndexRow
from imsd.store.ids import INBOX, MailboxId
from imsd.store.index import MailboxIndexes
from imsd.store.mailbox_index import MailboxIndex
from imsd.store.marking import Mark
from imsd.store.segments import Segment
from imsd.store.uidmap import UidMap
from tests.support.mail import ALICE, NOW, make_account, put
from tests.support.stores import run

HERE = (ALICE, INBOX)


def everything(index):
    return [segment.row(at) for segment in index.segments for at in range(len(segment))]


def truth(database):
    return sorted(run(database.read(messages.changed_since, *HERE, 0)))


@pytest.fixture
def small(monkeypatch):
    """Segments of four messages, packed from the first."""
    monkeypatch.setattr("imsd.store.mailbox_index.SIZE", 4)
    monkeypatch.setattr(index_module, "SIZE", 4)
    monkeypatch.setattr(index_module, "PACK_FROM", 1)


@pytest.fixture
def indexes(database):
    make_account(database)
    return MailboxIndexes(database)


def churn(database):
    """Some of everything that can happen to twenty messages."""
    put(database, 20, keywords=("a",))
    run(jobs.store_flags(database, HERE, [2, 3, 9, 20], Mark.ADD, f.SEEN | f.DELETED, ("b",)))
    run(jobs.expunge(database, HERE, list(range(1, 21)), NOW))
    run(jobs.store_flags(database, HERE, [1, 4], Mark.REPLACE, 0, tuple(f"k{n}" for n in range(70))))
    run(jobs.expunge(database, HERE, [5, 6, 7, 8], NOW, only_deleted=False))
    put(database, 3)


def test_index_follows_changes(database, indexes, small):
    pin = run(indexes.open(*HERE))
    churn(database)
    assert everything(pin.index) == truth(database)
    assert len(pin.index) == 15
    assert list(pin.index.map()) == [row.uid for row in truth(database)]
    assert pin.index.names[:2] == ("a", "b")
    assert pin.index.uidnext == 24


def test_index_is_read_from_rows(database, indexes, small):
    churn(database)
    pin = run(indexes.open(*HERE))
    assert everything(pin.index) == truth(database)


def test_index_is_read_from_its_pack_and_newer_rows(database, indexes, small):
    put(database, 10)
    pin = run(indexes.open(*HERE))
    run(indexes.save(*HERE))
    indexes.release(pin)
    indexes.close()
    churn(database)
    again = MailboxIndexes(database)
    assert everything(run(again.open(*HERE)).index) == truth(database)
    run(again.save(*HERE))
    again.close()
    assert everything(run(MailboxIndexes(database).open(*HERE)).index) == truth(database)


def test_an_unreadable_pack_is_only_slower(database, indexes, small):
    put(database, 10)
    run(indexes.open(*HERE))
    run(indexes.save(*HERE))
    indexes.close()
    run(database.write(index_module._write_segments, *HERE, [(1, b"rubbish")]))
    assert everything(run(MailboxIndexes(database).open(*HERE)).index) == truth(database)


def test_a_gap_is_closed_by_reading_rows(database, indexes):
    read = Deferred()
    pin = run(indexes.open(*HERE, lambda: read.called or read.callback(None)))
    watches = database.feed._watches.pop(MailboxScope(*HERE))
    put(database, 3)
    run(jobs.expunge(database, HERE, [2], NOW, only_deleted=False))
    database.feed._watches[MailboxScope(*HERE)] = watches
    assert len(pin.index) == 0
    database.feed.publish(Missed(MailboxScope(*HERE), 1, 5))
    run(read)
    assert everything(pin.index) == truth(database)


def test_users_share_one_index_and_hear_of_changes(database, indexes):
    heard = []
    one = run(indexes.open(*HERE, lambda: heard.append(1)))
    two = run(indexes.open(*HERE, lambda: heard.append(2)))
    assert one.index is two.index
    put(database)
    assert sorted(heard) == [1, 2]
    indexes.release(two)
    put(database)
    assert sorted(heard) == [1, 1, 2]


@pytest.mark.parametrize("size", [0, 3, 100])
def test_changes_are_found_with_and_without_the_log(database, indexes, monkeypatch, size):
    monkeypatch.setattr("imsd.store.mailbox_index.LOG", size)
    put(database, 9)
    index = run(indexes.open(*HERE)).index
    before = index.modseq
    run(jobs.store_flags(database, HERE, [2, 5], Mark.ADD, f.SEEN))
    between = index.modseq
    run(jobs.store_flags(database, HERE, [5, 7], Mark.ADD, f.FLAGGED))
    assert [row.uid for row in index.changed_since(before)] == [2, 5, 7]
    assert [row.uid for row in index.changed_since(between)] == [5, 7]
    assert list(index.changed_since(index.modseq)) == []


def test_recent_is_kept_when_nobody_looks_any_more(database, indexes):
    put(database, 3)
    pin = run(indexes.open(*HERE))
    pin.index.recent_uid = 3
    indexes.release(pin)
    run(database.write(lambda unit: None, account=ALICE))
    indexes.close()
    assert run(MailboxIndexes(database).open(*HERE)).index.recent_uid == 3


def test_what_left_is_remembered_until_all_were_told(database, indexes):
    put(database, 3)
    one, two = run(indexes.open(*HERE)), run(indexes.open(*HERE))
    run(jobs.expunge(database, HERE, [2], NOW, only_deleted=False))
    index = one.index
    assert index.departed_row(2).uid == 2
    index.told(one, index.modseq)
    assert index.departed_row(2).uid == 2
    index.told(two, index.modseq)
    assert index.departed_row(2) is None


def test_unused_indexes_are_dropped_within_the_budget(database):
    make_account(database)
    indexes = MailboxIndexes(database, budget=0)
    pin = run(indexes.open(*HERE))
    assert indexes.memory() > 0
    indexes.release(pin)
    assert indexes.memory() == 0


def test_deleting_the_mailbox_ends_its_index(database, indexes):
    made = run(database.write(mailboxes.create, ALICE, "x", NOW))
    heard = []
    pin = run(indexes.open(ALICE, made.id, lambda: heard.append("changed")))
    run(database.write(mailboxes.delete_mailbox, ALICE, "x", NOW))
    assert pin.index.gone and heard == ["changed"]
    with pytest.raises(NoSuchMailbox):
        run(indexes.open(ALICE, made.id))


def test_no_such_mailbox(indexes):
    with pytest.raises(NoSuchMailbox):
        run(indexes.open(ALICE, MailboxId(99)))


rows = st.lists(
    st.tuples(st.integers(0, 31), st.integers(0, 2**80), st.integers(1, 2**60), st.integers(0, 2**31)),
    max_size=40,
)


@given(rows)
def test_segments_unpack_to_what_was_packed(items):
    segment = Segment(3)
    for uid, (flags, keywords, modseq, size) in enumerate(items, 1):
        segment.append(IndexRow(uid * 3, flags, keywords, modseq, size, -5 * uid, uid))
    again = Segment.unpack(3, segment.pack())
    assert [again.row(at) for at in range(len(again))] == [segment.row(at) for at in range(len(segment))]
    assert again.top == segment.top


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=60))
def test_maps_know_what_went_whatever_happened(steps):
    index = MailboxIndex(ALICE, INBOX)
    model: list[int] = []
    told = UidMap((), 0)
    uid = 0
    import imsd.store.mailbox_index as module

    before, module.SIZE = module.SIZE, 5
    try:
        for grow, number in steps:
            if grow or not model:
                fresh = [IndexRow(uid + n + 1, 0, 0, 1, 1, 0, 1) for n in range(number % 7 + 1)]
                index._add(fresh)
                model.extend(row.uid for row in fresh)
                uid = model[-1]
            else:
                victim = model.pop(number % len(model))
                index._remove([victim])
            now = index.map()
            assert list(now) == model
            assert [now.position(u) for u in model] == list(range(len(model)))
            if number % 3 == 0:
                expected = [(at, u) for at, u in enumerate(told) if u not in model]
                assert told.gone(now) == expected
                told = now
            elif number % 3 == 1:
                fresh_uids = [u for u in model if u > told.last]
                longer = list(told) + fresh_uids
                told = told.extended(fresh_uids)
                assert list(told) == longer
    finally:
        module.SIZE = before


def test_a_segment_does_not_grow_again_once_it_had_others_behind_it(monkeypatch):
    monkeypatch.setattr("imsd.store.mailbox_index.SIZE", 2)
    index = MailboxIndex(ALICE, INBOX)
    index._add([IndexRow(uid, 0, 0, 1, 1, 0, 1) for uid in (1, 2, 3)])
    told = index.map()
    index._remove([2, 3])
    index._add([IndexRow(4, 0, 0, 1, 1, 0, 1)])
    assert list(told) == [1, 2, 3]
    assert told.gone(index.map()) == [(1, 2), (2, 3)]
    half = index.map()
    index._remove([4])
    index._add([IndexRow(5, 0, 0, 1, 1, 0, 1)])
    assert list(half) == [1, 4] and list(index.map()) == [1, 5]


sets = st.sets(st.integers(1, 60)).map(sorted)


@given(sets, sets)
def test_uid_sets_agree_with_sets(left, right):
    a, b = uidsets.of(left), uidsets.of(right)
    assert list(uidsets.each(uidsets.union(a, b))) == sorted(set(left) | set(right))
    assert list(uidsets.each(uidsets.without(a, b))) == sorted(set(left) - set(right))
    assert uidsets.parse(uidsets.encode(a)) == a
    assert all(uidsets.contains(a, n) == (n in left) for n in range(62))
