"""Comparators (RFC 4790), and i;unicode-casemap: the order and equality of text without case (RFC
5051, RFC 5255 4.2).

Each character is mapped to title case where that is one character, then decomposed whole;
what is compared is the octets of the result as UTF-8. Nothing depends on its neighbours, so
text may be mapped in pieces. That is true of each comparator here: one text holds another, or
comes before it, where that is so of what they are mapped to. All offer equality, substrings and
order (RFC 5255 4.4), so i;ascii-numeric is none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from unicodedata import normalize

_REMEMBERED = 20_000


class _Table(dict[int, str]):
    """Characters to what they are mapped to, as they are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        titled = character.title()
        mapped = normalize("NFKD", titled if len(titled) == 1 else character)
        if len(self) < _REMEMBERED:
            self[code] = mapped
        return mapped


_TABLE = _Table()


def fold(text: str) -> str:
    """The text to look in, or for."""
    # Title case of one ASCII letter is its capital.
    return text.upper() if text.isascii() else text.translate(_TABLE)


def _as_it_is(text: str) -> str:
    return text


_CAPITALS: Final = {letter: letter - 32 for letter in range(ord("a"), ord("z") + 1)}


def _ascii_capitals(text: str) -> str:
    return text.translate(_CAPITALS)


DEFAULT: Final = "i;unicode-casemap"
COMPARATORS: Final[Mapping[str, Callable[[str], str]]] = {
    DEFAULT: fold,
    "i;ascii-casemap": _ascii_capitals,
    "i;octet": _as_it_is,
}
"""Comparators by their names, and what text is mapped to that is looked in, or for."""


def casemap(text: str, comparator: str = DEFAULT) -> bytes:
    """The octets to compare."""
    return COMPARATORS[comparator](text).encode("utf-8", "replace")
