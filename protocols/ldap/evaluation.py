"""Filters evaluated on entries, with three values (RFC 4511 4.5.1.7): True, False, None.

None is Undefined: an attribute that is not known or may not be read, a value that does not
fit its syntax, a rule that does not exist. `Not` of Undefined is Undefined, so nobody can
probe what he may not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from protocols.errors import BadSyntax
from protocols.ldap import filters, matching, rules
from protocols.ldap.dn import DN
from protocols.ldap.schema import Schema


class Readable(Protocol):
    """An entry as one identity may read it."""

    @property
    def name(self) -> DN: ...

    def values(self, description: str) -> Iterable[bytes] | None:
        """All values of an attribute, of its subtypes, and with more options than asked for;
        empty if it has none; None if it may not be read."""

    def descriptions(self) -> Iterable[str]:
        """The attributes that may be read."""


Test: TypeAlias = Callable[[Readable], bool | None]
ValueTest: TypeAlias = Callable[[bytes], bool]


def compiled(
    filter: filters.Filter, schema: Schema, special: Callable[[filters.Filter], Test | None] | None = None
) -> Test:
    """A test of entries, with assertion values prepared once.

    special: the server's own test for an item, or None to evaluate it as usual.
    """
    match filter:
        case filters.And(parts):
            return _all([compiled(part, schema, special) for part in parts])
        case filters.Or(parts):
            return _any([compiled(part, schema, special) for part in parts])
        case filters.Not(part):
            return _not(compiled(part, schema, special))
    own = None if special is None else special(filter)
    if own is not None:
        return own
    match filter:
        case filters.Present(attribute):
            return _undefined if schema.attribute(attribute) is None else present(attribute)
        case filters.Extensible(rule, attribute, value, dn_attributes):
            return _extensible(schema, rule, attribute, value, dn_attributes)
        case _:
            try:
                test = value_test(filter, schema)
            except BadSyntax:
                return _undefined
            return _undefined if test is None else some(filter.attribute, test)


def value_test(
    item: filters.Equal
    | filters.Approx
    | filters.GreaterOrEqual
    | filters.LessOrEqual
    | filters.Substrings
    | filters.Extensible,
    schema: Schema,
) -> ValueTest | None:
    """The test of one value an item makes, None if the attribute has no such rule.

    Raises BadSyntax for an assertion value that the rule cannot read.
    """
    attribute = schema.attribute(item.attribute) if item.attribute else None
    if attribute is None:
        return None
    if isinstance(item, filters.Substrings):
        substring = matching.substring(attribute.substrings)
        return None if substring is None else substring.test(item.initial, item.any, item.final)
    if isinstance(item, filters.GreaterOrEqual | filters.LessOrEqual):
        ordering = matching.ordering(attribute.ordering)
        if ordering is None:
            return None
        key, bound = ordering.key, ordering.key(item.value)
        if isinstance(item, filters.LessOrEqual):
            return lambda value: bool(key(value) <= bound)
        return lambda value: bool(key(value) >= bound)
    return _equals(attribute.equality, item.value)


def _equals(rule: str, value: bytes) -> ValueTest | None:
    equality = matching.equality(rule)
    if equality is None:
        return None
    key, asserted = equality.key, equality.assertion(value)
    return lambda value: key(value) == asserted


def _undefined(entry: Readable) -> None:
    return None


def present(attribute: str) -> Test:
    """Whether there is any value."""

    def test(entry: Readable) -> bool | None:
        values = entry.values(attribute)
        return None if values is None else any(True for _ in values)

    return test


def some(attribute: str, matches: ValueTest) -> Test:
    """Whether any value matches."""

    def test(entry: Readable) -> bool | None:
        values = entry.values(attribute)
        return None if values is None else _any_value(values, matches)

    return test


def _any_value(values: Iterable[bytes], matches: ValueTest) -> bool | None:
    outcome: bool | None = False
    for value in values:
        try:
            if matches(value):
                return True
        except BadSyntax:
            outcome = None
    return outcome


def _not(part: Test) -> Test:
    def test(entry: Readable) -> bool | None:
        outcome = part(entry)
        return None if outcome is None else not outcome

    return test


def _all(parts: list[Test]) -> Test:
    def test(entry: Readable) -> bool | None:
        outcome: bool | None = True
        for part in parts:
            one = part(entry)
            if one is False:
                return False
            if one is None:
                outcome = None
        return outcome

    return test


def _any(parts: list[Test]) -> Test:
    def test(entry: Readable) -> bool | None:
        outcome: bool | None = False
        for part in parts:
            one = part(entry)
            if one:
                return True
            if one is None:
                outcome = None
        return outcome

    return test


def _extensible(
    schema: Schema, rule: str | None, attribute: str | None, value: bytes, dn_attributes: bool
) -> Test:
    """RFC 4511 4.5.1.7.7: by the rule of a name (`rules`), or the attribute's own equality rule."""

    def test_for(name: str) -> ValueTest | None:
        """The test for values of one attribute, None if the rule does not apply to it."""
        known = schema.attribute(name)
        if known is None:
            return None
        if found is None:
            return _equals(known.equality, value)
        return by_rule if rules.applies(found, known) else None

    try:
        found = rules.named(rule) if rule else None
        if rule and found is None:
            return _undefined
        by_rule = None if found is None else rules.test_of(found, value)
        fixed = test_for(attribute) if attribute else None
    except BadSyntax:
        return _undefined
    if attribute and fixed is None:
        return _undefined

    def test(entry: Readable) -> bool | None:
        outcomes: list[bool | None] = []
        for name in [attribute] if attribute else entry.descriptions():
            matches = fixed or test_for(name)
            if matches is not None:
                values = entry.values(name)
                outcomes.append(None if values is None else _any_value(values, matches))
        if dn_attributes:
            outcomes.append(_in_name(entry.name, attribute))
        return True if True in outcomes else None if None in outcomes else False

    def _in_name(name: DN, wanted: str | None) -> bool | None:
        """The AVAs of the DN count as values (":dn")."""
        below = schema.subtypes(wanted) if wanted else frozenset()
        outcome: bool | None = False
        for rdn in name.rdns:
            for ava in rdn.avas:
                known = schema.attribute(ava.type)
                if known is None or (wanted and known.name.lower() not in below):
                    continue
                matches = fixed or test_for(ava.type)
                one = _any_value([ava.value.encode()], matches) if matches else False
                if one:
                    return True
                outcome = None if one is None else outcome
        return outcome

    return test
