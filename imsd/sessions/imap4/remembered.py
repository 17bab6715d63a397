"""What searches have learned of content, by its id, for the next search.

Content never changes, so neither does this. All memories are bounded; the oldest go first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FIELDS: Final = (b"subject", b"from", b"to", b"cc", b"bcc")
"""The fields that are remembered; the others are asked for too seldom."""
ABSENT: Final = "\n"
"""Instead of the text of a field that is not there: no field's text has a line end."""
DAYS: Final = 500_000
CHARACTERS: Final = 16 << 20
"""Of all fields together."""
LONGEST: Final = 4096
"""Characters of the fields of one message that are worth remembering."""
SORT_OCTETS: Final = 64 << 20
"""Of all that `SortKeys` keeps: some 50,000 usual messages."""
SORT_EACH: Final = 700
"""Octets that one takes besides its texts."""
UNDATED: Final = -(1 << 50)

_PLACES: Final = {name: place for place, name in enumerate(FIELDS)}


class Remembered:
    """days: the day of the Date field in its own zone, since the epoch. fields: the folded
    values of `FIELDS`, those of one name joined by line ends."""

    def __init__(self) -> None:
        self.days: dict[int, int] = {}
        self.fields: dict[int, tuple[str, ...]] = {}
        self._characters = 0

    @staticmethod
    def place(name: bytes) -> int:
        """Where the field is in the values, or -1."""
        return _PLACES.get(name, -1)

    def learn_day(self, blob: int, day: int) -> None:
        days = self.days
        if len(days) >= DAYS:
            for old in list(days)[: DAYS // 10]:
                del days[old]
        days[blob] = day

    def learn_fields(self, blob: int, values: Mapping[bytes, list[str]]) -> None:
        """values: of every one of `FIELDS`, folded."""
        kept = tuple("\n".join(values[name]) if values[name] else ABSENT for name in FIELDS)
        size = sum(map(len, kept))
        if size > LONGEST or blob in self.fields:
            return
        self.fields[blob] = kept
        self._characters += size
        if self._characters > CHARACTERS:
            for old in list(self.fields)[: len(self.fields) // 10 + 1]:
                self._characters -= sum(map(len, self.fields.pop(old)))


class SortKeys:
    """What SORT and THREAD ask of content, by its id: `arranging.Kept`.

    A sender decides how long his fields are, so it is octets that are counted, not messages.
    """

    def __init__(self, most: int = SORT_OCTETS) -> None:
        self._most = most
        self._kept: dict[int, tuple[Any, int]] = {}
        self.octets = 0

    def get(self, blob: int) -> Any:
        """None where it is not remembered."""
        found = self._kept.get(blob)
        return None if found is None else found[0]

    def keep(self, blob: int, what: tuple[Any, ...], size: int) -> None:
        """size: octets of its texts."""
        if blob in self._kept:
            return
        self._kept[blob] = what, size + SORT_EACH
        self.octets += size + SORT_EACH
        if self.octets > self._most:
            for old in list(self._kept)[: len(self._kept) // 10 + 1]:
                self.octets -= self._kept.pop(old)[1]
