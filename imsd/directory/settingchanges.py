"""Changes of the settings' entries, as rows to be written.

Everything is decided by the settings as the unit of the change finds them: one change sees what
another of the same transaction did (RFC 5805 3.4), and of two administrators at the same time
the second changes what the first has left.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from imsd.directory import schema, settingtypes
from imsd.directory.changes import Given, Modification
from imsd.directory.configuration import Configuration, Node
from imsd.directory.settingtypes import Setting
from imsd.directory.tree import parse
from imsd.directory.working import Working, apply, known
from imsd.errors import (
    ConstraintViolation,
    EntryExists,
    InvalidSyntax,
    NamingViolation,
    NotAllowedOnNonLeaf,
    ObjectClassViolation,
    UnwillingToPerform,
)
from imsd.settings.live import Key
from imsd.store.ids import EntryId
from protocols.ldap import filters


@dataclass(frozen=True, slots=True)
class Rows:
    """What `imsd.store.settings.change` is to write and to forget."""

    put: dict[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()


def modify(
    found: Configuration,
    name: str,
    modifications: Sequence[Modification],
    assertion: filters.Filter | None = None,
    permissive: bool = False,
) -> Rows:
    """A page, or a server's own values, changed. Raises what an update may be refused with."""
    node = found.find(name)
    if assertion is not None:
        found.assert_that(node, assertion)
    if not node.section:
        raise UnwillingToPerform("Nothing of this entry can be changed")
    working = Working(EntryId(0), node.name.rdn)
    working.attributes = {key: list(values) for key, values in node.values_by_key.items()}
    touched: dict[str, Setting] = {}
    for each in modifications:
        wanted = known(each.attribute)
        setting = _of_page(node, wanted.key)
        touched[wanted.key] = setting
        apply(working, setting.definition, each, permissive)
    return _rows(found, node, working, touched)


def add(found: Configuration, name: str, given: Given) -> Rows:
    """Values that a server has of its own; pages are there already."""
    wanted = parse(name)
    if found.has(wanted):
        raise EntryExists
    above = found.find(str(wanted.parent)) if len(wanted) > 1 else None
    rdn = wanted.rdn
    if above is None or not above.section or above.server or not rdn.normal.startswith("cn="):
        raise NamingViolation("A server's own values stand below a page, as cn=SERVER")
    node = Node(name, {}, 0, above.section, Key.of(f"{above.section}.@{rdn.value}").server)
    working = Working(EntryId(0), rdn)
    touched: dict[str, Setting] = {}
    for description, values in given:
        definition = known(description)
        if definition.key in ("objectclass", "cn"):
            continue
        touched[definition.key] = _of_page(node, definition.key)
        working.add(definition, list(values))
    if not touched:
        raise ObjectClassViolation("A server has one value of its own at least")
    return _rows(found, node, working, touched)


def delete(found: Configuration, name: str, assertion: filters.Filter | None = None) -> Rows:
    """What a server had of its own is the site's again."""
    node = found.find(name)
    if assertion is not None:
        found.assert_that(node, assertion)
    if node.below:
        raise NotAllowedOnNonLeaf
    if not node.server:
        raise UnwillingToPerform("A page stays; take away the values that are to be as they were")
    return Rows(gone=tuple(found.settings.own(node.server, node.section)))


def _rows(found: Configuration, node: Node, working: Working, touched: dict[str, Setting]) -> Rows:
    put: dict[str, str] = {}
    gone: list[str] = []
    settings = found.settings
    for key, setting in touched.items():
        text = f"{node.section}.{setting.field}" + (f"@{node.server}" if node.server else "")
        settings.find(text)  # raises where there is no such setting of servers
        values = working.attributes.get(key, [])
        if not values:
            gone.append(text)
            continue
        if setting.form.single and len(values) > 1:
            raise ConstraintViolation(f"{setting.definition.type.name}: one value")
        for value in values:
            schema.check(setting.definition, value)
        try:
            former = settings.stored().get(text)
            if former is None and not node.server:
                former = found.value(text)
            made = settingtypes.read(setting.form, values, former)
        except ValueError as error:
            raise InvalidSyntax(f"{setting.definition.type.name}: {error}") from None
        row, checked = settings.parse(text, json.dumps(made))
        put[row] = checked
    return Rows(put, tuple(gone))


def _of_page(node: Node, key: str) -> Setting:
    setting = settingtypes.BY_KEY.get(key)
    if setting is None and key in node.values_by_key:
        raise UnwillingToPerform(f"{key}: not to be changed here")
    if setting is None or setting.section != node.section:
        raise ObjectClassViolation(f"{key}: no setting of this page")
    return setting
