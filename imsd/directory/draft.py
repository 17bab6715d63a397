"""How a changed entry becomes a valid one.

`finish` brings the views together with what they show, fills in what an older client leaves
out (rule 13), checks the result against the schema, and gives what is to be stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from imsd.directory import certificates, protocols, proxies, referring, schema, searchrights, subschema, tree
from imsd.directory.addressing import Proxy
from imsd.directory.attributes import Kept
from imsd.directory.entry import INNER, RECIPIENTS, Kind
from imsd.directory.working import Rules, Working, known
from imsd.errors import ConstraintViolation, NotAllowedOnRdn, ObjectClassViolation, UnwillingToPerform
from imsd.store.entries import Draft, NameKind

MOST_VALUES = 10_000
"""Values of one attribute that is no reference."""
MOST_TAGGED = 200
"""Attributes of one entry that have options."""


# From classes to a kind ------------------------------------------------------------------

_COMPANIONS = {
    Kind.MAILBOX: ("inetOrgPerson", "Mailbox"),
    Kind.CONTACT: ("inetOrgPerson", "remote-address"),
    Kind.LIST: ("groupOfNames", "Mail-Recipient"),
    Kind.FOLDER: ("public-folder", "Mail-Recipient"),
}


BY_PLACE = frozenset({"organization", "organizationalUnit", "container"})
"""Classes of which an entry is another kind below another parent."""


def kind_of(classes: frozenset[str], parent: Kind | None, has_target: bool, name: str) -> Kind:
    """What an entry of these classes is, below a parent of that kind."""
    if "alias" in classes:
        return Kind.ALIAS
    if "referral" in classes:
        return Kind.REFERRAL
    if "organization" in classes and parent is None:
        return Kind.ORGANIZATION
    if classes & {"organizationalUnit", "container"}:
        if parent is Kind.CONFIGURATION or (parent is Kind.SITE and name == "cn=configuration"):
            return Kind.CONFIGURATION
        is_site = "organizationalUnit" in classes and parent is Kind.ORGANIZATION
        return Kind.SITE if is_site else Kind.CONTAINER
    if "groupOfNames" in classes:
        return Kind.LIST
    if "public-folder" in classes:
        return Kind.FOLDER
    if "remote-address" in classes or (has_target and "person" in classes):
        return Kind.CONTACT
    if classes & {"organizationalPerson", "inetOrgPerson"}:
        return Kind.MAILBOX
    return Kind.OTHER


def companions(kind: Kind) -> tuple[str, ...]:
    """The classes that an entry of a kind has in any case."""
    return _COMPANIONS.get(kind, ())


# Finishing -------------------------------------------------------------------------------


def finish(
    working: Working,
    rules: Rules,
    taken: Callable[[str], bool],
    *,
    parent: Kind | None,
    uuid: bytes,
    fill: bool,
) -> Draft:
    """The entry as it is to be stored.

    taken: is this canonical name somebody else's? fill: a new entry, so that what is left
    out is filled in. Raises what the directory may refuse.
    """
    classes = working.classes()
    kind = kind_of(classes, parent, "target-address" in working.attributes, working.rdn.normal)
    if working.kind and kind != working.kind:
        raise UnwillingToPerform("An entry stays what it is; delete it and add another")
    working.kind = kind
    others = companions(kind)
    if kind in INNER and working.attributes.get(searchrights.BY):
        others = (searchrights.CLASS,)
    wanted = schema.closed(classes.union(others))
    working.attributes["objectclass"] = list(_spelled(wanted))
    _name_itself(working)
    listed: tuple[Proxy, ...]
    if kind in RECIPIENTS:
        _names(working)
        if fill:
            _fill(working)
        listed = proxies.bring_together(working, rules, taken, fill)
    else:
        listed = ()
    _check(working, frozenset(wanted), rules.tolerant)
    searchrights.check(working.attributes, working.references)
    referring.check(working.attributes.get("ref", ()))
    names: dict[str, NameKind] = {proxy.name: proxy.kind for proxy in listed}
    if kind is Kind.MAILBOX:
        names.update(proxies.logins(working, names))
    if working.text("imsmailboxfate").lower() not in ("", "delete", "refuse"):
        raise ConstraintViolation("imsMailboxFate: delete or refuse")
    protocols.parse_all(
        value.decode("utf-8", "replace") for value in working.attributes.get(protocols.KEY, ())
    )
    if kind is Kind.CONTACT:
        proxies.check_target(working, rules, names)
    attributes = {key: tuple(values) for key, values in working.attributes.items() if schema.stored(key)}
    differing = working.differing()
    return Draft(
        parent=working.parent,
        rdn_attribute=working.rdn.type,
        rdn_value=working.rdn.value,
        rdn_normal=working.rdn.normal,
        kind=kind,
        attributes=attributes,
        references={key: tuple(ids) for key, ids in working.references.items() if ids},
        values=indexed(working, uuid) if differing is None else _index(working.attributes, differing),
        names=names,
        gone=None if differing is None else _index(working.initial or {}, differing),
    )


@lru_cache(maxsize=256)
def _spelled(classes: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(name.encode() for name in classes)


def _name_itself(working: Working) -> None:
    """The distinguished value is among the values of its attribute (RFC 4512 2.3.2)."""
    definition = known(working.rdn.type)
    value = working.rdn.value.encode()
    values = working.attributes.setdefault(definition.key, [])
    if value in values:
        return
    made = schema.normal(definition.key, value)
    if all(schema.normal(definition.key, each) != made for each in values):
        values.append(value)


def _names(working: Working) -> None:
    """Bring cn, displayName and rdn together."""
    rdn = working.text("rdn")
    if rdn and schema.normal("cn", rdn.encode()) != schema.normal("cn", working.rdn.value.encode()):
        raise NotAllowedOnRdn("rdn is the name of the entry")
    working.attributes["rdn"] = [working.rdn.value.encode()]
    names = working.attributes.get("cn", [])
    shown = working.attributes.get("displayname", [])
    asked = shown[:1] if tuple(shown) != working.shown.get("displayname", ()) else []
    own = schema.normal("cn", working.rdn.value.encode()) if working.rdn.normal.startswith("cn=") else None
    others = [name for name in names if schema.normal("cn", name) != own]
    first = asked or others[:1] or names[:1]
    ranked: dict[object, bytes] = {}
    last = [name for name in names if schema.normal("cn", name) == own]
    replaced = {schema.normal("cn", value) for value in working.shown.get("displayname", ())} if asked else ()
    for name in (*first, *last, *others):
        made = schema.normal("cn", name)
        if made == own or made not in replaced or name in first:
            ranked.setdefault(made, name)
    working.attributes["cn"] = list(ranked.values())
    if first:
        working.attributes["displayname"] = first


def _fill(working: Working) -> None:
    """What a client of the older kind leaves out (ims_spec 12.3)."""
    display = working.text("cn") or working.rdn.value
    if working.kind in (Kind.MAILBOX, Kind.CONTACT):
        working.attributes.setdefault("sn", [display.split()[-1].encode()])
    if not working.attributes.get("uid"):
        alias = re.sub(r"[\s\"(),:;<>@\[\\\]]+", "", working.rdn.value)
        working.attributes["uid"] = [(alias or display).encode()]
    if working.kind is Kind.MAILBOX:
        working.attributes.setdefault("mailpreferenceoption", [b"0"])


def _check(working: Working, classes: frozenset[str], tolerant: bool) -> None:
    """The entry against the schema (RFC 4512 2.3, 2.4)."""
    # A class that did not fit before is no reason to refuse a change of something else.
    subschema.check_content(schema.structural(classes), classes - working.classes_before())
    present = {key for key, values in working.attributes.items() if values}
    present.update(key for key, ids in working.references.items() if ids)
    _check_types(frozenset(present), classes, working.rdn.type.lower())
    initial, before = working.initial, working.before
    for key, values in working.attributes.items():
        definition = known(key)
        if len(values) > 1 and (len(values) > MOST_VALUES or definition.type.single):
            raise ConstraintViolation(f"{definition.type.name}: too many values")
        # What classes there are was made of the schema by `finish` itself.
        differs = initial is None or tuple(values) != initial.get(key, ())
        if differs and key != "objectclass" and definition.kept in (Kept.VALUE, Kept.VIEW):
            for value in values:
                schema.check(definition, value)
        if key in certificates.KEYS and not tolerant:
            for value in set(values).difference(before.get(key, ())):
                certificates.check(key, value)
    for key, ids in working.references.items():
        if known(key).type.single and len(ids) > 1:
            raise ConstraintViolation(f"{known(key).type.name}: too many values")


@lru_cache(maxsize=256)
def _check_types(present: frozenset[str], classes: frozenset[str], named_by: str) -> None:
    """May an entry of these classes have attributes of these keys?"""
    must, may = schema.allowed(classes)
    tagged = {key for key in present if ";" in key}
    if len(tagged) > MOST_TAGGED:
        raise ConstraintViolation("Too many attributes with options")
    # One with options is a subtype of that without (RFC 4512 2.5.2), and does for it.
    present = frozenset(schema.plain(key) for key in present)
    lacking = must - present
    if lacking:
        raise ObjectClassViolation(f"Missing: {', '.join(sorted(lacking))}")
    outside = present - must - may
    # RFC 4512 4.3: an extensible object has what it likes. A referral is named by what the object is
    # named by that it stands for.
    named = {named_by} if "referral" in classes else set()
    if outside - named and "extensibleObject" not in classes:
        raise ObjectClassViolation(f"Not allowed: {', '.join(sorted(outside))}")


def indexed(working: Working, uuid: bytes) -> frozenset[tuple[str, str]]:
    """All that is indexed of an entry."""
    return _index(working.attributes) | {("entryuuid", uuid.hex())}


def _index(
    attributes: Mapping[str, Iterable[bytes]], among: set[str] | None = None
) -> frozenset[tuple[str, str]]:
    """What is indexed of attributes; among: of these alone."""
    made: set[tuple[str, str]] = set()
    for key, values in attributes.items():
        plain = schema.plain(key)
        if not values or (among is not None and plain not in among) or not known(key).indexed:
            continue
        made |= _classes_indexed(tuple(values)) if key == "objectclass" else index_of(plain, values)
    return frozenset(made)


@lru_cache(maxsize=64)
def _classes_indexed(values: tuple[bytes, ...]) -> frozenset[tuple[str, str]]:
    return frozenset(index_of("objectclass", values))


def index_of(key: str, values: Iterable[bytes]) -> set[tuple[str, str]]:
    """What is indexed of an attribute that is."""
    # What cannot be normalised is there all the same: it stands as "".
    return {(key, schema.index_text(key, value) or "") for value in values}


def place(working: Working, parent: Kind | None) -> None:
    """May it stand there? Raises NamingViolation."""
    if parent is not None:
        tree.check_place(Kind(working.kind), parent)
