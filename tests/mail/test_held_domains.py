"""What comes for a domain that is held stays until it is released."""

from __future__ import annotations

from imsd.store import queue_rows
from imsd.store.queue_rows import Deed
from imsd.store.spool import State
from tests.mail import test_queue
from tests.mail.test_queue import World
from tests.support.stores import run

store_reactor, world = test_queue.store_reactor, test_queue.world


def test_what_comes_for_a_held_domain_stays_until_it_is_released(world: World) -> None:
    world.set(queue__held=["FAR.test"])
    queue_id = world.send("x@far.test", "y@near.test", "z@below.far.test")
    world.work()
    assert world.queued()["x@far.test"] is State.HELD
    assert world.queued().get("z@below.far.test") is not State.HELD
    assert not world.far.connections and len(world.near.got) == 1
    assert ("held", "x@far.test") in world.events(queue_id)
    held, _ = run(world.db.read(queue_rows.rows, queue_rows.Wanted(domain="far.test")))
    assert [row.recipient.last_error for row in held] == ["its domain is held (queue.held)"]
    world.later(100)
    assert world.queued()["x@far.test"] is State.HELD, "it does not expire meanwhile"
    world.set(queue__held=[])
    rows, _ = run(world.db.read(queue_rows.rows, queue_rows.Wanted(domain="far.test")))
    run(world.db.write(queue_rows.do, Deed.RELEASE, [row.recipient.id for row in rows], world.now()))
    world.work()
    assert "x@far.test" not in world.queued()
