"""Sets of message numbers: ranges, never expanded (RFC 9051 9, sequence-set).

A set of a million elements costs what its text costs; what a set means is only known
against a mailbox, so `*` stays symbolic until `resolve` is told the largest number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

STAR = 0
"""`*`: the largest number in use. Zero is no message number (RFC 9051 9, nz-number)."""

Ranges = tuple[tuple[int, int], ...]


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorts ranges, puts each the right way round, joins those that touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((a, b) if a <= b else (b, a) for a, b in ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def compact(numbers: Iterable[int]) -> Ranges:
    """Ascending numbers as ranges."""
    found: list[tuple[int, int]] = []
    first = last = -1
    for number in numbers:
        if number == last + 1 and last >= 0:
            last = number
            continue
        if last >= 0:
            found.append((first, last))
        first = last = number
    if last >= 0:
        found.append((first, last))
    return tuple(found)


def contains(ranges: Ranges, number: int) -> bool:
    """Whether a merged set holds the number."""
    at = bisect_right(ranges, (number, 1 << 64)) - 1
    return at >= 0 and ranges[at][1] >= number


def common(one: Ranges, other: Ranges) -> Ranges:
    """What two merged sets have in common."""
    found: list[tuple[int, int]] = []
    at = there = 0
    while at < len(one) and there < len(other):
        low, high = max(one[at][0], other[there][0]), min(one[at][1], other[there][1])
        if low <= high:
            found.append((low, high))
        if one[at][1] < other[there][1]:
            at += 1
        else:
            there += 1
    return tuple(found)


def without(one: Ranges, other: Ranges) -> Ranges:
    """What of a merged set is not in another."""
    edges = [0, *(edge for low, high in other for edge in (low - 1, high + 1)), 1 << 64]
    return common(one, tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a <= b))


class Listed(Sequence[int]):
    """The numbers of ranges by their place, without expanding them."""

    __slots__ = ("_ranges", "_starts", "_total")

    def __init__(self, ranges: Ranges) -> None:
        self._ranges = ranges
        self._starts: list[int] = []
        self._total = 0
        for low, high in ranges:
            self._starts.append(self._total)
            self._total += high - low + 1

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, place: Any) -> Any:
        at = bisect_right(self._starts, place) - 1
        if not 0 <= place < self._total:
            raise IndexError(place)
        return self._ranges[at][0] + place - self._starts[at]


def encode_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """Ranges as a sequence-set: `1:3,7`. Order is kept (RFC 4315 3 relies on it)."""
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges).encode()


def encode_numbers(numbers: Sequence[int]) -> bytes:
    """Numbers in the order given as a sequence-set."""
    return encode_ranges(compact(numbers))


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """What the client wrote: ranges of message numbers or of UIDs, STAR for `*`.

    uid: the numbers are UIDs, otherwise message sequence numbers of the view.
    saved: the set was `$`, the saved search result (RFC 9051 6.4.4.1); the session
    replaces it by UIDs before a view sees it.
    """

    ranges: Ranges
    uid: bool = False
    saved: bool = False

    def resolve(self, largest: int) -> Ranges:
        """The set as merged ascending ranges; `n:*` includes the largest number even
        when n is greater (RFC 9051 9, seq-range)."""
        return merge((a or largest, b or largest) for a, b in self.ranges)

    def highest(self, largest: int) -> int:
        """The greatest number named."""
        return max((max(a or largest, b or largest) for a, b in self.ranges), default=0)
