"""Who waits is told when the hour has come, whether or not anything is tried just then."""

from __future__ import annotations

import pytest

from imsd.mail.envelope import Addressee
from imsd.mail.relay.passwords import Refusals
from imsd.mail.work import HOUR
from imsd.store.spool import State
from tests.mail import test_queue
from tests.mail.fakes import FakeDuties
from tests.mail.test_fairness import until
from tests.mail.test_queue import World, status
from tests.support.stores import run

store_reactor, world = test_queue.store_reactor, test_queue.world


@pytest.fixture
def told(world: World) -> World:
    """A world whose hour is one, and where the next try is a day away."""
    world.set(ims__delay_notice__normal=1, ims__retry__profile="intervals", ims__retry__intervals=[24])
    world.far.refuse = world.backup.refuse = {"x@far.test": "450 4.2.1 later"}
    return world


def look(world: World, hours: float) -> list[str]:
    world.shift += int(hours * HOUR)
    run(world.runner.lateness.look())
    return [each["Subject"] for each in world.reports()]


def test_the_notice_does_not_wait_for_a_try(told: World) -> None:
    told.send("x@far.test", Addressee("y@far.test", None, ("FAILURE",)))
    told.far.refuse["y@far.test"] = told.backup.refuse["y@far.test"] = "450 4.2.1 later"
    told.work()
    assert look(told, 0.9) == []
    assert look(told, 0.2) == ["Delayed: Hi"]
    (report,) = told.reports()
    _, recipient = status(report)
    assert (recipient["Action"], recipient["Final-Recipient"]) == ("delayed", "rfc822; x@far.test")
    assert recipient["Will-Retry-Until"] is not None
    assert len(status(report)) == 2, "y did not ask for news of delays"
    assert look(told, 1) == ["Delayed: Hi"], "once"
    told.later(24)
    assert len(told.reports()) == 1, "not by the next try either"


def test_what_was_never_tried_is_late_too(told: World) -> None:
    told.set(ims__delay_notice__normal=1, queue__paused=True)
    told.send("x@far.test")
    told.work()
    assert look(told, 1.1) == ["Delayed: Hi"]


def test_what_is_being_tried_is_told_of_once(told: World) -> None:
    # Less than a claim lasts.
    told.set(ims__delay_notice__normal=0.05, ims__retry__profile="intervals", ims__retry__intervals=[24])
    told.far.stall = True
    told.far.refuse = {}
    told.send("x@far.test")
    until(told, lambda: told.far.open and told.far.verbs()[-1:] == ["DATA"])
    assert look(told, 0.06) == ["Delayed: Hi"]
    assert look(told, 0.01) == ["Delayed: Hi"]
    told.reactor.advance(600)
    until(told, lambda: not told.far.open)
    told.work()
    assert set(told.queued().values()) == {State.WAITING} and not told.far.open
    assert len(told.reports()) == 1


def test_other_hours_are_looked_at_anew(told: World) -> None:
    told.send("x@far.test")
    told.work()
    told.set(ims__delay_notice__normal=5)
    assert look(told, 2) == []
    told.set(ims__delay_notice__normal=0)
    assert look(told, 0) == []
    told.set(ims__delay_notice__normal=1)
    assert look(told, 0) == ["Delayed: Hi"]


def test_each_priority_has_its_hour(told: World) -> None:
    told.set(ims__delay_notice__normal=3, ims__delay_notice__urgent=1)
    told.far.refuse = told.backup.refuse = {f"{name}@far.test": "450 4.2.1 later" for name in "nu"}
    told.send("n@far.test")
    told.send("u@far.test", priority=1)
    told.work()
    assert len(look(told, 1.1)) == 1
    assert len(look(told, 2)) == 2


def test_refused_logins_are_counted_and_nothing_else() -> None:
    refusals = Refusals(2)
    assert [refusals.add(1), refusals.add(1), refusals.add(2)] == [1, 2, 1]
    refusals.forget([1])
    assert refusals.add(1) == 1
    assert refusals.add(3) == 1
    assert refusals.add(2) == 1, "the bound"


def test_of_nodes_that_share_a_queue_one_tells(told: World) -> None:
    duties = FakeDuties()
    late = told.new_runner(duties).lateness
    told.set(ims__delay_notice__normal=1, queue__paused=True)
    told.send("x@far.test")
    told.shift += 2 * HOUR
    duties.other = "hub"
    run(late.take_turn())
    assert told.reports() == []
    duties.other = ""
    run(late.take_turn())
    assert len(told.reports()) == 1
