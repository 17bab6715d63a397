"""LDAPMessages off a stream of bytes: pulled, bounded, any split of the input gives the same.

The outer length is known from the first octets, so a message over the limit is refused before
it is kept. BadEncoding from here means that the stream cannot be followed any more.
"""

from __future__ import annotations

from typing import Final, Literal

from protocols.ldap.ber import LENGTH_OCTETS, BadEncoding
from protocols.lines import NEED_DATA, NeedData


class TooBig(BadEncoding):
    """A message over the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a message of at most {limit} octets")


class NoRoom(Exception):
    """The budget for large messages is spent on those of others."""


LARGE: Final = 1 << 16
"""Octets of a message up to which a connection needs no share of the budget."""


class Budget:
    """Octets that the unfinished large messages of all connections of a listener may take.

    One connection may send a large message; many at once must not fill the memory.
    """

    __slots__ = ("left",)

    def __init__(self, octets: int = 64 << 20) -> None:
        self.left = octets

    def take(self, octets: int) -> None:
        """Raises NoRoom."""
        if octets > self.left:
            raise NoRoom
        self.left -= octets

    def give(self, octets: int) -> None:
        self.left += octets


class Reader:
    """Bytes that have arrived; `next` takes one whole LDAPMessage.

    budget: shared with other readers; what a large message announces is taken from it until the
    message is whole. None: there are no others.
    """

    __slots__ = ("_at", "_budget", "_data", "_more", "_taken", "_wanted", "limit")

    def __init__(self, limit: int, budget: Budget | None = None) -> None:
        self.limit = limit
        self._budget = budget
        self._taken = 0
        self._data = b""
        self._at = 0
        self._more = bytearray()
        """What came after `_data`, joined only when it is enough."""
        self._wanted = 0
        """Octets of `_more` that must be there before looking again is worth it."""

    def __len__(self) -> int:
        return len(self._data) - self._at + len(self._more)

    def feed(self, data: bytes) -> None:
        if self._at == len(self._data):
            # What was wanted was wanted of a buffer that held nothing.
            self._data, self._at, self._wanted = data, 0, 0
        else:
            self._more += data

    def clear(self) -> None:
        """Forget everything, as StartTLS requires (RFC 4511 4.14.1)."""
        self._data, self._at, self._wanted = b"", 0, 0
        self._more.clear()
        self._give_back()

    def next(self) -> bytes | Literal[NeedData.NEED_DATA]:
        """One LDAPMessage with its tag and length, not decoded. Raises TooBig, NoRoom."""
        if self._more:
            if self._wanted > len(self._more):
                return NEED_DATA
            self._data = self._data[self._at :] + self._more
            self._at = self._wanted = 0
            self._more.clear()
        data, at = self._data, self._at
        there = len(data) - at
        if there < 2:
            return self._wait(2 - there)
        if data[at] != 0x30:
            raise BadEncoding("an LDAPMessage", at)
        size = data[at + 1]
        start = at + 2
        if size >= 0x80:
            octets = size - 0x80
            if not 0 < octets <= LENGTH_OCTETS:
                raise BadEncoding("a definite length", at + 1)
            if there < 2 + octets:
                return self._wait(2 + octets - there)
            size = int.from_bytes(data[start : start + octets], "big")
            start += octets
            if size > self.limit:
                raise TooBig(self.limit)
        stop = start + size
        if stop > len(data):
            if size > LARGE and self._budget is not None and not self._taken:
                self._budget.take(size)
                self._taken = size
            return self._wait(stop - len(data))
        self._at = stop
        if self._taken:
            self._give_back()
        return data if at == 0 and stop == len(data) else data[at:stop]

    def _wait(self, octets: int) -> Literal[NeedData.NEED_DATA]:
        self._wanted = octets
        return NEED_DATA

    def _give_back(self) -> None:
        if self._budget is not None:
            self._budget.give(self._taken)
        self._taken = 0
