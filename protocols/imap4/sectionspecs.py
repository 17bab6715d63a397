"""section-spec: what stands between the brackets of BODY[...], and behind SECTION= in a URL
(RFC 9051 6.4.5.1, RFC 5092 6)."""

from __future__ import annotations

import re

from protocols.imap4.grammar import LIST_LIMIT, Cursor
from protocols.message.sections import Kind, Section

# section-part = nz-number *("." nz-number)
_PATH = re.compile(rb"[1-9][0-9]{0,5}(?:\.[1-9][0-9]{0,5}){0,999}")
_KIND = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)


def parse(cursor: Cursor, parts_only: bool = False) -> Section:
    """Up to a `]` or the end. parts_only: part numbers and nothing else (section-binary)."""
    path: tuple[int, ...] = ()
    found = _PATH.match(cursor.data, cursor.position)
    if found is not None:
        path = tuple(map(int, found[0].split(b".")))
        cursor.position = found.end()
    if parts_only or cursor.at_end or cursor.at(b"]"):
        return Section(path)
    if path:
        cursor.expect(b".")
    found = _KIND.match(cursor.data, cursor.position)
    if found is None:
        raise cursor.fail("a section")
    cursor.position = found.end()
    kind = Kind(found[0].upper().decode())
    if kind is Kind.MIME and not path:
        raise cursor.fail("a part number before MIME")
    if kind not in (Kind.FIELDS, Kind.FIELDS_NOT):
        return Section(path, kind)
    cursor.space()
    fields = tuple([cursor.astring() for _ in cursor.items()])
    if not 0 < len(fields) <= LIST_LIMIT:
        raise cursor.fail("a field name")
    return Section(path, kind, fields)
