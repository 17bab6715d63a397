"""MTA-STS policies: kept until they end, fetched when their record changes, asked for once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from imsd.mail.names import Answer, LookupFailed, Names
from imsd.store.database import Database
from imsd.trust.policies import AGAIN, Policies, Unavailable
from tests.support.stores import run

DAY = 86_400_000_000
TEXT = "version: STSv1\nmode: enforce\nmx: mx.a.test\nmax_age: 864000\n"


class World:
    def __init__(self, db: Database) -> None:
        self.time, self.record, self.text, self.fetched = DAY, "1", TEXT, 0
        self.held: Deferred[None] | None = None

        async def here(fn: Callable[..., Any], *args: Any) -> Any:
            return fn(*args)

        def lookup(name: str, kind: str) -> Answer:
            if not self.record:
                raise LookupFailed("gone")
            return Answer(((0, f"v=STSv1; id={self.record};"),))

        self.names = Names(Clock(), here, lookup)
        self.policies = Policies(db, self.names, self.fetch, lambda: self.time, lambda: True)

    async def fetch(self, domain: str) -> str:
        self.fetched += 1
        if self.held is not None:
            await self.held
        if not self.text:
            raise Unavailable("sts-policy-fetch-error", "no")
        return self.text

    def mode(self) -> str | None:
        self.names.forget()
        policy = run(self.policies.of("a.test"))
        return None if policy is None else policy.mode


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    yield World(database)


def test_a_policy_holds_until_it_ends_whatever_others_say(world: World) -> None:
    assert (world.mode(), world.fetched) == ("enforce", 1)
    assert (world.mode(), world.fetched) == ("enforce", 1)
    world.record = ""
    world.time += 9 * DAY
    assert (world.mode(), world.fetched) == ("enforce", 1)
    world.time += 2 * DAY
    assert (world.mode(), world.fetched) == (None, 1)


def test_a_new_record_is_a_new_policy_and_one_that_fails_leaves_the_old(world: World) -> None:
    world.mode()
    world.record, world.text = "2", ""
    assert (world.mode(), world.fetched) == ("enforce", 2)
    assert (world.mode(), world.fetched) == ("enforce", 2), "not again at once"
    world.time += AGAIN
    world.text = TEXT.replace("enforce", "testing")
    assert (world.mode(), world.fetched) == ("testing", 3)
    world.record, world.text = "3", "version: STSv1\nmode: none\nmax_age: 1000\n"
    assert (world.mode(), world.fetched) == (None, 4)


def test_what_is_about_to_end_is_fetched_again(world: World) -> None:
    world.mode()
    run(world.policies.refresh())
    assert world.fetched == 1
    world.time += 9 * DAY + 1
    run(world.policies.refresh())
    assert world.fetched == 2
    world.record = ""
    world.time += 5 * DAY
    assert world.mode() == "enforce"


def test_many_who_ask_at_once_fetch_once(world: World) -> None:
    world.held = Deferred()
    asking = [Deferred.fromCoroutine(world.policies.of("a.test")) for _ in range(5)]

    async def all_of_them() -> list[Any]:
        return [await each for each in asking]

    for _ in range(20):
        run(world.policies._kept("other.test"))
    assert world.fetched == 1
    world.held.callback(None)
    assert {policy.mode for policy in run(all_of_them())} == {"enforce"} and world.fetched == 1
