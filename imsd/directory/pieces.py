"""Values one behind the other, in which a part is looked for.

A `Body` is made of values in their order, in pieces of some hundred. What stands near is alike, so a piece
has few of all the groups of three octets there are; which pieces have which is noted. Those that have all
groups of a part are mostly the few that have the part, too, and `bytes.find` says so.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from imsd.store.ids import EntryId

PIECE: Final = 1 << 11
"""Octets of a piece of a body."""
SURE: Final = 8
"""Pieces that are sooner looked at than left out."""

Gram = tuple[int, int, int]


class Piece:
    """Values one behind the other, each with a NUL before it, and whose they are."""

    __slots__ = ("entries", "starts", "text")

    def __init__(self, text: bytes, starts: array[int], entries: array[int]) -> None:
        self.text = text
        self.starts = starts
        self.entries = entries

    @property
    def octets(self) -> int:
        return len(self.text) + 12 * len(self.starts)

    def find(self, part: bytes, found: dict[EntryId, None], most: int) -> None:
        """Note the entries that have the part, until there are `most`."""
        text, starts, entries = self.text, self.starts, self.entries
        at = text.find(part)
        while at >= 0 and len(found) < most:
            number = bisect_right(starts, at)
            found[EntryId(entries[number - 1])] = None
            if number == len(starts):
                return
            at = text.find(part, starts[number])

    def joined(self, other: Piece) -> Piece:
        behind = len(self.text)
        starts = self.starts + array("I", [behind + start for start in other.starts])
        return Piece(self.text + other.text, starts, self.entries + other.entries)


def pieces(rows: Iterable[tuple[str, int]], size: int) -> Iterator[Piece]:
    """Of values and whose they are."""
    text, starts, entries = bytearray(), array("I"), array("q")
    for value, entry_id in rows:
        starts.append(len(text))
        entries.append(entry_id)
        text.append(0)
        text += value.encode()
        if len(text) >= size:
            yield Piece(bytes(text), starts, entries)
            text, starts, entries = bytearray(), array("I"), array("q")
    if starts:
        yield Piece(bytes(text), starts, entries)


class Body:
    """Many values. Nothing of it changes once it is made."""

    __slots__ = ("_grams", "octets", "pieces")

    def __init__(self, of: Iterable[Piece], most: int) -> None:
        """Raises MemoryError for more octets than that."""
        self.pieces: list[Piece] = []
        self.octets = 0
        grams: dict[Gram, array[int]] = {}
        for number, piece in enumerate(of):
            self.pieces.append(piece)
            has = _grams(piece.text)
            self.octets += piece.octets + 4 * len(has)
            if self.octets > most:
                raise MemoryError
            for gram in has:
                held = grams.get(gram)
                if held is None:
                    grams[gram] = array("I", (number,))
                else:
                    held.append(number)
        self.octets += 200 * len(grams)
        self._grams = grams

    def find(self, part: bytes, found: dict[EntryId, None], most: int) -> None:
        """Note the entries that have the part, until there are `most`."""
        for number in self._may_have(part):
            self.pieces[number].find(part, found, most)
            if len(found) >= most:
                return

    def _may_have(self, part: bytes) -> Iterable[int]:
        """Numbers of the pieces that have every three octets of the part."""
        if len(part) < 3:
            return range(len(self.pieces))
        held = [self._grams.get(gram, ()) for gram in _grams(part)]
        held.sort(key=len)
        numbers = set(held[0])
        for others in held[1:]:
            if len(numbers) <= SURE:
                break
            numbers.intersection_update(others)
        return sorted(numbers)


def _grams(text: bytes) -> set[Gram]:
    return set(zip(text, text[1:], text[2:], strict=False))
