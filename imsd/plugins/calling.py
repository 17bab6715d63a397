"""One call of a plug-in, for a limited time: a coroutine on the reactor, anything else in a thread."""

from __future__ import annotations

import inspect
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from imsd.plugins.threads import PluginFailed, Threads, raised

MOST: Final = 1_000
"""Coroutines of one plug-in that are under way, those that were given up and do not end among them."""


class Caller:
    """Of one plug-in."""

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._name = name
        self._threads = Threads(reactor, name)
        self._running = 0

    async def call(self, method: Any, seconds: float, argument: Any) -> Any:
        """What it says. Raises PluginFailed."""
        name = f"{self._name}.{method.__name__}"
        if inspect.iscoroutinefunction(method):
            return await self._coroutine(name, method, seconds, argument)
        return await self._threads.call(name, method, seconds, argument)

    async def _coroutine(self, name: str, method: Any, seconds: float, argument: Any) -> Any:
        if self._running >= MOST:
            raise PluginFailed(f"{name} hangs")
        self._running += 1
        done: Deferred[Any] = Deferred()
        # One that takes no notice of being cancelled is not waited for.
        running = Deferred.fromCoroutine(method(argument))
        running.addBoth(self._ended, name, done)

        def too_long() -> None:
            done.errback(PluginFailed(f"{name} took longer than {seconds:g} s"))
            running.cancel()

        timer = None if done.called else self._reactor.callLater(seconds, too_long)
        try:
            return await done
        except CancelledError:
            running.cancel()
            raise
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    def _ended(self, outcome: Any, name: str, done: Deferred[Any]) -> None:
        self._running -= 1
        if done.called:
            return
        if isinstance(outcome, Failure):
            done.errback(PluginFailed(raised(name, outcome.value or RuntimeError())))
        else:
            done.callback(outcome)

    def stop(self) -> None:
        self._threads.stop()
