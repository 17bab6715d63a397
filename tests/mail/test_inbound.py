"""What becomes of an address at RCPT: routing table, restrictions, encapsulation, sharing (ims_spec 3.11)."""

from __future__ import annotations

import json

import pytest

from imsd.errors import Refusal
from imsd.mail.policy import Policy, Submitter
from imsd.settings import PAGES, LiveSettings
from imsd.settings.domains import DomainTable
from imsd.settings.routing import Rerouting
from protocols.smtp.grammar import Cursor, parse_forward_path
from protocols.smtp.parameters import NO_RCPT_PARAMETERS
from tests.mail.fakes import FakeDirectory
from tests.support.stores import run

TABLE = [
    {"domain": "ms.com", "action": "reroute:host1.ms.com"},
    {"domain": "#ms.com", "action": "inbound"},
    {"domain": "x.ms.com", "action": "inbound"},
    {"domain": "open.test", "action": "relay", "override": True},
    {"domain": "old.test", "action": "reroute:ms.com"},
    {"domain": "moved.test", "action": "reroute:new.test", "override": True},
    {"domain": "lap.test", "action": "reroute:pal.test"},
    {"domain": "pal.test", "action": "reroute:lap.test"},
]


class World:
    def __init__(self, **rows: object) -> None:
        self.directory = FakeDirectory()
        self.directory.add("alice")
        self.directory.known["bob@ms.com"] = self.directory.known["alice@example.test"]
        self.directory.known["bob@x.ms.com"] = self.directory.known["alice@example.test"]
        self.settings = LiveSettings(PAGES)
        self.set(routing__table=TABLE, **rows)
        self.policy = Policy(self.directory, self.settings)  # type: ignore[arg-type]

    def set(self, **rows: object) -> None:
        self.settings.replace({key.replace("__", "."): json.dumps(value) for key, value in rows.items()})
        assert not self.settings.rejected
        self.directory.domains.table = self.settings[Rerouting].rows

    def to(self, address: str, account: int | None = None, peer: str = "198.51.100.1", **more: str) -> str:
        by = Submitter(peer, "192.0.2.1", account, **more)
        forward = parse_forward_path(Cursor(f"<{address}>".encode()))
        self.told: list[str] = []
        try:
            found = run(self.policy.addressee(forward, NO_RCPT_PARAMETERS, by, self.told.append))
        except Refusal as refusal:
            return type(refusal).__name__
        if found.recipient is not None:
            return f"here {found.address}"
        return f"out {found.address}" + (f" {found.destination}" if found.destination else "")


ALICE = 7


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("bob@ms.com", "here alice@example.test"),
        ("user@sales.ms.com", "out user@host1.ms.com"),
        ("bob@x.ms.com", "here alice@example.test"),
        ("user@pms.com", "out user@pms.com"),
        ("user@abc.x.ms.com", "NoSuchRecipient"),
        ("bob@old.test", "here alice@example.test"),
        ("user@lap.test", "out user@pal.test"),
    ],
)
def test_the_first_truth_table_with_its_rewriting(address: str, wanted: str) -> None:
    assert World().to(address, ALICE) == wanted


def test_rewriting_is_no_way_around_the_restrictions() -> None:
    world = World()
    assert world.to("user@sales.ms.com") == "RelayDenied"
    assert world.to("bob@old.test") == "here alice@example.test"
    assert world.to("x%sales.ms.com@example.test") == "RelayDenied"


def test_an_override_lifts_the_restrictions_but_not_the_list_of_who_never_may() -> None:
    world = World(routing__restrictions__deny=["203.0.113.0/24"])
    assert world.to("x@open.test") == "out x@open.test"
    assert world.to("x@moved.test") == "out x@new.test"
    assert world.to("x@new.test") == "RelayDenied"
    assert world.to("x@open.test", peer="203.0.113.9") == "RelayDenied"
    assert world.to("x@pms.com", ALICE, peer="203.0.113.9") == "RelayDenied"
    assert world.to("bob@ms.com", peer="203.0.113.9") == "here alice@example.test"


