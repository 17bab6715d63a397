"""Keys on columns say what they say of each message by itself."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsd.sessions.imap4 import columns, searching
from imsd.store import jobs, messages
from imsd.store.ids import INBOX
from protocols.imap4 import keys
from protocols.imap4.keys import When
from protocols.imap4.sets import STAR, SequenceSet
from tests.support.imap import mailstore, select, session
from tests.support.mail import ALICE, NOW, content, make_account
from tests.support.stores import run

COUNT = 60
DAY = 86_400_000_000
WORDS = tuple(f"word{number}" for number in range(70))


@pytest.fixture
def rows(sqlite_database: Any, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was stored, by its own account."""
    monkeypatch.setattr(searching, "at_once", lambda key: 7)
    monkeypatch.setattr(searching, "MANY", 3)
    make_account(sqlite_database)
    stored = []
    for number in range(COUNT):
        words = tuple(word for at, word in enumerate(WORDS) if (number * 7 + at) % 23 == 0)
        row = {
            "flags": (number * 5) % 32,
            "words": words,
            "date": NOW + number % 9 * DAY,
            "body": "x" * (number * 13 % 40),
        }
        made = run(
            sqlite_database.write(
                messages.append, ALICE, INBOX, content(row["body"]), row["flags"], words, row["date"], NOW
            )
        )
        row["uid"], row["modseq"] = made.uid, made.modseq
        stored.append(row)
    gone = [3, 4, 30, 59]
    run(jobs.expunge(sqlite_database, (ALICE, INBOX), gone, NOW, only_deleted=False))
    return [row for row in stored if row["uid"] not in gone]


_SYSTEM = {b"\\Seen": 1, b"\\Answered": 2, b"\\Flagged": 4, b"\\Deleted": 8, b"\\Draft": 16}
NAMES = [*_SYSTEM, *(word.encode() for word in WORDS), b"no"]
_EPOCH = datetime.date(1970, 1, 1)
_FIRST = _EPOCH + datetime.timedelta(NOW // DAY)

ranges = st.lists(
    st.tuples(st.integers(0, COUNT + 5), st.integers(0, COUNT + 5)), min_size=1, max_size=6
).map(tuple)
leaves = st.one_of(
    st.builds(keys.All),
    st.builds(
        keys.Flag, st.sampled_from([*_SYSTEM, *(word.encode() for word in WORDS), b"no"]), st.booleans()
    ),
    st.builds(keys.Recent, st.booleans()),
    st.builds(keys.Larger, st.integers(150, 260)),
    st.builds(keys.Smaller, st.integers(150, 260)),
    st.builds(
        keys.Internal,
        st.sampled_from(When),
        st.integers(-1, 10).map(lambda days: _FIRST + datetime.timedelta(days)),
    ),
    st.builds(keys.ModSeqAtLeast, st.integers(0, COUNT + 70)),
    st.builds(keys.Numbers, st.builds(SequenceSet, ranges, st.booleans())),
    st.builds(keys.Sent, st.sampled_from(When), st.just(datetime.date(1994, 2, 7))),
    st.builds(keys.Header, st.sampled_from(["subject", "x-none"]), st.sampled_from(["subj", "none", ""])),
    st.builds(keys.Body, st.sampled_from(["XXXXXXXXXXXXXXXX", "y", ""])),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(keys.Not, inner),
        st.builds(keys.Or, inner, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda some: keys.And(tuple(some))),
    ),
    max_leaves=6,
)


def oracle(rows: list[dict[str, Any]], key: Any, view: Any) -> Callable[[int], bool]:
    """Whether the message of a number matches, from what was stored."""

    def true(number: int, key: Any) -> bool:
        row = rows[number - 1]
        day = _EPOCH + datetime.timedelta(row["date"] // DAY)
        size = len(content(row["body"]).data or b"")
        match key:
            case keys.Flag(name, present):
                bit = _SYSTEM.get(name)
                has = bool(row["flags"] & bit) if bit else name.decode() in row["words"]
                return has is present
            case keys.Recent(present):
                return view.is_recent(row["uid"]) is present
            case keys.Larger(limit):
                return size > limit
            case keys.Smaller(limit):
                return size < limit
            case keys.Internal(when, wanted):
                return {When.BEFORE: day < wanted, When.ON: day == wanted, When.SINCE: day >= wanted}[when]
            case keys.ModSeqAtLeast(value):
                return bool(row["modseq"] >= value)
            case keys.Numbers(which):
                last = rows[-1]["uid"] if which.uid else len(rows)
                mine = row["uid"] if which.uid else number
                return any(
                    low <= mine <= high
                    for low, high in (sorted((a or last, b or last)) for a, b in which.ranges)
                )
            case keys.Sent(when, _):
                return when is not When.BEFORE
            case keys.Header(name, text):
                return name == "subject" and text != "none"
            case keys.Body(text):
                return text.lower() in row["body"]
            case keys.Not(inner):
                return not true(number, inner)
            case keys.Or(left, right):
                return true(number, left) or true(number, right)
            case keys.And(inner):
                return all(true(number, one) for one in inner)
        return True

    return lambda number: true(number, key)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_key_finds_what_is_true(data: Any, sqlite_database: Any, rows: Any) -> None:
    assert STAR == 0
    held = mailstore(sqlite_database)
    view = select(session(held))
    for _ in range(3):
        key = data.draw(trees)
        true = oracle(rows, key, view)
        found = run(view.search(key))
        right = [number for number in range(1, len(rows) + 1) if true(number)]
        assert list(found.sequences) == right, key
        assert list(found.uids) == [rows[number - 1]["uid"] for number in right]
        assert found.modseq == max((rows[number - 1]["modseq"] for number in right), default=0)
    view.close()


def test_a_message_expunged_before_its_turn_is_found(sqlite_database: Any, rows: Any) -> None:
    held = mailstore(sqlite_database)
    view = select(session(held))
    run(jobs.expunge(sqlite_database, (ALICE, INBOX), [10, 11, 60], NOW, only_deleted=False))
    found = run(view.search(keys.Header("subject", "a subject")))
    assert list(found.sequences) == list(range(1, len(rows) + 1))
    assert list(found.uids) == [row["uid"] for row in rows]


def test_a_set_without_an_end_costs_what_its_text_costs(sqlite_database: Any, rows: Any) -> None:
    held = mailstore(sqlite_database)
    view = select(session(held))
    many = tuple((2 * number + 1, 2 * number + 1) for number in range(100_000))
    found = run(view.search(keys.Numbers(SequenceSet(many, uid=True))))
    assert list(found.uids) == [row["uid"] for row in rows if row["uid"] % 2]
    assert columns.every(0) == 0
