"""The smallest network an address is in decides, whatever form the address has."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from imsd.settings.networks import Networks, accepting, network
from imsd.settings.protocols import Protocols

RULES = (
    "reject 157.57.0.0/16",
    "accept 157.57.10.0/255.255.255.0",
    "reject 157.57.10.7",
    "reject 2001:db8::/32",
    "accept 2001:db8:1::/48",
    "reject ::ffff:192.0.2.0/120",
)


@pytest.mark.parametrize(
    ("peer", "accepted"),
    [
        # The example of KB 155920: a network accepted within one that is rejected.
        ("157.57.10.25", True),
        ("157.57.15.2", False),
        ("157.57.10.7", False),
        ("157.58.1.1", True),
        ("::ffff:157.57.15.2", False),
        ("::ffff:157.57.10.25", True),
        ("2001:db8::1", False),
        ("2001:db8:1::1", True),
        ("2001:DB8:2::1%eth0", False),
        ("192.0.2.9", False),
        ("::ffff:c000:209", False),
        ("::1", True),
        ("local", True),
    ],
)
def test_the_longest_match_decides(peer: str, accepted: bool) -> None:
    assert Protocols(connections=RULES).accepts(peer) is accepted
    assert Protocols(connections=RULES[::-1]).accepts(peer) is accepted


def test_nothing_said_accepts_everybody() -> None:
    assert Protocols().accepts("203.0.113.1")


@pytest.mark.parametrize(
    "wrong", ["10.0.0.0/8", "allow 10.0.0.0/8", "reject", "reject 10.0.0.0/33", "reject x"]
)
def test_what_is_no_rule_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        Protocols(connections=(wrong,))


def test_rules_are_kept_in_one_form() -> None:
    assert Protocols(connections=(" Reject  10.1.2.3/255.0.0.0",)).connections == ("reject 10.0.0.0/8",)


@given(
    st.lists(st.tuples(st.ip_addresses(v=4), st.integers(0, 32), st.booleans()), max_size=8),
    st.ip_addresses(v=4),
)
def test_as_looking_at_every_rule_would(rules: list[tuple[object, int, bool]], peer: object) -> None:
    said = {ip_network(f"{base}/{length}", strict=False): yes for base, length, yes in rules}
    holding = [net for net in said if peer in net]
    expected = said[max(holding, key=lambda net: net.prefixlen)] if holding else True
    texts = [f"{'accept' if yes else 'reject'} {net}" for net, yes in said.items()]
    assert accepting(texts).find(str(peer), True) is expected
    assert accepting(texts).find(f"::ffff:{peer}", True) is expected


def test_values_are_any() -> None:
    table = Networks([("10.0.0.0/8", "far"), ("10.1.0.0/16", "near")])
    assert [table.find(peer, "unknown") for peer in ("10.1.1.1", "10.2.1.1", "11.1.1.1")] == [
        "near",
        "far",
        "unknown",
    ]
    assert ip_address("10.1.1.1") in network("::ffff:10.1.0.0/112")
