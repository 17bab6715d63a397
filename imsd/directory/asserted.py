"""What a filter asserts of entries: its items, and those that name entries, which compare them.

A filter is prepared once (`search`), and then only tested.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from imsd.directory import schema
from imsd.directory.access import Policy
from imsd.directory.attributes import Definition, Kept, Visible
from imsd.directory.planner import Names, Plan
from imsd.directory.view import FOLLOWING, View
from protocols.errors import BadSyntax
from protocols.ldap import evaluation, filters
from protocols.ldap.evaluation import Readable, Test, ValueTest


@dataclass(frozen=True, slots=True)
class Prepared:
    """A filter ready to run. fetched: what a view must have at hand to evaluate it."""

    test: Test
    plan: Plan | None
    fetched: frozenset[str]
    key: Hashable = None
    """What it was made of."""


def names_entries(wanted: Definition) -> bool:
    return wanted.kept in (Kept.REFERENCE, Kept.BACKLINK) or wanted.key == "entrydn"


def equal_to(item: filters.Filter) -> bytes | None:
    """The value that the item compares with by the attribute's own equality rule: an extensible match
    that names no rule does so as well (RFC 4511 4.5.1.7.7)."""
    match item:
        case filters.Equal(_, value) | filters.Approx(_, value):
            return value
        case filters.Extensible(None, str(), value, False):
            return value
    return None


def items(item: filters.Filter) -> Iterator[filters.Filter]:
    match item:
        case filters.And(parts) | filters.Or(parts):
            for part in parts:
                yield from items(part)
        case filters.Not(part):
            yield from items(part)
        case _:
            yield item


def follows(asked: filters.Filter) -> bool:
    """Do other entries, or logins, decide what the filter is of an entry?"""
    for item in items(asked):
        attribute: str | None = getattr(item, "attribute", None)
        if attribute is None:
            return True  # a rule alone asks for every attribute
        wanted = schema.definition(attribute)
        if wanted is not None and not FOLLOWING.isdisjoint(schema.covered(wanted.key)):
            return True
    return False


def by_entry(item: filters.Filter, names: Names) -> Test | None:
    """Equality of names compares entries, so either suffix will do (rule 14)."""
    value = equal_to(item)
    attribute = getattr(item, "attribute", None)
    wanted = schema.definition(attribute) if value is not None and attribute else None
    if value is None or wanted is None or not names_entries(wanted):
        return None
    if (wanted.key, value) not in names:
        return lambda view: None
    target = names[wanted.key, value]

    def test(view: Readable) -> bool | None:
        assert isinstance(view, View)
        if not view.reads(wanted):
            return None
        if wanted.key == "entrydn":
            return view.entry.id == target
        return target is not None and target in view.ids(wanted)

    return test


def by_value(item: filters.Filter, policy: Policy) -> Test | None:
    """The test of an attribute whose values stand in the entry, without the detours of `View.values`."""
    attribute = getattr(item, "attribute", None)
    wanted = schema.definition(attribute) if attribute and not isinstance(item, filters.Extensible) else None
    if (
        attribute is None
        or wanted is None
        or wanted.kept not in (Kept.VALUE, Kept.VIEW)
        or wanted.options
        or len(schema.covered(wanted.key)) > 1
    ):
        return None
    key, least = wanted.key, policy.least(wanted)
    if isinstance(item, filters.Present):
        return _present(attribute, key, least)
    try:
        matches = evaluation.value_test(item, schema.SCHEMA)  # type: ignore[arg-type]
    except BadSyntax:
        return None
    return None if matches is None else _some(attribute, key, least, matches)


def _present(attribute: str, key: str, least: Visible) -> Test:
    otherwise = evaluation.present(attribute)

    def test(view: Readable) -> bool | None:
        assert isinstance(view, View)
        entry = view.entry
        if entry.tagged:
            return otherwise(view)
        return None if view.rights < least else bool(entry.user.get(key))

    return test


def _some(attribute: str, key: str, least: Visible, matches: ValueTest) -> Test:
    otherwise = evaluation.some(attribute, matches)

    def test(view: Readable) -> bool | None:
        assert isinstance(view, View)
        entry = view.entry
        if entry.tagged:
            return otherwise(view)
        if view.rights < least:
            return None
        outcome: bool | None = False
        for value in entry.user.get(key, ()):
            try:
                if matches(value):
                    return True
            except BadSyntax:
                outcome = None
        return outcome

    return test