def test_criteria_of_the_settings() -> None:
    world = World(
        routing__restrictions__allow=["198.51.100.0;255.255.255.0"],
        routing__restrictions__authenticated=False,
    )
    assert world.to("x@pms.com") == "out x@pms.com"
    assert world.to("x@pms.com", peer="203.0.113.9") == "RelayDenied"
    assert world.to("x@pms.com", ALICE, peer="203.0.113.9") == "RelayDenied"
    world.set(routing__restrictions__local=["192.0.2.1"])
    assert world.to("x@pms.com", peer="203.0.113.9") == "out x@pms.com"


def test_nobody_relays_where_nothing_is_set_unless_that_is_asked_for() -> None:
    world = World(routing__restrictions__authenticated=False)
    assert world.to("x@pms.com") == world.to("x@pms.com", ALICE) == "RelayDenied"
    world.set(routing__restrictions__authenticated=False, routing__allow_open_relay=True)
    assert world.to("x@pms.com") == "out x@pms.com"


def test_local_only_refuses_what_comes_in_and_lets_our_people_write() -> None:
    world = World(routing__mode="local_only", routing__restrictions__allow=["198.51.100.0/24"])
    assert world.to("x@pms.com") == "RelayDenied"
    assert world.to("x@open.test") == "RelayDenied"
    assert world.to("nobody@example.test") == "NoSuchRecipient"
    assert world.to("bob@ms.com") == "here alice@example.test"
    assert world.to("x@pms.com", ALICE) == "out x@pms.com"


def test_dots_and_blanks_at_the_end_change_nothing() -> None:
    world = World()
    assert world.to("alice@example.test.") == "here alice@example.test"
    assert world.to('"x%pms.com. "@example.test') == "RelayDenied"
    assert world.to("x@pms.com.", ALICE) == "out x@pms.com"


def test_encapsulated_addresses_of_other_types() -> None:
    world = World()
    world.directory.add_foreign("X400", "c=us;s=alice;", "alice")
    world.directory.add_foreign("EX", "/o=Example/ou=Main/cn=Recipients/cn=alice", "alice")
    assert world.to("IMCEAX400-c=us+3Bs=alice+3B@example.test") == "here alice@example.test"
    assert world.to("IMCEAEX-_o=Example_ou=Main_cn=Recipients_cn=alice@example.test") == (
        "here alice@example.test"
    )
    assert world.to("IMCEAX400-c=us+3Bs=other+3B@example.test") == "RelayDenied"
    assert world.to("IMCEAX400-c=us+3Bs=other+3B@example.test", ALICE) == "NoRoute"
    world.set(ims__address_space=[{"type": "X400", "pattern": "c=us", "via": "gate.test"}])
    assert world.to("IMCEAX400-c=us+3Bs=other+3B@example.test") == "RelayDenied"
    assert world.to("IMCEAX400-c=us+3Bs=other+3B@example.test", ALICE) == (
        "out IMCEAX400-c=us+3Bs=other+3B@gate.test ims>gate.test"
    )


def test_a_routing_address_encapsulates_internet_addresses_too() -> None:
    world = World(ims__address_space=[{"pattern": "*"}, {"pattern": "far.test", "via": "gate.test"}])
    assert world.to("x@near.test", ALICE) == "out x@near.test"
    assert world.to("x@sub.far.test", ALICE) == "out IMCEASMTP-x+40sub+2Efar+2Etest@gate.test ims>gate.test"


def test_no_address_space_no_route() -> None:
    world = World(ims__address_space=[{"pattern": "far.test"}])
    assert world.to("x@far.test", ALICE) == "out x@far.test"
    assert world.to("x@near.test", ALICE) == "NoRoute"


def test_connected_sites_take_names_of_their_directory() -> None:
    name = "IMCEAEX-_o=Example_ou=Paris_cn=Recipients_cn=jean@example.test"
    sites = [
        {"site": "Paris", "address": "@paris.test"},
        {"organization": "Else", "site": "Rome", "address": "r.test"},
    ]
    world = World(ims__connected_sites=sites)
    assert world.to(name) == "RelayDenied"
    assert world.to(name, ALICE).endswith("_cn=jean@paris.test ims>paris.test")
    assert world.to(name.replace("Paris", "Rome"), ALICE) == "NoRoute"


