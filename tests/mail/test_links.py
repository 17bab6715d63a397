"""Links with a clock that is turned by hand: when they come up, what happens then, when they go down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from imsd.errors import NoSuchEntry, UnwillingToPerform
from imsd.mail.connectors import Connectors
from imsd.mail.links import Links, State
from imsd.mail.programs import CommandFailed
from imsd.mail.retrieving import CannotRetrieve
from imsd.settings import PAGES, LiveSettings
from imsd.settings.links import Link
from tests.mail.fakes import FakeDirectory, FakeDuties
from tests.support.stores import run

NOON = datetime(2026, 11, 25, 12, 0).astimezone(UTC).timestamp()
MINUTE = 60.0


class World:
    """A link `isp` by the settings of a test. waiting: mail waits for it; moving: mail is on its way."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOON
        self.settings = LiveSettings(PAGES)
        self.connectors = Connectors(self.settings, FakeDirectory())  # type: ignore[arg-type]
        self.waiting = self.moving = False
        self.ran: list[str] = []
        self.fails: set[str] = set()
        self.hangs: Deferred[str] | None = None
        self.moved = 0
        self.duties = FakeDuties()
        self.asked = 0
        self.links = Links(
            self.settings,
            self.connectors,
            self.clock,
            run=self._run,
            retrieve=self._retrieve,
            busy=lambda: self.moving,
            waits=self._waits,
            moved=self._moved,
            duties=self.duties,  # type: ignore[arg-type]
        )

    def set(self, **link: Any) -> None:
        rows = [{"name": "isp", "up": ["dial"], "down": ["hang-up"], **link}]
        self.settings.replace({"ims.dialup.links": json.dumps(rows), "ims.delivery.link": '"isp"'})

    async def _run(self, command: Sequence[str], seconds: float, link: str) -> str:
        self.ran.append(command[0])
        if command[0] in self.fails:
            raise CommandFailed(f"{command[0]} ended with 1: busy")
        if self.hangs is not None:
            return await self.hangs
        return "said"

    async def _retrieve(self, link: Link) -> str:
        self.asked += 1
        if "etrn" in self.fails:
            raise CannotRetrieve("no host")
        return "ETRN: 250"

    async def _waits(self, link: str) -> bool:
        return self.waiting

    def _moved(self) -> None:
        self.moved += 1

    def later(self, minutes: float) -> None:
        self.clock.pump([5.0] * round(minutes * 12))

    @property
    def state(self) -> State:
        return self.links.status()[0][1].state

    @property
    def error(self) -> str:
        return self.links.status()[0][1].error

    def ups(self) -> int:
        return self.ran.count("dial")


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    one.links.start()
    yield one
    run(one.links.stop())
    assert not one.clock.getDelayedCalls()


def test_a_link_comes_up_by_its_schedule_and_goes_down_when_idle(world: World) -> None:
    world.set(schedule=["every 1:00"], idle_min=5)
    world.later(59)
    assert (world.state, world.ran) == (State.DOWN, [])
    world.later(1.2)
    assert (world.state, world.ran, world.connectors.up) == (State.UP, ["dial"], {"isp"})
    world.later(4)
    assert world.state is State.UP
    world.later(1.2)
    assert (world.state, world.ran, world.connectors.up) == (State.DOWN, ["dial", "hang-up"], set())
    assert world.moved == 2
    world.later(60)
    assert world.ups() == 2


def test_what_moves_or_waits_keeps_it_up(world: World) -> None:
    world.set(schedule=["at 12:01"], idle_min=2)
    world.moving = True
    world.later(10)
    assert world.state is State.UP
    world.moving, world.waiting = False, True
    world.later(10)
    assert world.state is State.UP
    world.waiting = False
    world.later(2.2)
    assert world.state is State.DOWN


def test_mail_that_waits_brings_it_up_but_never_twice_within_the_time(world: World) -> None:
    world.set(queued_after_min=30, idle_min=1)
    world.later(60)
    assert world.ups() == 0
    world.waiting = True
    world.later(0.2)
    assert world.ups() == 1, "no dial in the last 30 minutes: now"
    world.waiting = False
    world.later(2)
    assert world.state is State.DOWN
    world.waiting = True
    world.later(27)
    assert world.ups() == 1
    world.later(2)
    assert world.ups() == 2


def test_what_fails_is_tried_at_the_next_occasion(world: World) -> None:
    world.set(queued_after_min=10)
    world.waiting, world.fails = True, {"dial"}
    world.later(0.2)
    assert (world.state, world.ups()) == (State.DOWN, 1)
    assert world.error == "dial ended with 1: busy" and not world.connectors.up
    world.later(9)
    assert world.ups() == 1
    world.fails = set()
    world.later(1.2)
    assert (world.state, world.ups(), world.error) == (State.UP, 2, "")


