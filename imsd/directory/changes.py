"""Changes of an entry, as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Change(IntEnum):
    """RFC 4511 4.6; INCREMENT is RFC 4525."""

    ADD = 0
    DELETE = 1
    REPLACE = 2
    INCREMENT = 3


@dataclass(frozen=True, slots=True)
class Modification:
    change: Change
    attribute: str
    values: tuple[bytes, ...]


Given = Sequence[tuple[str, Sequence[bytes]]]
"""Attribute descriptions with values."""
