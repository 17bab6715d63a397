"""Days of the date keys (RFC 9051 6.4.4: time and zone are disregarded)."""

from __future__ import annotations

from datetime import date

from imsd.sessions.imap4.remembered import UNDATED
from protocols.imap4.keys import When

DAY = 86_400_000_000
"""Microseconds."""
_EPOCH = date(1970, 1, 1)


def days(when: When, day: date) -> tuple[int, int]:
    """Days since the epoch: from the first up to before the second."""
    number = (day - _EPOCH).days
    if when is When.BEFORE:
        return -(1 << 40), number
    if when is When.ON:
        return number, number + 1
    return number, 1 << 40


def sent_day(moment: int | None, offset: int) -> int:
    """The day of a Date field in the sender's own zone; `UNDATED` where it cannot be read."""
    return UNDATED if moment is None else (moment + offset * 60_000_000) // DAY
