"""Search filters (RFC 4511 4.5.1.7) as values, and their text (RFC 4515).

Evaluation against an entry is in `evaluation`; the BER form in `requests`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class And:
    """All of `filters`; with none, true (RFC 4526)."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of `filters`; with none, false (RFC 4526)."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    filter: Filter


@dataclass(frozen=True, slots=True)
class Equal:
    """equalityMatch."""

    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Substrings:
    """At least one of the three is given; None means not asked for."""

    attribute: str
    initial: bytes | None = None
    any: tuple[bytes, ...] = ()
    final: bytes | None = None


@dataclass(frozen=True, slots=True)
class GreaterOrEqual:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class LessOrEqual:
    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Present:
    attribute: str


@dataclass(frozen=True, slots=True)
class Approx:
    """approxMatch; served as equality."""

    attribute: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Extensible:
    """extensibleMatch: `rule` or `attribute` or both (RFC 4511 4.5.1.7.7)."""

    rule: str | None
    attribute: str | None
    value: bytes
    dn_attributes: bool = False


Filter: TypeAlias = (
    And | Or | Not | Equal | Substrings | GreaterOrEqual | LessOrEqual | Present | Approx | Extensible
)
