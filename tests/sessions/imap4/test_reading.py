"""FETCH content and SEARCH over stored messages."""

from datetime import date

import pytest

from imsd.errors import StoreUnavailable
from imsd.store import jobs, messages
from imsd.store.blobs import new_blob
from imsd.store.ids import INBOX
from protocols.imap4 import keys
from protocols.imap4.dialect import Dialect
from protocols.imap4.keys import When
from protocols.imap4.values import Needs
from protocols.message.part import SCAN_VERSION
from protocols.message.summary import summarize
from tests.support.imap import EVERY, mailstore, number_set, select, session, uid_set
from tests.support.mail import ALICE, NOW, make_account, put
from tests.support.stores import run

HERE = (ALICE, INBOX)
ALL = Needs(summary=True, header=True, scan=True, content=True)

PLAIN = (
    b"From: Ann <ann@example.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Mon, 7 Feb 1994 23:52:25 -0800\r\n\r\nThe quick brown fox\r\n"
)
ENCODED = (
    b"From: Bo <bo@example.test>\r\nSubject: lunch\r\nX-Spam: \r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"Q2Fmw6kgw6AgbGEgY2Fy\r\ndGU=\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\n\r\nsecret\r\n--b--\r\n"
)


@pytest.fixture
def held(database):
    make_account(database)
    return mailstore(database)


def store(database, *items, prefix=b"", scanned=True):
    for data in items:
        blob = new_blob(data, summarize(data) if scanned else None)
        run(database.write(messages.append, *HERE, blob, 0, (), NOW, NOW, prefix))


async def _gather(batches):
    return [pair async for batch in batches for pair in batch]


def fetch(view, which, needs=ALL, since=0):
    return run(_gather(view.fetch(which, needs, since)))


async def _all(pieces):
    return b"".join([piece async for piece in pieces])


def found(view, key):
    return list(run(view.search(key)).uids)


def test_content_is_prefix_and_blob(held, database):
    store(database, PLAIN, prefix=b"Return-Path: <>\r\n")
    ((row, message),) = fetch(select(session(held)), number_set(1))
    assert row.size == len(PLAIN) + len(message.prefix)
    assert message.prefix == b"Return-Path: <>\r\n"
    assert run(message.read(0, message.size)) == PLAIN
    assert run(_all(message.stream(5, 25))) == PLAIN[5:25]
    assert message.header == PLAIN[: PLAIN.index(b"\r\n\r\n") + 4]
    assert message.envelope == summarize(PLAIN).envelope
    assert message.scan.size == len(PLAIN)


def test_only_what_is_needed_is_read(held, database):
    store(database, PLAIN)
    ((_row, message),) = fetch(select(session(held)), number_set(1), Needs(summary=True))
    assert message.header == b"" and message.scan is None and message.envelope
    ((_row, message),) = fetch(select(session(held)), number_set(1), Needs(header=True))
    assert message.header and not message.envelope


def test_large_content_is_streamed(held, database):
    big = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 60_000
    blob = run(_build(held, big))
    run(database.write(messages.append, *HERE, blob, 0, (), NOW, NOW))
    ((_row, message),) = fetch(select(session(held)), number_set(1))
    assert message.header == b"Subject: big\r\n\r\n"
    assert run(_all(message.stream(0, message.size))) == big
    assert run(message.read(100, 130)) == big[100:130]


def test_content_that_cannot_be_read_is_told_after_all_others(held, database, monkeypatch):
    """FETCH must not end well with messages left out."""
    store(database, PLAIN)
    big = run(_build(held, b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 60_000))
    run(database.write(messages.append, *HERE, big, 0, (), NOW, NOW))
    store(database, PLAIN)
    view, numbers = select(session(held)), []

    async def unreadable(*_):
        raise StoreUnavailable

    async def all_of_them():
        async for batch in view.fetch(number_set((1, 3)), Needs(header=True)):
            numbers.extend(row.sequence for row, _ in batch)

    monkeypatch.setattr(type(held.blobs), "read", unreadable)
    with pytest.raises(StoreUnavailable):
        run(all_of_them())
    assert numbers == [1, 3]


async def _build(held, data):
    builder = held.blobs.builder()
    builder.write(data)
    return await builder.finish(summarize(data))


def test_batches_cover_everything_once(held, database):
    put(database, 130)
    view = select(session(held))
    pairs = fetch(view, number_set(EVERY), Needs(summary=True))
    assert [row.sequence for row, _ in pairs] == list(range(1, 131))
    assert [row.uid for row, _ in fetch(view, uid_set((100, 0)), Needs(content=True))] == list(
        range(100, 131)
    )


def test_expunged_but_told_messages_keep_their_content(held, database):
    store(database, PLAIN)
    view = select(session(held))
    run(jobs.expunge(database, HERE, [1], NOW, only_deleted=False))
    ((row, message),) = fetch(view, number_set(1))
    assert row.sequence == 1 and run(message.read(0, 5)) == PLAIN[:5]
    run(jobs.release_expunged(database, NOW))
    assert fetch(view, number_set(1)) == []


