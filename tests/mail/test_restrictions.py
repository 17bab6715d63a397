"""Who may relay: every combination of options and facts (ims_spec 3.11.1)."""

from __future__ import annotations

from itertools import product

import pytest

from imsd.mail.restrictions import Criteria, Facts, decide

ALL = list(product([False, True], repeat=4))


def wanted(criteria: Criteria, facts: Facts, nothing_set: bool) -> bool:
    """The algorithm as the specification numbers it."""
    if criteria.deny and facts.denied:
        return False
    if criteria.allow and facts.allowed:
        return True
    if criteria.local and facts.local:
        return True
    if criteria.authenticated and facts.authenticated:
        return True
    positive = criteria.allow or criteria.local or criteria.authenticated
    return nothing_set if not positive else False


@pytest.mark.parametrize("options", ALL)
@pytest.mark.parametrize("true", ALL)
def test_the_table(options: tuple[bool, ...], true: tuple[bool, ...]) -> None:
    criteria, facts = Criteria(*options), Facts(*true)
    assert decide(criteria, facts).allowed is wanted(criteria, facts, nothing_set=False)
    assert decide(criteria, facts, open_relay=True).allowed is wanted(criteria, facts, nothing_set=True)


# Written out: who may relay of (a stranger, denied, allowed, local, authenticated, all of them).
NAMED = [Facts(), Facts(True), Facts(False, True), Facts(False, False, True), Facts(authenticated=True),
         Facts(True, True, True, True)]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "ours", "product_55"),
    [
        ("", "------", "yyyyyy"),
        ("d", "------", "y-yyy-"),
        ("a", "--y--y", "--y--y"),
        ("l", "---y-y", "---y-y"),
        ("u", "----yy", "----yy"),
        ("da", "--y---", "--y---"),
        ("dl", "---y--", "---y--"),
        ("du", "----y-", "----y-"),
        ("al", "--yy-y", "--yy-y"),
        ("au", "--y-yy", "--y-yy"),
        ("lu", "---yyy", "---yyy"),
        ("dal", "--yy--", "--yy--"),
        ("dau", "--y-y-", "--y-y-"),
        ("dlu", "---yy-", "---yy-"),
        ("alu", "--yyyy", "--yyyy"),
        ("dalu", "--yyy-", "--yyy-"),
    ],
)
def test_the_sixteen_combinations(options: str, ours: str, product_55: str) -> None:
    criteria = Criteria("d" in options, "a" in options, "l" in options, "u" in options)
    assert "".join("y" if decide(criteria, facts).allowed else "-" for facts in NAMED) == ours
    open_relay = (decide(criteria, facts, open_relay=True).allowed for facts in NAMED)
    assert "".join("y" if allowed else "-" for allowed in open_relay) == product_55


def test_only_the_list_of_who_never_may_marks_a_verdict_as_final() -> None:
    assert decide(Criteria(deny=True, authenticated=True), Facts(True, authenticated=True)).denied
    assert not decide(Criteria(authenticated=True), Facts()).denied
