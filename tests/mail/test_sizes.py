"""Sizes in and out, and the time that one message may take on its way (ims_spec 3.5, 3.6, 15-A20)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.settings.connectors import Ims
from imsd.store import spool
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_fairness import until
from tests.mail.test_queue import TEXT, World, status, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[World]:
    world = World(sqlite_database, store_reactor)
    run(world.runner.start())
    yield world
    stopping = world.runner.stop()
    world.reactor.advance(30)
    run(stopping)


@pytest.mark.parametrize(
    ("page", "inbound", "outbound"),
    [
        (Ims(), 50_000 * 1024 + 1023, 50_000 * 1024 + 1023),
        (Ims(size_limit_kb=0), 0, 0),
        (Ims(size_limit_kb=1, size_tolerance=0), 1024, 1024),
        (Ims(size_limit_kb=0, size_limit_in=7, size_limit_out=9), 7, 9),
        (Ims(size_limit_kb=1, size_limit_out=9), 2047, 9),
    ],
)
def test_limits(page: Ims, inbound: int, outbound: int) -> None:
    assert (page.inbound_limit, page.outbound_limit) == (inbound, outbound)


@pytest.mark.parametrize("setting", [{"ims__size_limit_out": 2000}, {"ims__flow__transfer_quota_kb": 2}])
def test_what_is_too_large_comes_back_and_stays_among_us(world: World, setting: dict[str, int]) -> None:
    world.set(**setting)
    world.send("x@far.test", data=TEXT + b"x" * 2100)
    world.send("y@far.test", data=TEXT)
    world.work()
    assert [got.rcpt for got in world.far.got] == [["<y@far.test>"]]
    (report,) = world.reports()
    assert status(report)[1]["Status"] == "5.3.4"
    assert "exceeds size limit" in report.as_string()


def test_a_connected_site_is_held_to_no_size(world: World) -> None:
    world.set(
        ims__size_limit_out=2000,
        ims__connected_sites=[{"site": "Paris", "address": "far.test"}],
        ims__tls__connected_sites="may",
    )
    world.send("x@far.test", "y@near.test", data=TEXT + b"x" * 2100)
    world.work()
    assert [got.rcpt for got in world.far.got] == [["<x@far.test>"]]
    assert world.near.got == []


def test_a_transfer_ends_when_its_time_is_over(world: World) -> None:
    world.set(ims__transfer_time__normal_min=2)
    world.far.stall = True
    world.send("x@far.test")
    until(world, lambda: "DATA" in world.far.verbs())
    world.reactor.advance(119)
    assert world.far.open == 1
    world.reactor.advance(2)
    until(world, lambda: world.queued() and not world.far.open)
    until(world, lambda: run(world.db.read(spool.listed)) and not world.runner.claiming.held)
    (message,) = run(world.db.read(spool.listed))
    (recipient,) = run(world.db.read(spool.recipients_of, message.id))
    assert recipient.state is State.WAITING and recipient.attempts == 1
    assert "not transferred within 2 minutes" in recipient.last_error
