"""Matched values (RFC 3876): which values of an attribute an answer carries.

A value that may not be read was left out before it comes here (rule 25).
"""

from __future__ import annotations

from dataclasses import dataclass

from imsd.directory import schema
from imsd.directory.attributes import Definition
from protocols.errors import BadSyntax
from protocols.ldap import evaluation, filters, rules
from protocols.ldap.evaluation import ValueTest
from protocols.ldap.rules import Rule


@dataclass(frozen=True, slots=True)
class Item:
    """asked: the attribute it is about, None for all it can read. test: None matches everything."""

    asked: Definition | None
    test: ValueTest | None
    rule: Rule | None = None

    def concerns(self, wanted: Definition) -> bool:
        if self.asked is not None and not schema.stands_for(self.asked, wanted.key):
            return False
        if self.rule is None:
            return self.asked is not None
        found = schema.SCHEMA.attribute(wanted.key)
        return found is not None and rules.applies(self.rule, found)

    def matches(self, value: bytes) -> bool:
        try:
            return self.test is None or self.test(value)
        except BadSyntax:
            return False


class Matched:
    """Implements `imsd.directory.view.MatchedValues`."""

    def __init__(self, items: tuple[filters.Filter, ...]) -> None:
        self._items = [made for item in items if (made := _item(item)) is not None]

    def of(self, wanted: Definition, values: tuple[bytes, ...]) -> tuple[bytes, ...]:
        items = [item for item in self._items if item.concerns(wanted)]
        return tuple(value for value in values if any(item.matches(value) for item in items))


def _item(item: filters.Filter) -> Item | None:
    """None for one that is Undefined for every value."""
    attribute = getattr(item, "attribute", None)
    wanted = schema.definition(attribute) if attribute else None
    if attribute and wanted is None:
        return None
    try:
        match item:
            case filters.Present():
                return Item(wanted, None)
            case filters.Extensible(str(rule), _, value):
                by = rules.named(rule)
                return None if by is None else Item(wanted, rules.test_of(by, value), by)
            case filters.And() | filters.Or() | filters.Not():
                return None
            case _:
                found = evaluation.value_test(item, schema.SCHEMA)
    except BadSyntax:
        return None
    return None if found is None else Item(wanted, found)


def is_dn(wanted: Definition) -> bool:
    found = schema.SCHEMA.attribute(wanted.key)
    return found is not None and found.equality == "distinguishedNameMatch"


def translated(items: tuple[filters.Filter, ...], names: dict[bytes, bytes]) -> tuple[filters.Filter, ...]:
    """Names in items as they are written in the answer (rule 14)."""
    return tuple(
        filters.Equal(item.attribute, names.get(item.value, item.value))
        if isinstance(item, filters.Equal | filters.Approx)
        else item
        for item in items
    )
