"""How many messages one command may be about (RFC 9738).

The limit is the server's (`Channel.message_limit`, 0: none). What is over it is not done: the
messages with the highest UIDs are, and MESSAGELIMIT names the lowest of them, so that the
client goes on below it. COPY, which is done whole or not at all, and THREAD are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protocols.imap4.channel import Channel
from protocols.imap4.responses import Completed, No
from protocols.imap4.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class Within:
    """What of a set a command is about. code: MESSAGELIMIT, empty where that is all of it."""

    which: SequenceSet
    code: bytes = b""

    def completed(self, channel: Channel, done: Completed | None = None) -> Completed | None:
        """The tagged response; where that has another code, this one goes untagged before it
        (RFC 9738 3.1, of EXPUNGEISSUED)."""
        if not self.code:
            return done
        text = f"Done for the last {channel.message_limit} messages"
        if done is None or not done.code:
            return Completed(self.code, text)
        self.tell(channel)
        return done

    def tell(self, channel: Channel) -> None:
        """Says so untagged, before a tagged response that has another code."""
        if self.code:
            channel.say(b"*", b"NO", self.code, "There are more messages")


def within(view: Any, channel: Channel, which: SequenceSet) -> Within:
    """The set, or its end where it has more messages than one command may be about."""
    return among(view, channel, which, view.uids(which)) if channel.message_limit else Within(which)


def among(view: Any, channel: Channel, which: SequenceSet, uids: Sequence[int]) -> Within:
    """As `within`, where only these of the set's messages count; ascending."""
    limit = channel.message_limit
    if not limit or len(uids) <= limit:
        return Within(which)
    lowest = uids[-limit]
    if which.uid:
        low, most = lowest, view.uid_of(view.exists)
    else:
        low, most = view.sequences([lowest])[0], view.exists
    ranges = tuple((max(a, low), b) for a, b in which.resolve(most) if b >= low)
    return Within(SequenceSet(ranges, which.uid), b"MESSAGELIMIT %d %d" % (limit, lowest))


def refuse_more(limit: int, uids: Sequence[int]) -> None:
    """For what is done whole or not at all. Raises No [MESSAGELIMIT]."""
    if limit and len(uids) > limit:
        raise No(
            b"MESSAGELIMIT %d %d" % (limit, uids[-limit]), f"At most {limit} messages; try fewer at a time"
        )


def refuse_count(limit: int, count: int) -> None:
    """As `refuse_more`, where no UIDs are known."""
    if limit and count > limit:
        raise No(b"MESSAGELIMIT %d" % limit, f"At most {limit} messages")


def flagged(view: Any, which: SequenceSet, flag: bytes) -> list[int]:
    """The UIDs of the set's messages with a flag, ascending."""
    rows: Iterable[Any] = (row for rows in view.rows(which) for row in rows)
    return [row.uid for row in rows if flag in row.flags.split()]
