"""Folders with a special use: what new mailboxes get, and which names are known."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from imsd.settings.folders import NAMES, WELL_KNOWN, Folders, use_of
from imsd.store.mailboxes import FURNITURE


def test_the_defaults() -> None:
    assert set(Folders().furniture) == set(FURNITURE)
    assert Folders(furnish=False).furniture == ()
    assert ("Gesendet", "\\Sent") in Folders(language="de").furniture
    assert ("Outbox copies", "\\Sent") in Folders(names={"sent": "Outbox copies"}).furniture


@pytest.mark.parametrize("language", NAMES)
def test_our_own_names_are_known(language: str) -> None:
    assert all(use_of(name) == "\\" + use.capitalize() for use, name in NAMES[language].items())


def test_a_name_stands_for_one_use() -> None:
    every = [name for names in WELL_KNOWN.values() for name in names]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("Sent Items", "\\Sent"),
        ("SENT", "\\Sent"),
        ("Deleted Messages", "\\Trash"),
        ("Junk E-mail", "\\Junk"),
        ("Gelöschte Elemente", "\\Trash"),
        ("Work", ""),
        ("Work/Sent", ""),
        ("INBOX", ""),
    ],
)
def test_well_known_names(name: str, use: str) -> None:
    assert use_of(name) == use


@pytest.mark.parametrize(
    "names", [{"sent": "a/b"}, {"sent": ""}, {"sent": "x", "junk": "X"}, {"sent": "Inbox"}]
)
def test_what_cannot_be_a_name(names: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Folders(names=names)  # type: ignore[arg-type]
