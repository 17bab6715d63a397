"""The clockwork of the flow limits: unread limit, back-off interval, maximum unread time (ims_spec 3.5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.mail.envelope import Timing
from imsd.mail.work import HOUR
from imsd.store import spool
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World, status, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]

MINUTE = HOUR // 60


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[World]:
    world = World(sqlite_database, store_reactor)
    run(world.runner.start())
    yield world
    run(world.runner.stop())


def minutes(world: World, count: int) -> None:
    """Time goes by; what is parked is looked at every minute."""
    for _ in range(count):
        world.shift += MINUTE
        world.reactor.advance(60)
        world.work()


def busy(world: World) -> None:
    """Two recipients wait to leave, and nothing more may."""
    world.set(ims__flow__unread_limit=2, ims__flow__backoff_min=5)
    world.work()
    world.far.mail = world.backup.mail = "450 4.2.1 later"
    world.send("a@far.test", "b@far.test")
    world.work()


def test_what_is_beyond_the_limit_is_kept_back_for_the_interval(world: World) -> None:
    busy(world)
    world.send("c@near.test")
    world.send("alice@example.test", "d@near.test", sender="alice@example.test")
    world.send("report@near.test", sender="")
    world.work()
    assert world.near.got[0].rcpt == ["<report@near.test>"] and len(world.near.got) == 1
    assert world.queued()["c@near.test"] is State.PARKED
    (c,) = [each for each in run(world.db.read(spool.parked)) if each.destination == "near.test"][:1]
    assert c.why == "Kept back: enough waits to leave (ims.flow.unread_limit)"
    world.far.mail = "250 2.1.0 ok"
    world.later(1.1)
    assert len(world.far.got) == 1
    run(world.runner.idle())
    minutes(world, 6)
    assert {rcpt for got in world.near.got for rcpt in got.rcpt} == {
        "<report@near.test>",
        "<c@near.test>",
        "<d@near.test>",
    }
    assert world.queued() == {}


def test_the_interval_is_kept_though_there_is_room(world: World) -> None:
    busy(world)
    world.send("c@near.test")
    (a,) = [each.queue_id for each in run(world.db.read(spool.listed))][:1]
    run(world.runner.give_up(a, False))
    minutes(world, 4)
    assert world.queued() == {"c@near.test": State.PARKED}
    minutes(world, 2)
    assert world.queued() == {} and len(world.near.got) == 1


def test_what_was_kept_back_too_long_is_returned(world: World) -> None:
    busy(world)
    world.set(ims__flow__unread_limit=2, ims__flow__backoff_min=60, ims__flow__max_unread_min=10)
    world.send("c@near.test")
    minutes(world, 9)
    assert world.reports() == []
    minutes(world, 2)
    (report,) = world.reports()
    assert (status(report)[1]["Final-Recipient"], status(report)[1]["Status"]) == (
        "rfc822; c@near.test",
        "4.4.7",
    )
    assert world.near.got == []


def test_a_release_time_is_kept_when_what_is_parked_starts(world: World) -> None:
    world.set(ims__transfer_mode="none")
    world.send("x@far.test", timing=Timing(release=world.now() + 2 * HOUR, future="for;7200"))
    world.work()
    world.set()
    world.work()
    assert world.queued() == {"x@far.test": State.WAITING} and world.far.got == []
    world.later(2.1)
    assert len(world.far.got) == 1
