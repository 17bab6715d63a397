"""Names without a domain in the header of what programs of this machine write: `From: root (Cron Daemon)`.

They mean somebody of our first domain, as in the envelope (imsd.mail.pickup), and elsewhere they would
mean nobody, or somebody else. What is not plainly such a name stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

from protocols.message import headers

_FIELDS: Final = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"resent-from", b"resent-to"))
_NAME: Final = rb"[A-Za-z0-9_][A-Za-z0-9._+-]*"
# name | name (comment) | phrase <name> | "phrase" <name>
_ONE: Final = re.compile(
    rb"((?:(?:\"[^\"\\\r\n]*\"\s*|[^\"(),:;<>@\[\]\\]*)<)?" + _NAME + rb")(>?\s*(?:\([^()\\]*\)\s*)?)"
)
_ODD: Final = re.compile(rb"[\"(:;\\]")
LONGEST: Final = 8 * 1024
"""Octets of a field that is looked at."""


def qualified(header: bytes, domain: str) -> bytes:
    """The header block with the domain after names that have none."""
    parts: list[bytes] = []
    kept = 0
    for field in headers.fields(header):
        if field.name.lower() not in _FIELDS or field.stop - field.start > LONGEST:
            continue
        raw = header[field.start : field.stop]
        name, colon, text = raw.partition(b":")
        changed = _qualified(text, domain.encode())
        if changed != text:
            parts += (header[kept : field.start], name, colon, changed)
            kept = field.stop
    return b"".join((*parts, header[kept:])) if parts else header


def _qualified(text: bytes, domain: bytes) -> bytes:
    # A comma within quotes or a comment divides nothing, so such a field is one mailbox or left alone.
    items = [text] if _ODD.search(text) else text.split(b",")
    return b",".join([_one(item, domain) for item in items])


def _one(item: bytes, domain: bytes) -> bytes:
    # Blanks before it are in the phrase, too: looked for in both they would be divided in every way.
    text = item.lstrip()
    match = _ONE.fullmatch(text)
    if match is None or (b"<" in match[1]) != match[2].startswith(b">"):
        return item
    return b"%b%b@%b%b" % (item[: len(item) - len(text)], match[1], domain, match[2])
