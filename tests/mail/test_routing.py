"""Where mail goes (RFC 5321 5, RFC 7505)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from imsd.mail.connectors import Connectors
from imsd.mail.destinations import Destination
from imsd.mail.names import Names
from imsd.mail.ourselves import Ourselves, addresses_of_interfaces
from imsd.mail.routing import Route, Routing, Target, Unroutable, route
from imsd.settings import PAGES, LiveSettings
from tests.mail.fakes import FakeDirectory
from tests.mail.peers import Zone
from tests.support.stores import run


async def here(fn: Callable[..., Any], *args: Any) -> Any:
    return fn(*args)


class World:
    def __init__(self, seed: int = 1, domains: object = (), **rows: object) -> None:
        self.zone, self.clock = Zone(), Clock()
        settings = LiveSettings(PAGES)
        stored = {f"ims.delivery.{name}": json.dumps(value) for name, value in rows.items()}
        settings.replace({**stored, "ims.domains": json.dumps(domains)})
        assert not settings.rejected
        self.names = Names(self.clock, here, self.zone.lookup)
        self.connectors = Connectors(settings, FakeDirectory())  # type: ignore[arg-type]
        self.routing = Routing(
            self.names,
            Ourselves("mx.here.test", ("192.0.2.99",), named=lambda: ["other.here.test", "192.0.2.98"]),
            random.Random(seed),
        )

    def route(self, destination: str) -> Route:
        to = Destination.parse(destination)
        return route(self.connectors.named(to.connector), self.connectors.domain_row(to.domain), to)

    def to(self, destination: str) -> list[str]:
        targets = run(self.routing.targets(self.route(destination)))
        return [f"{each.host} {each.address}:{each.port}" for each in targets]

    def refused(self, destination: str) -> tuple[str, bool]:
        with pytest.raises(Unroutable) as caught:
            run(self.routing.targets(self.route(destination)))
        return caught.value.status, caught.value.temporary


def test_lower_preference_first_and_each_host_by_its_addresses() -> None:
    world = World()
    world.zone.add("far.test", (20, "b.far.test", "192.0.2.2"), (10, "a.far.test", "192.0.2.1"))
    world.zone.a["a.far.test"] = ["192.0.2.1", "2001:db8::1"]
    assert world.to("far.test") == [
        "a.far.test 2001:db8::1:25",
        "a.far.test 192.0.2.1:25",
        "b.far.test 192.0.2.2:25",
    ]


def test_equal_preferences_are_shuffled() -> None:
    orders = set()
    for seed in range(20):
        world = World(seed)
        world.zone.add("far.test", *((10, f"{n}.far.test", f"192.0.2.{n}") for n in range(1, 4)))
        orders.add(tuple(world.to("far.test")))
    assert len(orders) > 3


def test_without_mx_the_domain_is_the_host() -> None:
    world = World()
    world.zone.a["far.test"] = ["192.0.2.7"]
    assert world.to("far.test") == ["far.test 192.0.2.7:25"]


def test_null_mx_and_nothing_at_all() -> None:
    world = World()
    world.zone.mx["null.test"] = [(0, "")]
    world.zone.mx["lost.test"] = [(10, "gone.lost.test")]
    world.zone.mx["empty.test"] = []
    assert world.refused("null.test") == ("5.1.10", False)
    assert world.refused("lost.test") == ("5.4.4", False)
    assert world.refused("empty.test") == ("5.1.2", False)
    assert world.refused("none.test") == ("5.1.2", False)
    assert world.refused("bad..name") == ("5.1.2", False)


def test_a_name_service_without_answer_is_temporary() -> None:
    world = World()
    world.zone.failing.add("far.test")
    assert world.refused("far.test") == ("4.4.3", True)
    world.zone.add("half.test", (10, "a.half.test", "192.0.2.1"), (20, "b.half.test", "192.0.2.2"))
    world.zone.failing.add("a.half.test")
    assert world.to("half.test") == ["b.half.test 192.0.2.2:25"]
    world.zone.failing.add("b.half.test")
    world.names.forget()
    assert world.refused("half.test") == ("4.4.3", True)


@pytest.mark.parametrize(
    "ours",
    [
        ("mx.here.test", "192.0.2.50"),
        ("alias.test", "192.0.2.99"),
        ("x.test", "127.0.0.1"),
        ("Other.here.test", "192.0.2.51"),
        ("nat.test", "192.0.2.98"),
    ],
)
def test_ourselves_and_what_is_not_preferred_to_us_is_left_out(ours: tuple[str, str]) -> None:
    for seed in range(8):
        world = World(seed)
        world.zone.add(
            "far.test",
            (10, "a.far.test", "192.0.2.1"),
            (20, *ours),
            (20, "c.far.test", "192.0.2.3"),
            (30, "d.far.test", "192.0.2.4"),
        )
        assert world.to("far.test") == ["a.far.test 192.0.2.1:25"]
        world.zone.mx["loop.test"] = [(20, ours[0]), (20, "c.far.test"), (30, "d.far.test")]
        assert world.refused("loop.test") == ("5.4.6", False)


def test_address_literals() -> None:
    world = World()
    assert world.to("[192.0.2.1]") == ["[192.0.2.1] 192.0.2.1:25"]
    assert world.to("[IPv6:2001:db8::1]") == ["[IPv6:2001:db8::1] 2001:db8::1:25"]
    assert world.refused("[192.0.2.99]") == ("5.4.6", False)
    assert world.refused("[127.0.0.1]") == ("5.4.6", False)
    assert world.refused("[IPv6:::ffff:127.0.0.1]") == ("5.4.6", False)
    assert world.refused("[IPv6:::ffff:192.0.2.99]") == ("5.4.6", False)
    assert world.refused("[x]") == ("5.1.2", False)


def test_set_routes_win_the_most_specific_one_first() -> None:
    world = World(
        mode="smarthost",
        smart_hosts=["smart.test:2525"],
        domains=[
            {"domain": "far.test", "route": "host:127.0.0.1:1025"},
            {"domain": "dns.far.test", "route": "dns"},
            {"domain": "x.far.test", "route": "host:[2001:db8::2]:26"},
        ],
    )
    world.zone.a["smart.test"] = ["192.0.2.8"]
    world.zone.add("dns.far.test", (1, "mx.far.test", "192.0.2.1"))
    assert world.to("any.test") == ["smart.test 192.0.2.8:2525"]
    assert world.to("FAR.test") == ["127.0.0.1 127.0.0.1:1025"]
    assert world.to("sub.far.test") == ["127.0.0.1 127.0.0.1:1025"]
    assert world.to("x.far.test") == ["2001:db8::2 2001:db8::2:26"]
    assert world.to("dns.far.test") == ["mx.far.test 192.0.2.1:25"]
    assert world.route("any.test").key == world.route("other.test").key == "ims>smart.test:2525"
    assert world.route("dns.far.test").key == "ims>dns.far.test:25"
    world.zone.a.clear()
    world.names.forget()
    assert world.refused("any.test") == ("5.4.4", False)


def test_hosts_are_tried_in_their_order_and_a_name_means_its_exchangers() -> None:
    world = World(mode="smarthost", smart_hosts=["one.test", "[two.test]:26", "[192.0.2.7]:27", "gone.test"])
    world.zone.add("one.test", (20, "b.one.test", "192.0.2.2"), (10, "a.one.test", "192.0.2.1"))
    world.zone.add("two.test", (10, "mx.two.test", "192.0.2.3"))
    world.zone.a["two.test"] = ["192.0.2.4"]
    assert world.to("any.test") == [
        "a.one.test 192.0.2.1:25",
        "b.one.test 192.0.2.2:25",
        "two.test 192.0.2.4:26",
        "192.0.2.7 192.0.2.7:27",
    ]
    world.zone.failing.add("one.test")
    world.names.forget()
    assert world.to("any.test")[0] == "two.test 192.0.2.4:26"


def test_a_domain_has_its_own_port_and_may_use_the_smart_host_after_all() -> None:
    rows = [
        {"domain": "far.test", "route": "dns", "port": 2525},
        {"domain": "near.test", "route": "host:192.0.2.5", "port": 26},
        {"domain": "#x.far.test", "route": "smarthost"},
    ]
    world = World(mode="smarthost", smart_hosts=["192.0.2.9"], port=587, domains=rows)
    world.zone.add("sub.far.test", (10, "a.far.test", "192.0.2.1"))
    assert world.to("sub.far.test") == ["a.far.test 192.0.2.1:2525"]
    assert world.to("near.test") == ["192.0.2.5 192.0.2.5:26"]
    assert world.to("x.far.test") == ["192.0.2.9 192.0.2.9:25"]
    assert world.route("x.far.test").why == "ims.domains, #x.far.test: smarthost"


def test_a_host_in_the_destination_goes_before_everything() -> None:
    world = World(mode="smarthost", smart_hosts=["192.0.2.9"])
    assert world.to("=192.0.2.5:26") == ["192.0.2.5 192.0.2.5:26"]


@pytest.mark.parametrize("text", ["a.test", "=host.test:25", "two>a.test", "two>=host.test", ""])
def test_destinations_are_read_as_they_are_written(text: str) -> None:
    assert str(Destination.parse(text)) == text


def test_internationalized_domains_are_asked_for_by_their_a_labels() -> None:
    world = World()
    world.zone.a["xn--bcher-kva.test"] = ["192.0.2.1"]
    assert world.to("bücher.test") == ["xn--bcher-kva.test 192.0.2.1:25"]


def test_answers_are_kept_while_their_ttl_lasts() -> None:
    world = World()
    world.zone.add("far.test", (10, "a.far.test", "192.0.2.1"))
    world.to("far.test")
    asked = len(world.zone.asked)
    world.clock.advance(200)
    world.to("far.test")
    assert len(world.zone.asked) == asked
    world.clock.advance(200)
    world.to("far.test")
    assert len(world.zone.asked) > asked


def test_many_exchangers_are_bounded() -> None:
    world = World()
    world.zone.add("far.test", *((n, f"{n}.far.test", f"192.0.2.{n}") for n in range(1, 90)))
    assert len(world.to("far.test")) == 10


def test_targets_read_well() -> None:
    assert str(Target("a.test", "192.0.2.1", 25)) == "a.test[192.0.2.1]:25"


def test_addresses_of_both_kinds_are_tried_in_turn() -> None:
    world = World()
    world.zone.a["far.test"] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"]
    order = [each.split()[1].rpartition(":")[0] for each in world.to("far.test")]
    assert order == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]


def test_the_addresses_of_this_machine_are_known() -> None:
    assert "127.0.0.1" in addresses_of_interfaces()


def test_nobody_is_sent_to_our_own_listener_even_if_an_administrator_says_so() -> None:
    ours = Ourselves("mx.here.test", ("192.0.2.99",), ports=(25,))
    assert ours.is_listener("192.0.2.99", 25) and ours.is_listener("127.0.0.1", 25)
    assert not ours.is_listener("127.0.0.1", 26) and not ours.is_listener("192.0.2.1", 25)
    unchecked = Ourselves("mx.here.test", ("192.0.2.99",), ports=(25,), check=lambda: False)
    assert not unchecked.is_listener("192.0.2.99", 25) and not unchecked.is_address("127.0.0.1")
