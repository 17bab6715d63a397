"""How much somebody did lately: counts by key over a window that moves, in bounded memory.

Two buckets a key. What is used is what the present bucket holds, and of the one before it the share
that the window still covers. The least recently seen key goes first. Time, in seconds, is given.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MOST: Final = 50_000
"""Keys of one table."""


@dataclass(slots=True)
class _Slot:
    bucket: int = 0
    present: float = 0
    before: float = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What a key has used of its window; refused: how often it wanted more, in the present bucket."""

    key: str
    used: int
    refused: int


class Pace:
    """window: seconds."""

    __slots__ = ("_most", "_slots", "window")

    def __init__(self, window: float, most: int = MOST) -> None:
        self.window = window
        self._most = most
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def used(self, key: str, now: float) -> float:
        slot = self._slots.get(key)
        return 0 if slot is None else self._used(slot, now)

    def add(self, key: str, amount: float, now: float) -> float:
        """Count something that happened; what is used now."""
        slot = self._slot(key, now)
        slot.present += amount
        return self._used(slot, now)

    def take(self, key: str, amount: float, limit: float, now: float) -> bool:
        """Count it if that stays within the limit; whether it does. Who has used nothing may always: a
        limit below one message is a limit of one message."""
        slot = self._slot(key, now)
        used = self._used(slot, now)
        if used and used + amount > limit:
            slot.refused += 1
            return False
        slot.present += amount
        return True

    def refuse(self, key: str, now: float) -> None:
        """Note that somebody wanted more than he may."""
        self._slot(key, now).refused += 1

    def forget(self, key: str) -> bool:
        return self._slots.pop(key, None) is not None

    def over(self, limit: float, now: float) -> list[Used]:
        """Who was refused in this bucket, or has reached the limit; the busiest first, 100 at most."""
        found = []
        for key, slot in self._slots.items():
            used = self._used(slot, now)
            if used >= limit or slot.refused:
                found.append(Used(key, round(used), slot.refused))
        return sorted(found, key=lambda each: -each.used)[:100]

    def _slot(self, key: str, now: float) -> _Slot:
        slot = self._slots.get(key)
        bucket = int(now // self.window)
        if slot is None:
            if len(self._slots) >= self._most:
                self._slots.popitem(last=False)
            slot = self._slots[key] = _Slot(bucket)
        else:
            self._slots.move_to_end(key)
            self._turn(slot, bucket)
        return slot

    def _turn(self, slot: _Slot, bucket: int) -> None:
        if slot.bucket == bucket:
            return
        slot.before = slot.present if slot.bucket == bucket - 1 else 0
        slot.present = slot.refused = 0
        slot.bucket = bucket

    def _used(self, slot: _Slot, now: float) -> float:
        self._turn(slot, int(now // self.window))
        return slot.present + slot.before * (1 - (now % self.window) / self.window)
