"""Views: numbers are never wrong, whatever other sessions do meanwhile."""

import random

import pytest

from imsd.errors import NotPermitted
from imsd.store import flags as f
from imsd.store import jobs, mailboxes
from imsd.store.ids import INBOX, PUBLIC
from imsd.store.marking import Mark
from protocols.imap4.dialect import Dialect
from protocols.imap4.values import Expunged, FlagChange, FlagsNow, Grown, KeywordsNow
from tests.support.imap import EVERY, Client, flat, mailstore, number_set, select, session, uid_set
from tests.support.mail import ALICE, BOB, NOW, make_account, put
from tests.support.stores import run

HERE = (ALICE, INBOX)


@pytest.fixture
def held(database):
    make_account(database)
    make_account(database, BOB)
    return mailstore(database)


def test_select_tells_what_there_is(held, database):
    put(database, 2, flags=f.SEEN)
    put(database, 1, keywords=("$Work",))
    view = select(session(held))
    assert (view.exists, view.recent, view.first_unseen, view.uid_next) == (3, 3, 3, 4)
    assert view.flags.endswith(b"$Work") and view.permanent_flags.endswith(b"\\*")
    assert [row.flags for row in flat(view.rows(number_set(EVERY)))] == [
        b"\\Seen \\Recent", b"\\Seen \\Recent", b"\\Recent $Work",
    ]  # fmt: skip


def test_recent_belongs_to_the_first_that_may_write(held, database):
    put(database, 2)
    assert select(session(held), read_only=True).recent == 2
    assert select(session(held)).recent == 2
    assert select(session(held)).recent == 0


def test_rev2_knows_no_recent_flag(held, database):
    put(database)
    view = select(session(held), dialect=Dialect(rev2=True))
    assert flat(view.rows(number_set(1)))[0].flags == b""


def test_nothing_moves_before_updates(held, database):
    put(database, 3)
    view = select(session(held))
    run(jobs.expunge(database, HERE, [2], NOW, only_deleted=False))
    put(database)
    assert view.exists == 3
    assert [row.uid for row in flat(view.rows(number_set(EVERY)))] == [1, 2, 3]
    assert list(view.updates(True)) == [Expunged(2, 2), Grown(3, 3)]
    assert [row.uid for row in flat(view.rows(number_set(EVERY)))] == [1, 3, 4]
    assert list(view.updates(True)) == []


def test_held_back_expunges_hold_back_highestmodseq(held, database):
    put(database, 3)
    view = select(session(held))
    before = view.highest_modseq
    run(jobs.expunge(database, HERE, [1], NOW, only_deleted=False))
    put(database)
    run(jobs.store_flags(database, HERE, [2], Mark.ADD, f.FLAGGED))
    updates = list(view.updates(False))
    assert [type(u) for u in updates] == [Grown, FlagsNow]
    assert updates[0].exists == 4 and updates[1].rows[0].sequence == 2
    assert view.highest_modseq == before
    assert [row.uid for row in flat(view.rows(number_set(EVERY)))] == [1, 2, 3, 4]
    assert list(view.updates(True)) == [Expunged(1, 1)]
    assert view.highest_modseq == before + 3


def test_what_store_returned_is_not_told_again(held, database):
    put(database, 2)
    one, two = select(session(held)), select(session(held))
    stored = run(one.store(number_set(EVERY), FlagChange.ADD, [b"\\Flagged", b"$x"], None))
    assert [row.flags for row in flat(stored.rows)] == [b"\\Flagged \\Recent $x"] * 2
    assert [type(u) for u in one.updates(True)] == [KeywordsNow]
    updates = list(two.updates(True))
    assert [type(u) for u in updates] == [KeywordsNow, FlagsNow]
    assert [row.flags for row in updates[1].rows] == [b"\\Flagged $x"] * 2


