"""String preparation (RFC 4518): what two strings must share to match.

Deviation, stated: the repertoire is the Unicode version Python carries, not 3.2, so that
values written today match; code points unassigned there are prohibited all the same. Case
folding is Unicode full folding around Form KC, which is what table B.2 of RFC 3454 holds for
Unicode 3.2.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from protocols.errors import BadSyntax


class Unprepared(BadSyntax):
    """A prohibited code point (RFC 4518 2.4): matching it is Undefined."""

    def __init__(self) -> None:
        super().__init__("a string without prohibited characters")


# RFC 4518 2.2, in the order of the text.
_SPACES: Final = (9, 10, 11, 12, 13, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029)
_NOTHING: Final = (
    0xAD, 0x1806, 0x34F, *range(0x180B, 0x180E), *range(0xFE00, 0xFE10), 0xFFFC,
    *range(0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0),
    0x6DD, 0x70F, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F),
    *range(0x2060, 0x2064), *range(0x206A, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC),
    *range(0x1D173, 0x1D17B), 0xE0001, *range(0xE0020, 0xE0080),
)  # fmt: skip
_MAP: Final[dict[int, str]] = {
    **dict.fromkeys((*_SPACES, 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys(_NOTHING, ""),
}

_PROHIBITED: Final = frozenset({"Cn", "Co", "Cs"})
_CHANGES_DISPLAY: Final = frozenset("\u0340\u0341\ufffd")
_HYPHENS: Final = re.compile("[-\u058a\u2010\u2011\u2212\ufe63\uff0d ]+")
_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
"""ASCII that is its own preparation, folding apart: no controls, no spaces to drop."""


def mapped(text: str, fold: bool) -> str:
    """Map, normalise, prohibit (RFC 4518 2.2 to 2.4). Raises Unprepared."""
    if text.isascii():
        if not text.isprintable():
            text = text.translate(_MAP)
        return text.lower() if fold else text
    text = text.translate(_MAP)
    if fold:
        text = unicodedata.normalize("NFKC", text.casefold()).casefold()
    text = unicodedata.normalize("NFKC", text)
    if any(unicodedata.category(c) in _PROHIBITED or c in _CHANGES_DISPLAY for c in text):
        raise Unprepared
    return text


def canonical(text: str, fold: bool = True) -> str:
    """The shortest form that equal strings share: spaces trimmed, runs of them single.

    Equivalent to RFC 4518 2.6.1 for equality; this is what to store and to index.
    """
    if _PLAIN.fullmatch(text):
        return text.lower() if fold else text
    return " ".join(filter(None, _spaced(mapped(text, fold)).split(" "))).replace("\0", " ")


def _spaced(text: str) -> str:
    """Hide spaces followed by a combining mark, which are not spaces (RFC 4518 2.6.1)."""
    if text.isascii():
        return text
    return "".join(
        "\0" if c == " " and unicodedata.category(after)[0] == "M" else c
        for c, after in zip(text, [*text[1:], " "], strict=True)
    )


@lru_cache(maxsize=1024)
def canonical_bytes(value: bytes, fold: bool = True) -> str:
    """`canonical` of UTF-8; raises Unprepared for what is not UTF-8."""
    return canonical(decoded(value), fold)


def decoded(value: bytes) -> str:
    """UTF-8 only (RFC 4517 3.3.6); raises Unprepared."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unprepared from None


def whole(text: str, fold: bool) -> str:
    """The form of RFC 4518 2.6.1 in which substrings are looked for: " foo  bar "."""
    words = list(filter(None, _spaced(mapped(text, fold)).split(" ")))
    return f" {'  '.join(words)} ".replace("\0", " ") if words else "  "


def initial(text: str, fold: bool) -> str:
    """An initial substring, prepared (RFC 4518 2.6.1)."""
    return _part(text, fold, starts=True)


def middle(text: str, fold: bool) -> str:
    """An any substring, prepared (RFC 4518 2.6.1)."""
    return _part(text, fold)


def final(text: str, fold: bool) -> str:
    """A final substring, prepared (RFC 4518 2.6.1)."""
    return _part(text, fold, ends=True)


def _part(text: str, fold: bool, starts: bool = False, ends: bool = False) -> str:
    text = _spaced(mapped(text, fold))
    words = list(filter(None, text.split(" ")))
    if not words:
        return " "
    before = " " if starts or text.startswith(" ") else ""
    after = " " if ends or text.endswith(" ") else ""
    return (before + "  ".join(words) + after).replace("\0", " ")


def numeric(text: str) -> str:
    """numericString: without spaces (RFC 4518 2.6.2)."""
    return mapped(text, False).replace(" ", "")


def telephone(text: str) -> str:
    """telephoneNumber: without spaces and hyphens, case folded (RFC 4518 2.6.3)."""
    return _HYPHENS.sub("", mapped(text, True))
