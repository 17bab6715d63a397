"""How easy a password is to guess."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.auth.strength import MOST_WORDS, weakness, words_of


@pytest.mark.parametrize(
    ("password", "least", "weak"),
    [
        ("password", 1, True),
        ("hunter2", 2, True),
        ("Passw0rd!", 2, True),
        ("secret12", 2, True),
        ("secret12", 0, False),
        ("just-a-demo", 2, False),
        ("correct horse battery", 4, False),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 2, True),
        ("pässwörter-überall", 3, False),
    ],
)
def test_passwords(password: str, least: int, weak: bool) -> None:
    assert bool(weakness(password, (), least)) is weak


def test_the_reason_is_a_sentence_that_helps() -> None:
    assert weakness("hunter2", (), 2) == (
        "This is a very common password. Add another word or two. Uncommon words are better."
    )


def test_what_others_know_of_its_owner_counts_for_nothing() -> None:
    known = words_of(["Quizzaloth Brimbledorf", "q.brimbledorf@example.test"])
    assert {"quizzaloth", "brimbledorf", "q.brimbledorf@example.test"} <= set(known)
    assert weakness("Brimbledorf1", (), 2) == ""
    assert weakness("Brimbledorf1", known, 2) != ""
    assert weakness("quizzalothbrimbledorf", known, 2) != ""


def test_words_are_bounded() -> None:
    assert len(words_of(f"word{number}" for number in range(10_000))) == MOST_WORDS
    assert max(len(word) for word in words_of(["x" * 100_000])) <= 72


def test_long_passwords_do_not_take_long() -> None:
    started = time.thread_time()
    for password in ("aA1!" * 256, "p@55w0rd" * 128, "qwertzuiop" * 100, "x" * 1024):
        weakness(password, ("p@55w0rd",), 4)
    assert time.thread_time() - started < 5


@given(st.text(max_size=200), st.lists(st.text(max_size=50), max_size=5))
def test_anything_is_judged(password: str, texts: list[str]) -> None:
    assert isinstance(weakness(password, words_of(texts), 4), str)
