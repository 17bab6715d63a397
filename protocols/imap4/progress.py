"""How far a command has come, told while it lasts (RFC 9585).

Who works reports counts as often as it likes; something is sent every `INTERVAL` seconds at
most, and nothing about a command that is done sooner. What is done only grows. A command
that works in steps of different size (SORT: searching, then reading) has no known goal from
the second step on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.imap4 import responses
from protocols.languages import DEFAULT

INTERVAL: Final = 10.0
"""Seconds between two notifications (RFC 9585 4: 10 to 15)."""


class Progress:
    """Of the commands of one connection. send: takes a response that is to leave at once."""

    __slots__ = ("_before", "_done", "_due", "_goal", "_language", "_now", "_send", "_tag")

    def __init__(self, now: Callable[[], float], send: Callable[[bytes], object]) -> None:
        self._now = now
        self._send = send
        self._tag = b""
        self._language = DEFAULT
        self._due = 0.0
        self._goal = self._before = self._done = 0

    def begin(self, tag: bytes, language: str = DEFAULT) -> None:
        """The command with this tag runs from here on."""
        self._tag = tag
        self._language = language
        self._due = self._now() + INTERVAL
        self._goal = self._before = self._done = 0

    def end(self) -> None:
        """Nothing more is told: the tagged response comes next."""
        self._tag = b""

    def report(self, done: int, goal: int = 0) -> None:
        """So many of `goal` items (0: nobody knows) were dealt with."""
        if not self._tag:
            return
        if goal != self._goal:
            self._before, self._goal = self._done, goal
        self._done = max(self._done, self._before + done)
        now = self._now()
        known = 0 if self._before else goal
        # RFC 9585 4: what is done is less than the goal.
        if now < self._due or (known and self._done >= known):
            return
        self._due = now + INTERVAL
        self._send(responses.in_progress(self._tag, self._done, known, self._language))
