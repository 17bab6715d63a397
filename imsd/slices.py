"""Long work of the interpreter done in slices, so that others have their turns (design rule 12).

Work is a generator that pauses often and gives its result at its end; what takes less than a
slice is done at once.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

from protocols.turns import another_turn

T = TypeVar("T")

SLICE: Final = 0.002
"""Seconds of work before others have their turn."""


async def in_slices(work: Generator[None, None, T], clock: Any) -> T:
    """What the work gives."""
    since = time.perf_counter()
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value
        if time.perf_counter() - since > SLICE:
            await another_turn(clock)
            since = time.perf_counter()
