"""Connections that may be open: so many in all, so many to each address; who comes later waits.

A lane that waits here holds no connection, so it does not count among those that do: others go on
past it (`waiting`).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred


class Slots:
    """most: connections in all, as it is now. changed: called when somebody begins to wait."""

    def __init__(
        self, most: Callable[[], int] = lambda: 1_000_000, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._most = most
        self._changed = changed
        self._used: dict[str, int] = {}
        self._total = 0
        self._waiters: list[tuple[str, int, Deferred[None]]] = []

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiters)

    @property
    def used(self) -> int:
        """How many are taken."""
        return self._total

    async def take(self, address: str, limit: int) -> None:
        """Wait until there may be a connection to address, of which `limit` may be open."""
        while not self._room(address, limit):
            waiter: Deferred[None] = Deferred()
            entry = (address, limit, waiter)
            self._waiters.append(entry)
            self._changed()
            try:
                await waiter
            finally:
                if entry in self._waiters:
                    self._waiters.remove(entry)
        self._total += 1
        self._used[address] = self._used.get(address, 0) + 1

    def give(self, address: str) -> None:
        """A connection is closed."""
        self._total -= 1
        self._used[address] -= 1
        if not self._used[address]:
            del self._used[address]
        self.look()

    def look(self) -> None:
        """Let go on who has room now."""
        for entry in list(self._waiters):
            if self._room(entry[0], entry[1]) and entry in self._waiters:
                self._waiters.remove(entry)
                entry[2].callback(None)

    def _room(self, address: str, limit: int) -> bool:
        return self._total < self._most() and self._used.get(address, 0) < limit
