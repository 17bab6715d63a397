"""Which connector carries what (ims_spec 3.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from imsd.mail.selection import Condition, candidates, choose, fit
from imsd.settings.connectors import AddressSpace, Connector


def space(pattern: str, cost: int = 1, type: str = "SMTP", **more: str) -> AddressSpace:
    return AddressSpace(type=type, pattern=pattern, cost=cost, **more)  # type: ignore[arg-type]


def connector(name: str, *spaces: AddressSpace, **more: str) -> Connector:
    return Connector(name=name, address_space=spaces, **more)  # type: ignore[arg-type]


def winner(address: str, *connectors: Connector, kind: str = "SMTP", **condition: object) -> str:
    found = candidates(connectors, kind, address)
    if not found:
        return "none"
    return choose(found, Condition(**condition)).chosen.connector.name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "address", "rank"),
    [
        ("user@a.org", "user@a.org", 1),
        ("*@a.org", "user@a.org", 2),
        ("*", "user@a.org", 2),
        ("@a.org", "user@a.org", 3),
        ("", "user@a.org", 4),
        ("a.com", "user@a.org", None),
        ("*@a.org", "user@b.a.org", None),
        ("user@*", "user@b.a.org", 2),
        ("*.org*", "x@a.orgs", 2),
    ],
)
def test_fits(pattern: str, address: str, rank: int | None) -> None:
    found = fit(pattern, address)
    assert (None if found is None else found[0]) == rank


def test_the_whole_address_is_compared_and_a_bare_domain_is_short_for_it() -> None:
    assert space("microsoft.com").patterns == ("*@microsoft.com", "*@*.microsoft.com")
    one = connector("one", space("microsoft.com"))
    assert winner("user@microsoft.com", one) == "one"
    assert winner("User@Sales.Microsoft.COM", one) == "one"
    assert winner("user@notmicrosoft.com", one) == "none"
    assert winner("microsoft.com@else.org", one) == "none"


def test_the_better_fit_wins_at_any_cost() -> None:
    all_ = connector("all", space("*", 1))
    org = connector("org", space("*@a.org", 50))
    one = connector("one", space("boss@a.org", 100))
    blank = connector("blank", space("", 1))
    assert winner("boss@a.org", blank, all_, org, one) == "one"
    assert winner("x@a.org", blank, all_, org, one) == "org"
    assert winner("x@b.org", blank, all_, org, one) == "all"
    assert winner("x@b.org", blank, connector("star", space("*", 100))) == "star"
    assert winner("x@b.org", blank) == "blank"


def test_the_lower_cost_wins_among_equals() -> None:
    cheap, dear = connector("cheap", space("*", 1)), connector("dear", space("*", 2))
    assert winner("x@a.org", dear, cheap) == "cheap"
    assert winner("x@a.org", cheap, connector("second", space("*", 1))) == "cheap"


def test_equals_take_turns_when_one_fails() -> None:
    cheap, dear = connector("cheap", space("*", 1)), connector("dear", space("*", 2))
    names = [winner("x@a.org", dear, cheap, attempts=number) for number in range(4)]
    assert names == ["cheap", "dear", "cheap", "dear"]
    only = [winner("x@a.org", dear, cheap, attempts=number, lowest_cost_only=True) for number in range(3)]
    assert only == ["cheap"] * 3


def test_a_message_does_not_go_back_by_the_connector_that_brought_it() -> None:
    cheap, dear = connector("cheap", space("*", 1)), connector("dear", space("*", 2))
    assert winner("x@a.org", cheap, dear, came_by=frozenset({"cheap"})) == "dear"
    # Unless no other fits as well.
    assert winner("x@a.org", cheap, came_by=frozenset({"cheap"})) == "cheap"
    better = connector("better", space("*@a.org", 100))
    assert winner("x@a.org", better, dear, came_by=frozenset({"better"})) == "better"


def test_a_connector_in_trouble_or_that_does_not_send_comes_later() -> None:
    cheap, dear = connector("cheap", space("*", 1)), connector("dear", space("*", 2))
    assert winner("x@a.org", cheap, dear, trouble=frozenset({"cheap"})) == "dear"
    closed = connector("closed", space("*", 1), transfer_mode="inbound")
    assert winner("x@a.org", closed, dear) == "dear"
    assert winner("x@a.org", closed) == "closed"


def test_types_are_apart_and_compared_by_parts() -> None:
    ms = connector("ms", space("NET/PO", type="ms"))
    assert winner("NET/PO/USER", ms, kind="MS") == "ms"
    assert winner("NET/OTHER/USER", ms, kind="MS") == "none"
    assert winner("user@net", ms) == "none"
    x400 = connector("x400", space("c=us;a= ;p=org", type="X400"))
    assert winner("c=US;a= ;p=Org;o=Site;s=Clark;", x400, kind="X400") == "x400"


def test_every_loser_is_told_why() -> None:
    rows = [
        connector("a", space("*", 3)),
        connector("b", space("*@a.org", 9)),
        connector("c", space("*@a.org", 1)),
    ]
    choice = choose(candidates(rows, "SMTP", "x@a.org"), Condition())
    assert choice.chosen.connector.name == "c"
    assert {each.connector.name: why for each, why in choice.lost} == {
        "a": "another address space fits better",
        "b": "it costs more",
    }


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_wildcards_agree_with_the_obvious_way(pattern: str, address: str) -> None:
    def obvious(p: str, a: str) -> bool:
        if not p:
            return not a
        if p[0] == "*":
            return any(obvious(p[1:], a[n:]) for n in range(len(a) + 1))
        return bool(a) and p[0] == a[0] and obvious(p[1:], a[1:])

    if "*" in pattern:
        assert (fit(pattern, address) is not None) is obvious(pattern, address)


def test_a_routing_address_is_a_host() -> None:
    assert space("*", via="gateway.example.org.").via == "gateway.example.org"
    for bad in ("*", "@gateway.example.org", "a b"):
        with pytest.raises(ValidationError):
            space("*", via=bad)
    for cost in (0, 101):
        with pytest.raises(ValidationError):
            space("*", cost)


def test_local_is_the_older_word_for_a_scope() -> None:
    row = AddressSpace(type="LOCAL", pattern="SMTP:*@a.org")
    assert (row.type, row.pattern, row.scope) == ("SMTP", "*@a.org", "site")
