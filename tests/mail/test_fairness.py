"""Nobody waits behind who sends to many, nor behind who is slow: turns, lanes, slots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.defer import CancelledError, Deferred

from imsd.mail.envelope import Addressee
from imsd.mail.fairness import MOST_AHEAD, STEP, Turns, again
from imsd.mail.slots import Slots
from imsd.mail.work import HOUR
from imsd.store import claims, spool
from imsd.store.database import Database
from tests.mail.peers import MailReactor, Peer
from tests.mail.test_queue import World, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[World]:
    world = World(sqlite_database, store_reactor)
    yield world
    stopping = world.runner.stop()
    world.reactor.advance(30)
    run(stopping)


def test_turns() -> None:
    clock = 10**15
    turns = Turns(lambda: clock)
    assert turns.take("a", 0, 100_000) == clock
    assert turns.take("b", 0, 1) == clock, "who sends to one goes with the first of who sends to many"
    assert turns.take("a", 0, 1) == clock + 100_000 * STEP
    assert turns.take("a", 1, 1) == clock - HOUR, "his urgent mail does not wait for his other mail"
    assert turns.take("b", -1, 1) == clock + HOUR
    assert turns.take("", 0, 5) == turns.take("", 0, 5) == clock
    turns.take("a", 0, 10**9)
    assert turns.take("a", 0, 1) == clock + MOST_AHEAD
    clock += MOST_AHEAD * 10**4
    assert turns.take("b", 0, 1) == clock
    assert again(clock, 0) == clock + HOUR and again(clock, 1) == clock


def test_slots_are_counted_in_all_and_for_each_address() -> None:
    limit, told = 3, []
    slots = Slots(lambda: limit, lambda: told.append(1))

    def take(address: str) -> Deferred[None]:
        return Deferred.fromCoroutine(slots.take(address, 2))

    one, two, three = take("a"), take("a"), take("a")
    assert one.called and two.called and not three.called
    assert (slots.waiting, len(told)) == (1, 1)
    other, late = take("b"), take("c")
    assert other.called and not late.called, "three are open"
    three.addErrback(lambda failure: failure.trap(CancelledError))
    three.cancel()
    assert slots.waiting == 1
    slots.give("a")
    assert late.called and slots.waiting == 0
    more = take("d")
    limit = 4
    slots.look()
    assert more.called


def until(world: World, true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        world.reactor.advance(0)
        run(world.db.read(spool.next_due))
        if true():
            return
    raise AssertionError("it does not come true")


def test_one_goes_before_the_rest_of_many(world: World) -> None:
    world.set(ims__limits__outbound=1, ims__limits__recipients_out=10)
    for number in range(30):
        world.zone.add(f"d{number}.test", (10, f"d{number}.test", "192.0.2.1"))
    world.send(*(f"x{n}@d{n % 30}.test" for n in range(300)), sender="many@near.test")
    world.send("one@far.test", sender="alice@example.test")
    world.send("urgent@far.test", sender="many@near.test", priority=1)
    run(world.runner.start())
    until(world, lambda: len(world.far.got) >= 31)
    first = [each.rcpt for each in world.far.got[:3]]
    assert ["<urgent@far.test>"] in first
    assert ["<one@far.test>"] in first


def test_a_slow_host_leaves_lanes_to_others(world: World) -> None:
    world.set(ims__limits__outbound=4, ims__limits__per_host=4)
    world.far.greeting = "220-never"
    world.send(*(f"x{n}@far.test" for n in range(2_000)), sender="bob@near.test")
    world.zone.add("other.test", (10, "o.other.test", "192.0.2.9"))
    other = world.reactor.peers["192.0.2.9"] = Peer()
    run(world.runner.start())
    until(world, lambda: world.far.open)
    world.send("y@near.test")
    world.send("z@other.test")
    until(world, lambda: world.near.got and other.got)
    assert world.far.open <= 2
    assert len(world.runner.claiming.held) < 20


def test_lanes_that_wait_for_a_slot_hold_no_place(world: World) -> None:
    """Five domains have the same exchanger, which is slow and takes one connection."""
    world.set(ims__limits__outbound=2, ims__limits__per_host=1)
    world.far.greeting = "220-never"
    for number in range(5):
        world.zone.add(f"d{number}.test", (10, "a.far.test", "192.0.2.1"))
        world.send(f"x@d{number}.test", sender="bob@near.test")
    run(world.runner.start())
    until(world, lambda: world.runner.lanes.slots.waiting == 4)
    world.send("y@near.test")
    until(world, lambda: world.near.got)
    assert (world.far.open, world.far.most_open) == (1, 1)


def test_claims_are_bounded_by_lanes_and_not_by_the_queue(world: World) -> None:
    world.set(ims__limits__outbound=2, ims__limits__per_host=2)
    world.far.greeting = "220-never"
    for number in range(100):
        world.send(*(f"x{n}@far.test" for n in range(100)), sender=f"s{number}@near.test")
    run(world.runner.start())
    until(world, lambda: world.far.open)
    for _ in range(300):
        world.reactor.advance(0)
        run(world.db.read(spool.next_due))
    assert len(world.runner.claiming.held) <= 12
    (lane,) = run(world.db.read(claims.lanes))
    assert lane.domain == "far.test"


def test_what_stays_here_is_behind_no_lane(world: World) -> None:
    world.set(ims__limits__outbound=1)
    world.far.greeting = "220-never"
    for number in range(600):
        world.zone.add(f"d{number}.test", (10, "a.far.test", "192.0.2.1"))
    world.send(*(f"x@d{number}.test" for number in range(600)), sender="bob@near.test", priority=1)
    run(world.runner.start())
    until(world, lambda: world.far.open)
    to = Addressee("root@example.test", run(world.directory.resolve("root@example.test")), ("SUCCESS",))
    world.send(to)
    until(world, lambda: world.inbox(world.root))
