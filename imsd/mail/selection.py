"""Which connector carries a message: best fit, then the order of route selection (ims_spec 3.2).

1. A pattern is compared with the whole address, without case. Fits, best first: the same string; one
   with wildcards, more literal characters first; a part of the address, the longer first; an empty
   pattern, which takes any address of its type. So `*` goes before an empty one at any cost.
2. Among equally good fits a connector comes later by which the message came in (its `inbound_hosts` name
   the host that brought it), then one that does not send now, then one whose link is down (the other's
   schedule is active sooner), then one that is in trouble, then one that has tried more often, then one of
   higher cost; then as they are listed.
3. Which connectors are left out before that: those out of whose scope the originator is, and those
   that do not accept from him.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from imsd.settings.connectors import AddressSpace, Connector

Fit = tuple[int, int]
"""Rank and what is better within it; the smaller the better."""


def fit(pattern: str, address: str) -> Fit | None:
    """How well a pattern fits an address, both in lower case."""
    if not pattern:
        return (4, 0)
    if "*" in pattern:
        return (2, -(len(pattern) - pattern.count("*"))) if _compiled(pattern).match(address) else None
    if pattern == address:
        return (1, 0)
    return (3, -len(pattern)) if pattern in address else None


@lru_cache(4_096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Between two wildcards the shortest match is enough: no pattern makes this slower than squared.
    parts = [re.escape(part) for part in re.split(r"\*+", pattern)]
    return re.compile(r".*?".join(parts) + r"\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of an address space that fits. place: of its connector in the list."""

    connector: Connector
    space: AddressSpace
    fit: Fit
    place: int
    site: str = ""

    def __str__(self) -> str:
        what = f"site {self.site}" if self.site else f"{self.space.type}:{self.space.pattern or '(empty)'}"
        return f"connector {self.connector.name}, {what}, cost {self.space.cost}"


def candidates(connectors: Sequence[Connector], kind: str, address: str) -> list[Candidate]:
    """Every row that fits an address of a type (kind, in capitals)."""
    wanted, found = address.strip().lower(), []
    for place, connector in enumerate(connectors):
        for space in connector.address_space:
            if space.type != kind:
                continue
            fits = [each for each in (fit(pattern, wanted) for pattern in space.patterns) if each is not None]
            if fits:
                found.append(Candidate(connector, space, min(fits), place))
    return found


@dataclass(slots=True)
class Condition:
    """How connectors are doing. trouble: names of those that could not be reached lately. closed: of
    those that wait for their link. came_by: of those by which the message came in."""

    trouble: frozenset[str] = frozenset()
    attempts: int = 0
    lowest_cost_only: bool = False
    closed: frozenset[str] = frozenset()
    came_by: frozenset[str] = frozenset()


@dataclass(slots=True)
class Choice:
    """The candidate that won, and why each other one did not."""

    chosen: Candidate
    lost: list[tuple[Candidate, str]] = field(default_factory=list)


def choose(found: Sequence[Candidate], condition: Condition) -> Choice:
    """The best of the candidates that are left; there must be one."""
    best = min(each.fit for each in found)
    equal = [each for each in found if each.fit == best]
    lost = [(each, "another address space fits better") for each in found if each.fit != best]
    if condition.lowest_cost_only:
        cost = min(each.space.cost for each in equal)
        lost += [(each, "only the lowest cost is used") for each in equal if each.space.cost != cost]
        equal = [each for each in equal if each.space.cost == cost]

    by_cost = sorted(equal, key=lambda each: (each.space.cost, each.place))
    # Each attempt goes to the connector with the fewest so far: they take turns, cheapest first.
    turn = condition.attempts % len(by_cost)
    tried = {id(each): number < turn for number, each in enumerate(by_cost)}

    def order(each: Candidate) -> tuple[bool, bool, bool, bool, bool, int, int]:
        name = each.connector.name
        return (
            name in condition.came_by,
            not each.connector.takes,
            name in condition.closed,
            name in condition.trouble,
            tried[id(each)],
            each.space.cost,
            each.place,
        )

    ranked = sorted(equal, key=order)
    first = order(ranked[0])
    words = (
        "brought it in",
        "does not send now",
        "waits for its link",
        "is in trouble",
        "has tried it more often",
        "costs more",
        "is listed later",
    )
    for each in ranked[1:]:
        differs = [word for word, a, b in zip(words, first, order(each), strict=True) if a != b]
        lost.append((each, f"it {(differs or words[-1:])[0]}"))
    return Choice(ranked[0], lost)
