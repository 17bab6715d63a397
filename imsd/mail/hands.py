"""What one lane has in hand: pieces of work that are being carried, or sent and not settled yet."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from imsd.mail.relay import Courier

AHEAD = 4
"""Pieces of work of a lane that are sent, or being sent, and not settled."""


class Hands:
    """One lane's pieces of work, in the order in which they were begun."""

    def __init__(self) -> None:
        self._pieces: list[Deferred[None]] = []
        self._waiter: Deferred[None] | None = None
        self._failed: Any = None

    async def take(self, piece: Coroutine[Any, Any, None], courier: Courier) -> None:
        """Begin a piece of work; wait until there may be another one. Raises what a piece raised."""
        free = Deferred[None]()

        def freed() -> None:
            if not free.called:
                free.callback(None)

        courier.free = freed
        begun = Deferred.fromCoroutine(piece)
        self._pieces.append(begun)
        begun.addBoth(self._over, begun, freed)
        await free
        while len(self._pieces) >= AHEAD:
            await self._wait()
        self._check()

    async def empty(self) -> None:
        """Wait until everything is settled. Raises what a piece raised."""
        while self._pieces:
            await self._wait()
        self._check()

    def drop(self) -> None:
        """Stop everything that is being done."""
        for piece in list(self._pieces):
            piece.cancel()

    def _over(self, result: Any, piece: Deferred[None], freed: Any) -> None:
        self._pieces.remove(piece)
        if result is not None:
            self._failed = result
        freed()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)

    async def _wait(self) -> None:
        self._waiter = Deferred()
        await self._waiter

    def _check(self) -> None:
        if self._failed is not None:
            failed, self._failed = self._failed, None
            failed.raiseException()
