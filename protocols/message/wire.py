"""IMAP strings of the stored wire forms (RFC 9051 9, RFC 3501 9; RFC 6855 3).

Two renderings: ASCII, which every client may be sent (text beyond ASCII becomes encoded
words), and UTF-8, for clients that enabled it.
"""

import re
from functools import lru_cache

from protocols.message import charsets, words

# TEXT-CHAR: any CHAR but CR and LF; quoted-specials are escaped.
_PLAIN = re.compile(rb"[ !#-\[\]-~]*+")
_QUOTED = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*+")
_SPECIAL = re.compile(rb'(["\\])')

NIL = b"NIL"


def string(value: bytes, utf8: bool = False) -> bytes:
    """A quoted string, or a literal where it must be one."""
    # The same few types, charsets, domains and people stand in most messages.
    return _short(value, utf8) if len(value) <= 48 else new_string(value, utf8)


def new_string(value: bytes, utf8: bool) -> bytes:
    """The same for what is not likely to come again."""
    if _PLAIN.fullmatch(value) is not None:
        return b'"%b"' % value
    if b"\0" in value:
        value = value.replace(b"\0", b"")
    if not value.isascii():
        if utf8:
            text = charsets.guess(value).encode("utf-8")
            if b"\r" not in text and b"\n" not in text:
                return b'"%b"' % _SPECIAL.sub(rb"\\\1", text)
            return b"{%d}\r\n%b" % (len(text), text)
        value = words.encode(charsets.guess(value)).replace(b"\r\n", b"")
    if _QUOTED.fullmatch(value) is not None:
        return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)
    return b"{%d}\r\n%b" % (len(value), value)


_short = lru_cache(4096)(new_string)


def nstring(value: bytes | None, utf8: bool = False) -> bytes:
    """A string, or NIL for None."""
    return NIL if value is None else string(value, utf8)
