"""FETCH (RFC 9051 6.4.5, RFC 3501 6.4.5, RFC 3516, RFC 7162 3.1.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from protocols.imap4 import responses, sectionspecs
from protocols.imap4.channel import Channel
from protocols.imap4.commands import content, limits
from protocols.imap4.commands.attributes import ATTRIBUTES, modifiers
from protocols.imap4.commands.content import Form, Item
from protocols.imap4.commands.partial import Range
from protocols.imap4.dialect import Dialect
from protocols.imap4.grammar import MAX63, Cursor
from protocols.imap4.responses import Completed
from protocols.imap4.sets import SequenceSet, compact
from protocols.imap4.values import Needs, Row
from protocols.message.sections import Kind, Section

# What the index knows: the shape on the wire and the place in Row.
_INDEX: Final = {
    b"UID": (b"UID %d", 1),
    b"FLAGS": (b"FLAGS (%b)", 2),
    b"MODSEQ": (b"MODSEQ (%d)", 3),
    b"RFC822.SIZE": (b"RFC822.SIZE %d", 4),
    b"INTERNALDATE": (b"INTERNALDATE %b", 5),
}
_DATE: Final = 5
# What is stored ready for the wire, and the attribute that holds it.
_STORED: Final = {b"ENVELOPE": "envelope", b"BODY": "body", b"BODYSTRUCTURE": "bodystructure"}
_MACROS: Final = {
    b"FAST": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"),
    b"ALL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"),
    b"FULL": (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"),
}
# RFC 3501 6.4.5: other names for sections.
_OLD_NAMES: Final = {
    b"RFC822": Item(b"RFC822", Section()),
    b"RFC822.HEADER": Item(b"RFC822.HEADER", Section((), Kind.HEADER), peek=True),
    b"RFC822.TEXT": Item(b"RFC822.TEXT", Section((), Kind.TEXT)),
}
_SECTIONED: Final = {
    b"BODY": (Form.BODY, False),
    b"BODY.PEEK": (Form.BODY, True),
    b"BINARY": (Form.BINARY, False),
    b"BINARY.PEEK": (Form.BINARY, True),
    b"BINARY.SIZE": (Form.SIZE, True),
}

_NAME = re.compile(rb"[A-Za-z0-9.]+")
# partial = "<" number64 "." nz-number64 ">"
_PARTIAL = re.compile(rb"<([0-9]{1,18})\.([1-9][0-9]{0,17})>")

Attribute = bytes | Item


@dataclass(frozen=True, slots=True)
class Fetch:
    """items: index and stored items by name, sections as `Item`, in the client's order."""

    which: SequenceSet
    items: tuple[Attribute, ...]
    changed_since: int = 0
    vanished: bool = False
    partial: Range | None = None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Fetch:
        cursor.space()
        which = cursor.sequence_set(uid)
        cursor.space()
        items: list[Attribute] = []
        if cursor.at(b"("):
            items.extend(attribute_list(cursor))
        else:
            macro = _MACROS.get(_peek_name(cursor))
            if macro is not None:
                cursor.word()
                items.extend(macro)
            else:
                items.append(_attribute(cursor))
        changed_since = None
        vanished = False
        partial = None
        if cursor.skip(b" "):
            for _ in cursor.items():
                if cursor.keyword(b"CHANGEDSINCE"):
                    cursor.need(b"CONDSTORE")
                    cursor.space()
                    changed_since = cursor.number(MAX63)
                elif uid and cursor.dialect.qresync and cursor.keyword(b"VANISHED"):
                    vanished = True
                elif uid and partial is None and cursor.keyword(b"PARTIAL"):
                    cursor.need(b"PARTIAL")
                    cursor.space()
                    partial = Range.parse(cursor)
                else:
                    raise cursor.fail("a modifier that may be given here")
        if vanished and changed_since is None:
            raise cursor.fail("CHANGEDSINCE with VANISHED")
        if changed_since is not None and b"MODSEQ" not in items:
            items.append(b"MODSEQ")
        if uid and b"UID" not in items and not cursor.dialect.uidonly:
            items.insert(0, b"UID")
        return cls(which, tuple(dict.fromkeys(items)), changed_since or 0, vanished, partial)

    async def run(self, view: Any, channel: Channel) -> Completed | None:
        which = channel.chosen(self.which)
        if self.partial is not None:
            # RFC 9738 3.1: not even a part of it.
            limits.refuse_count(channel.message_limit, self.partial.size)
            which = _some(which, self.partial.of(view.uids(which)), view)
        if b"MODSEQ" in self.items:
            channel.enable(condstore=True)
        if self.vanished:
            await send_vanished(view, channel, which, self.changed_since)
        fetched = limits.within(view, channel, which)
        await self._fetch(fetched.which, view, channel)
        return fetched.completed(channel)

    async def _fetch(self, which: SequenceSet, view: Any, channel: Channel) -> None:
        if all(isinstance(item, bytes) and item in _INDEX for item in self.items):
            render = renderer(self.items, channel.dialect)
            for rows in view.rows(which, self.changed_since):
                channel.send(render(rows))
                await channel.breathe()
            return
        marks = any(isinstance(item, Item) and not item.peek for item in self.items) and not view.read_only
        messages = view.fetch(which, self._needs(), self.changed_since)
        try:
            async for batch in messages:
                fresh: dict[int, Row] = {}
                if marks:
                    unseen = [row.uid for row, _ in batch if b"\\Seen" not in row.flags]
                    if unseen:
                        fresh = {row.uid: row for rows in await view.seen(unseen) for row in rows}
                for row, message in batch:
                    await self._send(fresh.get(row.uid, row), row.uid in fresh, message, channel)
                    await channel.breathe()
        finally:
            await messages.aclose()

    def _needs(self) -> Needs:
        names = [item for item in self.items if isinstance(item, bytes)]
        return content.needs(
            (item for item in self.items if isinstance(item, Item)),
            summary=any(name in _STORED for name in names),
            identity=any(name in ATTRIBUTES for name in names),
        )

    async def _send(self, row: Row, seen: bool, message: Any, channel: Channel) -> None:
        """One FETCH response. seen: \\Seen was just set, so the flags are told with it."""
        uidonly = channel.dialect.uidonly
        channel.send(b"* %d UIDFETCH (" % row.uid if uidonly else b"* %d FETCH (" % row.sequence)
        items = self.items
        if seen and b"FLAGS" not in items:
            items = (b"FLAGS", *items)
        if seen and channel.dialect.condstore:
            # RFC 7162 3.2.4
            more = (b"MODSEQ",) if uidonly else (b"UID", b"MODSEQ")
            items = (*(name for name in more if name not in items), *items)
        whole = False
        try:
            for index, item in enumerate(items):
                if index:
                    channel.send(b" ")
                if isinstance(item, Item):
                    await content.send(item, message, channel)
                    await channel.breathe()
                elif item in _INDEX:
                    shape, place = _INDEX[item]
                    value: Any = row[place]
                    channel.send(shape % (responses.date_time(value) if place == _DATE else value))
                elif item in ATTRIBUTES:
                    channel.send(b"%b %b" % (item, ATTRIBUTES[item](message, channel.dialect)))
                else:
                    channel.send(b"%b %b" % (item, getattr(message, _STORED[item])))
            whole = True
        finally:
            # A response that has begun is ended well, whatever could not be had (UNKNOWN-CTE).
            channel.send(b")\r\n" if whole else b"UID %d)\r\n" % row.uid)


