"""What a message asks of the next server beside taking its content: a priority, a deadline.

1. A priority goes as MT-PRIORITY (RFC 6710), to a server without it as a header field (RFC 6758).
2. A deadline goes as what is left of it (RFC 2852 4.1.4). A message that is to be returned at its deadline
   goes to no server that does not know of deadlines, nor to one that wants more time than there is; one
   whose sender is told goes, and he is told that nobody will watch the time from there on; the server is
   asked to tell him of a delay, if it can (4.1.4.2).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from imsd.mail import priorities
from imsd.store.spool import Queued
from protocols.smtp.timing import By


class NotInTime(Exception):
    """The message cannot go to that server, because of its deadline."""


@dataclass(frozen=True, slots=True)
class Terms:
    """by: what is left of the deadline. field: goes before the header. traced: the sender is to be told that
    the message was handed over. unwatched: nobody watches its time from there on."""

    by: By | None = None
    field: bytes = b""
    traced: bool = False
    unwatched: bool = False

    def notify(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """NOTIFY of a recipient for whom this was asked."""
        if not self.unwatched or "NEVER" in asked:
            return asked
        return tuple(dict.fromkeys((*(asked or ("FAILURE",)), "DELAY")))


def terms(message: Queued, offered: Mapping[str, str], now: int) -> Terms:
    """Raises NotInTime."""
    field = b""
    if message.mt_priority is not None and "MT-PRIORITY" not in offered:
        field = priorities.field(message.mt_priority)
    if not message.by_mode:
        return Terms(field=field)
    returns, trace = message.by_mode.startswith("R"), message.by_mode.endswith("T")
    left = (message.deliver_by - now) // 1_000_000
    if "DELIVERBY" not in offered:
        if returns:
            raise NotInTime("does not deliver by a given time")
        return Terms(field=field, traced=trace or left > 0, unwatched=left > 0)
    if returns:
        least = offered["DELIVERBY"].partition(" ")[0]
        least_seconds = int(least) if least.isdigit() and len(least) <= 9 else 0
        if left < max(1, least_seconds):
            raise NotInTime(f"needs {least_seconds} seconds to deliver, {max(0, left)} are left")
    return Terms(By(left, returns, trace), field, trace)


async def after(field: bytes, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The field, then the content."""
    yield field
    async for piece in content:
        yield piece
