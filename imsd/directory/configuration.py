"""`cn=Configuration`: the settings as entries, for administrators alone.

    cn=Configuration                        all of it
    cn=ldap,cn=Configuration                one property page, with what holds for the site
    cn=mail.a.test,cn=ldap,cn=Configuration what a server has of its own

It is a naming context of its own, which the root DSE calls `configContext`: a search of the
organisation does not pass through it, and copies of the directory do not carry it. Nothing
is stored here: the entries are made of `LiveSettings`, and a change is checked by the page's own rules
and written where `imsctl settings` writes. A value that is taken away is as it was before it was set.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID, uuid5

from imsd.directory import matched, schema, settingtypes
from imsd.directory.changes import Change, Given, Modification
from imsd.directory.narrowing import recognised
from imsd.directory.schema import definition
from imsd.directory.settingtypes import Setting
from imsd.directory.sorting import CannotSort, Order, Sorted, window
from imsd.directory.tree import SUBSCHEMA, parse
from imsd.directory.view import asked_for
from imsd.directory.working import Working, known
from imsd.errors import (
    AssertionFailed,
    ConstraintViolation,
    EntryExists,
    InvalidSyntax,
    NamingViolation,
    NoSuchEntry,
    NotAllowedOnNonLeaf,
    ObjectClassViolation,
    TryLater,
    UnwillingToPerform,
)
from imsd.settings.live import Key, LiveSettings
from imsd.store import settings as rows
from imsd.store.ids import EntryId
from imsd.store.transaction import Unit
from protocols.ldap import evaluation, filters
from protocols.ldap.controls import Controls, sort_control, view_control
from protocols.ldap.dn import DN
from protocols.ldap.messages import Control, Scope, SearchRequest
from protocols.ldap.responses import encode_attribute, encode_entry
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.selection import selection

NAME: Final = "cn=Configuration"
_TOP: Final = "cn=configuration"
_SPACE: Final = UUID(int=138592333518402008670400618459309967027)


def holds(name: DN) -> bool:
    """Is it the name of something here?"""
    return bool(name.rdns) and name.rdns[-1].normal == _TOP


@dataclass(frozen=True)
class Node:
    """One entry. server: whose own values these are, "" for the site's."""

    dn: str
    values_by_key: dict[str, tuple[bytes, ...]]
    below: int = 0
    section: str = ""
    server: str = ""

    @cached_property
    def name(self) -> DN:
        return parse(self.dn)

    def values(self, description: str) -> Iterable[bytes] | None:
        wanted = definition(description)
        if wanted is None or wanted.options:
            return None if wanted is None else ()
        return [value for key in schema.covered(wanted.key) for value in self.values_by_key.get(key, ())]

    def descriptions(self) -> Iterable[str]:
        return list(self.values_by_key)

    def encoded(
        self, attributes: tuple[str, ...], types_only: bool = False, shown: matched.Matched | None = None
    ) -> bytes:
        """A SearchResultEntry."""
        parts = []
        for key, values in self.values_by_key.items():
            known_type = definition(key)
            assert known_type is not None, key
            if asked_for(selection(attributes), known_type):
                kept = values if shown is None else shown.of(known_type, values)
                parts.append(encode_attribute(known_type.wire, () if types_only else kept))
        return encode_entry(self.dn.encode(), b"".join(parts))