def test_unchangedsince_names_what_failed_as_the_set_did(held, database):
    put(database, 3)
    run(jobs.expunge(database, HERE, [1], NOW, only_deleted=False))
    view = select(session(held))
    run(jobs.store_flags(database, HERE, [3], Mark.ADD, f.SEEN))
    by_number = run(view.store(number_set(EVERY), FlagChange.ADD, [b"\\Seen"], view.highest_modseq))
    assert by_number.modified == ((2, 2),)
    by_uid = run(view.store(uid_set(EVERY), FlagChange.ADD, [b"\\Draft"], 1))
    assert by_uid.modified == ((2, 3),)


def test_sets_may_name_what_is_not_there(held, database):
    put(database, 3)
    view = select(session(held))
    assert [r.uid for r in flat(view.rows(uid_set(2, 9, (100, 0))))] == [2, 3]
    assert flat(view.rows(uid_set(7))) == []
    empty = select(session(held), "Drafts")
    assert flat(empty.rows(uid_set(EVERY))) == [] and flat(empty.rows(number_set(EVERY))) == []


def test_expunge_takes_only_told_and_deleted(held, database):
    put(database, 2, flags=f.DELETED)
    view = select(session(held))
    put(database, 1, flags=f.DELETED)
    run(view.expunge(None))
    assert list(view.updates(True)) == [Expunged(1, 1), Expunged(1, 2), Grown(1, 1)]


def test_uid_expunge_takes_only_its_set(held, database):
    put(database, 3, flags=f.DELETED)
    view = select(session(held))
    run(view.expunge(uid_set(2)))
    assert list(view.updates(True)) == [Expunged(2, 2)]


def test_copy_and_move_answer_with_pairs(held, database):
    put(database, 3)
    view = select(session(held))
    done = run(view.copy(number_set(1, 3), "Archive"))
    assert (done.source, done.target) == (((1, 1), (3, 3)), ((1, 2),))
    done = run(view.move(number_set(2), "Archive"))
    assert (done.source, done.target) == (((2, 2),), ((3, 3),))
    assert list(view.updates(True)) == [Expunged(2, 2)]


def test_examine_changes_nothing(held, database):
    put(database)
    view = select(session(held), read_only=True)
    assert view.permanent_flags == b"" and view.read_only
    with pytest.raises(NotPermitted):
        run(view.store(number_set(1), FlagChange.ADD, [b"\\Seen"], None))
    with pytest.raises(NotPermitted):
        run(view.expunge(None))
    assert list(run(view.seen([1]))) == []


def test_fetching_marks_as_seen_once(held, database):
    put(database, 2, flags=0)
    view = select(session(held))
    assert [row.flags for row in flat(run(view.seen([1])))] == [b"\\Seen \\Recent"]
    assert list(run(view.seen([1]))) == []
    assert list(view.updates(True)) == []


def test_watchers_are_called_once_until_they_looked(held, database):
    view = select(session(held))
    heard = []
    view.watch(lambda: heard.append(view.index.modseq))
    put(database, 3)
    database.reactor.settle()
    assert len(heard) == 1
    assert list(view.updates(True)) == [Grown(3, 3)]
    put(database)
    database.reactor.settle()
    assert len(heard) == 2
    view.watch(None)
    list(view.updates(True))
    put(database)
    database.reactor.settle()
    assert len(heard) == 2


def test_watching_late_still_hears(held, database):
    view = select(session(held))
    put(database)
    heard = []
    view.watch(lambda: heard.append(1))
    database.reactor.settle()
    assert heard == [1]


def test_a_deleted_mailbox_is_gone(held, database):
    alice = session(held)
    run(alice.create("x", ()))
    view = select(alice, "x")
    heard = []
    view.watch(lambda: heard.append(view.gone))
    run(session(held).delete("x"))
    database.reactor.settle()
    assert heard == [True]


