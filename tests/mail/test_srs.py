"""Reverse-paths of ours that hold others' (SRS)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.mail.srs import Srs
from imsd.settings import PAGES, LiveSettings
from tests.mail.fakes import FakeDirectory
from tests.support.stores import run

DAY = 86_400.0


class Clock:
    now = 20_000 * DAY


def made(domain: str = "example.test", **settings: object) -> tuple[Srs, Clock]:
    directory, clock = FakeDirectory(), Clock()
    directory.domains.served = (domain,)
    directory.serves = lambda name: name.lower() == domain  # type: ignore[method-assign]
    live = LiveSettings(PAGES)
    live.replace({key.replace("__", "."): json.dumps(value) for key, value in settings.items()})
    return Srs(directory, live, lambda: clock.now), clock  # type: ignore[arg-type]


def test_there_and_back() -> None:
    srs, _ = made()
    address = run(srs.forward("Jane.Doe@far.test"))
    local, _, domain = address.partition("@")
    assert domain == "example.test" and local.startswith("SRS0=") and local.endswith("=far.test=Jane.Doe")
    assert run(srs.back(address)) == "Jane.Doe@far.test"
    assert run(srs.back(address.lower())) == "jane.doe@far.test", "others change the case"


atom = st.text("abcXYZ019+-=._", min_size=1, max_size=20).filter(
    lambda text: "." not in (text[0], text[-1]) and ".." not in text and not text.upper().startswith("SRS")
)


@given(atom, st.from_regex(r"[a-z][a-z0-9]{0,8}\.[a-z]{2,3}", fullmatch=True), st.integers(0, 21))
def test_any_sender_comes_back_for_three_weeks(local: str, domain: str, days: int) -> None:
    srs, clock = made()
    address = run(srs.forward(f"{local}@{domain}"))
    clock.now += days * DAY
    assert run(srs.back(address)) == f"{local}@{domain}"
    clock.now += 22 * DAY
    assert run(srs.back(address)) == ""


@given(st.text(max_size=40))
def test_what_we_did_not_make_is_nobody(local: str) -> None:
    srs, _ = made()
    for text in (local, f"SRS0={local}", f"SRS1={local}", f"SRS0=AAAAAA={local}", f"srs1=aaaaaa=x={local}"):
        assert run(srs.back(f"{text}@example.test")) == ""


def test_a_changed_address_is_nobody() -> None:
    srs, _ = made()
    address = run(srs.forward("a@far.test"))
    for wrong in (
        address.replace("far.test", "near.test"),
        address.replace("=a@", "=b@"),
        address.replace("@example.test", "@other.test"),
    ):
        assert wrong != address and run(srs.back(wrong)) == ""


@pytest.mark.parametrize(
    "kept",
    ["bob@example.test", '"a b"@far.test', "x" * 50 + "@far.test", "", "postmaster"],
)
def test_what_stays_as_it_is(kept: str) -> None:
    srs, _ = made()
    assert run(srs.forward(kept)) == kept


def test_nothing_is_rewritten_where_the_site_does_not_want_it() -> None:
    srs, _ = made(routing__srs=False)
    assert run(srs.forward("a@far.test")) == "a@far.test"


def test_three_who_forward_one_after_the_other() -> None:
    first, _ = made("one.test")
    second, _ = made("two.test")
    third, _ = made("three.test")
    at_first = run(first.forward("a@far.test"))
    at_second = run(second.forward(at_first))
    at_third = run(third.forward(at_second))
    assert at_second.startswith("SRS1=") and at_third.startswith("SRS1=") and at_third.endswith("@three.test")
    # A report goes straight to the first, who knows the sender.
    assert run(third.back(at_third)) == run(second.back(at_second)) == at_first
    assert run(first.back(at_first)) == "a@far.test"


def test_an_address_holds_for_as_long_as_is_set() -> None:
    srs, clock = made(routing__srs_days=2)
    address = run(srs.forward("a@far.test"))
    clock.now += 2 * DAY
    assert run(srs.back(address))
    clock.now += DAY
    assert not run(srs.back(address))
