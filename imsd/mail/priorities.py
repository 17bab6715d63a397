"""The priority of a message: what RFC 6710 and its header field (RFC 6758) say, in three classes.

Only hosts that are trusted raise a priority. Others may lower theirs; what they ask for above 0 is 0. The
field MT-Priority carries the priority over servers without the extension. It is taken out of every
message that comes in, so that nobody gets by it what he would not get by the parameter, and put into one
that leaves for such a server.
"""

from __future__ import annotations

import re

from imsd.mail.submission import without
from protocols.message import headers

# priority = [CFWS] priority-value [CFWS] (RFC 6758 2)
_VALUE = re.compile(rb"\s*(-?[1-9]|0)\s*(?:\([^()]*\)\s*)?")
_THERE = re.compile(rb"^mt-priority[ \t]*:", re.IGNORECASE | re.MULTILINE)

URGENT, NON_URGENT = 4, -4
"""The three values of the profile MIXER (RFC 6710 B); those between are rounded down."""


def class_of(value: int) -> int:
    """1 urgent, 0 normal, -1 non-urgent."""
    return 1 if value >= URGENT else 0 if value >= 0 else -1


def tunnelled(header: bytes) -> tuple[int | None, bytes]:
    """The value of the MT-Priority field, None unless there is exactly one; the header without it."""
    if not _THERE.search(header):
        return None, header
    values = [field.text for field in headers.fields(header) if field.name.lower() == b"mt-priority"]
    match = _VALUE.fullmatch(values[0]) if len(values) == 1 else None
    return int(match[1]) if match else None, without(header, {b"mt-priority"})


def granted(asked: int | None, trusted: bool) -> int | None:
    """What a host gets that asks for a priority."""
    return asked if asked is None or trusted else min(asked, 0)


def field(value: int) -> bytes:
    """The header field for servers without the extension."""
    return b"MT-Priority: %d\r\n" % value
