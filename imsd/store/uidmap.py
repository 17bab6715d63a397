"""Positions of UIDs: an immutable list of UIDs in chunks, cheap to share and to compare.

The index makes one of its UIDs when they changed; views keep references to it. Chunks of
the index only grow at their end, and are replaced by a copy when something goes from the
middle, so what a map refers to never changes under it: its last chunk counts up to where
the map was made. Two maps of one mailbox are compared chunk by chunk, by identity first,
so that a difference costs what has changed and not what there is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

Chunk = array  # of "I"


class UidMap:
    """Ascending UIDs; position 0 is message number 1."""

    __slots__ = ("chunks", "firsts", "length", "starts")

    def __init__(self, chunks: Sequence[array[int]], length: int) -> None:
        """chunks: not empty ones; length: how many of their UIDs count, all but perhaps
        the end of the last chunk."""
        self.chunks = tuple(chunks)
        self.length = length
        starts: list[int] = []
        at = 0
        for chunk in self.chunks:
            starts.append(at)
            at += len(chunk)
        self.starts = starts
        self.firsts = [chunk[0] for chunk in self.chunks]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: int) -> int:
        if not 0 <= position < self.length:
            raise IndexError(position)
        n = bisect_right(self.starts, position) - 1
        return self.chunks[n][position - self.starts[n]]

    @property
    def last(self) -> int:
        """The greatest UID, or 0."""
        return self[self.length - 1] if self.length else 0

    def _end(self, n: int) -> int:
        """How many UIDs of chunk n count."""
        return min(len(self.chunks[n]), self.length - self.starts[n])

    def lower(self, uid: int) -> int:
        """The position of the first UID that is not less."""
        n = bisect_right(self.firsts, uid) - 1
        if n < 0:
            return 0
        return self.starts[n] + bisect_left(self.chunks[n], uid, 0, self._end(n))

    def position(self, uid: int) -> int:
        """The position of the UID, or -1."""
        n = bisect_right(self.firsts, uid) - 1
        if n < 0:
            return -1
        chunk = self.chunks[n]
        end = self._end(n)
        at = bisect_left(chunk, uid, 0, end)
        return self.starts[n] + at if at < end and chunk[at] == uid else -1

    def slice(self, start: int, stop: int) -> array[int]:
        """UIDs of the positions from start up to stop."""
        found = array("I")
        stop = min(stop, self.length)
        n = max(bisect_right(self.starts, start) - 1, 0)
        while start < stop:
            chunk, base = self.chunks[n], self.starts[n]
            end = min(stop - base, len(chunk))
            found.extend(chunk[start - base : end])
            start = base + end
            n += 1
        return found

    def __iter__(self) -> Iterator[int]:
        for n, chunk in enumerate(self.chunks):
            yield from chunk[: self._end(n)]

    def gone(self, newer: UidMap) -> list[tuple[int, int]]:
        """(position here, UID) of what newer does not have any more, ascending."""
        alive = {id(chunk): n for n, chunk in enumerate(newer.chunks)}
        found: list[tuple[int, int]] = []
        for n, chunk in enumerate(self.chunks):
            end = self._end(n)
            same = alive.get(id(chunk))
            if end <= 0 or (same is not None and newer._end(same) >= end):
                continue
            told = chunk[:end]
            kept = set(newer.slice(newer.lower(told[0]), newer.lower(told[-1] + 1)))
            if len(kept) != end:
                base = self.starts[n]
                found.extend((base + at, uid) for at, uid in enumerate(told) if uid not in kept)
        return found

    def extended(self, uids: Iterable[int]) -> UidMap:
        """This map with greater UIDs after it, apart from the index's chunks."""
        more = array("I", uids)
        if not more:
            return self
        chunks = list(self.chunks)
        if chunks:
            chunks[-1] = chunks[-1][: self._end(len(chunks) - 1)]
        chunks.append(more)
        return UidMap(chunks, self.length + len(more))


EMPTY = UidMap((), 0)
