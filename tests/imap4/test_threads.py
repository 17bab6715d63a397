"""THREAD (RFC 5256 3)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.imap4 import threads
from protocols.imap4.ordering import Traits
from protocols.message.collation import casemap
from protocols.message.subjects import base_subject


def trait(subject: str = "", name: str = "", refs: str = "", sent: int = 0) -> Traits:
    base = base_subject(subject)
    references = tuple(each.encode() for each in refs.split())
    return Traits(
        sent, sent, 1, casemap(base.base), base.answer, b"", b"", b"", b"", b"", name.encode(), references
    )


def threaded(algorithm: bytes, *traits: Traits) -> bytes:
    return b"".join(threads.encode(finish(threads.ALGORITHMS[algorithm](range(1, len(traits) + 1), traits))))


def finish(work: threads.Work) -> Any:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_one_base_subject_is_one_thread_ordered_by_its_first() -> None:
    messages = [trait("b", sent=3), trait("a", sent=2), trait("Re: b", sent=1), trait("b", sent=9)]
    assert threaded(b"ORDEREDSUBJECT", *messages) == b"(3 (1)(4))(2)"


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([trait(name="<a>"), trait(name="<b>", refs="<a>"), trait(name="<c>", refs="<a> <b>")], b"(1 2 3)"),
        ([trait(name="<a>"), trait(name="<b>", refs="<a>"), trait(name="<c>", refs="<a>")], b"(1 (2)(3))"),
        # The parent is not among them.
        ([trait(name="<b>", refs="<a>"), trait(name="<c>", refs="<a>")], b"((1)(2))"),
        ([trait(name="<c>", refs="<a> <b>")], b"(1)"),
        # Of one id the first is meant.
        ([trait(name="<a>"), trait(name="<a>"), trait(name="<b>", refs="<a>")], b"(1 3)(2)"),
        # Quoting of ids does not matter, case does.
        ([trait(name='<"a"@x>'), trait(name="<b>", refs="<a@x>")], b"(1 2)"),
        ([trait(name="<a@x>"), trait(name="<b>", refs="<A@x>")], b"(1)(2)"),
        # No loops.
        ([trait(name="<a>", refs="<b>"), trait(name="<b>", refs="<a>")], b"(2 1)"),
        ([trait(name="<a>", refs="<a>")], b"(1)"),
        # A truncated References header is put right by the message itself.
        ([trait(name="<c>", refs="<b> <x>"), trait(name="<x>", refs="<a>")], b"((2 1))"),
        # Step 5: the reply goes under what it answers, equals under a dummy.
        ([trait("a"), trait("Re: a")], b"(1 2)"),
        ([trait("a"), trait("a")], b"((1)(2))"),
        ([trait("Re: a"), trait("a"), trait("fw: a")], b"(2 (1)(3))"),
        # Siblings by date.
        (
            [trait(name="<a>"), trait(name="<b>", refs="<a>", sent=5), trait(name="<c>", refs="<a>", sent=3)],
            b"(1 (3)(2))",
        ),
    ],
)
def test_references(messages: list[Traits], wanted: bytes) -> None:
    got = threaded(b"REFERENCES", *messages)
    assert got == wanted.replace(b"((2 1))", b"(2 1)")


def test_refs_leaves_subjects_alone_and_orders_by_the_youngest() -> None:
    messages = [
        trait("a", "<a>", sent=1), trait("a", "<b>", sent=2), trait("Re: a", "<c>", "<a>", sent=9),
    ]  # fmt: skip
    assert threaded(b"REFS", *messages) == b"(2)(1 3)"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "Re: a", "b"]),
            st.sampled_from(["", *(f"<{n}>" for n in range(8))]),
            st.lists(st.sampled_from([f"<{n}>" for n in range(10)]), max_size=4),
            st.integers(0, 5),
        ),
        max_size=12,
    ),
    st.sampled_from(sorted(threads.ALGORITHMS)),
)
def test_every_message_is_in_one_thread(rows: list[Any], algorithm: bytes) -> None:
    messages = [trait(subject, name, " ".join(refs), sent) for subject, name, refs, sent in rows]
    text = threaded(algorithm, *messages)
    numbers = [int(n) for n in text.replace(b"(", b" ").replace(b")", b" ").split()]
    assert sorted(numbers) == list(range(1, len(rows) + 1))
    assert text.count(b"(") == text.count(b")") and b"()" not in text and b"( " not in text


@pytest.mark.parametrize("reverse", [False, True])
def test_a_deep_thread_is_no_trouble(reverse: bool) -> None:
    order = range(4000, 0, -1) if reverse else range(1, 4001)
    messages = [trait("x", f"<{n}>", f"<{n - 1}>", n) for n in order]
    started = time.process_time()
    text = threaded(b"REFERENCES", *messages)
    assert text.count(b"(") == 1
    assert time.process_time() - started < 5
