"""Mail that leaves while a window is open, and waits while it is not: the queue, the links, a server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from twisted.internet.task import Clock

from imsd.duties import Duties
from imsd.mail.links import Links
from imsd.store.database import Database
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]

# A Friday.
MORNING = datetime(2026, 11, 27, 7, 59).astimezone(UTC).timestamp()


class Site(World):
    """What leaves waits for `night`, a window without commands. asked: times a host was asked for mail."""

    def __init__(self, database: Database, reactor: MailReactor) -> None:
        super().__init__(database, reactor)
        self.clock = Clock()
        self.clock.rightNow = MORNING
        self.asked = 0
        run(self.runner.start())
        self.links = Links(
            self.settings,
            self.delivery.connectors,
            self.clock,
            run=self._no_command,
            retrieve=self._retrieve,
            busy=lambda: bool(self.runner.lanes.open),
            waits=self.runner.waits_for,
            moved=self.runner.links_moved,
            duties=Duties(database, reactor, "here"),
        )

    async def _no_command(self, *_: object) -> str:
        raise AssertionError("a window has no commands")

    async def _retrieve(self, _: object) -> str:
        self.asked += 1
        return "asked"

    def window(self, **row: object) -> None:
        self.set(
            ims__dialup__links=[{"name": "night", "idle_min": 5, "retrieve": "etrn", **row}],
            ims__delivery__link="night",
        )

    def at(self, minutes: float) -> None:
        """So many minutes later, looked at each minute."""
        for _ in range(max(1, round(minutes))):
            self.clock.rightNow += 60
            run(self.links.look())
            self.work()


@pytest.fixture
def site(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[Site]:
    one = Site(sqlite_database, store_reactor)
    yield one
    run(one.links.stop())
    run(one.runner.stop())


def test_mail_leaves_when_the_window_opens_and_waits_when_it_has_closed(site: Site) -> None:
    site.window(schedule=["weekdays at 8:00", "weekend at 10:00"])
    site.links.status()
    site.send("x@far.test")
    site.work()
    assert site.queued() == {"x@far.test": State.PARKED} and site.far.connections == 0
    site.at(2)
    assert site.queued() == {} and len(site.far.got) == 1 and site.asked == 1
    site.send("soon@far.test")
    site.at(1)
    assert len(site.far.got) == 2, "what comes while it is open leaves at once"
    site.at(7)
    site.send("late@far.test")
    site.at(60)
    assert site.queued() == {"late@far.test": State.PARKED} and len(site.far.got) == 2
    # The next is Saturday's, of the other schedule.
    site.clock.rightNow += 24 * 3600
    site.at(1)
    site.clock.rightNow += 2 * 3600
    site.at(1)
    assert site.queued() == {} and len(site.far.got) == 3 and site.asked == 2


def test_mail_that_has_waited_opens_it_but_not_twice_within_the_time(site: Site) -> None:
    site.window(queued_after_min=30, idle_min=2)
    site.links.status()
    site.at(5)
    assert site.asked == 0, "nothing waits"
    site.send("x@far.test")
    site.at(1)
    assert site.queued() == {} and site.asked == 1
    site.at(4)
    site.send("y@far.test")
    site.at(20)
    assert site.queued() == {"y@far.test": State.PARKED}
    site.at(10)
    assert site.queued() == {} and len(site.far.got) == 2 and site.asked == 2


def test_without_a_schedule_it_opens_for_nobody(site: Site) -> None:
    site.window()
    site.links.status()
    site.send("x@far.test")
    site.at(90)
    assert site.queued() == {"x@far.test": State.PARKED} and site.asked == 0
    run(site.links.up("night", hold=False))
    site.work()
    assert site.queued() == {} and site.asked == 1
