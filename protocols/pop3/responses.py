"""Answers on the wire (RFC 1939 3, RFC 2449 8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocols.languages import DEFAULT, translate

END: Final = b".\r\n"

_MOST_TEXT: Final = 480
"""Octets of text; a first line has 512 with everything (RFC 2449 4)."""


def ok(text: str = "", language: str = DEFAULT) -> bytes:
    return b"+OK " + _line(text, language) + b"\r\n" if text else b"+OK\r\n"


def err(text: str, code: bytes = b"", language: str = DEFAULT) -> bytes:
    """code: extended response code without its brackets (RFC 2449 8)."""
    mark = b"[" + code + b"] " if code else b""
    return b"-ERR " + mark + _line(text, language) + b"\r\n"


def listing(text: str, lines: Iterable[bytes], language: str = DEFAULT) -> bytes:
    """A multi-line answer; lines never begin with a dot here but for content."""
    return ok(text, language) + b"".join(line + b"\r\n" for line in lines) + END


def prompt(challenge: bytes) -> bytes:
    """continue-req = "+" SP [base64] CRLF (RFC 5034 4)."""
    return b"+ " + challenge + b"\r\n"


def _line(text: str, language: str) -> bytes:
    """UTF-8 in another language than the default one (RFC 6856 3.2)."""
    if language == DEFAULT:
        return " ".join(text.split()).encode("ascii", "replace")[:_MOST_TEXT]
    words = " ".join(translate(text, language).split()).encode("utf-8", "replace")[:_MOST_TEXT]
    return words.decode("utf-8", "ignore").encode("utf-8")