def attribute_list(cursor: Cursor) -> tuple[Attribute, ...]:
    """ "(" fetch-att *(SP fetch-att) ")"."""
    found = [_attribute(cursor) for _ in cursor.items()]
    if not found:
        raise cursor.fail("a data item")
    return tuple(dict.fromkeys(found))


async def tell_new(view: Any, channel: Channel, uids: Sequence[int], items: tuple[Any, ...]) -> None:
    """FETCH of messages that were just told to be there, unasked (RFC 5465 5.2)."""
    which = SequenceSet(compact(uids), uid=True)
    await Fetch(which, items)._fetch(which, view, channel)


def _some(which: SequenceSet, uids: Sequence[int], view: Any) -> SequenceSet:
    """What of a set of UIDs lies between the first and the last of these (RFC 9394 3.3)."""
    if not uids:
        return SequenceSet((), uid=True)
    low, high = uids[0], uids[-1]
    ranges = which.resolve(view.uid_of(view.exists))
    return SequenceSet(tuple((max(a, low), min(b, high)) for a, b in ranges if a <= high and b >= low), True)


async def send_vanished(view: Any, channel: Channel, which: SequenceSet, since: int, after: int = 0) -> None:
    """VANISHED (EARLIER), before any FETCH (RFC 7162 3.2.6)."""
    pieces = view.vanished(which, since, after)
    try:
        async for uids in pieces:
            channel.send(responses.vanished(uids, earlier=True))
            await channel.breathe()
    finally:
        await pieces.aclose()


