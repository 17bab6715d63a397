"""Logins that were verified, or failed, a short while ago.

Phones that reconnect every minute cost a keyed hash instead of a slow one, and a phone that
keeps an old password costs nothing and locks nobody out. Only the keyed hash of name and
password is kept, under a key that lives in this process alone. An entry that changes takes
what is known of it along; what failed is forgotten with every change, because it may be right
now.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from secrets import token_bytes

from imsd.auth.account import Proved
from imsd.settings.logins import Logins


class Verified:
    """Bounded; the least recently added goes first."""

    def __init__(self, settings: Callable[[], Logins], clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._key = token_bytes(32)
        self._right: OrderedDict[bytes, tuple[Proved, float]] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()
        self._of: dict[int, set[bytes]] = {}
        self.epoch = 0
        """Moves with every change; what was decided before a move may not be remembered."""

    def mark(self, name: str, password: str, protocol: str = "", peer: str = "") -> bytes:
        """What stands for a name and a password here. protocol, peer: where the answer may depend on them."""
        text = f"{protocol}\0{peer}\0{name}\0{password}"
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")

    def right(self, mark: bytes) -> Proved | None:
        """Whose login this is, if it was verified lately."""
        found = self._right.get(mark)
        if found is None:
            return None
        if found[1] < self._clock() or not self._settings().cache_seconds:
            self._drop(mark)
            return None
        return found[0]

    def wrong(self, mark: bytes) -> bool:
        """Did exactly this fail lately?"""
        until = self._wrong.get(mark)
        if until is None:
            return False
        if until < self._clock():
            del self._wrong[mark]
            return False
        return True

    def was_right(self, mark: bytes, proved: Proved) -> None:
        settings = self._settings()
        self._wrong.pop(mark, None)
        if settings.cache_seconds:
            self._drop(mark)
            self._right[mark] = proved, self._clock() + settings.cache_seconds
            self._of.setdefault(proved.account, set()).add(mark)
            while len(self._right) > settings.cache_entries:
                self._drop(next(iter(self._right)))

    def was_wrong(self, mark: bytes) -> None:
        settings = self._settings()
        if settings.cache_seconds:
            self._wrong[mark] = self._clock() + settings.cache_seconds
            while len(self._wrong) > settings.cache_entries:
                self._wrong.popitem(last=False)

    def forget(self, account: int) -> None:
        """The entry of the account changed."""
        self.epoch += 1
        self._wrong.clear()
        for mark in self._of.pop(account, ()):
            self._right.pop(mark, None)

    def clear(self) -> None:
        """Nobody knows what changed."""
        self.epoch += 1
        self._wrong.clear()
        self._right.clear()
        self._of.clear()

    def _drop(self, mark: bytes) -> None:
        found = self._right.pop(mark, None)
        if found is not None:
            marks = self._of[found[0].account]
            marks.discard(mark)
            if not marks:
                del self._of[found[0].account]
