"""Where mail goes (RFC 5321 5, RFC 7505)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from imsd.mail.names import Names
from imsd.mail.routing import Routing, Target, Unroutable
from imsd.settings import PAGES, LiveSettings
from tests.mail.peers import Zone
from tests.support.stores import run


async def here(fn: Callable[..., Any], *args: Any) -> Any:
    return fn(*args)


class World:
    def __init__(self, seed: int = 1, **rows: object) -> None:
        self.zone, self.clock = Zone(), Clock()
        settings = LiveSettings(PAGES)
        settings.replace({f"routes.{name}": json.dumps(value) for name, value in rows.items()})
        self.names = Names(self.clock, here, self.zone.lookup)
        self.routing = Routing(self.names, settings, "mx.here.test", ("192.0.2.99",), random.Random(seed))

    def to(self, domain: str) -> list[str]:
        return [f"{each.host} {each.address}:{each.port}" for each in run(self.routing.targets(domain))]

    def refused(self, domain: str) -> tuple[str, bool]:
        with pytest.raises(Unroutable) as caught:
            run(self.routing.targets(domain))
        return caught.value.status, caught.value.temporary


def test_lower_preference_first_and_each_host_by_its_addresses() -> None:
    world = World()
    world.zone.add("far.test", (20, "b.far.test", "192.0.2.2"), (10, "a.far.test", "192.0.2.1"))
    world.zone.a["a.far.test"] = ["192.0.2.1", "2001:db8::1"]
    assert world.to("far.test") == [
        "a.far.test 192.0.2.1:25",
        "a.far.test 2001:db8::1:25",
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
    "ours", [("mx.here.test", "192.0.2.50"), ("alias.test", "192.0.2.99"), ("x.test", "127.0.0.1")]
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
        smart_host="smart.test:2525",
        domains={"far.test": "127.0.0.1:1025", "dns.far.test": "dns", "x.far.test": "[2001:db8::2]:26"},
    )
    world.zone.a["smart.test"] = ["192.0.2.8"]
    world.zone.add("dns.far.test", (1, "mx.far.test", "192.0.2.1"))
    assert world.to("any.test") == ["smart.test 192.0.2.8:2525"]
    assert world.to("FAR.test") == ["127.0.0.1 127.0.0.1:1025"]
    assert world.to("sub.far.test") == ["127.0.0.1 127.0.0.1:1025"]
    assert world.to("x.far.test") == ["2001:db8::2 2001:db8::2:26"]
    assert world.to("dns.far.test") == ["mx.far.test 192.0.2.1:25"]
    assert (
        world.routing.destination("any.test") == world.routing.destination("other.test") == "smart.test:2525"
    )
    assert world.routing.destination("DNS.far.test") == "dns.far.test"
    world.zone.a.clear()
    world.names.forget()
    assert world.refused("any.test") == ("5.4.4", False)


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
