"""A part of results by their places (RFC 9394, RFC 5267 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.imap4.grammar import Cursor


@dataclass(frozen=True, slots=True)
class Range:
    """partial-range (RFC 9394 4): places from `first` to `last`, from 1 upwards, or
    backwards from the end where they are negative. text: as the client wrote it."""

    first: int
    last: int
    text: bytes

    @classmethod
    def parse(cls, cursor: Cursor) -> Range:
        start = cursor.position
        sign = -1 if cursor.skip(b"-") else 1
        first = cursor.number()
        cursor.expect(b":")
        if sign < 0:
            cursor.expect(b"-")
        last = cursor.number()
        if not first or not last:
            cursor.position = start
            raise cursor.fail("a range from 1")
        low, high = sorted((first, last))
        return cls(sign * low, sign * high, cursor.data[start : cursor.position])

    @property
    def size(self) -> int:
        """Places in the range."""
        return abs(self.last - self.first) + 1

    def of(self, numbers: Sequence[int]) -> Sequence[int]:
        """Those numbers, in the order in which they are."""
        if self.first > 0:
            return numbers[self.first - 1 : self.last]
        count = len(numbers)
        return numbers[max(count + self.last, 0) : max(count + self.first + 1, 0)]
