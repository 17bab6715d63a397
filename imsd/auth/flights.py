"""One verification for however many ask the same at the same time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Flights(Generic[T]):
    """Work under way by key. Who stops waiting stops nothing for the others."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[Deferred[T]]] = {}

    def join(self, key: bytes, start: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """The outcome of the work under this key, begun if nobody has."""
        waiter: Deferred[T] = Deferred(lambda gone: self._leave(key, gone))
        waiters = self._waiting.get(key)
        if waiters is not None:
            waiters.append(waiter)
            return waiter
        self._waiting[key] = [waiter]
        Deferred.fromCoroutine(start()).addBoth(self._landed, key)
        return waiter

    def _landed(self, outcome: T | Failure, key: bytes) -> None:
        for waiter in self._waiting.pop(key):
            waiter.callback(outcome)

    def _leave(self, key: bytes, gone: Deferred[T]) -> None:
        waiters = self._waiting.get(key, [])
        if gone in waiters:
            waiters.remove(gone)
