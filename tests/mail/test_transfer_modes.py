"""Transfer modes (ims_spec 3.4.1, 15-A4): what comes in, what leaves, what waits, and live changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.gates import SmtpGate
from imsd.mail.work import HOUR
from imsd.store import spool
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[World]:
    world = World(sqlite_database, store_reactor)
    run(world.runner.start())
    yield world
    run(world.runner.stop())


@pytest.mark.parametrize(
    ("mode", "old", "new"),
    [
        ("both", True, True),
        ("outbound", True, True),
        ("inbound", False, False),
        ("none", True, False),
        ("hold", False, False),
    ],
)
def test_what_leaves(world: World, mode: str, old: bool, new: bool) -> None:
    world.far.refuse = world.backup.refuse = {"old@far.test": "450 4.2.1 later"}
    world.send("old@far.test")
    world.work()
    world.far.refuse = world.backup.refuse = {}
    world.set(ims__transfer_mode=mode)
    world.work()
    world.send("new@far.test")
    world.send("root@near.test", sender="")
    world.work()
    world.later(1.1)
    took = {address[1:-1] for got in world.far.got for address in got.rcpt}
    assert took == {name for name, leaves in (("old@far.test", old), ("new@far.test", new)) if leaves}
    assert bool(world.near.got) is old, "reports go with the old"
    world.set()
    world.work()
    world.later(1.1)
    world.work()
    assert world.queued() == {}
    assert {address[1:-1] for got in world.far.got for address in got.rcpt} == {
        "old@far.test",
        "new@far.test",
    }


def test_what_is_frozen_is_not_given_up(world: World) -> None:
    world.set(ims__transfer_mode="hold", ims__timeout__normal=1)
    world.send("x@far.test")
    world.work()
    for _ in range(3):
        world.shift += HOUR
        world.reactor.advance(60)
        world.work()
    assert world.queued() == {"x@far.test": State.PARKED}
    assert world.reports() == [] and world.far.connections == 0
    world.set(ims__timeout__normal=72)
    world.work()
    assert world.queued() == {} and len(world.far.got) == 1


@pytest.mark.parametrize("before", ["inbound", "hold"])
def test_mode_none_flushes_what_waited_before_it(world: World, before: str) -> None:
    """ims_spec 3.4.1: how a connector that was inbound only is emptied before it is removed."""
    world.set(ims__transfer_mode=before)
    world.send("old@far.test")
    world.work()
    (message,) = run(world.db.read(spool.listed))
    (row,) = run(world.db.read(spool.recipients_of, message.id))
    assert row.last_error == "Connector ims sends nothing (transfer mode)"
    world.set(ims__transfer_mode="none")
    world.send("new@far.test")
    world.work()
    world.later(1.1)
    assert [list(got.rcpt) for got in world.far.got] == [["<old@far.test>"]]
    assert world.queued() == {"new@far.test": State.PARKED}


def test_what_is_kept_in_mode_none_is_given_up_in_its_time(world: World) -> None:
    world.set(ims__transfer_mode="none", ims__timeout__normal=1)
    world.send("x@far.test")
    world.work()
    world.shift += 2 * HOUR
    world.reactor.advance(60)
    world.work()
    assert world.queued() == {}


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("both", None),
        ("inbound", None),
        ("outbound", b""),
        ("none", b"421 4.3.2 mx takes no mail at present\r\n"),
        ("hold", b"421 4.3.2 mx takes no mail at present\r\n"),
    ],
)
def test_who_connects(world: World, mode: str, told: bytes | None) -> None:
    world.set(ims__transfer_mode=mode)
    assert SmtpGate(world.settings, "mx")("192.0.2.9") == told
