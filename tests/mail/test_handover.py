"""What waits to be fetched by ATRN: found by its destination, claimed once, parked again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.store import claims, spool
from imsd.store.claims import Result
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World
from tests.support import stores
from tests.support.stores import run


@pytest.fixture
def store_reactor() -> MailReactor:
    stores._reactor = MailReactor()
    return stores._reactor


@pytest.fixture
def world(database: Database, store_reactor: MailReactor) -> Iterator[World]:
    one = World(database, store_reactor)
    one.set(ims__domains=[{"domain": "far.test", "route": "atrn:alice@example.test"}])
    run(one.runner.start())
    yield one
    run(one.runner.stop())


def test_what_is_parked_is_claimed_once_and_parked_again(world: World) -> None:
    for number in range(3):
        world.send(f"x{number}@far.test", f"y{number}@sub.far.test", "z@near.test")
    world.work()
    assert len(world.near.got) == 3 and world.far.connections == 0
    assert run(world.db.read(claims.parked_places)) == ["far.test", "sub.far.test"]
    time = world.now()
    first, after = run(world.db.write(claims.claim_parked, ["far.test"], 0, time, 2, 60_000_000))
    assert [each.address for claim in first for each in claim.recipients] == ["x0@far.test", "x1@far.test"]
    rest, end = run(world.db.write(claims.claim_parked, ["far.test"], 0, time, 9, 60_000_000))
    assert [each.address for claim in rest for each in claim.recipients] == ["x2@far.test"]
    assert end > after
    (claim, *_) = first
    results = [Result(each.id, State.PARKED, "not now") for each in claim.recipients]
    assert run(world.db.write(claims.record, claim, results, time))
    again, _ = run(world.db.write(claims.claim_parked, ["far.test"], 0, time, 9, 60_000_000))
    assert [each.attempts for claim in again for each in claim.recipients] == [1]
    # A claim that lapsed is anybody's, and what a stop left is free at the next start.
    lapsed, _ = run(world.db.write(claims.claim_parked, ["far.test"], 0, time + 61_000_000, 9, 60_000_000))
    assert sum(len(claim.recipients) for claim in lapsed) == 3
    run(world.db.write(claims.release_leases))
    parked = [text for text, state in world.queued().items() if state is State.PARKED]
    assert len(parked) == 6


def test_nobody_can_send_it_elsewhere(world: World) -> None:
    queue_id = world.send("x@far.test")
    message, _ = run(world.db.read(spool.shown, queue_id))
    run(world.db.write(spool.retry, message.id, world.now()))
    world.work()
    assert world.far.connections == 0 and world.queued() == {"x@far.test": State.PARKED}
