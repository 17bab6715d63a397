"""Text as it is indexed, and the trigrams that a searched text asks for.

The skeleton of a text is its i;unicode-casemap form (RFC 5255 4.2) without combining marks, mapped
again until that changes nothing: of a ligature the letters it consists of are small after the first time,
and a piece of a skeleton has to be a skeleton, which is looked for (`fuzzy.Word.clues`).
Each character is mapped by itself: if one text holds another, so do their skeletons. That is
true of coarser matching (accents ignored) and of finer one (i;octet, i;ascii-casemap), too.
"""

from __future__ import annotations

from typing import Final
from unicodedata import category

from protocols.message.collation import fold

SIZE: Final = 3
MOST: Final = 24
"""Trigrams of one searched text that are asked for; more would hardly leave out more."""

_REMEMBERED = 20_000


class _Table(dict[int, str]):
    """Characters to their skeletons, as they are met."""

    def __missing__(self, code: int) -> str:
        # A NUL would end the text for the tokenizer; half characters have no UTF-8.
        mapped = "".join(
            "\ufffd" if one == "\0" or "\ud800" <= one <= "\udfff" else one
            for one in _settled(chr(code))
            if category(one) != "Mn"
        )
        if len(self) < _REMEMBERED:
            self[code] = mapped
        return mapped


def _settled(text: str) -> str:
    while (mapped := fold(text)) != text:
        text = mapped
    return text


_TABLE = _Table()


def skeleton(text: str) -> str:
    """What is indexed of a text."""
    if text.isascii() and "\0" not in text:
        return text.upper()
    return text.translate(_TABLE)


def grams(text: str) -> tuple[str, ...]:
    """Trigrams that every text that holds this one has; none where the index cannot help."""
    bare = skeleton(text)
    if len(bare) < SIZE or "\ufffd" in bare:
        return ()
    count = len(bare) - SIZE + 1
    found = dict.fromkeys(bare[at : at + SIZE] for at in range(count))
    if len(found) <= MOST:
        return tuple(found)
    every = list(found)
    return tuple(every[len(every) * n // MOST] for n in range(MOST))