def test_no_schedule_is_never(world: World) -> None:
    world.set()
    world.waiting = True
    world.later(24 * 60)
    assert world.ran == []


def test_a_window_needs_no_command(world: World) -> None:
    world.set(up=[], down=[], schedule=["at 12:05"], idle_min=3)
    world.later(5.2)
    assert (world.state, world.ran, world.connectors.up) == (State.UP, [], {"isp"})
    world.later(3.2)
    assert world.state is State.DOWN


def test_mail_is_asked_for_once_it_is_up(world: World) -> None:
    world.set(schedule=["at 12:05"], retrieve="etrn")
    world.later(5.2)
    assert (world.asked, world.links.status()[0][1].asked) == (1, "ETRN: 250")
    world.fails = {"etrn"}
    run(world.links.down("isp"))
    run(world.links.up("isp"))
    assert "no host" in world.error and world.state is State.UP


def test_a_command_may_ask(world: World) -> None:
    world.set(schedule=["at 12:05"], retrieve="command", command=["finger", "me@isp.test"])
    world.later(5.2)
    assert world.ran == ["dial", "finger"]


def test_by_hand_it_stays_until_it_is_taken_down(world: World) -> None:
    world.set(idle_min=1)
    run(world.links.up("isp"))
    world.later(30)
    assert world.state is State.UP
    run(world.links.down("isp"))
    assert (world.state, world.ran) == (State.DOWN, ["dial", "hang-up"])
    run(world.links.up("ISP", hold=False))
    world.later(1.2)
    assert world.state is State.DOWN
    with pytest.raises(NoSuchEntry):
        run(world.links.up("other"))


def test_one_that_hangs_is_no_second_time_begun(world: World) -> None:
    world.set(schedule=["every 0:01"])
    world.hangs = Deferred()
    world.later(10)
    assert (world.state, world.ups()) == (State.RAISING, 1)
    world.hangs.callback("there")
    assert world.state is State.UP


def test_what_is_up_is_taken_down_at_the_end(world: World) -> None:
    world.set()
    run(world.links.up("isp"))
    run(world.links.stop())
    assert world.ran == ["dial", "hang-up"]
    world.links.start()


def test_a_link_that_is_gone_from_the_settings_is_gone(world: World) -> None:
    world.set()
    run(world.links.up("isp"))
    world.settings.replace({})
    world.later(0.2)
    assert world.links.status() == [] and not world.connectors.up
    assert world.ran == ["dial", "hang-up"], "nobody pays for a line that nobody takes down"


def test_connectors_wait_for_their_link(world: World) -> None:
    world.set()
    (connector,) = world.connectors.all
    assert world.connectors.waits_for(connector.delivery.link) == "Waits for link isp"
    assert world.connectors.parks
    run(world.links.up("isp"))
    assert not world.connectors.waits_for(connector.delivery.link) and not world.connectors.parks


def test_a_link_that_another_node_looks_after_is_left_to_it(world: World) -> None:
    world.duties.other = "hub"
    world.set(schedule=["every 0:10"])
    world.waiting = True
    world.later(30)
    assert (world.state, world.ran) == (State.DOWN, [])
    assert world.links.status()[0][1].elsewhere == "hub"
    for by_hand in (world.links.up, world.links.down):
        with pytest.raises(UnwillingToPerform, match="hub looks after link isp: run this command there"):
            run(by_hand("isp"))
    world.duties.other = ""
    world.later(0.2)
    assert (world.state, world.ran) == (State.UP, ["dial"]), "it stopped, and we follow"


def test_a_link_that_is_lost_to_another_node_is_taken_down(world: World) -> None:
    world.set()
    run(world.links.up("isp"))
    world.duties.other, world.duties.says = "hub", ""
    world.later(0.1)
    assert (world.state, world.ran, world.connectors.up) == (State.DOWN, ["dial", "hang-up"], set())


def test_mail_leaves_by_a_link_that_is_up_at_another_node(world: World) -> None:
    world.duties.other = "hub"
    world.set()
    world.duties.says = "up"
    world.moving = True
    world.later(1)
    assert (world.connectors.up, world.ran, world.moved) == ({"isp"}, [], 1)
    assert world.duties.uses == 3, "one a minute would let it go down"
    world.duties.says = "down"
    world.later(0.1)
    assert (world.connectors.up, world.moved) == (set(), 2)


def test_a_link_stays_up_while_another_node_uses_it(world: World) -> None:
    world.set(idle_min=5)
    run(world.links.up("isp", hold=False))
    assert world.duties.says == "up"
    world.later(4)
    world.duties.used = int(world.clock.seconds() * 1e6)
    world.later(4)
    assert world.state is State.UP
    world.later(1.2)
    assert (world.state, world.duties.says) == (State.DOWN, "down")
