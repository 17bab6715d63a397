"""An entry being made or changed, and how it becomes a valid one.

1. Changes are applied one after the other to attributes and views alike; nothing is judged
   before the last (so one request may swap a primary address with a secondary one).
2. `finish` then brings the views together with what they show, fills in what an older client
   leaves out (rule 13), checks the result against the schema, and gives what is to be stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from imsd.directory import schema, tree
from imsd.directory.addressing import Naming, Proxy, generate, generate_x400, ordered
from imsd.directory.attributes import Definition, Kept
from imsd.directory.canonical import canonical_address
from imsd.directory.entry import RECIPIENTS, VIEWS, Kind, other_mailbox, views
from imsd.errors import (
    AttributeOrValueExists,
    ConstraintViolation,
    InvalidSyntax,
    NoSuchAttribute,
    NotAllowedOnRdn,
    ObjectClassViolation,
    UndefinedAttribute,
    UnwillingToPerform,
)
from imsd.store.entries import Draft, EntryRow, NameKind
from imsd.store.ids import EntryId
from protocols.ldap import preparation
from protocols.ldap.dn import AVA, RDN

MOST_VALUES = 10_000
"""Values of one attribute that is no reference."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about new and changed entries.

    templates: format@domain, the first makes the primary address. x400: the site's part.
    """

    templates: tuple[str, ...] = ()
    x400: str = ""
    domains: frozenset[str] = frozenset()
    delete_mailboxes: bool = False


@dataclass(slots=True)
class Working:
    """attributes: stored ones and views by key; references: by key. kind: 0 until known."""

    parent: EntryId
    rdn: RDN
    kind: int = 0
    attributes: dict[str, list[bytes]] = field(default_factory=dict)
    references: dict[str, list[EntryId]] = field(default_factory=dict)
    shown: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    """The views before any change."""

    @classmethod
    def of(cls, row: EntryRow) -> Working:
        shown = views(row.kind, row.rdn_value, row.attributes)
        shown["proxyaddresses"] = row.attributes.get("proxyaddresses", ())
        return cls(
            parent=row.parent,
            rdn=RDN((AVA(row.rdn_attribute, row.rdn_value),)),
            kind=row.kind,
            attributes={key: list(values) for key, values in {**row.attributes, **shown}.items() if values},
            references={key: list(ids) for key, ids in row.references.items()},
            shown=shown,
        )

    # Changes -------------------------------------------------------------------------

    def add(self, definition: Definition, values: list[bytes]) -> None:
        """Raises AttributeOrValueExists."""
        present = self.attributes.setdefault(definition.key, [])
        known = {schema.normal(definition.key, value) for value in present}
        for value in values:
            made = schema.normal(definition.key, value)
            if made in known:
                raise AttributeOrValueExists(f"{definition.type.name}: has the value already")
            known.add(made)
            present.append(value)

    def remove(self, definition: Definition, values: list[bytes]) -> None:
        """Remove the values, or all when none is given. Raises NoSuchAttribute, NotAllowedOnRdn."""
        key = definition.key
        present = self.attributes.get(key)
        if not present:
            raise NoSuchAttribute(f"{definition.type.name}: not there")
        named = self._distinguished(key)
        if not values:
            if named is not None:
                raise NotAllowedOnRdn
            del self.attributes[key]
            return
        left = {schema.normal(key, value): value for value in present}
        for value in values:
            made = schema.normal(key, value)
            if made not in left:
                raise NoSuchAttribute(f"{definition.type.name}: no such value")
            if made == named:
                raise NotAllowedOnRdn
            del left[made]
        self.attributes[key] = list(left.values())

    def replace(self, definition: Definition, values: list[bytes]) -> None:
        self.attributes.pop(definition.key, None)
        if values:
            self.add(definition, values)

    def increment(self, definition: Definition, values: list[bytes]) -> None:
        """RFC 4525 3."""
        present = self.attributes.get(definition.key)
        if not present:
            raise NoSuchAttribute(f"{definition.type.name}: not there")
        try:
            by = int(values[0])
            made = [b"%d" % (int(value) + by) for value in present]
        except (ValueError, IndexError):
            raise ConstraintViolation(f"{definition.type.name}: not numbers") from None
        self.attributes[definition.key] = made

    def refer(self, definition: Definition, ids: list[EntryId]) -> None:
        present = self.references.setdefault(definition.key, [])
        known = set(present)
        for each in ids:
            if each in known:
                raise AttributeOrValueExists(f"{definition.type.name}: has the value already")
            known.add(each)
            present.append(each)

    def unrefer(self, definition: Definition, ids: list[EntryId]) -> None:
        present = self.references.get(definition.key)
        if not present:
            raise NoSuchAttribute(f"{definition.type.name}: not there")
        gone = set(ids or present)
        if not gone <= set(present):
            raise NoSuchAttribute(f"{definition.type.name}: no such value")
        self.references[definition.key] = [each for each in present if each not in gone]

    def _distinguished(self, key: str) -> object | None:
        named = schema.definition(self.rdn.type)
        if named is None or named.key != key:
            return None
        return schema.normal(key, self.rdn.value.encode())

    # Reading -------------------------------------------------------------------------

    def text(self, key: str) -> str:
        values = self.attributes.get(key)
        return values[0].decode("utf-8", "replace") if values else ""

    def classes(self) -> frozenset[str]:
        return frozenset(
            schema.object_class(value.decode("utf-8", "replace")).name
            for value in self.attributes.get("objectclass", ())
        )


def known(description: str) -> Definition:
    """The definition a description names. Raises UndefinedAttribute."""
    found = schema.definition(description)
    if found is None:
        raise UndefinedAttribute(f"No such attribute: {description[:64]!a}")
    return found


# From classes to a kind ------------------------------------------------------------------

_COMPANIONS = {
    Kind.MAILBOX: ("inetOrgPerson", "Mailbox"),
    Kind.CONTACT: ("inetOrgPerson", "remote-address"),
    Kind.LIST: ("groupOfNames", "Mail-Recipient"),
    Kind.FOLDER: ("public-folder", "Mail-Recipient"),
}


def kind_of(classes: frozenset[str], parent: Kind | None, has_target: bool, name: str) -> Kind:
    """What an entry of these classes is, below a parent of that kind."""
    if "alias" in classes:
        return Kind.ALIAS
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
    wanted = schema.closed(frozenset({*classes, *_COMPANIONS.get(kind, ())}))
    working.attributes["objectclass"] = [name.encode() for name in wanted]
    _name_itself(working)
    if kind in RECIPIENTS:
        _names(working)
        if fill:
            _fill(working)
        proxies = _proxies(working, rules, taken, fill)
    else:
        proxies = ()
    _check(working, frozenset(wanted))
    names: dict[str, NameKind] = {proxy.name: proxy.kind for proxy in proxies}
    if kind is Kind.MAILBOX:
        names.update(_logins(working, names))
    if kind is Kind.CONTACT:
        _check_target(working, rules, names)
    attributes = {key: tuple(values) for key, values in working.attributes.items() if schema.stored(key)}
    return Draft(
        parent=working.parent,
        rdn_attribute=working.rdn.type,
        rdn_value=working.rdn.value,
        rdn_normal=working.rdn.normal,
        kind=kind,
        attributes=attributes,
        references={key: tuple(ids) for key, ids in working.references.items() if ids},
        values=_index(working, uuid),
        names=names,
    )


def _name_itself(working: Working) -> None:
    """The distinguished value is among the values of its attribute (RFC 4512 2.3.2)."""
    definition = known(working.rdn.type)
    value = working.rdn.value.encode()
    values = working.attributes.setdefault(definition.key, [])
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


def _naming(working: Working) -> Naming:
    return Naming(
        alias=working.text("uid"),
        display=working.text("cn"),
        given=working.text("givenname"),
        surname=working.text("sn"),
        initials=working.text("initials"),
    )


def _proxies(
    working: Working, rules: Rules, taken: Callable[[str], bool], fill: bool
) -> tuple[Proxy, ...]:
    """Bring the views of addresses together, generate what is missing, and check."""
    attributes, before = working.attributes, working.shown

    def changed(key: str) -> bool:
        return tuple(attributes.get(key, ())) != before.get(key, ())

    split = [key for key in ("mail", "textencodedoraddress", "othermailbox") if changed(key)]
    stored = [Proxy.parse(_utf8(value)) for value in attributes.get("proxyaddresses", ())]
    if not split:
        proxies = stored
    else:
        proxies = [
            *(Proxy.of("SMTP", _utf8(value), True) for value in attributes.get("mail", ())),
            *(Proxy.of("X400", _utf8(value), True) for value in attributes.get("textencodedoraddress", ())),
            *(other_mailbox(value) for value in attributes.get("othermailbox", ())),
        ]
        if changed("proxyaddresses") and {str(one) for one in proxies} != {str(one) for one in stored}:
            if not fill:
                raise ConstraintViolation("mail, otherMailbox and proxyAddresses contradict each other")
            proxies = _merged(stored, proxies)
    if fill:
        proxies = _generated(working, rules, taken, proxies)
    listed = ordered(proxies)
    for key in VIEWS - {"rdn", "displayname"}:
        attributes.pop(key, None)
    attributes["proxyaddresses"] = [str(proxy).encode() for proxy in listed]
    made = views(working.kind, working.rdn.value, {"proxyaddresses": tuple(attributes["proxyaddresses"])})
    for key in ("mail", "textencodedoraddress", "othermailbox"):
        if key in made:
            attributes[key] = list(made[key])
    return listed


def _merged(first: list[Proxy], second: list[Proxy]) -> list[Proxy]:
    names = {proxy.name for proxy in first}
    return [*first, *(proxy for proxy in second if proxy.name not in names)]


def _generated(
    working: Working, rules: Rules, taken: Callable[[str], bool], proxies: list[Proxy]
) -> list[Proxy]:
    """Addresses of the site's types that a new recipient does not bring along."""
    own = {proxy.name for proxy in proxies}
    naming = _naming(working)
    if not any(proxy.type == "SMTP" and proxy.primary for proxy in proxies):
        target = working.text("target-address")
        if working.kind is Kind.CONTACT and target[:5].upper() == "SMTP:":
            proxies = [*proxies, Proxy.of("SMTP", target[5:], True)]
        elif working.kind is not Kind.CONTACT:
            for template in rules.templates:
                made = generate(template, naming, lambda name: name in own or taken(name))
                primary = not any(proxy.type == "SMTP" and proxy.primary for proxy in proxies)
                proxies = [*proxies, Proxy("SMTP", made.value, primary)]
                own.add(made.name)
    if rules.x400 and not any(proxy.type == "X400" for proxy in proxies):
        x400 = generate_x400(rules.x400, naming)
        if not taken(x400.name):
            proxies = [*proxies, x400]
    return proxies


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidSyntax("An address is UTF-8") from None


