"""What is found out about a peer while it talks: its name, by reverse look-up and back (ims_spec 5.1).

The greeting waits for nothing. Who needs a fact awaits `known`, which is at most SECONDS after the
connection began; what is not known by then never is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as TooLate
from twisted.logger import Logger
from twisted.python.failure import Failure

from imsd.mail.lookups import SECONDS
from imsd.mail.names import LookupFailed


class Facts:
    """name: "" as long as it is not known."""

    __slots__ = ("_asking", "_waiters", "name")

    log = Logger()

    def __init__(self, asked: Callable[[], Awaitable[str]], clock: Any, seconds: float = SECONDS) -> None:
        self.name = ""
        self._waiters: list[Deferred[None]] = []
        self._asking: Deferred[Any] | None = None
        asking: Deferred[Any] = Deferred.fromCoroutine(_coroutine(asked))
        if asking.called:
            self._told(getattr(asking, "result", ""))
            asking.addErrback(lambda _: None)
            return
        self._asking = asking
        asking.addTimeout(seconds, clock)
        asking.addBoth(self._told)

    @classmethod
    def of(cls, name: str) -> Facts:
        """What somebody else found out."""
        made = cls.__new__(cls)
        made.name, made._waiters, made._asking = name, [], None
        return made

    def _told(self, result: Any) -> None:
        self._asking = None
        if not isinstance(result, Failure):
            self.name = str(result)
        elif not result.check(LookupFailed, TooLate, CancelledError, ValueError):
            self.log.failure("a peer could not be looked up", result)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)

    async def known(self) -> None:
        """Wait until all that will be known is."""
        if self._asking is not None:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter

    def forget(self) -> None:
        """The peer is gone; nobody wants to know."""
        if self._asking is not None:
            self._asking.cancel()


async def _coroutine(asked: Callable[[], Awaitable[str]]) -> str:
    return await asked()
