"""From a filter to the entries that may match it.

1. A plan is lookups in the index whose union holds every entry for which the filter can be
   True; each entry found is evaluated all the same, so a plan may find too many, never too few.
2. AND takes the cheapest plan of its parts; OR needs one for each part; NOT, ordering and
   matching rules by name have none. Without a plan the scope is walked.
3. An attribute that the viewer cannot read in general is never planned by (rule 25).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from imsd.directory import schema
from imsd.directory.attributes import Definition, Kept
from imsd.store.ids import EntryId
from protocols.errors import BadSyntax
from protocols.ldap import filters, matching, rules


@dataclass(frozen=True, slots=True)
class Lookup:
    """how: "equal", "starting", "containing", "present" with text; "referring", "referred" or
    "entry" with a target, None for a name that is no entry here."""

    how: str
    key: str
    text: str = ""
    target: EntryId | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    cost: int
    lookups: tuple[Lookup, ...]


NOTHING = Plan(0, ())
"""For what can never be True."""

Names: TypeAlias = dict[tuple[str, bytes], EntryId | None]
"""Entries that DN assertions (key, value) name, None where there is none to be seen."""

_UNSELECTIVE = frozenset({"objectclass", "hide-from-address-book", "o", "ou", "l", "company"})


class Planner:
    def __init__(self, readable: Callable[[Definition], bool], names: Names) -> None:
        self._readable = readable
        self._names = names

    def plan(self, item: filters.Filter) -> Plan | None:
        """None: walk the scope."""
        match item:
            case filters.And(parts):
                plans = [made for part in parts if (made := self.plan(part)) is not None]
                return min(plans, key=lambda made: made.cost, default=None)
            case filters.Or(parts):
                return self._either([self.plan(part) for part in parts])
            case filters.Equal(attribute, value) | filters.Approx(attribute, value):
                return self._on(attribute, lambda key: self._equal(key, value))
            case filters.Extensible(None, str(attribute), value, False):
                return self._on(attribute, lambda key: self._equal(key, value))
            case filters.Extensible(str(rule)) if rules.named(rule) is None:
                return NOTHING  # no such rule: Undefined
            case filters.Present(attribute):
                return self._on(attribute, _present)
            case filters.Substrings():
                return self._on(item.attribute, lambda key: _substrings(key, item))
        return None

    def _either(self, plans: list[Plan | None]) -> Plan | None:
        found: dict[Lookup, None] = {}
        cost = 0
        for made in plans:
            if made is None:
                return None
            found.update(dict.fromkeys(made.lookups))
            cost += made.cost
        return Plan(cost, tuple(found))

    def _on(self, attribute: str, make: Callable[[str], Plan | None]) -> Plan | None:
        """The plan for an attribute with its subtypes."""
        wanted = schema.definition(attribute)
        if wanted is None:
            return NOTHING  # not recognised: Undefined
        if not self._readable(wanted):
            return None
        keys = schema.covered(wanted.key)
        return self._either([make(key) for key in keys])

    def _equal(self, key: str, value: bytes) -> Plan | None:
        wanted = schema.definition(key)
        assert wanted is not None
        if wanted.kept is Kept.REFERENCE or wanted.kept is Kept.BACKLINK or key == "entrydn":
            if (key, value) not in self._names:
                return NOTHING  # no name: Undefined
            target = self._names[key, value]
            if target is None:
                return NOTHING
            if key == "entrydn":
                return Plan(1, (Lookup("entry", key, target=target),))
            if wanted.kept is Kept.REFERENCE:
                return Plan(2, (Lookup("referring", key, target=target),))
            return Plan(2, (Lookup("referred", wanted.backlink_of.lower(), target=target),))
        if not wanted.indexed:
            return None
        text = schema.index_text(key, value)
        if text is None:
            return NOTHING  # not a value of the syntax: Undefined
        return Plan(60 if key in _UNSELECTIVE else 1, (Lookup("equal", key, text),))


def _present(key: str) -> Plan | None:
    wanted = schema.definition(key)
    assert wanted is not None
    if not wanted.indexed or key in ("objectclass", "entryuuid"):
        return None
    return Plan(80, (Lookup("present", key),))


def _substrings(key: str, item: filters.Substrings) -> Plan | None:
    wanted = schema.definition(key)
    assert wanted is not None
    rule = matching.substring(_substring_rule(key))
    if not wanted.indexed or rule is None:
        return None
    try:
        if item.initial:
            text = _single(rule.initial(item.initial))
            if text:
                return Plan(10 if len(text) > 1 else 40, (Lookup("starting", key, text),))
        parts = [_single(rule.middle(part)) for part in item.any]
        if item.final:
            parts.append(_single(rule.final(item.final)))
    except BadSyntax:
        return NOTHING
    longest = max(parts, key=len, default="")
    return Plan(50, (Lookup("containing", key, longest),)) if longest else None


def _substring_rule(key: str) -> str:
    found = schema.SCHEMA.attribute(key)
    return found.substrings if found else ""


def _single(prepared: str) -> str:
    """A prepared part as it stands in an indexed value: single spaces, none at the ends."""
    return prepared.replace("  ", " ").strip()
