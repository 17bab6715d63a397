"""Which client a rule is about, and what may be switched off."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from imsd.settings.clients import KNOWN, ClientRule
from imsd.settings.imap import Imap


@pytest.mark.parametrize(
    ("name", "version", "matches"),
    [
        ("Microsoft Office 365", "15.20.9160.4", True),
        ("microsoft office 365", "", True),
        ("Microsoft Outlook", "16.0", False),
        ("", "", False),
    ],
)
def test_the_known_one(name: str, version: str, matches: bool) -> None:
    assert any(rule.matches(name, version) for rule in KNOWN) is matches


def test_patterns_of_versions() -> None:
    rule = ClientRule(name="Some*", version="1.[23]*", off=("idle",))
    assert rule.off == ("IDLE",)
    assert rule.matches("SomeMail", "1.25")
    assert not rule.matches("SomeMail", "1.45")
    assert not rule.matches("Mail", "1.25")


@pytest.mark.parametrize("name", ["IMAP4rev1", "starttls", "LOGINDISABLED", "", "a b", "x" * 100])
def test_what_cannot_be_switched_off(name: str) -> None:
    with pytest.raises(ValidationError):
        Imap(capabilities_off=(name,))
    with pytest.raises(ValidationError):
        ClientRule(name="x", off=(name,))
