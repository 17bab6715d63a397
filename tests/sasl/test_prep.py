"""SASLprep by the table of RFC 4013 3."""

from __future__ import annotations

import pytest

from protocols.sasl import BadExchange, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("", ""),
        ("\u0627\u0628", "\u0627\u0628"),
        ("gr\U0001f600n", "gr\U0001f600n"),
    ],
)
def test_prepared(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\u0627", "\ue000", "\ud800", "\u0340x\u200e"])
def test_prohibited(text: str) -> None:
    with pytest.raises(BadExchange):
        saslprep(text)
