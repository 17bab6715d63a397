"""Long work of the interpreter done in slices, so that others have their turns (design rule 12).

Work is a generator that pauses often and gives its result at its end; what takes less than a
slice is done at once.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

from protocols.turns import SHORT, SLICE, another_turn, patience

__all__ = ["SLICE", "in_slices"]

T = TypeVar("T")


async def in_slices(work: Generator[None, None, T], clock: Any) -> T:
    """What the work gives."""
    since = time.perf_counter()
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value
        spent = time.perf_counter() - since
        if spent > SHORT and spent > patience(clock):
            await another_turn(clock)
            since = time.perf_counter()
