"""RFC 9738 MESSAGELIMIT: how many messages one command may be about."""

from __future__ import annotations

import pytest

from protocols.imap4.server import Limits
from protocols.imap4.sets import common
from tests.support.imap4 import Client, world_with


def client(limit: int = 3, count: int = 5, saved: int = 0) -> Client:
    world = world_with(count)
    world.make("Other")
    return Client(world, limits=lambda: Limits(messages=limit, saved_messages=saved)).select()


def fetched(answer: bytes) -> list[int]:
    return [int(line.split()[1]) for line in answer.splitlines() if b" FETCH (" in line]


@pytest.mark.parametrize(
    ("messages", "saved", "name"),
    [(0, 0, b""), (3, 0, b"MESSAGELIMIT=3"), (0, 4, b"SAVELIMIT=4"), (3, 4, b"MESSAGELIMIT=3")],
)
def test_the_limit_is_announced_when_there_is_one(messages: int, saved: int, name: bytes) -> None:
    words = client(messages, saved=saved).say(b"a CAPABILITY").split(b"\r\n")[0].split()
    assert [word for word in words if b"LIMIT=" in word] == ([name] if name else [])


def test_without_a_limit_nothing_is_left_out() -> None:
    answer = client(0).say(b"a FETCH 1:* FLAGS")
    assert fetched(answer) == [1, 2, 3, 4, 5] and b"MESSAGELIMIT" not in answer


@pytest.mark.parametrize("which", [b"FETCH 1:*", b"UID FETCH 1:*", b"UID FETCH 1,3:9,2", b"FETCH 5,1:4"])
def test_the_last_messages_are_fetched(which: bytes) -> None:
    answer = client().say(b"a " + which + b" FLAGS")
    assert fetched(answer) == [3, 4, 5]
    assert b"\r\na OK [MESSAGELIMIT 3 3] " in answer


def test_as_many_as_may_be_are_all() -> None:
    answer = client().say(b"a FETCH 2:4 FLAGS")
    assert fetched(answer) == [2, 3, 4] and b"MESSAGELIMIT" not in answer


def test_more_than_the_limit_by_partial_is_refused_whole() -> None:
    one = client()
    assert one.say(b"a UID FETCH 1:* FLAGS (PARTIAL -1:-4)").startswith(b"a NO [MESSAGELIMIT 3] ")
    assert fetched(one.say(b"b UID FETCH 1:* FLAGS (PARTIAL -2:-4)")) == [2, 3, 4]


def test_what_is_stored_and_what_is_left() -> None:
    one = client()
    answer = one.say(b"a UID STORE 1:* +FLAGS (\\Flagged)")
    assert fetched(answer) == [3, 4, 5] and b"\r\na OK [MESSAGELIMIT 3 3] " in answer
    answer = one.say(b"b UID STORE 1:2 +FLAGS (\\Flagged)")
    assert fetched(answer) == [1, 2] and b"\r\nb OK UID STORE" in answer


def test_two_codes_are_told_in_two_responses() -> None:
    one = client()
    answer = one.say(b"a STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Flagged)").splitlines()
    assert answer[-2].startswith(b"* NO [MESSAGELIMIT 3 3] ")
    assert answer[-1].startswith(b"a OK [MODIFIED 3:5] ")


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (b"ALL", b"* SEARCH 3 4 5\r\na OK [MESSAGELIMIT 3 3]"),
        # What is looked at counts, not what is found.
        (b"UNDELETED 1:4", b"* SEARCH 2 3 4\r\na OK [MESSAGELIMIT 3 2]"),
        (b"UIDBEFORE 4 SEEN", b"* SEARCH\r\na OK UID SEARCH"),
        (b"UIDAFTER 1 UIDBEFORE 5 ALL", b"* SEARCH 2 3 4\r\na OK UID SEARCH"),
        (b"UIDAFTER 1", b"* SEARCH 3 4 5\r\na OK [MESSAGELIMIT 3 3]"),
        (b"UIDAFTER 5", b"* SEARCH\r\na OK UID SEARCH"),
        (b"UIDAFTER 4294967295", b"* SEARCH\r\na OK UID SEARCH"),
        (b"UIDBEFORE 1", b"* SEARCH\r\na OK UID SEARCH"),
    ],
)
def test_the_last_messages_are_searched(key: bytes, found: bytes) -> None:
    assert found in client().say(b"a UID SEARCH " + key)


