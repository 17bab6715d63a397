"""When a message is tried again, when it is given up, and when its sender is told that it is late.

Pure. Times are microseconds. Settings are as they are now, so that shorter time-outs end what is in the
queue already; longer ones hold for what comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsd.mail.work import HOUR
from imsd.settings.scheduling import DelayNotice, Retry, Timeout

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.spool import Queued

SHORTEST = 60_000_000
"""A last try is at least this long after the one before."""


def ends(message: Queued, settings: LiveSettings) -> int:
    """When the message is returned if it has not been sent by then."""
    end = message.expires
    if not message.future:
        hours = settings[Timeout].hours(message.priority, settings[Retry])
        end = min(end, message.arrived + int(hours * HOUR))
    if message.by_mode.startswith("R"):
        # RFC 2852 4.1.3: returned at its time, and not tried after it.
        end = min(end, message.deliver_by)
    return end


def next_try(time: int, attempts: int, end: int, waits: tuple[float, ...]) -> int | None:
    """When to try again after `attempts` earlier tries; at the latest at the end. None: not again."""
    wait = waits[min(attempts, len(waits) - 1)]
    if not wait:
        return None
    return min(time + int(wait * HOUR), max(end, time + SHORTEST))


def due_again(message: Queued, attempts: int, time: int, settings: LiveSettings) -> int | None:
    """When a recipient of the message is tried again. None: it is not."""
    end = ends(message, settings)
    if time >= end:
        return None
    due = next_try(time, attempts, end, settings[Retry].waits)
    if due is None:
        return None
    if message.by_mode.startswith("R"):
        return min(due, max(end, time))
    if message.by_mode and time < message.deliver_by:
        return min(due, message.deliver_by)  # The sender is told then.
    return due


def is_late(message: Queued, time: int, settings: LiveSettings) -> bool:
    """Whether the sender is to be told that the message is late."""
    if message.by_mode.startswith("N") and time >= message.deliver_by:
        return True
    hours = settings[DelayNotice].hours(message.priority)
    return hours > 0 and time - message.arrived >= hours * HOUR
