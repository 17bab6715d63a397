"""Languages in which people are spoken to (RFC 5255 3, RFC 6856 3).

English is what the code has; `i-default` (RFC 2277) and `en` are that. `translate` finds the
text in `phrases`, also when values were put into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from protocols.phrases import PHRASES

DEFAULT: Final = "i-default"
NAMES: Final[Mapping[str, str]] = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    DEFAULT: "English",
}
"""Tags, and each language's own name."""

_PLACE: Final = {"de": 0, "fr": 1}
_RANGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9*]{1,8})*")


def choose(ranges: Iterable[str], preferred: str = "en") -> str | None:
    """The first language of the ranges that is spoken here (RFC 4647 3.4, lookup): a range is
    shortened at its end until a tag fits. `*` and `default` are the preferred one."""
    for wanted in ranges:
        if wanted.lower() in ("*", "default"):
            return preferred
        tag = wanted.lower() if _RANGE.fullmatch(wanted) else ""
        while tag:
            if tag in NAMES:
                return tag
            tag = tag.rpartition("-")[0]
            if tag[-2:-1] == "-":
                tag = tag[:-2]
    return None


@lru_cache(4096)
def translate(text: str, tag: str) -> str:
    """The text in the language; what has no translation stays English."""
    place = _PLACE.get(tag)
    if place is None or not text:
        return text
    found = PHRASES.get(text)
    if found is not None:
        return found[place]
    for pattern, phrases in _shapes():
        match = pattern.fullmatch(text)
        if match is not None:
            return phrases[place].format(*(translate(value, tag) for value in match.groups()))
    return text


@lru_cache(1)
def _shapes() -> list[tuple[re.Pattern[str], tuple[str, str]]]:
    """Phrases with values in them, those with the most text of their own first."""
    shapes = sorted((text for text in PHRASES if "{}" in text), key=lambda text: -len(text))
    return [
        (re.compile("(.+?)".join(map(re.escape, text.split("{}"))), re.DOTALL), PHRASES[text])
        for text in shapes
        if text.strip("{} ")
    ]
