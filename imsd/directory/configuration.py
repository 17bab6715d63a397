"""`cn=Configuration`: the settings as entries, for administrators alone.

    cn=Configuration                        all of it
    cn=ldap,cn=Configuration                one property page, with what holds for the site
    cn=mail.a.test,cn=ldap,cn=Configuration what a server has of its own

It is a naming context of its own, which the root DSE calls `configContext`: a search of the
organisation does not pass through it, and copies of the directory do not carry it. Nothing
is stored here: the entries are made of `LiveSettings`, and a change (`settingchanges`) is checked by the
page's own rules and written where `imsctl settings` writes. A value that is taken away is as it was before
it was set. Copies are kept by `settingcopies`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID, uuid5

from imsd.directory import matched, schema, settingtypes
from imsd.directory.narrowing import recognised
from imsd.directory.schema import definition
from imsd.directory.sorting import CannotSort, Order, Sorted, window
from imsd.directory.tree import SUBSCHEMA, parse
from imsd.directory.view import asked_for
from imsd.errors import (
    AssertionFailed,
    NoSuchEntry,
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


def names(text: str) -> bool:
    """The same of what may be no name at all."""
    return _TOP.rpartition("=")[2] in text[-32:].lower() and "=" in text and holds(parse(text))


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
        self.settings = settings
        self._pages: dict[str, dict[str, Node]] = {}
        settings.on_change(self._pages.clear)

    def of_unit(self, unit: Unit) -> Configuration:
        """As a unit finds the settings."""
        return Configuration(self.settings.with_rows(rows.values(unit)))

    # Entries ---------------------------------------------------------------------------

    def nodes(self) -> dict[str, Node]:
        """Every entry by its normal name, each after the one it is below."""
        found: dict[str, Node] = {}
        for section in ("", *self.settings.sections):
            found.update(self._page(section))
        return found

    def _page(self, section: str) -> dict[str, Node]:
        """A page with what servers have of their own; the topmost entry for ""."""
        known = self._pages.get(section)
        if known is None:
            made = self._made(section) if section else [self._top()]
            known = self._pages[section] = {node.name.normal: node for node in made}
        return known

    def _top(self) -> Node:
        top = {"objectclass": (b"top", b"container"), "cn": (b"Configuration",)}
        return _completed(NAME, top, len(self.settings.sections), "container")

    def _made(self, section: str) -> list[Node]:
        page = self.settings.sections[section]
        servers: dict[str, dict[str, Any]] = {}
        for text, value in self.settings.stored().items():
            key = Key.of(text)
            if key.server and key.section == section:
                servers.setdefault(key.server, {})[key.field] = value
        site = {name: self.value(f"{section}.{name}") for name in page.model_fields}
        text = " ".join((page.__doc__ or "").split())
        own = [self._node(section, server, held, "", 0) for server, held in sorted(servers.items())]
        return [self._node(section, "", site, text, len(servers)), *own]

    def value(self, text: str) -> Any:
        """What holds for the site, as JSON has it."""
        key = Key.of(text)
        page = self.settings.sections[key.section]
        value = self.settings.find(text)[1]
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

    def _found(self, wanted: DN) -> Node | None:
        """The entry of a name, of its own page alone: no other is made for that."""
        section = wanted.rdns[-2].value.lower() if len(wanted) > 1 else ""
        if section and section not in self.settings.sections:
            return None
        return self._page(section).get(wanted.normal)

    def has(self, wanted: DN) -> bool:
        return self._found(wanted) is not None

    def find(self, name: str) -> Node:
        """Raises InvalidDN, NoSuchEntry with the deepest entry that exists."""
        wanted = parse(name)
        found = self._found(wanted)
        if found is not None:
            return found
        above = wanted
        while len(above) > 1:
            above = above.parent
            nearest = self._found(above)
            if nearest is not None:
                raise NoSuchEntry(matched=nearest.dn)
        raise NoSuchEntry

    # Reading ---------------------------------------------------------------------------

    async def search(
        self, request: SearchRequest, controls: Controls, note: Callable[[Control], None]
    ) -> AsyncGenerator[bytes, None]:
        """As `Search.run`. Raises what that raises."""
        base = self.find(request.base)
        if controls.assertion is not None:
            self.assert_that(base, controls.assertion)
        if controls.subentries:
            return
        shown = None if controls.matched_values is None else matched.Matched(controls.matched_values)
        found = self.matching(request)
        if controls.sort:
            found = _sorted(found, controls, note)
        for node in found:
            yield node.encoded(request.attributes, request.types_only, shown)
            yield b""

    def matching(self, request: SearchRequest) -> list[Node]:
        """What a search finds. Raises NoSuchEntry."""
        base = self.find(request.base)
        test = evaluation.compiled(recognised(request.filter), schema.SCHEMA)
        inside = [node for node in self.nodes().values() if _within(node, base, request.scope)]
        return [node for node in inside if test(node) is True]

    def assert_that(self, node: Node, asserted: filters.Filter) -> None:
        """Raises AssertionFailed unless the filter is True of the entry (RFC 4528)."""
        if evaluation.compiled(recognised(asserted), schema.SCHEMA)(node) is not True:
            raise AssertionFailed

    def compare(self, name: str, item: filters.Equal, assertion: filters.Filter | None) -> bool | None:
        """Raises NoSuchEntry. None: it has no such attribute."""
        node = self.find(name)
        if assertion is not None:
            self.assert_that(node, assertion)
        if not node.values(item.attribute):
            return None
        return evaluation.compiled(recognised(item), schema.SCHEMA)(node)


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
