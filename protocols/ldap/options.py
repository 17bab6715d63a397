"""Options of attribute descriptions (RFC 4512 2.5): language tags and ranges (RFC 3866), `binary` (RFC 4522).

A description with more options is a subtype of one with fewer (RFC 4512 2.5.2). A range names
tags by their beginning: it is only asked for, never stored (RFC 3866 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

BINARY: Final = "binary"
MOST: Final = 8
"""Options of one description."""

# language-tag-option = "lang-" Primary-subtag *( "-" Subtag )
_TAG: Final = re.compile(r"lang-[a-z]{1,8}(?:-[a-z0-9]{1,8})*")
# language-range-option = "lang-" [ Language-Tag "-" ]
_RANGE: Final = re.compile(r"lang-(?:[a-z]{1,8}(?:-[a-z0-9]{1,8})*-)?")


def split(description: str) -> tuple[str, tuple[str, ...]]:
    """The type, and its options in lower case and in order, each once."""
    base, *options = description.split(";")
    return base, tuple(sorted({option.lower() for option in options}))


def is_tag(option: str) -> bool:
    return _TAG.fullmatch(option) is not None


def is_range(option: str) -> bool:
    return _RANGE.fullmatch(option) is not None


def covers(asked: Iterable[str], own: Iterable[str]) -> bool:
    """Has an attribute with its own options each of those asked for (RFC 3866 2.2, 3.1)?"""
    present = tuple(own)
    return all(
        any(f"{each}-".startswith(option) for each in present) if option.endswith("-") else option in present
        for option in asked
    )
