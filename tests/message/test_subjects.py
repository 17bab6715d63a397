"""Base subjects (RFC 5256 2.1) and i;unicode-casemap (RFC 5051)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.message.collation import casemap, fold
from protocols.message.subjects import base_subject


@pytest.mark.parametrize(
    ("text", "base", "answer"),
    [
        ("Hello", "Hello", False),
        ("Re: Hello", "Hello", True),
        ("RE : fw: FWD [x] : Hello  there (fwd) (FWD) ", "Hello there", True),
        ("[list] Re: [other] Hello", "Hello", True),
        ("[list] Hello", "Hello", False),
        ("[only a blob]", "[only a blob]", False),
        ("[a] [b]", "[b]", False),
        ("[fwd: Re: Hello]", "Hello", True),
        ("[Fwd: Hello", "[Fwd: Hello", False),
        ("Hello\t \r\n there", "Hello there", False),
        ("Re[2]: Hello", "Hello", True),
        ("Regards", "Regards", False),
        ("Re:", "", True),
        ("", "", False),
        ("(fwd)", "", True),
    ],
)
def test_base_subject(text: str, base: str, answer: bool) -> None:
    assert base_subject(text) == (base, answer)


@pytest.mark.parametrize(
    "text",
    ["[a]" * 4000, "re:" * 4000, "[fwd:" * 2000 + "]" * 2000, "[" * 8000, " (fwd)" * 2000, "[a]:" * 4000],
)
def test_no_subject_takes_long(text: str) -> None:
    started = time.process_time()
    base_subject(text)
    assert time.process_time() - started < 0.25


@given(st.text(max_size=100))
def test_a_base_subject_is_its_own_base(text: str) -> None:
    base = base_subject(text).base
    assert base_subject(base).base == base


@pytest.mark.parametrize(
    ("left", "right"), [("Straße", "STRAßE"), ("É", "e\u0301"), ("ǆ", "Ǆ"), ("abc", "aBC")]
)
def test_case_and_composition_do_not_matter(left: str, right: str) -> None:
    assert casemap(left) == casemap(right)


@given(st.text(max_size=50), st.text(max_size=50))
def test_text_may_be_mapped_in_pieces(left: str, right: str) -> None:
    assert fold(left + right) == fold(left) + fold(right)
