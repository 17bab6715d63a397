"""What the queue runner has in hand: claims, and the work they are cut into."""

from __future__ import annotations

from dataclasses import dataclass

from imsd.errors import Refusal
from imsd.mail.routing import Route
from imsd.store.claims import Claim
from imsd.store.spool import Queued, QueuedRecipient

HOUR = 3_600_000_000
"""Microseconds."""


@dataclass(slots=True, eq=False)
class Active:
    """A claim in our hands. left: recipients without result; lost: it is ours no longer."""

    claim: Claim
    left: set[int]
    lease: int
    lost: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Recipients of one message at one destination. route: where, and by which connector; None: here.

    parks: why they wait to be asked for when they cannot go now, "" if they do not. refusal: why they
    cannot go at all.
    """

    active: Active
    recipients: tuple[QueuedRecipient, ...]
    route: Route | None = None
    parks: str = ""
    refusal: Refusal | None = None

    @property
    def message(self) -> Queued:
        return self.active.claim.message