class Configuration:
    """The entries as the settings stand. Whoever asks is an administrator: that is decided before."""

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings
        self._nodes: dict[str, Node] = {}
        settings.on_change(self._nodes.clear)

    # Entries ---------------------------------------------------------------------------

    def nodes(self) -> dict[str, Node]:
        """Every entry by its normal name, each after the one it is below."""
        if not self._nodes:
            made = self._made()
            self._nodes.update((node.name.normal, node) for node in made)
        return self._nodes

    def _made(self) -> list[Node]:
        own: dict[str, dict[str, list[str]]] = {}
        stored = self._settings.stored()
        for text in stored:
            key = Key.of(text)
            if key.server:
                own.setdefault(key.section, {}).setdefault(key.server, []).append(key.field)
        pages = []
        for section, page in self._settings.sections.items():
            servers = own.get(section, {})
            site = {name: self._json(f"{section}.{name}") for name in page.model_fields}
            text = " ".join((page.__doc__ or "").split())
            pages.append(self._node(section, "", site, text, len(servers)))
            for server, fields in sorted(servers.items()):
                held = {name: stored[f"{section}.{name}@{server}"] for name in sorted(fields)}
                pages.append(self._node(section, server, held, "", 0))
        top = {"objectclass": (b"top", b"container"), "cn": (b"Configuration",)}
        return [_completed(NAME, top, len(self._settings.sections), "container"), *pages]

    def _json(self, text: str) -> Any:
        key = Key.of(text)
        page = self._settings.sections[key.section]
        value = self._settings.find(text)[1]
        return page.model_construct(**{key.field: value}).model_dump(mode="json", include={key.field})[
            key.field
        ]

    def _node(self, section: str, server: str, values: dict[str, Any], text: str, below: int) -> Node:
        own = settingtypes.class_name(section)
        held: dict[str, tuple[bytes, ...]] = {
            "objectclass": (b"top", settingtypes.BASE_CLASS.encode(), own.encode()),
            "cn": ((server or section).encode(),),
        }
        if text:
            held["description"] = (text.encode(),)
        for setting in settingtypes.of_section(section):
            if setting.field in values:
                shown = settingtypes.shown(setting.form, values[setting.field])
                if shown:
                    held[setting.definition.key] = shown
        name = f"cn={section},{NAME}"
        return _completed(f"cn={server},{name}" if server else name, held, below, own, section, server)

    def find(self, name: str) -> Node:
        """Raises InvalidDN, NoSuchEntry with the deepest entry that exists."""
        wanted = parse(name)
        found = self.nodes().get(wanted.normal)
        if found is not None:
            return found
        above = wanted
        while len(above) > 1:
            above = above.parent
            nearest = self.nodes().get(above.normal)
            if nearest is not None:
                raise NoSuchEntry(matched=nearest.dn)
        raise NoSuchEntry

    # Reading ---------------------------------------------------------------------------

    async def search(
        self, request: SearchRequest, controls: Controls, note: Callable[[Control], None]
    ) -> AsyncGenerator[bytes, None]:
        """As `Search.run`. Raises what that raises."""
        base = self.find(request.base)
        if controls.sync is not None or controls.persistent is not None:
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Changes of settings are not followed")
        if controls.assertion is not None:
            self._assert(base, controls.assertion)
        if controls.subentries:
            return
        test = evaluation.compiled(recognised(request.filter), schema.SCHEMA)
        inside = [node for node in self.nodes().values() if _within(node, base, request.scope)]
        found = [node for node in inside if test(node) is True]
        if controls.sort:
            found = _sorted(found, controls, note)
        shown = None if controls.matched_values is None else matched.Matched(controls.matched_values)
        for node in found:
            yield node.encoded(request.attributes, request.types_only, shown)
            yield b""

    def _assert(self, node: Node, asserted: filters.Filter) -> None:
        if evaluation.compiled(recognised(asserted), schema.SCHEMA)(node) is not True:
            raise AssertionFailed

    def compare(self, name: str, item: filters.Equal, assertion: filters.Filter | None) -> bool | None:
        """Raises NoSuchEntry. None: it has no such attribute."""
        node = self.find(name)
        if assertion is not None:
            self._assert(node, assertion)
        if not node.values(item.attribute):
            return None
        return evaluation.compiled(recognised(item), schema.SCHEMA)(node)

    # Writing ---------------------------------------------------------------------------

    def modifying(
        self,
        name: str,
        modifications: Sequence[Modification],
        assertion: filters.Filter | None,
        permissive: bool,
    ) -> Callable[[Unit], None]:
        """A change of a page as a step of a unit. Raises what an update may be refused with."""
        node = self.find(name)
        if assertion is not None:
            self._assert(node, assertion)
        if not node.section:
            raise UnwillingToPerform("Nothing of this entry can be changed")
        working = Working(EntryId(0), node.name.rdn)
        working.attributes = {key: list(values) for key, values in node.values_by_key.items()}
        touched: dict[str, Setting] = {}
        for each in modifications:
            wanted = known(each.attribute)
            setting = _of_page(node, wanted.key)
            touched[wanted.key] = setting
            _apply(working, setting, each, permissive)
        return self._writing(node.section, node.server, working, touched)

    def adding(self, name: str, given: Given) -> Callable[[Unit], None]:
        """Values that a server has of its own; pages are there already."""
        wanted = parse(name)
        if wanted.normal in self.nodes():
            raise EntryExists
        above = self.find(str(wanted.parent)) if len(wanted) > 1 else None
        rdn = wanted.rdn
        if above is None or not above.section or above.server or not rdn.normal.startswith("cn="):
            raise NamingViolation("A server's own values stand below a page, as cn=SERVER")
        node = Node(name, {}, 0, above.section, Key.of(f"{above.section}.@{rdn.value}").server)
        working = Working(EntryId(0), rdn)
        touched: dict[str, Setting] = {}
        for description, values in given:
            found = known(description)
            if found.key in ("objectclass", "cn"):
                continue
            touched[found.key] = _of_page(node, found.key)
            working.add(found, list(values))
        if not touched:
            raise ObjectClassViolation("A server has one value of its own at least")
        return self._writing(node.section, node.server, working, touched)

    def deleting(self, name: str, assertion: filters.Filter | None) -> Callable[[Unit], None]:
        """What a server had of its own is the site's again."""
        node = self.find(name)
        if assertion is not None:
            self._assert(node, assertion)
        if node.below:
            raise NotAllowedOnNonLeaf
        if not node.server:
            raise UnwillingToPerform("A page stays; take away the values that are to be as they were")
        gone = self._settings.own(node.server, node.section)
        return _step({}, tuple(gone), {})

    def _writing(
        self, section: str, server: str, working: Working, touched: dict[str, Setting]
    ) -> Callable[[Unit], None]:
        put: dict[str, str] = {}
        gone: list[str] = []
        stored = self._settings.stored()
        before = {}
        for key, setting in touched.items():
            text = f"{section}.{setting.field}" + (f"@{server}" if server else "")
            self._settings.find(text)  # raises where there is no such setting of servers
            if text not in self._settings.rejected:
                before[text] = stored.get(text)
            values = working.attributes.get(key, [])
            if not values:
                gone.append(text)
                continue
            if setting.form.single and len(values) > 1:
                raise ConstraintViolation(f"{setting.definition.type.name}: one value")
            for value in values:
                schema.check(setting.definition, value)
            try:
                former = stored.get(text)
                if former is None and not server:
                    former = self._json(text)
                made = settingtypes.read(setting.form, values, former)
            except ValueError as error:
                raise InvalidSyntax(f"{setting.definition.type.name}: {error}") from None
            row, checked = self._settings.parse(text, json.dumps(made))
            put[row] = checked
        return _step(put, tuple(gone), before)


