"""SORT and THREAD on a store."""

from __future__ import annotations

import pytest

from imsd.sessions.imap4.remembered import SORT_OCTETS, SortKeys
from imsd.store import jobs, messages
from imsd.store.ids import INBOX
from protocols.message.collation import DEFAULT
from protocols.message.summary import summarize
from tests.support.imap import mailstore, select, session
from tests.support.mail import ALICE, NOW, make_account, new_blob
from tests.support.stores import run

HERE = (ALICE, INBOX)
FIRST = (
    b"From: =?utf-8?q?Zo=C3=AB?= <Bob@Example.TEST>\r\nTo: a@b\r\nCc: c@d\r\n"
    b"Subject: Re: [x] =?utf-8?q?Caf=C3=A9?=\r\n"
    b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\nx"
)
BARE = b"Subject: \r\nTo: friends:;\r\n\r\n"


@pytest.fixture
def held(database):
    make_account(database)
    return mailstore(database)


@pytest.mark.parametrize("scanned", [True, False])
def test_traits_of_messages(held, database, scanned):
    for data in (FIRST, BARE):
        blob = new_blob(data, summarize(data) if scanned else None)
        run(database.write(messages.append, *HERE, blob, 0, (), NOW, NOW, b""))
    view = select(session(held))
    for _ in range(2):  # the second time from memory
        first, bare = run(view.traits([1, 2]))
        assert (first.base, first.answer) == ("CAFE\u0301".encode(), True)
        assert (first.sender, first.to, first.cc) == (b"BOB", b"A", b"C")
        assert (first.display_from, first.display_to) == ("ZOE\u0308".encode(), b"A@B")
        assert first.sent == 760_686_745_000_000 and first.arrival == NOW
        assert (first.message_id, first.references) == (b"<2@x>", (b"<1@x>",))
        assert (bare.base, bare.answer, bare.sender, bare.to) == (b"", False, b"", b"FRIENDS")
        assert bare.sent == NOW


def test_each_comparator_maps_by_itself(held, database):
    run(database.write(messages.append, *HERE, new_blob(FIRST, summarize(FIRST)), 0, (), NOW, NOW, b""))
    view = select(session(held))
    found = {
        name: run(view.traits([1], name))[0] for name in (DEFAULT, "i;ascii-casemap", "i;octet", DEFAULT)
    }
    assert [one.base for one in found.values()] == ["CAFE\u0301".encode(), "CAFé".encode(), "Café".encode()]
    assert [one.display_from for one in found.values()] == [
        "ZOE\u0308".encode(), "ZOë".encode(), "Zoë".encode(),
    ]  # fmt: skip


def test_what_is_gone_has_no_traits(held, database):
    for data in (FIRST, BARE):
        run(database.write(messages.append, *HERE, new_blob(data, summarize(data)), 0, (), NOW, NOW, b""))
    view = select(session(held))
    run(jobs.expunge(database, HERE, [1], NOW, only_deleted=False))
    assert [trait is None for trait in run(view.traits([1, 2, 7]))] == [False, False, True]


def test_what_is_remembered_is_bounded_in_octets(held, database):
    long = b"".join(b"\r\n <%d.%0900d@x>" % (n, n) for n in range(100))
    for n in range(20):
        data = b"Subject: %d\r\nReferences:%b\r\n\r\n%d" % (n, long, n)
        run(database.write(messages.append, *HERE, new_blob(data, summarize(data)), 0, (), NOW, NOW, b""))
    view = select(session(held))
    held.sort_keys = SortKeys(500_000)
    first = run(view.traits(range(1, 21)))
    assert [len(one.references) for one in first] == [100] * 20
    kept = len(held.sort_keys._kept)
    assert 1 <= kept < 20 and 90_000 * kept < held.sort_keys.octets <= 500_000
    assert run(view.traits(range(1, 21))) == first


def test_usual_messages_are_all_remembered():
    keys = SortKeys()
    for n in range(50_000):
        keys.keep(n, (n,), 600)
    assert keys.get(0) == (0,) and keys.octets <= SORT_OCTETS
