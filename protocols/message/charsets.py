"""Octets to text in whatever charset mail claims (RFC 2978 names, and what is found in the wild).

Nothing raises: an unknown charset, or octets that are not valid in it, are read as UTF-8 if
that fits, else as windows-1252.
"""

import codecs
from functools import lru_cache

_ALIASES = {
    # What a label means in mail, where senders write the subset and use the superset.
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "ansi_x3.4-1968": "utf-8",
    "iso-8859-1": "windows-1252",
    "latin1": "windows-1252",
    "iso-8859-9": "windows-1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "shift-jis": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
    "utf": "utf-8",
    "unicode": "utf-16",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-unknown": "utf-8",
    "unknown-8bit": "utf-8",
    "default": "utf-8",
    "none": "utf-8",
}

# Text codecs of Python that are no charsets.
_NEVER = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"))


@lru_cache(512)
def codec(charset: str) -> str | None:
    """The name of the Python codec for a charset label, or None when it is not known."""
    name = charset.strip().strip("\"'").lower()
    name = _ALIASES.get(name, name)
    if not name or len(name) > 40 or not name.isascii() or not name.isprintable():
        return None
    for label in (name, name.removeprefix("x-"), name.replace("cp-", "cp").replace("windows", "windows-")):
        try:
            found = codecs.lookup(label)
        except (LookupError, ValueError):
            continue
        usable = getattr(found, "_is_text_encoding", True) and found.name.replace("-", "_") not in _NEVER
        return found.name if usable else None
    return None


def known(charset: str) -> bool:
    """Whether text in this charset can be read: the question of SEARCH CHARSET (RFC 9051 6.4.4)."""
    return codec(charset) is not None


def decode(data: bytes, charset: str = "") -> str:
    """The text."""
    name = codec(charset) if charset else None
    if name is not None and name != "utf-8":
        try:
            return data.decode(name, "replace")
        except (ValueError, LookupError):
            # Some multi-byte codecs raise whatever error handler they are given.
            pass
    return guess(data)


def guess(data: bytes) -> str:
    """Text of unknown charset: UTF-8 if it is valid, else windows-1252, else Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8")
    return data.decode("windows-1252", "replace")