def _completed(
    name: str, held: dict[str, tuple[bytes, ...]], below: int, own: str, section: str = "", server: str = ""
) -> Node:
    """With its operational attributes."""
    held["entrydn"] = (name.encode(),)
    held["entryuuid"] = (str(uuid5(_SPACE, name.lower())).encode(),)
    held["structuralobjectclass"] = (own.encode(),)
    held["subschemasubentry"] = (SUBSCHEMA.encode(),)
    held["numsubordinates"] = (b"%d" % below,)
    held["hassubordinates"] = (b"TRUE" if below else b"FALSE",)
    return Node(name, held, below, section, server)


def _of_page(node: Node, key: str) -> Setting:
    setting = settingtypes.BY_KEY.get(key)
    if setting is None and key in node.values_by_key:
        raise UnwillingToPerform(f"{key}: not to be changed here")
    if setting is None or setting.section != node.section:
        raise ObjectClassViolation(f"{key}: no setting of this page")
    return setting


def _apply(working: Working, setting: Setting, change: Modification, permissive: bool) -> None:
    wanted, values = setting.definition, list(change.values)
    present = {schema.normal(wanted.key, value) for value in working.attributes.get(wanted.key, ())}
    if permissive and change.change in (Change.ADD, Change.DELETE):
        adding = change.change is Change.ADD
        left = [each for each in values if (schema.normal(wanted.key, each) in present) is not adding]
        if (values and not left) or (not adding and not present):
            return
        values = left
    match change.change:
        case Change.ADD:
            if not values:
                raise InvalidSyntax(f"{wanted.type.name}: a value is needed")
            working.add(wanted, values)
        case Change.DELETE:
            working.remove(wanted, values)
        case Change.REPLACE:
            working.replace(wanted, values)
        case Change.INCREMENT:
            working.increment(wanted, values)


def _step(put: dict[str, str], gone: tuple[str, ...], before: dict[str, Any]) -> Callable[[Unit], None]:
    def step(unit: Unit) -> None:
        held = rows.values(unit)
        for text, value in before.items():
            now = held.get(text)
            if (None if now is None else json.loads(now)) != value:
                raise TryLater("Somebody else changed it at the same time")
        rows.change(unit, put, gone)

    return step


def _within(node: Node, base: Node, scope: Scope) -> bool:
    if scope is Scope.BASE:
        return node is base
    if scope is Scope.ONE:
        return len(node.name) > 1 and node.name.parent.normal == base.name.normal
    if node is base:
        return scope is not Scope.CHILDREN
    return node.name.normal.endswith("," + base.name.normal)


def _sorted(found: list[Node], controls: Controls, note: Callable[[Control], None]) -> list[Node]:
    """In the order asked for, or the part of the list (RFC 2891, draft vlv-09). Raises Failed."""
    try:
        order = Order(controls.sort)
        ordered: list[Sorted] = sorted((order.of(node), EntryId(at)) for at, node in enumerate(found))
        start, stop = 0, len(ordered)
        if controls.view is not None:
            part = window(controls.view, ordered, order)
            start, stop = part.start, part.stop
            note(view_control(part.position, part.count, ResultCode.SUCCESS))
    except CannotSort as error:
        note(sort_control(error.result, error.attribute))
        if controls.view is not None:
            note(view_control(0, len(found), error.result))
        if controls.sort_critical or controls.view is not None:
            raise Failed(ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, "Cannot sort by this") from None
        return found
    note(sort_control(ResultCode.SUCCESS))
    return [found[at] for _, at in ordered[start:stop]]