def _logins(working: Working, addresses: dict[str, NameKind]) -> dict[str, NameKind]:
    """Aliases log in. One that looks like an address must be one of the entry's."""
    logins = {}
    for value in working.attributes.get("uid", ()):
        alias = preparation.canonical(_utf8(value))
        if "@" not in alias:
            logins[alias] = NameKind.LOGIN
        elif canonical_address(alias) not in addresses:
            raise ConstraintViolation("uid: an address of somebody else's")
    if not working.attributes.get("uid"):
        raise ObjectClassViolation("A mailbox needs a uid")
    return logins


def _check_target(working: Working, rules: Rules, names: dict[str, NameKind]) -> None:
    target = Proxy.parse(working.text("target-address"))
    if target.type == "SMTP" and target.name in names:
        domain = target.name.rpartition("@")[2]
        if domain in rules.domains:
            raise ConstraintViolation("Target-Address: mail would come back to the same entry")


def _check(working: Working, classes: frozenset[str]) -> None:
    """The entry against the schema (RFC 4512 2.3, 2.4)."""
    schema.structural(classes)
    must, may = schema.allowed(classes)
    present = {key for key, values in working.attributes.items() if values}
    present |= {key for key, ids in working.references.items() if ids}
    lacking = must - present
    if lacking:
        raise ObjectClassViolation(f"Missing: {', '.join(sorted(lacking))}")
    outside = present - must - may
    if outside:
        raise ObjectClassViolation(f"Not allowed: {', '.join(sorted(outside))}")
    for key, values in working.attributes.items():
        definition = known(key)
        if len(values) > MOST_VALUES or (definition.type.single and len(values) > 1):
            raise ConstraintViolation(f"{definition.type.name}: too many values")
        if definition.kept in (Kept.VALUE, Kept.VIEW):
            for value in values:
                schema.check(definition, value)
    for key, ids in working.references.items():
        if known(key).type.single and len(ids) > 1:
            raise ConstraintViolation(f"{known(key).type.name}: too many values")


def _index(working: Working, uuid: bytes) -> frozenset[tuple[str, str]]:
    made = {("entryuuid", uuid.hex())}
    for key, values in working.attributes.items():
        if not values or not known(key).indexed:
            continue
        # What cannot be normalised is there all the same: it stands as "".
        made.update((key, schema.index_text(key, value) or "") for value in values)
    return frozenset(made)


def place(working: Working, parent: Kind | None) -> None:
    """May it stand there? Raises NamingViolation."""
    if parent is not None:
        tree.check_place(Kind(working.kind), parent)
