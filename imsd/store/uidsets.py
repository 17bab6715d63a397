"""Sets of UIDs as ascending, disjoint ranges, and their text (RFC 9051 9, sequence-set)."""

from collections.abc import Iterable, Iterator

Ranges = list[tuple[int, int]]


def parse(text: str) -> Ranges:
    """The text that `encode` wrote; "" is the empty set."""
    if not text:
        return []
    found: Ranges = []
    for item in text.split(","):
        low, _colon, high = item.partition(":")
        found.append((int(low), int(high or low)))
    return found


def encode(ranges: Ranges) -> str:
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def of(uids: Iterable[int]) -> Ranges:
    """Ascending UIDs as ranges."""
    found: Ranges = []
    for uid in uids:
        if found and found[-1][1] >= uid - 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return found


def union(left: Ranges, right: Ranges) -> Ranges:
    found: Ranges = []
    for low, high in sorted([*left, *right]):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def without(left: Ranges, right: Ranges) -> Ranges:
    found: Ranges = []
    holes = iter(right)
    hole = next(holes, None)
    for low, high in left:
        while hole is not None and hole[1] < low:
            hole = next(holes, None)
        start = low
        while hole is not None and hole[0] <= high:
            if hole[0] > start:
                found.append((start, hole[0] - 1))
            start = hole[1] + 1
            if hole[1] > high:
                break
            hole = next(holes, None)
        if start <= high:
            found.append((start, high))
    return found


def contains(ranges: Ranges, uid: int) -> bool:
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle][1] < uid:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low][0] <= uid


def each(ranges: Ranges) -> Iterator[int]:
    for low, high in ranges:
        yield from range(low, high + 1)
