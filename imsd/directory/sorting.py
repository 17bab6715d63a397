"""Sorted answers (RFC 2891), and leafing through them (draft-ietf-ldapext-ldapv3-vlv-09).

What is sorted are keys and entry ids; entries are read again when they are given. A key that the viewer
may not read is as one that is not there (rule 25), and that is the largest of all (RFC 2891
2.2); of several values the least counts.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from imsd.directory import schema
from imsd.directory.view import FETCHED
from imsd.store.ids import EntryId
from protocols.errors import BadSyntax
from protocols.ldap import matching
from protocols.ldap.controls import ListView, SortKey
from protocols.ldap.evaluation import Readable
from protocols.ldap.results import ResultCode

RUN: Final = 2_000
"""Entries sorted at once: a few milliseconds."""

Part = tuple[Any, ...]
Sorted = tuple[tuple[Part, ...], EntryId]

_ABSENT: Final[Part] = (1,)


class CannotSort(Exception):
    """The sortResult, and the attribute it is about."""

    def __init__(self, result: ResultCode, attribute: str = "") -> None:
        super().__init__(f"{result.name} {attribute}")
        self.result = result
        self.attribute = attribute


class Backwards(tuple[Any, ...]):
    """A part of a key in reverse order."""

    __slots__ = ()

    def __lt__(self, other: Any) -> bool:
        return tuple.__gt__(self, other)

    def __gt__(self, other: Any) -> bool:
        return tuple.__lt__(self, other)

    def __le__(self, other: Any) -> bool:
        return tuple.__ge__(self, other)

    def __ge__(self, other: Any) -> bool:
        return tuple.__le__(self, other)


@dataclass(frozen=True, slots=True)
class Key:
    attribute: str
    form: Callable[[bytes], Any]
    reverse: bool

    def part(self, view: Readable) -> Part:
        least = None
        for value in view.values(self.attribute) or ():
            try:
                made = self.form(value)
            except BadSyntax:
                continue
            if least is None or made < least:
                least = made
        return self._made(_ABSENT if least is None else (0, least))

    def of(self, value: bytes) -> Part:
        """Raises BadSyntax. Nothing typed is before every text."""
        return self._made((0, self.form(value or b" ")))

    def _made(self, part: Part) -> Part:
        return Backwards(part) if self.reverse else part


class Order:
    """Raises CannotSort for keys that entries cannot be sorted by."""

    def __init__(self, keys: Sequence[SortKey]) -> None:
        self._keys = [_key(key) for key in keys]
        self.fetched = frozenset(
            covered
            for key in self._keys
            if (known := schema.definition(key.attribute))
            for covered in schema.covered(known.key) & FETCHED
        )

    def of(self, view: Readable) -> tuple[Part, ...]:
        return tuple(key.part(view) for key in self._keys)

    def place(self, ordered: Sequence[Sorted], value: bytes) -> int:
        """Where the first entry stands whose first key is the value or comes after it.

        Raises CannotSort for what is no value of that attribute.
        """
        try:
            wanted = self._keys[0].of(value)
        except BadSyntax:
            raise CannotSort(ResultCode.INAPPROPRIATE_MATCHING) from None
        return bisect_left(ordered, wanted, key=lambda each: each[0][0])


def _key(asked: SortKey) -> Key:
    known = schema.definition(asked.attribute)
    found = schema.SCHEMA.attribute(known.key) if known is not None else None
    if found is None:
        raise CannotSort(ResultCode.NO_SUCH_ATTRIBUTE, asked.attribute)
    rule = matching.ordering(asked.rule or found.ordering)
    if rule is None or (asked.rule and rule.syntax != found.syntax):
        raise CannotSort(ResultCode.INAPPROPRIATE_MATCHING, asked.attribute)
    return Key(asked.attribute, rule.key, asked.reverse)


class Sorter:
    """Takes entries in any order; gives them sorted, in slices."""

    def __init__(self) -> None:
        self._runs: list[list[Sorted]] = []
        self._run: list[Sorted] = []
        self.count = 0

    def add(self, parts: tuple[Part, ...], entry: EntryId) -> None:
        self._run.append((parts, entry))
        self.count += 1
        if len(self._run) >= RUN:
            self._close()

    def _close(self) -> None:
        self._run.sort()
        self._runs.append(self._run)
        self._run = []

    def slices(self) -> Iterator[list[Sorted]]:
        """Everything, a slice at a time."""
        self._close()
        made: list[Sorted] = []
        for each in heapq.merge(*self._runs):
            made.append(each)
            if len(made) >= RUN // 4:
                yield made
                made = []
        yield made


@dataclass(frozen=True, slots=True)
class Window:
    """start, stop: what is given. position: of the target, from 1; count: of all."""

    start: int
    stop: int
    position: int
    count: int


def window(asked: ListView, ordered: Sequence[Sorted], order: Order) -> Window:
    """Which part of the list is asked for (draft vlv-09 6.1).

    Raises CannotSort, with OFFSET_RANGE_ERROR for an offset below 1 or beyond the client's count.
    """
    count = len(ordered)
    if asked.value is not None:
        at = order.place(ordered, asked.value)
    else:
        if asked.offset < 1 or (asked.count and asked.offset > asked.count):
            raise CannotSort(ResultCode.OFFSET_RANGE_ERROR)
        if asked.offset == 1:
            at = 0
        elif asked.offset == asked.count:
            at = max(count - 1, 0)
        elif not asked.count or asked.count == count:
            at = min(asked.offset, max(count, 1)) - 1
        else:
            # The list the client knows is longer or shorter: the same share of ours.
            at = min(max(round(count * asked.offset / asked.count), 1), max(count, 1)) - 1
    start = max(at - asked.before, 0)
    stop = min(at + asked.after + 1, count)
    return Window(start, stop, at + 1 if count or asked.value is not None else 0, count)
