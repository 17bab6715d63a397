"""How easy a new password is to guess, by zxcvbn: common passwords, words, names, dates, keyboard walks.

What it looks at is bounded, for its work grows fast: a password is judged by its first 72 characters,
which are many, and a person's own words by the first hundred of them. Best in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 72
MOST_WORDS: Final = 100
_WORD: Final = re.compile(r"[^\W_]{3,40}")


def words_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of names and addresses, each once, as a password may have them."""
    found: dict[str, None] = {}
    for text in texts:
        for word in (text[:LONGEST], *_WORD.findall(text[:1_000])):
            found[word.casefold()] = None
        if len(found) >= MOST_WORDS:
            break
    return tuple(found)[:MOST_WORDS]


def weakness(password: str, words: Iterable[str], least: int) -> str:
    """Why a password is too easy to guess, "" where it is not. words: what others know of its owner.
    least: 0 (any will do) to 4 (very hard)."""
    if not least:
        return ""
    if not password:
        return "It is empty."
    # Here, because its word lists take 20 ms and 5 MB.
    from zxcvbn import zxcvbn

    judged = zxcvbn(password[:LONGEST], user_inputs=[word for word in words if word])
    if judged["score"] >= least:
        return ""
    feedback = judged["feedback"]
    reasons = (feedback["warning"], *feedback["suggestions"])
    return " ".join(text if text.endswith(".") else f"{text}." for text in reasons if text)
