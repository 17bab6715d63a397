"""What of the messages found is told: RETURN options of SEARCH and SORT (RFC 4731, RFC 5182,
RFC 5267, RFC 9051 6.4.4, RFC 9394)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4.grammar import Cursor
from protocols.imap4.interfaces import Found
from protocols.imap4.sets import SequenceSet, encode_numbers

OPTIONS: Final = frozenset({b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE"})


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


@dataclass(frozen=True, slots=True)
class Returned:
    """The options of RETURN in the client's order."""

    options: tuple[bytes, ...] = (b"ALL",)
    partial: Range | None = None

    @classmethod
    def parse(cls, cursor: Cursor) -> Returned | None:
        """`RETURN (...) `, if that comes next."""
        if not cursor.keyword(b"RETURN"):
            return None
        cursor.space()
        options: list[bytes] = []
        partial = None
        for _ in cursor.items():
            start = cursor.position
            option = cursor.word()
            if option == b"PARTIAL" and partial is None:
                cursor.space()
                partial = Range.parse(cursor)
            elif option not in OPTIONS:
                cursor.position = start
                raise cursor.fail("MIN, MAX, ALL, COUNT, SAVE or PARTIAL")
            options.append(option)
        if partial is not None and b"ALL" in options:
            raise cursor.fail("ALL or PARTIAL")
        cursor.space()
        # An empty list asks for ALL (RFC 9051 6.4.4).
        return cls(tuple(dict.fromkeys(options)) or (b"ALL",), partial)

    @property
    def saves(self) -> bool:
        return b"SAVE" in self.options

    @property
    def silent(self) -> bool:
        return self.options == (b"SAVE",)

    def to_save(self, uids: Sequence[int]) -> Iterable[int]:
        """RFC 9051 6.4.4.1, RFC 9394 3.2: MIN, MAX and PARTIAL save no more than they tell."""
        if b"ALL" in self.options or b"COUNT" in self.options or self.silent or not uids:
            return uids
        return sorted(self._told(uids))

    def _told(self, uids: Sequence[int]) -> set[int]:
        """The UIDs told by MIN, MAX and PARTIAL."""
        told: set[int] = set() if self.partial is None else set(self.partial.of(uids))
        if b"MIN" in self.options:
            told.add(uids[0])
        if b"MAX" in self.options:
            told.add(uids[-1])
        return told

    def data(self, numbers: Sequence[int]) -> list[bytes]:
        """search-return-data; MIN, MAX and ALL are left out when nothing was found."""
        data = []
        for option in self.options:
            if option == b"COUNT":
                data.append(b"COUNT %d" % len(numbers))
            elif option == b"PARTIAL":
                assert self.partial is not None
                some = self.partial.of(numbers)
                data.append(b"PARTIAL (%b %b)" % (self.partial.text, encode_numbers(some) or b"NIL"))
            elif numbers and option == b"MIN":
                data.append(b"MIN %d" % numbers[0])
            elif numbers and option == b"MAX":
                data.append(b"MAX %d" % numbers[-1])
            elif numbers and option == b"ALL":
                data.append(b"ALL " + encode_numbers(numbers))
        return data

    def modseq(self, uids: Sequence[int], found: Found, view: Any) -> int:
        """RFC 7162 3.1.10: with MIN, MAX or PARTIAL alone it is that of the messages told."""
        if b"ALL" in self.options or b"COUNT" in self.options:
            return found.modseq
        told = self._told(uids)
        if not told:
            return found.modseq
        which = SequenceSet(tuple((uid, uid) for uid in told), uid=True)
        return max((row.modseq for rows in view.rows(which) for row in rows), default=found.modseq)
