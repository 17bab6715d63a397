"""Something that is done every so many seconds, once at a time, until it is stopped.

What fails is logged and done again in the next round; a refusal of the store is none, nor is being stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imsd.errors import Refusal


class Rounds:
    """work: one round. failed: what the log says of one that failed, by `log`."""

    def __init__(
        self, work: Callable[[], Coroutine[Any, Any, Any]], reactor: Any, log: Logger, failed: str
    ) -> None:
        self._work = work
        self._reactor = reactor
        self._log = log
        self._failed = failed
        self._working: Deferred[Any] | None = None
        self._soon: Any = None
        self._loop = LoopingCall(self._round)
        self._loop.clock = reactor

    @property
    def running(self) -> bool:
        return self._loop.running

    def start(self, seconds: float) -> None:
        """The first round is now."""
        self._loop.start(seconds)

    def stop(self) -> None:
        """Nothing further is begun, and what is being done ends where it waits."""
        if self._loop.running:
            self._loop.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._working is not None:
            self._working.cancel()

    def reset(self) -> None:
        """The next round is a whole interval away."""
        self._loop.reset()

    def soon(self, seconds: float) -> None:
        """A round more, so many seconds from now, unless one is planned; once the one in progress is over."""
        if self._soon is None and self._loop.running:
            self._soon = self._reactor.callLater(seconds, self._begin_soon, seconds)

    def _begin_soon(self, seconds: float) -> None:
        self._soon = None
        if self._working is None:
            self._round()
        else:
            self.soon(seconds)

    def _round(self) -> Deferred[Any]:
        if self._working is not None:
            return succeed(None)
        self._working = working = Deferred.fromCoroutine(self._work())
        working.addErrback(self.tell).addBoth(self._ended)
        return working

    def _ended(self, _: Any) -> None:
        self._working = None

    def tell(self, failure: Failure) -> None:
        """Log what failed; for what is done beside the rounds, too."""
        if not failure.check(CancelledError, Refusal):
            self._log.failure(self._failed, failure)
