"""What a plug-in said, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from imsd.plugins.threads import PluginFailed

MOST_FIELDS: Final = 3_000
"""Octets of all fields that plug-ins add to a message: what a copy begins with has 4 KiB."""

_FIELD: Final = re.compile(r"([!-9;-~]{1,76}):[ \t]*([ -~]{0,900})")


@dataclass(frozen=True, slots=True)
class Answer:
    """word: "", refuse, later or discard. fields: lines with their ends."""

    word: str = ""
    text: str = ""
    fields: tuple[str, ...] = ()


def answer(said: Any, whole: bool = False) -> Answer:
    """whole: a message is asked about, which may be discarded and get fields. Raises PluginFailed."""
    if said is None:
        return Answer()
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list | tuple) or not all(isinstance(each, str) for each in texts):
        raise PluginFailed(f"it answered with {type(said).__name__} and not with a text")
    fields: list[str] = []
    for each in texts:
        word, _, rest = each.partition(":")
        word = word.strip().lower()
        if word in ("refuse", "later"):
            return Answer(word, _printable(rest.strip()))
        if word == "discard" and whole and not rest:
            return Answer(word)
        if word == "field" and whole and (found := _FIELD.fullmatch(rest.strip())):
            fields.append(f"{found[1]}: {found[2].strip()}\r\n")
        elif each.strip():
            raise PluginFailed(f"it answered {each[:100]!r}, which is no answer")
    return Answer(fields=tuple(fields))


def _printable(text: str) -> str:
    """It goes into a reply: one line of printable ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:200]
