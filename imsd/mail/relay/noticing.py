"""What the log has of hosts that could not be had: events 2006, 3010 and 3011 (ims_spec 10).

Each is told once an hour for one host or domain: every attempt stands in tracking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.logger import Logger

from imsd.mail.pace import Pace

HOUR: Final = 3600.0


class Notices:
    """clock: seconds."""

    log = Logger()

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told = Pace(HOUR)

    def unresolved(self, domain: str, why: str) -> None:
        """The hosts of a domain cannot be found."""
        if self._told.take(f"2006 {domain}", 1, 1, self._clock()):
            self.log.warn("no host can be found for {domain}: {why}", domain=domain, why=why, event_id=2006)

    def unreached(self, target: str, domain: str, error: BaseException) -> None:
        """A host does not answer, or what it answers is of no use."""
        number = 3011 if isinstance(error, Refused) else 3010
        if self._told.take(f"{number} {target}", 1, 1, self._clock()):
            self.log.warn(
                "{target} cannot be used for {domain}: {why}",
                target=target, domain=domain, why=str(error) or type(error).__name__, event_id=number,
            )  # fmt: skip
