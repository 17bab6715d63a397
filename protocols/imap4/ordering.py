"""SORT: messages in the order of criteria (RFC 5256, RFC 5957, RFC 6203 6).

Long sorts are done in runs that are merged, with pauses between, so that nobody waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

RUN = 2000
AT_ONCE = 10_000
"""Messages in runs that are merged without a pause."""
PAUSE = 500


class Traits(NamedTuple):
    """What SORT and THREAD ask of a message. Text is mapped by a comparator.

    sent: the sent date, or the internal date where there is none. base: the base subject;
    answer: its subject is that of a reply or forward. sender, to, cc: mailbox of the first
    address; display_from, display_to: RFC 5957 3. Times in microseconds.
    distance: 100 less the relevancy (RFC 6203 6), so that the most relevant comes first.
    """

    arrival: int
    sent: int
    size: int
    base: bytes
    answer: bool
    sender: bytes
    to: bytes
    cc: bytes
    display_from: bytes
    display_to: bytes
    message_id: bytes
    references: tuple[bytes, ...]
    distance: int = 0


class SortKey(Enum):
    """sort-key (RFC 5256 5, RFC 5957 5, RFC 6203 7) and its place in Traits."""

    ARRIVAL = 0
    DATE = 1
    SIZE = 2
    SUBJECT = 3
    FROM = 5
    TO = 6
    CC = 7
    DISPLAYFROM = 8
    DISPLAYTO = 9
    RELEVANCY = 12


@dataclass(frozen=True, slots=True)
class Criterion:
    key: SortKey
    reverse: bool = False


def precedes(
    one: tuple[Traits | None, int], other: tuple[Traits | None, int], criteria: Sequence[Criterion]
) -> bool:
    """Whether one message, its traits and its UID, stands before another. Where content is gone
    only the UID is left."""
    mine, theirs = one[0], other[0]
    if mine is not None and theirs is not None:
        for criterion in criteria:
            left: Any = mine[criterion.key.value]
            right: Any = theirs[criterion.key.value]
            if left != right:
                return bool(left < right) is not criterion.reverse
    return one[1] < other[1]


async def arrange(
    traits: Sequence[Traits], criteria: Sequence[Criterion], breathe: Callable[[], Awaitable[None]]
) -> Sequence[int]:
    """The places of the messages in order; equal ones stay as they were."""
    order: Sequence[int] = range(len(traits))
    # The last criterion first: each sort keeps what was put in order before it.
    for criterion in reversed(criteria):
        values = list(map(itemgetter(criterion.key.value), traits))
        order = await _sorted(order, values.__getitem__, criterion.reverse, breathe)
    return order


async def _sorted(
    order: Sequence[int],
    value: Callable[[int], Any],
    reverse: bool,
    breathe: Callable[[], Awaitable[None]],
) -> list[int]:
    runs: list[list[int]] = []
    for start in range(0, len(order), RUN):
        runs.append(sorted(order[start : start + RUN], key=value, reverse=reverse))
        await breathe()
    if len(runs) < 2:
        return runs[0] if runs else []
    if len(order) <= AT_ONCE:
        # Runs that are in order are joined in a few milliseconds, and keep the order of equals.
        return sorted(chain.from_iterable(runs), key=value, reverse=reverse)
    found: list[int] = []
    for place in heapq.merge(*runs, key=value, reverse=reverse):
        found.append(place)
        if not len(found) % PAUSE:
            await breathe()
    return found
