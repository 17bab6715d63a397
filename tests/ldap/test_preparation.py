"""String preparation (RFC 4518): its examples, and what must hold for every string."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ldap import preparation as prep
from protocols.ldap.preparation import Unprepared, canonical

assigned = st.text(
    st.characters(exclude_categories=["Cs", "Co", "Cn"], exclude_characters="\u0340\u0341\ufffd"),
    max_size=20,
)
"""Without what RFC 4518 2.4 prohibits."""


def test_the_examples_of_rfc_4518_2_6_1() -> None:
    assert prep.whole("foo bar  ", False) == " foo  bar "
    assert prep.whole("   ", False) == "  "
    assert prep.initial("foo bar  ", False) == " foo  bar "
    assert prep.middle("foo bar  ", False) == "foo  bar "
    assert prep.final("foo bar  ", False) == "foo  bar "
    assert prep.middle("  ", False) == " "


def test_the_examples_of_rfc_4518_2_6_2_and_2_6_3() -> None:
    assert prep.numeric("  123  456  ") == "123456"
    assert prep.numeric("   ") == ""
    assert prep.telephone(" -123  456 -") == "123456"
    assert prep.telephone("---") == ""
    assert prep.telephone("+41\u2010(0)44\uff0d555") == "+41(0)44555"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Alice", "alice"),
        ("  A\tB\n C ", "a b c"),
        ("a\u00adb\u200bc\x00d", "abcd"),
        ("a\u3000b\u00a0c", "a b c"),
        ("ＦＵＬＬ", "full"),
        ("ǅ", "dž"),
        ("ΑΣ", "ας".replace("ς", "σ")),
        ("", ""),
        ("   ", ""),
    ],
)
def test_canonical(text: str, expected: str) -> None:
    assert canonical(text) == expected


def test_case_may_matter() -> None:
    assert canonical(" A  b ", fold=False) == "A b"


@pytest.mark.parametrize("text", ["\ue000", "\ufffd", "\ud800", "\U000e01ff", "a\u0378"])
def test_prohibited(text: str) -> None:
    with pytest.raises(Unprepared):
        canonical(text)


def test_octets_must_be_utf8() -> None:
    with pytest.raises(Unprepared):
        prep.canonical_bytes(b"\xff")


@given(assigned, st.booleans())
def test_canonical_is_idempotent(text: str, fold: bool) -> None:
    once = canonical(text, fold)
    assert canonical(once, fold) == once


@given(assigned)
def test_case_is_ignored(text: str) -> None:
    assert canonical(text.casefold()) == canonical(text)


@given(assigned, assigned)
def test_a_value_starts_and_ends_with_its_parts(first: str, last: str) -> None:
    # A combining mark at the seam joins what is before it, so the parts stay apart here.
    whole = prep.whole(first + " x " + last, True)
    assert whole.startswith(prep.initial(first + " x", True))
    assert whole.endswith(prep.final("x " + last, True))
