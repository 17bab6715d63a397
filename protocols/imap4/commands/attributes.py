"""FETCH items that describe a stored message as a whole: SAVEDATE (RFC 8514 4.2), EMAILID and
THREADID (RFC 8474 5), PREVIEW (RFC 8970 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from protocols.imap4 import responses
from protocols.imap4.dialect import Dialect
from protocols.imap4.grammar import Cursor


def _saved(message: Any, dialect: Dialect) -> bytes:
    return b"NIL" if message.saved is None else responses.date_time(message.saved)


def _email(message: Any, dialect: Dialect) -> bytes:
    return b"(%b)" % message.email_id


def _thread(message: Any, dialect: Dialect) -> bytes:
    return b"(%b)" % message.thread_id if message.thread_id else b"NIL"


def _preview(message: Any, dialect: Dialect) -> bytes:
    return responses.string(message.preview, utf8=dialect.utf8)


ATTRIBUTES: Final[Mapping[bytes, Callable[[Any, Dialect], bytes]]] = {
    b"SAVEDATE": _saved,
    b"EMAILID": _email,
    b"THREADID": _thread,
    b"PREVIEW": _preview,
}
"""The value of each item, from an IMessage whose `Needs` had `identity`."""


def modifiers(cursor: Cursor, name: bytes) -> None:
    """What may stand behind the name: "PREVIEW" [SP "(" "LAZY" ")"]. A preview is kept ready, so
    LAZY changes nothing (RFC 8970 4.1)."""
    if name == b"PREVIEW" and cursor.data[cursor.position : cursor.position + 2] == b" (":
        cursor.space()
        for _ in cursor.items():
            if not cursor.keyword(b"LAZY"):
                raise cursor.fail("LAZY")