def test_who_is_unknown_in_a_shared_domain_is_sent_to_who_shares_it() -> None:
    world = World()
    world.directory.shared["example.test"] = "other.test:2525"
    assert world.to("alice@example.test") == "here alice@example.test"
    assert world.to("carol@example.test") == "out carol@example.test =other.test:2525"
    assert world.to("x%pms.com@example.test") == "RelayDenied"


def test_restricted_connectors_refuse_and_leave_others() -> None:
    one = {
        "name": "one",
        "address_space": [{"pattern": "far.test"}],
        "restrict": {"accept_from": ["staff@example.test"]},
    }
    world = World(ims__address_space=[{"pattern": "near.test"}], ims__connectors=[one])
    bob = int(world.directory.add("bob"))
    world.directory.add_list("staff", "inner@example.test")
    world.directory.add_list("inner", "bob@example.test", "staff@example.test")
    world.directory.members["inner@example.test"].append("inner@example.test")
    assert world.to("x@far.test", bob) == "out x@far.test"
    assert world.to("x@far.test", ALICE) == "PolicyRejected"
    assert world.to("x@near.test", ALICE) == "out x@near.test"
    world.set(
        ims__restrict__accept_from=["staff@example.test"], ims__restrict__reject_from=["bob@example.test"]
    )
    assert world.to("x@far.test", bob) == "PolicyRejected"
    world.set(ims__restrict__reject_from=["staff@example.test"])
    assert world.to("x@far.test", bob) == "PolicyRejected"
    assert world.to("x@far.test", ALICE) == "out x@far.test"


def test_who_did_not_log_in_is_in_no_list() -> None:
    world = World(
        ims__restrict__accept_from=["alice@example.test"], routing__restrictions__allow=["198.51.100.0/24"]
    )
    assert world.to("x@far.test", sender="alice@example.test") == "PolicyRejected"
    assert world.to("x@far.test", ALICE) == "out x@far.test"


def test_the_scope_of_an_address_space_is_about_the_originator() -> None:
    world = World(
        ims__address_space=[{"pattern": "*", "scope": "site"}],
        routing__restrictions__allow=["198.51.100.0/24"],
    )
    world.directory.add_contact("jean", "/o=E/ou=Paris/cn=R/cn=jean", "EX")
    assert world.to("x@far.test", ALICE) == "out x@far.test"
    assert world.to("x@far.test", sender="stranger@else.test") == "out x@far.test"
    assert world.to("x@far.test", sender="jean@example.test") == "PolicyRejected"


def test_location_scope_asks_for_the_servers_location() -> None:
    far = {"name": "far", "location": "Oslo", "address_space": [{"pattern": "far.test", "scope": "location"}]}
    world = World(ims__connectors=[far], ims__address_space=[{"pattern": "near.test"}])
    assert world.to("x@far.test", ALICE) == "PolicyRejected"
    world.set(ims__connectors=[far], ims__location="oslo")
    assert world.to("x@far.test", ALICE) == "out x@far.test"


def test_every_rule_is_told() -> None:
    world = World()
    world.to("user@sales.ms.com", ALICE)
    assert world.told == [
        "routing table, ms.com: reroute:host1.ms.com",
        "relaying: allowed, it is authenticated",
        "connector ims, SMTP:*, cost 1: the only one that fits",
    ]


def test_rows_are_checked() -> None:
    assert DomainTable(()).match("x.test") is None
    settings = LiveSettings(PAGES)
    for bad in (
        [{"domain": "a b", "action": "inbound"}],
        [{"domain": "a.test", "action": "nowhere"}],
        [{"domain": "a.test", "action": "reroute:"}],
        [{"domain": "a.test", "action": "inbound"}, {"domain": "A.test.", "action": "relay"}],
        [{"domain": "a.test", "action": "inbound", "more": 1}],
    ):
        settings.replace({"routing.table": json.dumps(bad)})
        assert "routing.table" in settings.rejected
    settings.replace({"routing.table": json.dumps([{"domain": "a.test", "action": "<inbound>"}])})
    assert settings[Rerouting].table[0].inbound
