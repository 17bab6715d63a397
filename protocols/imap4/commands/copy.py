"""COPY and MOVE (RFC 9051 6.4.7, 6.4.8; RFC 4315 3; RFC 6851)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands import limits
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.commands.selection import changed
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed
from protocols.imap4.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class Copy:
    which: SequenceSet
    target: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Copy:
        cursor.space()
        which = cursor.sequence_set(uid)
        return cls(which, named(cursor))

    async def run(self, view: Any, channel: Channel) -> Completed:
        which = channel.chosen(self.which)
        if channel.save_limit:
            limits.refuse_more(channel.save_limit, view.uids(which))
        copied = await view.copy(which, self.target)
        return Completed(responses.copyuid(copied, channel.dialect.off), "Copied")


@dataclass(frozen=True, slots=True)
class Move:
    """COPYUID comes untagged, before the EXPUNGEs (RFC 6851 4.3)."""

    which: SequenceSet
    target: str

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Move:
        cursor.space()
        which = cursor.sequence_set(uid)
        return cls(which, named(cursor))

    async def run(self, view: Any, channel: Channel) -> Completed | None:
        part = limits.within(view, channel, channel.chosen(self.which))
        moved = await view.move(part.which, self.target)
        code = responses.copyuid(moved)
        if code:
            channel.say(b"*", b"OK", code, "Moved UIDs")
        return part.completed(
            channel, (changed(channel, "Moved") if code else None) or Completed(b"", "Moved")
        )
