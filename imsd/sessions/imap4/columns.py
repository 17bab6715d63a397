"""Keys evaluated over many messages at once, on the columns of the mailbox index.

A run is some messages of a segment. For each of them a key may be true, or must be: two sets,
each an octet of 0 or 1 for each message in one long number, so that AND, OR and NOT of whole runs
are operations on numbers. Where a message may match and need not, it is looked at by itself
(`searching`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from imsd.sessions.imap4 import marks
from imsd.sessions.imap4.dates import DAY, days
from imsd.sessions.imap4.narrowing import Narrowed
from imsd.sessions.imap4.remembered import ABSENT, Remembered
from imsd.store.flags import LOW_KEYWORDS, SEEN
from imsd.store.segments import Segment
from protocols.imap4 import keys
from protocols.imap4.keys import Key
from protocols.imap4.sets import Ranges
from protocols.message.collation import fold

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

RUN = 1024
"""Messages at once: about a millisecond of `KEYS` keys. Where there are more keys, fewer messages."""
KEYS = 16
LEAST = 64


def at_once(key: Key) -> int:
    """How many messages a run of this search has at most."""
    return min(RUN, max(LEAST, RUN * KEYS // max(1, sum(1 for _ in keys.leaves(key)))))


_BITS = {bit: bytes(bool(flags & bit) for flags in range(256)) for bit in (1, 2, 4, 8, 16)}


@dataclass(frozen=True, slots=True)
class Run:
    """Messages from `start` to before `stop` of a segment. position: in the view, of the first;
    the others follow it without a gap, or it is -1."""

    segment: Segment
    start: int
    stop: int
    position: int

    def __len__(self) -> int:
        return self.stop - self.start


Marks = tuple[int, int]
"""(may, must)"""
Column = Callable[[Run], Marks]


@lru_cache(maxsize=2048)
def every(count: int) -> int:
    """All of a run."""
    return int.from_bytes(b"\1" * count, "little")


def marked(octets: Iterable[int]) -> int:
    """A set from its octets."""
    return int.from_bytes(bytes(octets), "little")


def places(marks: int, count: int) -> Sequence[int]:
    """The members of a set."""
    if marks == every(count):
        return range(count)
    octets = marks.to_bytes(count, "little")
    found: list[int] = []
    at = octets.find(1)
    while at >= 0:
        found.append(at)
        at = octets.find(1, at + 1)
    return found


def _certain(marks: int) -> Marks:
    return marks, marks


class Columns:
    """The columns of one search's keys."""

    def __init__(
        self,
        view: View,
        narrowed: Narrowed,
        remembered: Remembered,
        fuzzily: Collection[Key] = (),
        plain: bool = True,
    ) -> None:
        """fuzzily: the keys whose words the index was asked for. plain: the comparator is the one
        that texts are remembered by."""
        self._view = view
        self._narrowed = narrowed
        self._remembered = remembered
        self._fuzzily = fuzzily
        self._plain = plain
        self._names = {name.lower(): bit for bit, name in enumerate(view.index.names)}

    def compile(self, key: Key) -> Column:
        match key:
            case keys.All():
                return lambda run: _certain(every(len(run)))
            case keys.Flag(name, present):
                return self._flag(name, present)
            case keys.Recent(present):
                return _wanted(present, lambda run: _among(self._view.recents, run))
            case keys.Larger(size):
                return lambda run: _certain(
                    marked([one > size for one in run.segment.sizes[run.start : run.stop]])
                )
            case keys.Smaller(size):
                return lambda run: _certain(
                    marked([one < size for one in run.segment.sizes[run.start : run.stop]])
                )
            case keys.Internal(when, day):
                low, high = days(when, day)
                return _dated(low * DAY, high * DAY)
            case keys.Within(seconds, older):
                limit = self._view.held.now() - seconds * 1_000_000
                return _dated(-(1 << 62), limit + 1) if older else _dated(limit + 1, 1 << 62)
            case keys.ModSeqAtLeast(value):
                return lambda run: _certain(
                    marked([one >= value for one in run.segment.modseqs[run.start : run.stop]])
                )
            case keys.Numbers(which):
                ranges = which.resolve(self._view.told.last if which.uid else len(self._view.told))
                return (lambda run: _certain(_among(ranges, run))) if which.uid else _numbered(ranges)
            case keys.Sent(when, day):
                return self._sent(*days(when, day))
            case keys.Header(name, text):
                return self._header(key, name.encode("ascii", "replace").lower(), fold(text))
            case keys.Body() | keys.Text():
                return lambda run: (self._not_denied(key, run), 0)
            case keys.Fuzzy() if key in self._fuzzily:
                return lambda run: (self._not_denied(key, run), 0)
            case keys.Not(inner):
                return _negation(self.compile(inner))
            case keys.Or(left, right):
                return _any(self.compile(left), self.compile(right))
            case keys.And(inner_keys):
                return _all([self.compile(one) for one in inner_keys])
            case _:
                return _unknown

    def _flag(self, name: bytes, present: bool) -> Column:
        bit = marks.SYSTEM_BITS.get(name.lower())
        if bit is None:
            number = self._names.get(name.decode("ascii", "replace").lower())
            if number is None:
                return _wanted(present, lambda run: 0)
            return _wanted(present, lambda run: _keyword(number, run))
        view, table = self._view, _BITS[bit]
        if bit == SEEN and view.reader is not None:
            overlay = tuple(view.index.overlays.get(view.reader, ()))
            return _wanted(present, lambda run: _system(table, run) | _among(overlay, run))
        return _wanted(present, lambda run: _system(table, run))

    def _not_denied(self, key: Key, run: Run) -> int:
        """Those of which the search index does not say that the key is not true."""
        blobs = self._narrowed.keys.get(key)
        if blobs is None:
            return every(len(run))
        upto, partial = self._narrowed.matches.upto, self._narrowed.matches.partial
        return marked(
            [
                blob in blobs or blob > upto or blob in partial
                for blob in run.segment.blobs[run.start : run.stop]
            ]
        )

    def _sent(self, low: int, high: int) -> Column:
        known = self._remembered.days.get

        def column(run: Run) -> Marks:
            found = [known(blob) for blob in run.segment.blobs[run.start : run.stop]]
            must = marked([day is not None and low <= day < high for day in found])
            return must | marked([day is None for day in found]), must

        return column

    def _header(self, key: Key, name: bytes, wanted: str) -> Column:
        place = self._remembered.place(name)
        if not self._plain or place < 0 or "\n" in wanted:
            return lambda run: (self._not_denied(key, run), 0)
        known = self._remembered.fields.get

        def column(run: Run) -> Marks:
            may = self._not_denied(key, run)
            blobs = run.segment.blobs
            octets = bytearray(len(run))
            unknown = bytearray(len(run))
            for at in places(may, len(run)):
                values = known(blobs[run.start + at])
                if values is None:
                    unknown[at] = 1
                elif wanted in values[place] and values[place] != ABSENT:
                    octets[at] = 1
            must = marked(octets)
            return must | marked(unknown), must

        return column


