"""What the index answers: which blobs may hold which texts, and of which it knows nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Matches:
    """heads, bodies: for each text asked for, the blobs whose header or body may hold it.
    A text that the index cannot help with is not among them."""

    upto: int = 0
    partial: Collection[int] = frozenset()
    heads: Mapping[str, frozenset[int]] = field(default_factory=dict)
    bodies: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def open(self, blob: int) -> bool:
        """Whether nothing is known of the blob."""
        return blob > self.upto or blob in self.partial


NONE = Matches()


@dataclass(frozen=True, slots=True)
class State:
    """upto: rule 3. documents, partial: how many blobs. octets: the index on disk."""

    upto: int = 0
    documents: int = 0
    partial: int = 0
    octets: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "indexed": self.documents, "read_when_searched": self.partial,
            "upto": self.upto, "octets": self.octets,
        }  # fmt: skip


class Unusable(Exception):
    """The index is damaged, or cannot be opened; it is made anew."""
