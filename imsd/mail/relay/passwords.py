"""Hosts that do not take our password: how often they refused it for a recipient. No other try counts.

A login that is taken ends the count. It is this process's own and bounded: after a restart it begins anew,
and the message's own time is over some day whatever it says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

MOST: Final = 50_000
"""Recipients that are counted; the one that was tried longest ago goes first."""


class Refusals:
    """Refused logins, by recipient."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._counts: OrderedDict[int, int] = OrderedDict()

    def add(self, recipient: int) -> int:
        """One more; how many there are."""
        count = self._counts.pop(recipient, 0) + 1
        self._counts[recipient] = count
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return count

    def forget(self, recipients: Iterable[int]) -> None:
        """The login was taken, or they are not tried again."""
        if self._counts:
            for recipient in recipients:
                self._counts.pop(recipient, None)
