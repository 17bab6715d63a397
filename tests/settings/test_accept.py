"""Hosts that may bring mail (ims_spec 3.4.4), and what stands in the rows of connectors."""

from __future__ import annotations

import json

import pytest

from imsd.errors import HostRejected, Refusal, SecurityRequired
from imsd.gates import SmtpGate
from imsd.mail.policy import Policy
from imsd.settings import PAGES, LiveSettings
from imsd.settings.accept import Accept
from imsd.settings.connectors import host_and_port, nameserver
from tests.mail.fakes import FakeDirectory

HOSTS = [
    {"network": "157.57.10.0/16", "action": "reject"},
    {"network": "157.57.10.0/24"},
    {"network": "192.0.2.0/24", "require": "auth+tls"},
    {"network": "192.0.2.7", "relay_server": True},
]


def settings(**rows: object) -> LiveSettings:
    found = LiveSettings(PAGES)
    found.replace({key.replace("__", "."): json.dumps(value) for key, value in rows.items()})
    assert not found.rejected
    return found


@pytest.mark.parametrize("with_", ["521", "554"])
def test_the_documented_example_at_the_door(with_: str) -> None:
    gate = SmtpGate(settings(ims__accept__hosts=HOSTS, ims__accept__refuse_with=with_), "mx.example.test")
    assert gate("157.57.10.25") is None
    text = {
        "521": b"521 mx.example.test access denied\r\n",
        "554": b"554 5.7.1 mx.example.test access denied\r\n",
    }
    assert gate("157.57.15.2") == text[with_]
    assert gate("198.51.100.1") is None


def test_the_refusal_may_wait_for_the_message() -> None:
    live = settings(ims__accept__hosts=HOSTS, ims__accept__refuse_at="mail")
    assert SmtpGate(live, "mx")("157.57.15.2") is None
    policy = Policy(FakeDirectory(), live)  # type: ignore[arg-type]
    with pytest.raises(HostRejected):
        policy.check_host("157.57.15.2", True, True)


def test_a_server_that_only_sends_answers_nobody() -> None:
    assert SmtpGate(settings(ims__transfer_mode="outbound"), "mx")("198.51.100.1") == b""


@pytest.mark.parametrize(
    ("policy", "peer", "ways"),
    [
        # Ways that suffice: nothing, a login, encryption, both.
        ("any", "198.51.100.1", "yyyy"),
        ("auth", "198.51.100.1", "-y-y"),
        ("tls", "198.51.100.1", "--yy"),
        ("auth+tls", "198.51.100.1", "---y"),
        ("any", "192.0.2.1", "---y"),
        ("auth+tls", "192.0.2.7", "yyyy"),
        ("any", "157.57.15.2", "----"),
    ],
)
def test_what_a_host_has_to_use(policy: str, peer: str, ways: str) -> None:
    live = settings(ims__accept__hosts=HOSTS, ims__accept__policy=policy)
    one = Policy(FakeDirectory(), live)  # type: ignore[arg-type]

    def may(encrypted: bool, authenticated: bool) -> str:
        try:
            one.check_host(peer, encrypted, authenticated)
        except (HostRejected, SecurityRequired) as refusal:
            assert isinstance(refusal, Refusal)
            return "-"
        return "y"

    assert may(False, False) + may(False, True) + may(True, False) + may(True, True) == ways


def test_a_network_stands_in_one_row() -> None:
    live = LiveSettings(PAGES)
    live.replace({"ims.accept.hosts": json.dumps([HOSTS[0], {"network": "157.57.0.0/16"}])})
    assert "ims.accept.hosts" in live.rejected
    assert live[Accept].hosts == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mx.test", ("mx.test", 25)),
        ("mx.test:26", ("mx.test", 26)),
        ("[192.0.2.1]:26", ("192.0.2.1", 26)),
        ("[IPv6:2001:db8::1]", ("2001:db8::1", 25)),
        ("[MX.test]:26", ("[mx.test]", 26)),
    ],
)
def test_hosts(text: str, wanted: tuple[str, int]) -> None:
    assert host_and_port(text) == wanted


@pytest.mark.parametrize(
    "text", ["", ":25", "mx.test:x", "mx.test:0", "[mx", "[mx]y", "mx.test:99999", "[a b]"]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is no"):
        host_and_port(text)


def test_name_servers_have_ports() -> None:
    assert nameserver("192.0.2.1") == ("192.0.2.1", 53)
    assert nameserver("127.0.0.1:5353") == ("127.0.0.1", 5353)
    assert nameserver("2001:db8::1") == ("2001:db8::1", 53)
    assert nameserver("[2001:db8::1]:54") == ("2001:db8::1", 54)
    with pytest.raises(ValueError, match="does not appear"):
        nameserver("ns.test")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ims.connectors", [{"name": "ims"}]),
        ("ims.connectors", [{"name": "a"}, {"name": "A"}]),
        ("ims.connectors", [{"name": "a", "delivery": {"mode": "smarthost"}}]),
        ("ims.connectors", [{"name": "a>b"}]),
        ("ims.domains", [{"domain": "a.test", "route": "host:"}]),
        ("ims.domains", [{"domain": "a.test", "route": "somehow"}]),
        ("ims.domains", [{"domain": "a.test"}, {"domain": "A.test"}]),
        ("ims.connected_sites", [{"site": "", "address": "a.test"}]),
        ("ims.restrict.accept_from", ["nobody"]),
        ("ims.admin_mailbox", "nobody"),
        ("ims.delivery.nameservers", ["ns.test"]),
        ("addressing.share_domain_with", {"a.test": "x:y"}),
        ("routing.catch_all", {"a.test": "nobody"}),
        ("routing.restrictions.deny", ["300.1.1.1"]),
    ],
)
def test_what_does_not_fit(key: str, value: object) -> None:
    live = LiveSettings(PAGES)
    live.replace({key: json.dumps(value)})
    assert list(live.rejected) == [key]
