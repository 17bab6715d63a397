"""One entry in memory: the stored row with its views.

Views are attributes that are another attribute seen in another way (rule 13, ims_spec 12.3):

    cn                   the display name, then the directory name where they differ
    displayName          the first value of cn
    rdn                  the distinguished value
    proxyAddresses       every address as TYPE:value
    mail                 the primary SMTP address
    textEncodedORAddress the primary X.400 address
    otherMailbox         all other addresses, as type$value
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from imsd.directory.addressing import Proxy
from imsd.errors import InvalidSyntax
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from protocols.ldap import dn


class Kind(IntEnum):
    """What an entry is here; stored."""

    ORGANIZATION = 1
    SITE = 2
    CONTAINER = 3
    MAILBOX = 4
    LIST = 5
    CONTACT = 6
    FOLDER = 7
    ALIAS = 8
    CONFIGURATION = 9
    OTHER = 10
    REFERRAL = 11
    """Where another server holds a part of the tree (RFC 3296)."""


RECIPIENTS = frozenset({Kind.MAILBOX, Kind.LIST, Kind.CONTACT, Kind.FOLDER})
INNER = frozenset({Kind.ORGANIZATION, Kind.SITE, Kind.CONTAINER, Kind.CONFIGURATION})
"""Kinds that have entries below them."""

VIEWS = frozenset({"displayname", "rdn", "proxyaddresses", "mail", "textencodedoraddress", "othermailbox"})

Values = tuple[bytes, ...]


def views(kind: int, rdn_value: str, attributes: Mapping[str, Values]) -> dict[str, Values]:
    """What the views show for stored attributes; recipients alone have them."""
    if kind not in RECIPIENTS:
        return {}
    shown: dict[str, Values] = {"rdn": (rdn_value.encode(),)}
    names = attributes.get("cn")
    if names:
        shown["displayname"] = names[:1]
    stored = attributes.get("proxyaddresses", ())
    others = []
    for text in stored:
        kind_of, _, value = text.partition(b":")
        if kind_of == b"SMTP":
            shown["mail"] = (value,)
        elif kind_of == b"X400":
            shown["textencodedoraddress"] = (value,)
        else:
            others.append(kind_of + b"$" + value)
    if others:
        shown["othermailbox"] = tuple(others)
    return shown


def other_mailbox(value: bytes) -> Proxy:
    """A value of otherMailbox as an address; what it holds is never primary but of a new type.

    Raises InvalidSyntax.
    """
    kind, dollar, address = value.decode("utf-8", "replace").partition("$")
    if not dollar:
        raise InvalidSyntax("otherMailbox: type$value")
    return Proxy.of(kind, address, kind.isupper() and kind not in ("SMTP", "X400"))


class Entry:
    """A stored entry with all its user attributes by key; not changed once made."""

    __slots__ = ("_classes", "hidden", "id", "kind", "owners", "parent", "row", "tagged", "user")

    def __init__(self, row: EntryRow) -> None:
        self.row = row
        self.id: EntryId = row.id
        self.parent: EntryId = row.parent
        self.kind = row.kind
        self.user: dict[str, Values] = {
            **row.attributes,
            **views(row.kind, row.rdn_value, row.attributes),
        }
        self.tagged = tuple(key for key in row.attributes if ";" in key)
        """Keys with options (RFC 3866)."""
        self._classes: frozenset[str] | None = None
        self.hidden = self.flag("hide-from-address-book")
        self.owners: tuple[EntryId, ...] = row.references.get("owner", ())

    @property
    def classes(self) -> frozenset[str]:
        if self._classes is None:
            self._classes = frozenset(value.decode() for value in self.user.get("objectclass", ()))
        return self._classes

    def flag(self, key: str) -> bool:
        """A boolean attribute, FALSE where it is absent."""
        values = self.user.get(key)
        return bool(values) and values is not None and values[0].upper() == b"TRUE"

    def text(self, key: str) -> str:
        """The first value, "" where there is none."""
        values = self.user.get(key)
        return values[0].decode("utf-8", "replace") if values else ""

    @property
    def rdn(self) -> str:
        """As RFC 4514 writes it."""
        return f"{self.row.rdn_attribute}={dn.escape(self.row.rdn_value)}"

    @property
    def display(self) -> str:
        return self.text("displayname") or self.row.rdn_value

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        return tuple(Proxy.parse(text.decode()) for text in self.user.get("proxyaddresses", ()))

    @property
    def is_admin(self) -> bool:
        return (
            self.kind == Kind.MAILBOX
            and self.flag("imsadministrator")
            and not self.flag("imsaccountdisabled")
        )
