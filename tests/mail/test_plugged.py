"""What plug-ins decide and hear of mail that leaves; wherever mail goes, the fields that they add go, too."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.mail import units
from imsd.mail.envelope import Addressee, Envelope, Origin
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.test_delivery import Post, content
from tests.mail.test_queue import TEXT, World, status, store_reactor, world
from tests.support.plugged import Made
from tests.support.stores import run

__all__ = ["store_reactor", "world"]

FIELD = "field:X-Seen: by a plug-in"
SEEN = b"X-Seen: by a plug-in\r\n"
PEER = Origin("ESMTP", "192.0.2.50")


@pytest.fixture
def made() -> Made:
    return Made()


def plug(world: World, made: Made, **says: Any) -> None:
    world.delivery.plugins = made.plugins(world.settings, world.reactor, **says)
    world.runner._settling.plugins = world.delivery.plugins


def test_what_leaves_may_be_refused_or_put_off(world: World, made: Made) -> None:
    says = {"x@far.test": "refuse:Not to them", "y@far.test": "later:Not now"}
    plug(
        world,
        made,
        sending=lambda attempt: says.get(attempt.recipients[0]),
        failed=None,
        deferred=None,
        sent=None,
    )
    for address in ("x@far.test", "y@far.test", "z@near.test"):
        world.send(address)
    world.work()
    assert (world.far.got, len(world.near.got)) == ([], 1)
    (report,) = world.reports()
    assert status(report)[1]["Status"] == "5.7.1"
    assert world.queued() == {"y@far.test": State.WAITING}
    assert {(one.recipients, one.host) for one in made.told["sending"]} == {
        (("x@far.test",), "far.test"),
        (("y@far.test",), "far.test"),
        (("z@near.test",), "near.test"),
    }
    for event, address in (("failed", "x@far.test"), ("deferred", "y@far.test"), ("sent", "z@near.test")):
        assert [one.recipient for one in made.told[event]] == [address]
    assert made.told["failed"][0].reason.startswith("Not to them")
    says.clear()
    world.later(5)
    assert len(world.far.got) == 1 and world.queued() == {}


def test_reports_of_ours_are_not_asked_about(world: World, made: Made) -> None:
    plug(world, made, received="refuse:All")
    with pytest.raises(Exception, match="All"):
        world.send("x@far.test", origin=PEER)
    plug(world, made, received=None)
    world.send("x@nowhere.invalid", origin=PEER)
    made.says["received"] = "refuse:All"
    world.work()
    assert len(world.reports()) == 1
    assert [one.sender for one in made.told["received"]] == ["alice@example.test"] * 2


def test_fields_are_on_what_leaves(world: World, made: Made) -> None:
    plug(world, made, received=FIELD)
    world.send("x@far.test", "alice@example.test", origin=PEER)
    world.work()
    assert world.far.got[0].data == SEEN + TEXT
    assert world.far.got[0].mail.split()[1] == f"SIZE={len(SEEN + TEXT)}"


def test_fields_stay_once_on_what_waited_here(world: World, made: Made) -> None:
    plug(world, made, received=FIELD)
    world.directory.add_contact("x", "x@far.test")
    world.directory.add_list("friends", "alice@example.test", "x@example.test")
    # A list whose expansion is to be reported waits in the queue; its unit may run more than once.
    write = world.db.write

    def twice(fn: Any, *args: Any, **more: Any) -> Any:
        if fn is not units.deliver_queued:
            return write(fn, *args, **more)

        def run_again(unit: Any, *inner: Any) -> Any:
            fn(unit, *inner)
            raise Again

        first = write(run_again, *args, **more)
        return first.addErrback(lambda failure: failure.trap(Again) and write(fn, *args, **more))

    world.db.write = twice  # type: ignore[method-assign]
    to = Addressee("friends@example.test", world.directory.known["friends@example.test"], ("SUCCESS",))
    world.send(to, origin=PEER)
    world.work()
    assert world.far.got[0].data == SEEN + TEXT
    copies = [each for each in world.inbox(world.alice) if each.startswith(b"Return-Path: <alice@")]
    assert [each.count(SEEN) for each in copies] == [1]


class Again(Exception):
    pass


def test_fields_and_facts_of_more_than_one_unit(database: Database, made: Made) -> None:
    post = Post(database)
    accounts = [post.person(f"p{number}") for number in range(130)]
    addresses = [f"p{number}@example.test" for number in range(130)]
    post.directory.add_list("all", *addresses)
    post.delivery.plugins = made.plugins(post.settings, database.reactor, received=FIELD, delivered=None)
    envelope = Envelope("sender@example.org", post.to("all@example.test"), origin=PEER)
    run(post.delivery.accept(envelope, content("hello")))
    run(post.delivery.drained())
    for account in accounts:
        (row,) = post.inbox(account)
        assert row.prefix.endswith(b"\r\n" + SEEN)
    for _ in range(200):
        database.reactor.advance(0)
        run(database.read(lambda tx: None))
        if len(made.told.get("delivered", ())) >= 130:
            break
    assert sorted(one.recipient for one in made.told["delivered"]) == sorted(addresses)
