"""Connectors at work in the queue: held domains, standby connectors, encapsulation, restrictions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imsd.errors import AskedTooOften, QueueElsewhere
from imsd.mail.delivery import ASKED
from imsd.mail.envelope import Addressee, Origin
from imsd.store import spool
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World
from tests.support import stores
from tests.support.stores import run

ETRN = [{"domain": "far.test", "route": "etrn"}]


@pytest.fixture
def store_reactor() -> MailReactor:
    stores._reactor = MailReactor()
    return stores._reactor


@pytest.fixture
def world(database: Database, store_reactor: MailReactor) -> Iterator[World]:
    one = World(database, store_reactor)
    run(one.runner.start())
    yield one
    stopping = one.runner.stop()
    store_reactor.advance(60)
    run(stopping)


def states(world: World) -> list[State]:
    def read(tx: Any) -> list[State]:
        return [each.state for message in spool.listed(tx) for each in spool.recipients_of(tx, message.id)]

    return run(world.db.read(read))


def tick(world: World, hours: float = 0) -> None:
    """Let the minute pass in which what is parked is looked after."""
    world.shift += int(hours * 3_600_000_000)
    world.reactor.advance(61)
    world.work()


def test_mail_for_a_held_domain_waits_and_leaves_when_it_is_asked_for(world: World) -> None:
    world.set(ims__domains=ETRN)
    world.send("x@far.test", "y@sub.far.test", "z@near.test")
    world.work()
    assert world.far.connections == 0
    assert len(world.near.got) == 1
    tick(world, hours=5)
    assert world.far.connections == 0
    assert states(world)[:2] == [State.PARKED, State.PARKED]
    assert run(world.delivery.start_held("far.test", False)) == 1
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<x@far.test>"]]
    world.zone.add("sub.far.test", (10, "a.far.test", "192.0.2.1"))
    assert run(world.delivery.start_held("far.test", True)) == 1
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<x@far.test>"], ["<y@sub.far.test>"]]
    assert run(world.delivery.start_held("far.test", True)) == 0
    assert states(world) == []


def test_what_is_asked_for_and_does_not_get_through_waits_again(world: World) -> None:
    world.set(ims__domains=ETRN)
    world.far.mail = world.backup.mail = "451 4.3.0 not now"
    world.send("x@far.test")
    run(world.delivery.start_held("far.test", False))
    world.work()
    tried = world.far.connections
    assert tried == 1
    assert states(world) == [State.PARKED]
    world.later(9)
    tick(world)
    assert world.far.connections == tried
    world.far.mail = "250 2.1.0 ok"
    run(world.delivery.start_held("far.test", False))
    world.work()
    assert len(world.far.got) == 1


def test_nobody_asks_in_time(world: World) -> None:
    world.set(ims__domains=ETRN, ims__timeout__normal=48)
    world.send("x@far.test")
    tick(world, hours=47)
    assert states(world) == [State.PARKED]
    tick(world, hours=2)
    assert world.far.connections == 0
    (report,) = world.reports()
    assert "4.4.7" in report.as_string()
    assert "Held until the domain's host asks" in report.as_string()


def test_a_domain_that_is_held_no_more_gets_its_mail_and_one_that_is_now_does_not(world: World) -> None:
    world.set(ims__domains=ETRN)
    world.send("x@far.test")
    world.work()
    world.set()
    world.work()
    tick(world)
    assert len(world.far.got) == 1
    world.near.mail = "451 4.3.0 not now"
    world.send("x@near.test")
    world.work()
    assert states(world) == [State.WAITING]
    world.set(ims__domains=[{"domain": "near.test", "route": "etrn"}])
    world.work()
    assert states(world) == [State.PARKED]


def test_other_domains_have_no_queue_to_start(world: World) -> None:
    with pytest.raises(QueueElsewhere):
        run(world.delivery.start_held("far.test", False))


def test_who_asks_again_and_again_makes_no_host_be_tried_each_time(world: World) -> None:
    world.set(ims__domains=ETRN)
    world.send("x@far.test")
    world.work()
    world.far.end = "451 4.3.0 not now"
    asked = []
    for _ in range(2 * ASKED + 1):
        try:
            asked.append(run(world.delivery.start_held("far.test", False)))
        except AskedTooOften:
            asked.append(-1)
        world.work()
    # A minute may end in between, one.
    assert asked[0] == 1 and -1 in asked and asked.count(1) >= ASKED


def test_a_connector_that_sends_nothing_keeps_its_mail(world: World) -> None:
    world.set(ims__transfer_mode="inbound")
    world.send("x@far.test")
    world.work()
    assert states(world) == [State.PARKED]
    world.set()
    world.work()
    tick(world)
    assert len(world.far.got) == 1


def smart(name: str, address: str, cost: int = 1, pattern: str = "*") -> dict[str, Any]:
    delivery = {"mode": "smarthost", "smart_hosts": [address]}
    return {"name": name, "address_space": [{"pattern": pattern, "cost": cost}], "delivery": delivery}


def test_each_connector_delivers_its_own_way(world: World) -> None:
    world.set(ims__connectors=[smart("two", "192.0.2.3", pattern="other.test")])
    world.send("x@far.test", "y@other.test")
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<x@far.test>"]]
    assert [each.rcpt for each in world.near.got] == [["<y@other.test>"]]


def test_a_standby_takes_over_and_trouble_is_remembered(world: World) -> None:
    world.set(
        ims__address_space=[], ims__connectors=[smart("first", "192.0.2.77"), smart("second", "192.0.2.3", 5)]
    )
    world.send("x@any.test")
    world.work()
    assert states(world) == [State.WAITING]
    world.later(1)
    assert [each.rcpt for each in world.near.got] == [["<x@any.test>"]]
    world.reactor.peers["192.0.2.77"] = world.far
    world.runner.connectors.failed("first", world.now())
    world.send("y@any.test")
    world.work()
    assert len(world.near.got) == 2
    world.later(1)
    world.send("z@any.test")
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<z@any.test>"]]


def test_mail_leaves_by_another_connector_than_it_came_by(world: World) -> None:
    world.set(
        ims__address_space=[],
        ims__connectors=[
            {**smart("first", "192.0.2.1"), "inbound_hosts": ["198.51.100.0;255.255.255.0"]},
            smart("second", "192.0.2.3", 5),
        ],
    )
    world.send("x@any.test", origin=Origin("ESMTP", "198.51.100.7"))
    world.send("y@any.test", origin=Origin("ESMTP", "203.0.113.7"))
    world.work()
    assert [each.rcpt for each in world.near.got] == [["<x@any.test>"]]
    assert [each.rcpt for each in world.far.got] == [["<y@any.test>"]]


def contact(world: World, alias: str, target: str, kind: str) -> Addressee:
    world.directory.add_contact(alias, target, kind)
    address = f"{alias}@example.test"
    return Addressee(address, run(world.directory.resolve(address)))


def test_custom_recipients_of_other_types_are_encapsulated_for_their_gateway(world: World) -> None:
    world.set(
        ims__address_space=[
            {"pattern": "*"},
            {"type": "MS", "pattern": "NET/PO", "via": "near.test"},
            {"type": "CCMAIL", "pattern": "", "via": "near.test"},
        ],
        ims__connected_sites=[{"site": "Paris", "address": "far.test"}],
        ims__tls__connected_sites="may",
    )
    world.send(
        contact(world, "ms", "NET/PO/USER", "MS"),
        contact(world, "cc", "Mark at SALES", "CCMAIL"),
        contact(world, "ex", "/o=Example/ou=Paris/cn=Recipients/cn=jean", "EX"),
    )
    world.work()
    near = [address for each in world.near.got for address in each.rcpt]
    assert near == ["<IMCEAMS-NET_PO_USER@near.test>", "<IMCEACCMAIL-Mark+20at+20SALES@near.test>"]
    (far,) = world.far.got
    assert far.rcpt == ["<IMCEAEX-_o=Example_ou=Paris_cn=Recipients_cn=jean@far.test>"]


def test_people_of_connected_sites_may_be_written_to_directly(world: World) -> None:
    site = [{"site": "Paris", "address": "near.test"}]
    world.set(ims__connected_sites=site, ims__sites_direct=True, ims__tls__connected_sites="may")
    to = contact(world, "jean", "/o=Example/ou=Paris/cn=Recipients/cn=jean", "EX")
    world.send(to)
    world.work()
    # An address in a domain of ours is no way to another site.
    assert world.near.got[0].rcpt[0].startswith("<IMCEAEX-")
    assert to.recipient is not None
    elsewhere = replace(to.recipient, address="jean@far.test")
    world.send(Addressee("jean@example.test", elsewhere))
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<jean@far.test>"]]


def test_no_route_for_another_type_is_told_to_the_sender(world: World) -> None:
    world.send(contact(world, "x400", "c=us;s=x;", "X400"))
    world.work()
    (report,) = world.reports()
    assert "5.1.1" in report.as_string()


def test_a_member_of_a_list_that_may_not_be_written_to_is_reported(world: World) -> None:
    world.set(ims__restrict__accept_from=["root@example.test"])
    world.directory.add_contact("carol", "carol@far.test")
    world.directory.add_list("staff", "root@example.test", "carol@example.test")
    to = Addressee("staff@example.test", run(world.directory.resolve("staff@example.test")))
    world.send(to, account=world.alice)
    world.work()
    assert world.far.connections == 0
    (report,) = world.reports()
    assert "Not accepted for delivery" in report.as_string()
    assert "5.7.1" in report.as_string()
    world.send(to, account=world.root)
    world.work()
    assert len(world.far.got) == 1


def test_a_shared_domain_is_handed_to_its_host(world: World) -> None:
    world.directory.shared["example.test"] = "192.0.2.3:2525"
    world.directory.add_contact("gone", "carol@example.test")
    to = Addressee("gone@example.test", run(world.directory.resolve("gone@example.test")))
    world.send(to, Addressee("dave@example.test", destination="=192.0.2.3:2525"))
    world.work()
    assert sorted(address for each in world.near.got for address in each.rcpt) == [
        "<carol@example.test>",
        "<dave@example.test>",
    ]