def test_unscanned_content_is_scanned_when_read(held, database):
    store(database, PLAIN, scanned=False)
    ((_row, message),) = fetch(select(session(held)), number_set(1))
    assert message.envelope == summarize(PLAIN).envelope
    assert message.header.endswith(b"\r\n\r\n")
    run(database.write(lambda unit: None))
    assert run(held.blobs.summary(message._content.blob)).scan_version == SCAN_VERSION


def test_utf8_headers_are_shown_as_they_are_to_who_can_read_them(held, database):
    raw = "Subject: Grüße\r\n\r\nx\r\n".encode()
    store(database, raw)
    old = fetch(select(session(held)), number_set(1), Needs(summary=True))[0][1].envelope
    new = fetch(
        select(session(held), dialect=Dialect(rev2=True, utf8=True)), number_set(1), Needs(summary=True)
    )[0][1].envelope
    assert "Grüße".encode() in new and old.isascii()


@pytest.mark.parametrize(
    ("key", "uids"),
    [
        (keys.All(), [1, 2]),
        (keys.Header("subject", "GRÜßE"), [1]),
        (keys.Header("subject", "grüße"), [1]),
        (keys.Header("from", "ann@"), [1]),
        (keys.Header("x-spam", ""), [2]),
        (keys.Header("x-spam", "a"), []),
        (keys.Body("QUICK BROWN"), [1]),
        (keys.Body("café à la carte"), [2]),
        (keys.Body("secret"), []),
        (keys.Text("lunch"), [2]),
        (keys.Text("grüße"), [1]),
        (keys.Body("lunch"), []),
        (keys.Not(keys.Body("fox")), [2]),
        (keys.Or(keys.Body("fox"), keys.Header("subject", "lunch")), [1, 2]),
        (keys.And((keys.Body("fox"), keys.Header("subject", "lunch"))), []),
        (keys.Sent(When.ON, date(1994, 2, 7)), [1]),
        (keys.Sent(When.BEFORE, date(1994, 2, 7)), []),
        (keys.Sent(When.SINCE, date(1994, 2, 7)), [1]),
        (keys.Internal(When.ON, date(2023, 11, 14)), [1, 2]),
        (keys.Internal(When.SINCE, date(2023, 11, 15)), []),
        (keys.Larger(200), [2]),
        (keys.Smaller(200), [1]),
        (keys.Numbers(number_set(2)), [2]),
        (keys.Numbers(uid_set((2, 0))), [2]),
        (keys.And((keys.Numbers(uid_set(1)), keys.Not(keys.Header("subject", "lunch")))), [1]),
        (keys.Flag(b"\\SEEN"), []),
        (keys.Flag(b"\\Seen", False), [1, 2]),
        (keys.Flag(b"nokeyword"), []),
        (keys.Recent(), [1, 2]),
        (keys.ModSeqAtLeast(3), [2]),
    ],
)
def test_search(held, database, key, uids):
    store(database, PLAIN, ENCODED)
    assert found(select(session(held)), key) == uids


def test_search_tells_numbers_and_the_highest_modseq(held, database):
    store(database, PLAIN, ENCODED, PLAIN)
    run(jobs.expunge(database, HERE, [1], NOW, only_deleted=False))
    result = run(select(session(held)).search(keys.Body("fox")))
    assert (list(result.sequences), list(result.uids), result.modseq) == ([2], [3], 4)


def test_a_match_across_pieces_is_found(held, database):
    body = b"a" * 32_760 + b" needle in a haystack " + b"b" * 40_000
    data = b"Subject: x\r\n\r\n" + b"\r\n".join([body]) + b"\r\n"
    store(database, data)
    assert found(select(session(held)), keys.Body("needle in a haystack")) == [1]


def test_keywords_are_found_without_case(held, database):
    put(database, 1, keywords=("$Work",))
    put(database, 1)
    view = select(session(held))
    assert found(view, keys.Flag(b"$WORK")) == [1]
    assert found(view, keys.Flag(b"$work", False)) == [2]


def test_changed_since(held, database):
    put(database, 3)
    view = select(session(held))
    assert [row.uid for row, _ in fetch(view, number_set(EVERY), Needs(summary=True), 3)] == [3]


def test_long_fields_and_many_fields_are_searched_whole(held, database):
    words = b" ".join([b"=?utf-8?q?zebr?="] + [b"=?utf-8?q?a_n?="] + [b"=?utf-8?q?x?="] * 4000)
    names = b" ".join(b"name%d" % number for number in range(4000))
    many = b"".join(b"X-%d: value%d\r\n" % (number, number) for number in range(2000))
    store(database, b"Subject: %b end\r\nTo: %b\r\n%b\r\nx\r\n" % (words, names, many))
    view = select(session(held))

    def found(key):
        return list(run(view.search(key)).uids)

    assert found(keys.Header("subject", "ZEBRA N" + "X" * 4000 + " end")) == [1]
    assert found(keys.Header("to", "name1999 name2000")) == [1]
    assert found(keys.Header("X-1999", "value1999")) == found(keys.Text("x-1998: value1998")) == [1]
    assert found(keys.And((keys.Header("x-7", "value7"), keys.Not(keys.Header("X-8", "value9"))))) == [1]
    assert found(keys.Header("x-7", "value8")) == found(keys.Header("x-2000", "")) == []
