"""Fuzzy matching: grades, scores, and searches of a store (RFC 6203)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.sessions.imap4 import fuzzy
from imsd.sessions.imap4.fuzzy import Grade, Lexicon, Tally, Word, distance, words_of
from imsd.store import messages
from imsd.store.blobs import new_blob
from imsd.store.ids import INBOX
from imsd.store.search.grams import skeleton
from protocols.imap4 import keys
from protocols.message.summary import summarize
from tests.support.imap import mailstore, select, session
from tests.support.mail import ALICE, NOW, make_account
from tests.support.stores import run


@pytest.mark.parametrize(
    ("asked", "word", "grade"),
    [
        ("Café", "Café", Grade.EXACT), ("cafe", "Café", Grade.FOLDED), ("ELAN", "Élan", Grade.FOLDED),
        ("meet", "Meetings", Grade.BEGINNING), ("helo", "hello", Grade.ONE), ("helo", "help", Grade.ONE),
        ("hello", "hlelo", Grade.ONE), ("recieve", "receive", Grade.ONE), ("Gruse", "Grüße", Grade.ONE),
        ("configuration", "konfigurasion", Grade.TWO), ("configuration", "konfigurasionn", Grade.NOT),
        ("eting", "meetings", Grade.INSIDE), ("cat", "cut", Grade.NOT), ("world", "word", Grade.ONE),
        ("hello", "yellow", Grade.NOT),
    ],
)  # fmt: skip
def test_grades(asked: str, word: str, grade: Grade) -> None:
    assert Word(asked).grade(word, skeleton(word)) is grade


@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_the_distance_is_that_of_levenshtein(one: str, other: str) -> None:
    def slow(left: str, right: str) -> int:
        if not left or not right:
            return len(left) + len(right)
        table = {(-1, column): column + 1 for column in range(-1, len(right))}
        table |= {(row, -1): row + 1 for row in range(-1, len(left))}
        for row, mine in enumerate(left):
            for column, theirs in enumerate(right):
                table[row, column] = min(
                    table[row - 1, column] + 1, table[row, column - 1] + 1,
                    table[row - 1, column - 1] + (mine != theirs),
                )  # fmt: skip
        return table[len(left) - 1, len(right) - 1]

    assert distance(one, other, 2) == min(slow(one, other), 3)


@given(st.data())
def test_whatever_matches_holds_a_clue(data: st.DataObject) -> None:
    """So that the index may be asked for the clues alone."""
    word = Word(data.draw(st.text("abcde", min_size=1, max_size=14)))
    letters = list(word.bare)
    for _ in range(data.draw(st.integers(0, word.edits))):
        at = data.draw(st.integers(0, len(letters) - 1))
        match data.draw(st.integers(0, 3)):
            case 0 if len(letters) > 1:
                del letters[at]
            case 1:
                letters.insert(at, "X")
            case 2 if at:
                letters[at - 1], letters[at] = letters[at], letters[at - 1]
            case _:
                letters[at] = "Y"
    other = "".join(letters)
    if word.grade(other, other):
        assert any(clue in other for clue in word.clues)


def tally(asked: str, *pieces: str, field: bool = False) -> Tally:
    made = Tally(Lexicon(words_of(asked)), field)
    for piece in pieces:
        made.add(piece)
    made.end()
    return made


@given(st.text("ab c", min_size=1, max_size=300), st.lists(st.integers(0, 300)))
def test_no_split_of_a_text_changes_the_score(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[low:high] for low, high in pairwise(places)]
    whole, split = tally("abba ab", text), tally("abba ab", *pieces)
    assert whole.matched is split.matched
    if len(max(text.split(" "), key=len)) < fuzzy._CARRIED:
        assert whole.score == split.score


def test_scores_rank_by_grade_and_then_by_how_often() -> None:
    texts = ["x hello hello hello", "x hello", "x Hello", "x helloes", "x hallo", "x othello"]
    scores = [tally("hello", text).score for text in texts]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)
    assert all(1 <= score <= 100 for score in scores)
    assert tally("hello", "hello", field=True).score == 100


def test_every_word_has_to_be_there() -> None:
    assert tally("quick fox", "The quikc brown foxes").matched
    assert not tally("quick fox", "The quick brown dog").matched
    assert words_of("... --") == ()


MAILS = (
    "Subject: Weekly report\r\n\r\nnothing of note",
    "Subject: lunch\r\n\r\nThe weekly reprot of the Zürich office; a report, a report",
    "Subject: =?utf-8?q?R=C3=A9port?=\r\n\r\nempty",
    "Subject: unrelated\r\n\r\nwords",
)


@pytest.fixture
def view(database: Any) -> Any:
    make_account(database)
    for text in MAILS:
        blob = new_blob(text.encode(), summarize(text.encode()))
        run(database.write(messages.append, ALICE, INBOX, blob, 0, (), NOW, NOW))
    return select(session(mailstore(database)))


def scores(view: Any, key: keys.Key) -> dict[int, int]:
    found = run(view.search(key))
    return dict(zip(found.uids, found.scores, strict=True))


def test_a_store_is_searched_fuzzily(view: Any) -> None:
    subject = keys.Fuzzy(keys.Header("subject", "report"))
    assert scores(view, subject) == {1: 92, 3: 84}
    body = keys.Fuzzy(keys.Body("zurich"))
    assert list(scores(view, body)) == [2]
    text = scores(view, keys.Fuzzy(keys.Text("report")))
    assert list(text) == [1, 2, 3] and text[1] > text[2] > text[3]
    assert scores(view, keys.Or(subject, keys.Flag(b"\\Seen", False))) == {1: 92, 2: 1, 3: 84, 4: 1}
    assert list(scores(view, keys.And((subject, keys.Not(keys.Fuzzy(keys.Body("noting"))))))) == [3]
    assert scores(view, keys.Fuzzy(keys.Header("subject", "- -"))) == {}
    assert scores(view, keys.Not(keys.Fuzzy(keys.Body("words")))) == {1: 100, 2: 100, 3: 100}
    assert scores(view, keys.And((keys.Fuzzy(keys.All()), keys.Larger(60)))) == {2: 100}


def test_above_so_many_words_texts_are_matched_exactly(view: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(fuzzy, "WORDS", 1)
    first, second = keys.Fuzzy(keys.Body("weakly")), keys.Fuzzy(keys.Header("subject", "lunhc"))
    assert list(scores(view, first)) == [2]
    assert list(scores(view, keys.And((first, second)))) == []
    assert list(scores(view, keys.And((first, keys.Fuzzy(keys.Header("subject", "unch")))))) == [2]


def test_long_junk_is_taken_in_small_bites() -> None:
    words = words_of(" ".join(f"word{n}" for n in range(30)))
    made = Tally(Lexicon(words), False)
    junk = "x" * 100_000
    pieces = list(made.pieces(junk))
    assert max(map(len, pieces)) == max(512, 16_384 // 30) and "".join(pieces) == junk
    for piece in pieces:
        made.add(piece)
    assert len(made._tail) <= made._lexicon.carried and not made.matched
