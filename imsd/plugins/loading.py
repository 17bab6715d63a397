"""A plug-in as a row of `hooks.plugins` names it.

The name is that of a class or function, which is called with the row's `settings` and gives the plug-in: any
object with methods of imsd.plugins.interfaces. What cannot be made has a problem in place of it, and fails
whenever it would be asked anything, as the row's `failure` wants it.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger

from imsd.plugins.answers import Answer, answer
from imsd.plugins.calling import Caller
from imsd.plugins.functions import load
from imsd.plugins.interfaces import EVENTS
from imsd.plugins.threads import PluginFailed, raised
from imsd.settings.hooks import PlugInRow

SAME: Final = 60.0
"""Seconds between two log entries on one plug-in's failures."""

WITHOUT: Final = ("received", "sending")
"""What a plug-in that cannot be made stands in the way of. Not of logins, unless its row says so."""


class PlugIn:
    """One row, and what was made of it."""

    log = Logger()

    def __init__(self, row: PlugInRow, folder: Path, reactor: Any) -> None:
        self.row = row
        self.problem = ""
        self.calls = self.failures = self.dropped = 0
        self.last_failure = ""
        self._reactor = reactor
        self._caller = Caller(reactor, row.name)
        self._made: Any = None
        self._silent_until = 0.0
        self.methods: dict[str, Any] = {}
        try:
            self._make(folder)
        except PluginFailed as failed:
            self.problem = self.last_failure = str(failed)
            self.log.error("hooks.plugins: {why}", why=self.problem, event_id=20_020)
        else:
            self.log.info(
                "plug-in {name} is there, for {events}", name=row.name, events=", ".join(self.methods)
            )

    def _make(self, folder: Path) -> None:
        name = self.row.name
        maker = load(name, folder)
        try:
            self._made = made = maker(dict(self.row.settings))
            methods: dict[str, Any] = {event: getattr(made, event, None) for event in EVENTS}
        except BaseException as error:
            raise PluginFailed(raised(name, error)) from error
        wanted: tuple[str, ...] = self.row.events or tuple(EVENTS)
        found = {event: methods[event] for event in wanted if callable(methods[event])}
        if not found or len(found) < len(self.row.events):
            lacking = [event for event in wanted if event not in found]
            raise PluginFailed(f"{name} has no method {' or '.join(lacking)}")
        for event, method in found.items():
            try:
                inspect.signature(method).bind(None)
            except (TypeError, ValueError):
                raise PluginFailed(f"{name}.{event} does not take one argument") from None
        self.methods = found

    def takes(self, event: str) -> bool:
        """Whether it is asked or told. One that cannot be made, and whose failure is closed, keeps mail from
        coming and leaving, or stands for what its row names: nobody knows what it would have been for."""
        if self.problem and self.row.failure == "closed":
            return event in (self.row.events or WITHOUT)
        return event in self.methods

    async def ask(self, event: str, question: Any) -> Answer:
        """What it says. Raises PluginFailed."""
        self.calls += 1
        try:
            if self.problem:
                raise PluginFailed(self.problem)
            said = await self._caller.call(self.methods[event], self.row.seconds, question)
            return answer(said, whole=event == "received")
        except PluginFailed as failed:
            self._failed(str(failed))
            raise

    async def tell(self, event: str, fact: Any) -> None:
        """Tell it; failures are logged."""
        self.calls += 1
        try:
            await self._caller.call(self.methods[event], self.row.seconds, fact)
        except PluginFailed as failed:
            self._failed(str(failed))

    def _failed(self, why: str) -> None:
        self.failures += 1
        self.last_failure = why
        time = self._reactor.seconds()
        if time >= self._silent_until:
            self._silent_until = time + SAME
            self.log.error(
                "plug-in {name}: {why} ({count} failures so far)",
                name=self.row.name, why=why, count=self.failures, event_id=20_024,
            )  # fmt: skip

    def close(self) -> None:
        """It is not asked any more; its own `close` is called, if it has one."""
        self._caller.stop()
        close = getattr(self._made, "close", None)
        if callable(close):
            try:
                close()
            except BaseException as error:
                self._failed(raised(f"{self.row.name}.close", error))
