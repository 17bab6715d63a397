"""STORE (RFC 9051 6.4.6, RFC 7162 3.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.limits import within
from protocols.imap4.grammar import MAX63, Cursor
from protocols.imap4.responses import Completed, No
from protocols.imap4.sets import SequenceSet
from protocols.imap4.values import FlagChange

_CHANGES = {change.value.encode(): change for change in FlagChange}


@dataclass(frozen=True, slots=True)
class Store:
    which: SequenceSet
    change: FlagChange
    flags: tuple[bytes, ...]
    silent: bool
    unchanged_since: int | None = None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Store:
        cursor.space()
        which = cursor.sequence_set(uid)
        cursor.space()
        unchanged_since = None
        if cursor.at(b"("):
            for _ in cursor.items():
                if not cursor.keyword(b"UNCHANGEDSINCE"):
                    raise cursor.fail("UNCHANGEDSINCE")
                cursor.need(b"CONDSTORE")
                cursor.space()
                unchanged_since = cursor.number(MAX63)
            cursor.space()
        # store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / flag *(SP flag))
        word = cursor.word()
        change = _CHANGES.get(word.removesuffix(b".SILENT"))
        if change is None:
            raise cursor.fail("FLAGS, +FLAGS or -FLAGS")
        cursor.space()
        if cursor.at(b"("):
            flags = cursor.flag_list()
        else:
            several = [cursor.flag()]
            while cursor.skip(b" "):
                several.append(cursor.flag())
            flags = tuple(dict.fromkeys(several))
        return cls(which, change, flags, word.endswith(b".SILENT"), unchanged_since)

    async def run(self, view: Any, channel: Channel) -> Completed | None:
        part = within(view, channel, channel.chosen(self.which))
        if self.unchanged_since is not None:
            channel.enable(condstore=True)
        stored = await view.store(part.which, self.change, self.flags, self.unchanged_since)
        dialect = channel.dialect
        if not self.silent or dialect.condstore:
            for rows in stored.rows:
                channel.send(responses.flags_of(rows, dialect, self.which.uid, flags=not self.silent))
                await channel.breathe()
        code = responses.modified(stored.modified)
        if stored.missing and not self.which.uid:
            part.tell(channel)
            # RFC 2180 4.2.1: told under the message number of one that is gone.
            raise No(code or b"EXPUNGEISSUED", "Some messages were expunged")
        failed = Completed(code, "Conditional STORE failed for some") if code else None
        return part.completed(channel, failed)