def _unknown(run: Run) -> Marks:
    return every(len(run)), 0


def _system(table: bytes, run: Run) -> int:
    return int.from_bytes(run.segment.flags[run.start : run.stop].tobytes().translate(table), "little")


def _keyword(number: int, run: Run) -> int:
    segment = run.segment
    if number >= LOW_KEYWORDS:
        high = number - LOW_KEYWORDS
        uids = segment.uids[run.start : run.stop]
        return marked([segment.high.get(uid, 0) >> high & 1 for uid in uids]) if segment.high else 0
    return marked([bits >> number & 1 for bits in segment.keywords[run.start : run.stop]])


def _among(ranges: Sequence[tuple[int, int]], run: Run) -> int:
    """Those whose UID is in ascending ranges."""
    uids, start, stop = run.segment.uids, run.start, run.stop
    return _covered(
        ranges, uids[start], uids[stop - 1], len(run),
        lambda low: bisect_left(uids, low, start, stop) - start,
        lambda high: bisect_right(uids, high, start, stop) - start,
    )  # fmt: skip


def _covered(
    ranges: Sequence[tuple[int, int]],
    lowest: int,
    highest: int,
    count: int,
    lower: Callable[[int], int],
    upper: Callable[[int], int],
) -> int:
    octets = bytearray(count)
    at = max(bisect_right(ranges, (lowest, 1 << 64)) - 1, 0)
    while at < len(ranges) and ranges[at][0] <= highest:
        low, high = ranges[at]
        if high >= lowest:
            start, stop = lower(max(low, lowest)), upper(min(high, highest))
            octets[start:stop] = b"\1" * (stop - start)
        at += 1
    return marked(octets)


def _numbered(ranges: Ranges) -> Column:
    """Message numbers; of a run with gaps they are not known here."""

    def column(run: Run) -> Marks:
        if run.position < 0:
            return _unknown(run)
        first, count = run.position + 1, len(run)
        return _certain(
            _covered(
                ranges,
                first,
                first + count - 1,
                count,
                lambda low: low - first,
                lambda high: high - first + 1,
            )
        )

    return column


def _dated(low: int, high: int) -> Column:
    return lambda run: _certain(
        marked([low <= moment < high for moment in run.segment.dates[run.start : run.stop]])
    )


def _wanted(present: bool, having: Callable[[Run], int]) -> Column:
    if present:
        return lambda run: _certain(having(run))
    return lambda run: _certain(having(run) ^ every(len(run)))


def _negation(column: Column) -> Column:
    def negated(run: Run) -> Marks:
        may, must = column(run)
        both = every(len(run))
        return must ^ both, may ^ both

    return negated


def _any(left: Column, right: Column) -> Column:
    def some(run: Run) -> Marks:
        may, must = left(run)
        other_may, other_must = right(run)
        return may | other_may, must | other_must

    return some


def _all(columns: Sequence[Column]) -> Column:
    def each(run: Run) -> Marks:
        may = must = every(len(run))
        for column in columns:
            other_may, other_must = column(run)
            may, must = may & other_may, must & other_must
            if not may:
                break
        return may, must & may

    return each