def test_seen_in_a_public_folder_is_the_readers_own(held, database):
    folder = run(database.write(mailboxes.create, PUBLIC, "News", NOW))
    put(database, 2, PUBLIC, folder.id)
    alice = select(session(held), "Public Folders/News")
    again = select(session(held), "Public Folders/News")
    bob = select(session(held, BOB), "Public Folders/News")
    assert alice.permanent_flags == b"\\Seen"
    stored = run(alice.store(number_set(1), FlagChange.REPLACE, [b"\\Seen"], None))
    assert flat(stored.rows)[0].flags.startswith(b"\\Seen")
    assert [row.flags for u in again.updates(True) for row in u.rows] == [b"\\Seen"]
    assert all(b"\\Seen" not in row.flags for u in bob.updates(True) for row in u.rows)
    assert (alice.first_unseen, bob.first_unseen) == (2, 1)
    with pytest.raises(NotPermitted):
        run(bob.store(number_set(1), FlagChange.ADD, [b"\\Deleted"], None))
    with pytest.raises(NotPermitted):
        run(bob.expunge(None))


@pytest.mark.parametrize("seed", range(12))
def test_clients_believe_the_truth(held, database, seed, monkeypatch):
    monkeypatch.setattr("imsd.store.mailbox_index.SIZE", 5)
    monkeypatch.setattr("imsd.sessions.imap4.view.BATCH", 3)
    monkeypatch.setattr("imsd.store.mailbox_index.LOG", (0, 2, 1000)[seed % 3])
    chance = random.Random(seed)
    put(database, 12)
    clients = [Client(select(session(held))) for _ in range(3)]
    for _ in range(60):
        client = chance.choice(clients)
        view = client.view
        low = chance.randint(1, max(view.exists, 1))
        some = number_set((low, min(low + chance.randint(0, 3), max(view.exists, 1))))
        match chance.randint(0, 6):
            case 0:
                put(database, chance.randint(1, 4))
            case 1 if view.exists:
                client.store(run(view.store(some, FlagChange.ADD, [b"\\Deleted"], None)))
                client.hear(expunge=False)
            case 2 if view.exists:
                flag = chance.choice([b"\\Seen", b"\\Flagged", b"k%d" % chance.randint(0, 70)])
                how = chance.choice(list(FlagChange))
                client.store(run(view.store(some, how, [flag], None)))
                client.hear(expunge=False)
            case 3:
                run(view.expunge(None))
                client.hear()
            case 4 if view.exists:
                run(view.move(some, "Trash"))
                client.hear()
            case 5:
                client.hear(expunge=False)
            case 6:
                client.hear()
    for client in clients:
        client.hear()
    truth = Client(select(session(held), read_only=True))
    for client in clients:
        assert client.uids == truth.uids
        assert client.modseq == truth.modseq
        for uid in truth.uids:
            told, real = set(client.flags[uid].split()), set(truth.flags[uid].split())
            assert told - {b"\\Recent"} == real - {b"\\Recent"}
    assert not clients[0].view.index.departed


def earlier(view, which, since, after=0):
    """What `vanished` gives, in one list of ranges."""

    async def collect():
        return [piece async for piece in view.vanished(which, since, after)]

    return [each for piece in run(collect()) for each in piece]


def test_vanished_is_what_was_expunged_and_never_what_is_told(held, database, monkeypatch):
    put(database, 6)
    client = select(session(held))
    since = client.highest_modseq
    run(jobs.expunge(database, HERE, [2, 5], NOW, only_deleted=False))
    later = select(session(held))
    run(jobs.expunge(database, HERE, [3], NOW, only_deleted=False))
    everything = uid_set((1, 100))
    for page, few in ((5000, 10_000), (1, 1)):
        monkeypatch.setattr("imsd.sessions.imap4.resync.PAGE", page)
        monkeypatch.setattr("imsd.sessions.imap4.resync.FEW", few)
        assert earlier(client, everything, since) == []
        assert flat_ranges(earlier(later, everything, since)) == [2, 5]
        assert flat_ranges(earlier(later, everything, since, 2)) == [5]
        assert flat_ranges(earlier(later, uid_set((1, 3)), since)) == [2]
        assert earlier(later, everything, later.highest_modseq) == []


def flat_ranges(ranges):
    return [number for low, high in ranges for number in range(low, high + 1)]
