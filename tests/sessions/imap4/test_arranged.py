"""What is kept of SORT and THREAD gives what sorting anew would."""

from __future__ import annotations

import random
from array import array

import pytest

from imsd.sessions.imap4 import arranged
from imsd.sessions.imap4.arranged import Answer, Arranged, Order
from imsd.store import jobs, messages
from imsd.store.ids import INBOX
from protocols.imap4 import keys
from protocols.imap4.ordering import Criterion, SortKey
from protocols.imap4.values import Found
from protocols.message.collation import DEFAULT
from protocols.message.summary import summarize
from tests.support.imap import mailstore, select, session
from tests.support.mail import ALICE, NOW, make_account, new_blob
from tests.support.stores import run

HERE = (ALICE, INBOX)
SUBJECT = (Criterion(SortKey.SUBJECT),)
BACK = (Criterion(SortKey.FROM, True), Criterion(SortKey.DATE))
CHANCE = random.Random(7)


@pytest.fixture
def held(database):
    make_account(database)
    return mailstore(database)


def arrive(database, count=1):
    for _ in range(count):
        data = b"From: <p%d@x>\r\nSubject: %d\r\nDate: Mon, 7 Feb 1994 21:52:%02d -0800\r\n\r\nx" % (
            CHANCE.randrange(3),
            CHANCE.randrange(6),
            CHANCE.randrange(60),
        )
        run(database.write(messages.append, *HERE, new_blob(data, summarize(data)), 0, (), NOW, NOW, b""))


def told(view):
    list(view.updates(True))
    return run(view.search(keys.All())).uids


def in_order(view, uids, criteria=SUBJECT):
    return list(run(view.in_order(uids, criteria)))


def anew(view, uids, criteria=SUBJECT):
    kept, view.held.arranged = view.held.arranged, Arranged()
    try:
        return in_order(view, uids, criteria)
    finally:
        view.held.arranged = kept


def traits_refused(view, monkeypatch):
    async def traits(self, uids, comparator=DEFAULT):
        raise AssertionError(uids)

    monkeypatch.setattr(type(view), "traits", traits)


@pytest.mark.parametrize("criteria", [SUBJECT, BACK], ids=["subject", "reverse"])
def test_what_came_and_went_is_right_in_a_kept_order(held, database, criteria):
    arrive(database, 40)
    view = select(session(held))
    assert in_order(view, told(view), criteria) == anew(view, told(view), criteria)
    for step in range(6):
        arrive(database, step)
        run(jobs.expunge(database, HERE, [CHANCE.randrange(1, 40)], NOW, only_deleted=False))
        every = told(view)
        assert in_order(view, every, criteria) == anew(view, every, criteria)
        some = array("I", sorted(CHANCE.sample(list(every), len(every) // 2)))
        assert in_order(view, some, criteria) == anew(view, some, criteria)


def test_nothing_is_read_for_what_was_sorted_before(held, database, monkeypatch):
    arrive(database, 30)
    view = select(session(held))
    every = told(view)
    first = in_order(view, every)
    traits_refused(view, monkeypatch)
    assert in_order(view, every) == first
    assert in_order(view, every[5:25]) == [uid for uid in first if uid in every[5:25]]


def test_another_order_of_few_does_not_take_the_place_of_that_of_all(held, database, monkeypatch):
    arrive(database, 60)
    view = select(session(held))
    every = told(view)
    first = in_order(view, every)
    assert in_order(view, every[3:5]) == [uid for uid in first if uid in every[3:5]]
    traits_refused(view, monkeypatch)
    assert in_order(view, every) == first


def test_what_is_gone_is_left_out(held, database):
    arrive(database, 3)
    view = select(session(held))
    assert sorted(in_order(view, array("I", [1, 2, 3, 9]))) == [1, 2, 3]
    assert held.arranged.octets == 0


def test_an_answer_is_given_again_for_just_what_was_found(held, database):
    arrive(database, 3)
    view = select(session(held))
    found = run(view.search(keys.All()))
    view.remember("a", found, b"said")
    assert view.recall("a", found) == b"said"
    assert view.recall("b", found) is None
    assert view.recall("a", Found(found.sequences[:2], found.uids[:2], 0)) is None
    # A message before them went: the numbers are others.
    assert view.recall("a", Found(array("I", [2, 3, 4]), found.uids, 0)) is None
    other = select(session(held), "Sent")
    assert other.recall("a", found) is None


def test_what_is_kept_is_bounded_and_the_oldest_goes(monkeypatch):
    monkeypatch.setattr(arranged, "OCTETS", 4000)
    kept = Arranged()
    for number in range(10):
        uids = array("I", range(100))
        kept.keep((1, 1, 1, number), Order(uids, uids))
        kept.get((1, 1, 1, 0))
    assert kept.octets <= 4000
    assert kept.get((1, 1, 1, 0)) is not None and kept.get((1, 1, 1, 9)) is not None
    assert kept.get((1, 1, 1, 1)) is None
    kept.keep((1, 1, 1, 0), Answer(array("I"), array("I"), b"x"))
    assert kept.get((1, 1, 1, 0)).said == b"x"
    kept.keep((1, 1, 1, 5), Answer(array("I"), array("I"), bytes(5 * arranged.LARGEST)))
    assert kept.get((1, 1, 1, 5)) is None