def renderer(items: Sequence[Attribute], dialect: Dialect) -> Callable[[Sequence[Row]], bytes]:
    """A function from rows to FETCH responses, or UIDFETCH (RFC 9586 3.3): one formatting per
    row, one join."""
    known = [_INDEX[item] for item in items if isinstance(item, bytes)]
    head, first = (b"* %d UIDFETCH (", 1) if dialect.uidonly else (b"* %d FETCH (", 0)
    shape = head + b" ".join(text for text, _ in known) + b")\r\n"
    places = [first, *(place for _, place in known)]
    if _DATE not in places:
        pick = itemgetter(*places)
        return lambda rows: b"".join([shape % pick(row) for row in rows])

    def dated(rows: Sequence[Row]) -> bytes:
        columns = list(zip(*rows, strict=True))
        if not columns:
            return b""
        columns[_DATE] = tuple(map(responses.date_time, columns[_DATE]))
        return b"".join(
            [shape % values for values in zip(*(columns[place] for place in places), strict=True)]
        )

    return dated


# Grammar -------------------------------------------------------------------------------------


def _peek_name(cursor: Cursor) -> bytes:
    found = _NAME.match(cursor.data, cursor.position)
    return found[0].upper() if found else b""


_ITEM_OF: Final = {
    b"MODSEQ": b"CONDSTORE",
    b"BINARY": b"BINARY",
    b"BINARY.PEEK": b"BINARY",
    b"BINARY.SIZE": b"BINARY",
    b"SAVEDATE": b"SAVEDATE",
    b"PREVIEW": b"PREVIEW",
    b"EMAILID": b"OBJECTID",
    b"THREADID": b"OBJECTID",
}
"""The capability that a data item comes with."""


def _attribute(cursor: Cursor) -> Attribute:
    """fetch-att."""
    name = _peek_name(cursor)
    if cursor.dialect.off:
        cursor.need(_ITEM_OF.get(name, b""))
    start = cursor.position
    cursor.position += len(name)
    if cursor.at(b"[") and name in _SECTIONED:
        return _section(cursor, name)
    if name in _INDEX or name in _STORED:
        return name
    if name in ATTRIBUTES:
        modifiers(cursor, name)
        return name
    if name in _OLD_NAMES:
        return _OLD_NAMES[name]
    cursor.position = start
    raise cursor.fail("a data item")


def _section(cursor: Cursor, name: bytes) -> Item:
    """section [partial], behind the item's name."""
    form, peek = _SECTIONED[name]
    cursor.expect(b"[")
    section = sectionspecs.parse(cursor, parts_only=form is not Form.BODY)
    cursor.expect(b"]")
    text = section.kind.value.encode()
    if section.fields:
        text += b" (%b)" % b" ".join(map(responses.astring, section.fields))
    spelled = b".".join([b"%d" % number for number in section.path])
    inside = spelled + (b"." if spelled and text else b"") + text
    shown = b"%b[%b]" % (form.value.encode(), inside)
    partial = None
    found = _PARTIAL.match(cursor.data, cursor.position) if form is not Form.SIZE else None
    if found is not None:
        cursor.position = found.end()
        partial = (int(found[1]), int(found[2]))
        shown += b"<%d>" % partial[0]
    return Item(shown, section, form, partial, peek)
