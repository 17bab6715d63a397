"""GETMETADATA and SETMETADATA (RFC 5464 4.2, 4.3), with the filters of RFC 5466 3.2."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from protocols.errors import BadSyntax
from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands import searchkeys
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.commands.namedsearch import FILTER_NAME, FILTERS
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed, No

ENTRIES: Final = 100
"""Entries of one command."""
ENTRY_LIMIT: Final = 256
"""Octets of the name of an entry."""
INFINITY: Final = ENTRY_LIMIT
"""Levels below an entry; a name has fewer."""

_ENTRY: Final = re.compile(r"(?:/[^\x00-\x19*%/\x7f-\U0010ffff]+)+")
_DEPTHS: Final = {b"0": 0, b"1": 1, b"INFINITY": INFINITY}


def entry(cursor: Cursor, whole: bool) -> str:
    """An entry name, in small letters (RFC 5464 3.2). whole: it names a value, not a level."""
    start = cursor.position
    name = cursor.astring().decode("latin-1").lower()
    levels = name.split("/")
    least = 5 if levels[2:3] == ["vendor"] else 3
    if (
        len(name) > ENTRY_LIMIT
        or _ENTRY.fullmatch(name) is None
        or levels[1] not in ("private", "shared")
        or (whole and len(levels) < least)
    ):
        cursor.position = start
        raise cursor.fail("an entry below /private or /shared")
    return name


def entries(cursor: Cursor) -> tuple[str, ...]:
    """entries = entry / "(" entry *(SP entry) ")"; without parentheses several, too, as in the
    examples of RFC 5464 4.4.1."""
    found: list[str] = []
    if cursor.at(b"("):
        found = [entry(cursor, False) for _ in cursor.items()]
    else:
        found.append(entry(cursor, False))
        while cursor.skip(b" "):
            found.append(entry(cursor, False))
    if not 0 < len(found) <= ENTRIES:
        raise cursor.fail(f"1 to {ENTRIES} entries")
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """name: "" is the server. most: octets of a value that is still told, None for any."""

    name: str
    entries: tuple[str, ...]
    depth: int = 0
    most: int | None = None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> GetMetadata:
        # The grammar has the options before the mailbox, the examples behind it: both are taken.
        depth, most = 0, None
        if cursor.data[cursor.position : cursor.position + 2] == b" (":
            cursor.space()
            depth, most = _options(cursor)
        name = named(cursor)
        cursor.space()
        if cursor.at(b"(") and _OPTION.match(cursor.data, cursor.position):
            depth, most = _options(cursor)
            cursor.space()
        return cls(name, entries(cursor), depth, most)

    async def run(self, account: Any, channel: Channel) -> Completed | None:
        found = await account.metadata(self.name, self.entries, self.depth, self.most)
        for at in range(0, len(found.values), ENTRIES):
            channel.send(responses.metadata(self.name, found.values[at : at + ENTRIES], channel.dialect))
            await channel.breathe()
        return Completed(b"METADATA LONGENTRIES %d" % found.longest) if found.longest else None


_OPTION: Final = re.compile(rb"\((?:DEPTH|MAXSIZE) ", re.IGNORECASE)


def _options(cursor: Cursor) -> tuple[int, int | None]:
    depth, most = 0, None
    for _ in cursor.items():
        if cursor.keyword(b"MAXSIZE"):
            cursor.space()
            most = cursor.number()
        elif cursor.keyword(b"DEPTH"):
            cursor.space()
            start = cursor.position
            word = cursor.astring().upper()
            if word not in _DEPTHS:
                cursor.position = start
                raise cursor.fail("0, 1 or infinity")
            depth = _DEPTHS[word]
        else:
            raise cursor.fail("DEPTH or MAXSIZE")
    return depth, most


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """values: by entry; None removes one. All or none are set."""

    name: str
    values: tuple[tuple[str, bytes | None], ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> SetMetadata:
        name = named(cursor)
        cursor.space()
        values: dict[str, bytes | None] = {}
        for count in cursor.items():
            if count > ENTRIES:
                raise cursor.fail(f"at most {ENTRIES} entries")
            key = entry(cursor, True)
            cursor.space()
            values[key] = cursor.nstring()
        if not values:
            raise cursor.fail("an entry and its value")
        return cls(name, tuple(values.items()))

    async def run(self, account: Any, channel: Channel) -> None:
        limit = account.largest_annotation
        if any(value is not None and len(value) > limit for _, value in self.values):
            raise No(b"METADATA MAXSIZE %d" % limit, "That is too large")
        if not self.name:
            _check_filters(self.values, channel)
        await account.set_metadata(self.name, dict(self.values))


def _check_filters(values: Iterable[tuple[str, bytes | None]], channel: Channel) -> None:
    """RFC 5466 3.2: what is stored as a filter is a whole search criterion."""
    for name, value in values:
        root, _, last = name.rpartition("/")
        if root not in FILTERS or value is None:
            continue
        try:
            if FILTER_NAME.fullmatch(last.encode()) is None:
                raise BadSyntax("the name of a filter")
            searchkeys.parse(Cursor(value, dialect=channel.dialect), "utf-8")
        except BadSyntax:
            raise No(b"CANNOT", "That is no search criterion") from None