def test_the_saved_result_is_what_was_found() -> None:
    one = client()
    assert b"a OK [MESSAGELIMIT 3 3]" in one.say(b"a SEARCH RETURN (SAVE) ALL")
    assert fetched(one.say(b"b FETCH $ UID")) == [3, 4, 5]


@pytest.mark.parametrize(("messages", "saved"), [(3, 0), (0, 3)])
def test_too_many_are_not_copied_at_all(messages: int, saved: int) -> None:
    one = client(messages, saved=saved)
    assert one.say(b"a UID COPY 1:4 Other").startswith(b"a NO [MESSAGELIMIT 3 2] ")
    assert not one.world.boxes["Other"].records
    assert b"a OK [COPYUID" in one.say(b"a UID COPY 1:3 Other")


@pytest.mark.parametrize("qresync", [False, True])
def test_the_last_messages_are_moved(qresync: bool) -> None:
    one = Client(world_with(5), limits=lambda: Limits(messages=3)).login()
    one.world.make("Other")
    if qresync:
        one.say(b"q ENABLE QRESYNC")
    one.say(b"s SELECT INBOX")
    answer = one.say(b"a UID MOVE 1:* Other").splitlines()
    assert answer[0].startswith(b"* OK [COPYUID ") and b" 3:5 1:3]" in answer[0]
    if qresync:
        # RFC 7162 3.2.9 wants the tagged response for HIGHESTMODSEQ.
        assert answer[-2].startswith(b"* NO [MESSAGELIMIT 3 3] ")
        assert answer[-1].startswith(b"a OK [HIGHESTMODSEQ ")
    else:
        assert answer[-1].startswith(b"a OK [MESSAGELIMIT 3 3] ")
    assert b"a OK Moved" in one.say(b"a UID MOVE 1:* Other") or qresync
    assert not one.world.boxes["INBOX"].records


def test_uid_expunge_counts_deleted_messages_and_expunge_nothing() -> None:
    one = client(2)
    for number in (1, 2, 4):
        one.world.boxes["INBOX"].records[number - 1].flags.add(b"\\Deleted")
    answer = one.say(b"a UID EXPUNGE 1:*")
    assert answer.count(b" EXPUNGE\r\n") == 2 and b"a OK [MESSAGELIMIT 2 2] " in answer
    one = client(2)
    for record in one.world.boxes["INBOX"].records:
        record.flags.add(b"\\Deleted")
    answer = one.say(b"a EXPUNGE")
    assert answer.count(b" EXPUNGE\r\n") == 5 and b"MESSAGELIMIT" not in answer


def test_thread_wants_all_messages_and_sort_has_them() -> None:
    one = client()
    assert one.say(b"a THREAD REFERENCES utf-8 1:2").startswith(b"a NO [MESSAGELIMIT 3] ")
    assert b"* SORT 1 2 3 4 5\r\n" in one.say(b"a SORT (ARRIVAL) utf-8 ALL")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ((), ((1, 9),), ()),
        (((1, 4), (6, 9)), ((3, 7),), ((3, 4), (6, 7))),
        (((1, 2), (4, 5)), ((3, 3),), ()),
        (((1, 5),), ((1, 1), (5, 5)), ((1, 1), (5, 5))),
    ],
)
def test_what_sets_have_in_common(one: tuple, other: tuple, both: tuple) -> None:  # type: ignore[type-arg]
    assert common(one, other) == common(other, one) == both
