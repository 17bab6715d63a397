"""Names of entries: one tree under two suffixes (rule 14).

    o=<Organization>                          the X.500 suffix, as the store keeps it
    dc=example,dc=test                        the domain suffix, what today's clients expect

The topmost entry bears both names. Below it a name is the same in both, so an entry's
relative name is written once and either suffix put behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from imsd.directory.entry import INNER, Kind
from imsd.errors import InvalidDN, NamingViolation, NoSuchEntry
from imsd.store import entries
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction
from protocols.errors import BadSyntax
from protocols.ldap import dn
from protocols.ldap.dn import DN, RDN

SUBSCHEMA: Final = "cn=Subschema"

NAMING: Final = frozenset({"cn", "uid", "ou", "o", "dc"})
"""Attributes an RDN here may be made of; exactly one."""


def parse(text: str) -> DN:
    """Raises InvalidDN."""
    try:
        return dn.parse(text)
    except BadSyntax as error:
        raise InvalidDN(str(error)) from None


def domain_suffix(domain: str) -> str:
    """RFC 2247: example.test is dc=example,dc=test."""
    return ",".join(f"dc={dn.escape(label)}" for label in domain.split("."))


@dataclass(frozen=True, slots=True)
class Suffix:
    """One name of the topmost entry."""

    text: str
    normals: tuple[str, ...]

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, text: str) -> Suffix:
        return cls(text, tuple(rdn.normal for rdn in dn.parse(text).rdns))

    def holds(self, name: DN) -> bool:
        count = len(self.normals)
        return len(name) >= count and tuple(rdn.normal for rdn in name.rdns[-count:]) == self.normals


@dataclass(frozen=True, slots=True)
class Tree:
    """The topmost entry and its names, the organisation's first."""

    root: EntryId
    suffixes: tuple[Suffix, ...]

    def locate(self, name: DN) -> tuple[tuple[RDN, ...], int]:
        """The RDNs below the topmost entry, its child first, and which suffix was used.

        Raises NoSuchEntry for a name outside the tree.
        """
        for number, suffix in enumerate(self.suffixes):
            if suffix.holds(name):
                below = name.rdns[: len(name) - len(suffix.normals)]
                return below[::-1], number
        raise NoSuchEntry

    def name(self, relative: str, suffix: int) -> str:
        text = self.suffixes[suffix].text
        return f"{relative},{text}" if relative else text

    def find(self, tx: Transaction, name: DN) -> EntryId:
        """The entry of a name, by rows. Raises NoSuchEntry, with the deepest that exists."""
        path, suffix = self.locate(name)
        whole = entries.descendant(tx, self.root, [rdn.normal for rdn in path])
        if whole is not None:
            return whole
        found = self.root
        for depth, rdn in enumerate(path):
            below = entries.child(tx, found, rdn.normal)
            if below is None:
                raise NoSuchEntry(matched=self.name(relative(path[:depth]), suffix))
            found = below
        return found

    def holds(self, name: DN) -> bool:
        return any(suffix.holds(name) for suffix in self.suffixes)


def relative(path: tuple[RDN, ...]) -> str:
    """A path from the top, written as a name."""
    return ",".join(str(rdn) for rdn in path[::-1])


def read(tx: Transaction) -> Tree | None:
    """The tree of this store; None while there is none."""
    row = entries.top(tx)
    return None if row is None else of_top(row)


def of_top(row: EntryRow) -> Tree:
    """The tree below this entry."""
    suffixes = [Suffix.of(f"{row.rdn_attribute}={dn.escape(row.rdn_value)}")]
    domains = row.attributes.get("associateddomain", ())
    if domains:
        suffixes.append(Suffix.of(domain_suffix(domains[0].decode())))
    return Tree(row.id, tuple(suffixes))


def require(tx: Transaction) -> Tree:
    """Raises NoSuchEntry while there is no organisation."""
    return there(read(tx))


def there(found: Tree | None) -> Tree:
    """Raises NoSuchEntry for none."""
    if found is None:
        raise NoSuchEntry("There is no organisation yet")
    return found


def check_rdn(rdn: RDN) -> None:
    """Raises NamingViolation for one that no entry here can have."""
    if len(rdn.avas) != 1 or rdn.normal.partition("=")[0] not in NAMING or not rdn.value.strip():
        raise NamingViolation("The name must be one cn, uid or ou")
    if len(rdn.value) > 256:
        raise NamingViolation("The name is too long")


_PARENTS: Final = {
    Kind.SITE: {Kind.ORGANIZATION},
    Kind.CONTAINER: {Kind.ORGANIZATION, Kind.SITE, Kind.CONTAINER, Kind.CONFIGURATION},
    Kind.CONFIGURATION: {Kind.SITE, Kind.CONFIGURATION},
}
_RECIPIENT_PARENTS: Final = {Kind.CONTAINER, Kind.SITE}


def check_place(kind: Kind, parent: Kind) -> None:
    """May an entry of this kind stand below that one? Raises NamingViolation."""
    allowed = _PARENTS.get(
        kind, INNER if kind in (Kind.OTHER, Kind.ALIAS, Kind.REFERRAL) else _RECIPIENT_PARENTS
    )
    if parent not in allowed:
        raise NamingViolation("Such an entry may not be placed there")
