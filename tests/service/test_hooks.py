"""Commands on events: run for their numbers alone, never too many, and contained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.hooks import RUNNING, WAITING, EventCommands
from imsd.mail.programs import CommandFailed
from imsd.settings import PAGES, LiveSettings
from tests.support.stores import StoreReactor

log = Logger()


class Site:
    def __init__(self, reactor: StoreReactor) -> None:
        self.reactor = reactor
        self.settings = LiveSettings(PAGES)
        self.ran: list[tuple[str, str, str]] = []
        self.pending: list[Deferred[str]] = []
        self.commands = EventCommands(self.settings, reactor, self.run)
        self.commands.start()

    def set(self, *hooks: Mapping[str, Any]) -> None:
        self.settings.replace({"hooks.commands": json.dumps(hooks)})
        assert not self.settings.rejected

    async def run(self, reactor: Any, command: Sequence[str], seconds: float, more: Mapping[str, str]) -> str:
        self.ran.append((command[0], more["IMSD_EVENT"], more["IMSD_TEXT"]))
        self.pending.append(Deferred())
        return await self.pending[-1]


@pytest.fixture
def site(store_reactor: StoreReactor) -> Iterator[Site]:
    made = Site(store_reactor)
    yield made
    made.commands.stop()


def test_a_command_is_run_for_its_events(site: Site) -> None:
    log.warn("nobody listens", event_id=3018)
    site.set(
        {"events": [3018, 3019], "command": ["/bin/page", "me"]}, {"events": [3019], "command": ["/bin/b"]}
    )
    log.warn("disk of {home} is\0 low", home="/srv", event_id=3018)
    log.info("another", event_id=2001)
    log.info("no event")
    site.reactor.settle()
    assert site.ran == [("/bin/page", "3018", "disk of /srv is low")]
    log.info("over", event_id=3019)
    site.reactor.settle()
    assert [ran[0] for ran in site.ran[1:]] == ["/bin/page", "/bin/b"]


def test_a_storm_of_events_is_no_storm_of_processes(site: Site) -> None:
    site.set({"events": [1], "command": ["/bin/x"]})
    for number in range(RUNNING + WAITING + 5):
        log.info("{number}", number=number, event_id=1)
    site.reactor.settle()
    assert len(site.ran) == RUNNING
    assert site.commands.dropped == 5
    site.pending[0].callback("")
    site.pending[1].errback(CommandFailed("no"))
    site.pending[2].errback(ZeroDivisionError())
    assert len(site.ran) == RUNNING + 3
    assert site.ran[-1][2] == str(RUNNING + 2)


def test_a_command_that_fails_runs_no_command(site: Site) -> None:
    site.set({"events": [1, 20_023], "command": ["/bin/x"]})
    log.info("x", event_id=1)
    site.reactor.settle()
    site.pending[0].errback(CommandFailed("no"))
    site.reactor.settle()
    assert len(site.ran) == 1
