"""Who was told goodbye has the same time to hang up, whenever he was told."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

from imsd.service import FAREWELL, HURRY, Server


@dataclass(eq=False)
class Peer:
    closing: bool = False
    aborted: float | None = None
    clock: Any = None

    def abort(self) -> None:
        self.aborted = self.clock.seconds()


def test_who_does_not_hang_up_is_cut_off_once_his_time_is_over() -> None:
    clock = Clock()
    early, late, busy = Peer(True, clock=clock), Peer(clock=clock), Peer(clock=clock)
    server: Any = Server.__new__(Server)
    connections = [early, late, busy]
    server.reactor, server._told = clock, {}
    server.factories = {"imap": SimpleNamespace(connections=connections)}
    while clock.seconds() < 3 * FAREWELL:
        late.closing = clock.seconds() >= 1
        server._hurry()
        connections[:] = [one for one in connections if one.aborted is None]
        clock.advance(HURRY)
    assert (early.aborted, late.aborted, busy.aborted) == (FAREWELL, 1 + FAREWELL, None)
