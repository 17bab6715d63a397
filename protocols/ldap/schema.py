"""Schema descriptions (RFC 4512 4.1), parsed and formatted, and a schema made of them.

`Schema` answers what the rest asks: which attribute type a description names, with what it
inherits from its supertypes, and which types are subtypes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from protocols.errors import BadSyntax
from protocols.ldap import descriptions
from protocols.ldap.descriptions import Extensions


class Usage(Enum):
    """RFC 4512 4.1.2."""

    USER = "userApplications"
    DIRECTORY = "directoryOperation"
    DISTRIBUTED = "distributedOperation"
    DSA = "dSAOperation"


class Kind(Enum):
    """RFC 4512 4.1.1."""

    ABSTRACT = "ABSTRACT"
    STRUCTURAL = "STRUCTURAL"
    AUXILIARY = "AUXILIARY"


@dataclass(frozen=True, slots=True)
class AttributeType:
    """RFC 4512 4.1.2. `length` is the minimum upper bound of `syntax`, 0 for none."""

    oid: str
    names: tuple[str, ...] = ()
    description: str = ""
    obsolete: bool = False
    sup: str = ""
    equality: str = ""
    ordering: str = ""
    substrings: str = ""
    syntax: str = ""
    length: int = 0
    single: bool = False
    collective: bool = False
    no_user_modification: bool = False
    usage: Usage = Usage.USER
    extensions: Extensions = ()

    @property
    def name(self) -> str:
        return self.names[0] if self.names else self.oid

    @property
    def operational(self) -> bool:
        return self.usage is not Usage.USER

    @classmethod
    def parse(cls, text: str) -> AttributeType:
        fields = descriptions.Fields(text)
        syntax, _, length = fields.one("SYNTAX").partition("{")
        if length and not re.fullmatch(r"[0-9]+\}", length):
            raise BadSyntax("a length as {n} after SYNTAX")
        try:
            usage = Usage(fields.one("USAGE") or "userApplications")
        except ValueError:
            raise BadSyntax("a usage of RFC 4512 4.1.2") from None
        parsed = cls(
            oid=fields.oid,
            names=fields.names,
            description=fields.text("DESC"),
            obsolete=fields.flag("OBSOLETE"),
            sup=fields.one("SUP"),
            equality=fields.one("EQUALITY"),
            ordering=fields.one("ORDERING"),
            substrings=fields.one("SUBSTR"),
            syntax=syntax,
            length=int(length[:-1] or 0),
            single=fields.flag("SINGLE-VALUE"),
            collective=fields.flag("COLLECTIVE"),
            no_user_modification=fields.flag("NO-USER-MODIFICATION"),
            usage=usage,
            extensions=fields.extensions(),
        )
        fields.done()
        if not parsed.sup and not parsed.syntax:
            raise BadSyntax("SUP or SYNTAX")
        return parsed

    def __str__(self) -> str:
        return descriptions.description(
            self.oid,
            descriptions.names(self.names),
            descriptions.quoted("DESC", self.description),
            "OBSOLETE" * self.obsolete,
            descriptions.word("SUP", self.sup),
            descriptions.word("EQUALITY", self.equality),
            descriptions.word("ORDERING", self.ordering),
            descriptions.word("SUBSTR", self.substrings),
            descriptions.word("SYNTAX", self.syntax + (f"{{{self.length}}}" if self.length else "")),
            "SINGLE-VALUE" * self.single,
            "COLLECTIVE" * self.collective,
            "NO-USER-MODIFICATION" * self.no_user_modification,
            "" if self.usage is Usage.USER else f"USAGE {self.usage.value}",
            *descriptions.extensions(self.extensions),
        )


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """RFC 4512 4.1.1."""

    oid: str
    names: tuple[str, ...] = ()
    description: str = ""
    obsolete: bool = False
    sup: tuple[str, ...] = ()
    kind: Kind = Kind.STRUCTURAL
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    extensions: Extensions = ()

    @property
    def name(self) -> str:
        return self.names[0] if self.names else self.oid

    @classmethod
    def parse(cls, text: str) -> ObjectClass:
        fields = descriptions.Fields(text)
        kinds = [kind for kind in Kind if fields.flag(kind.value)]
        if len(kinds) > 1:
            raise BadSyntax("one kind of object class")
        parsed = cls(
            oid=fields.oid,
            names=fields.names,
            description=fields.text("DESC"),
            obsolete=fields.flag("OBSOLETE"),
            sup=fields.many("SUP"),
            kind=kinds[0] if kinds else Kind.STRUCTURAL,
            must=fields.many("MUST"),
            may=fields.many("MAY"),
            extensions=fields.extensions(),
        )
        fields.done()
        return parsed

    def __str__(self) -> str:
        return descriptions.description(
            self.oid,
            descriptions.names(self.names),
            descriptions.quoted("DESC", self.description),
            "OBSOLETE" * self.obsolete,
            descriptions.words("SUP", self.sup),
            self.kind.value,
            descriptions.words("MUST", self.must),
            descriptions.words("MAY", self.may),
            *descriptions.extensions(self.extensions),
        )


@dataclass(frozen=True, slots=True)
class MatchingRule:
    """RFC 4512 4.1.3."""

    oid: str
    names: tuple[str, ...] = ()
    description: str = ""
    obsolete: bool = False
    syntax: str = ""
    extensions: Extensions = ()

    @classmethod
    def parse(cls, text: str) -> MatchingRule:
        fields = descriptions.Fields(text)
        parsed = cls(
            oid=fields.oid,
            names=fields.names,
            description=fields.text("DESC"),
            obsolete=fields.flag("OBSOLETE"),
            syntax=fields.one("SYNTAX"),
            extensions=fields.extensions(),
        )
        fields.done()
        if not parsed.syntax:
            raise BadSyntax("SYNTAX")
        return parsed

    def __str__(self) -> str:
        return descriptions.description(
            self.oid,
            descriptions.names(self.names),
            descriptions.quoted("DESC", self.description),
            "OBSOLETE" * self.obsolete,
            descriptions.word("SYNTAX", self.syntax),
            *descriptions.extensions(self.extensions),
        )


@dataclass(frozen=True, slots=True)
class Syntax:
    """RFC 4512 4.1.5."""

    oid: str
    description: str = ""
    extensions: Extensions = ()

    @classmethod
    def parse(cls, text: str) -> Syntax:
        fields = descriptions.Fields(text)
        parsed = cls(fields.oid, fields.text("DESC"), fields.extensions())
        fields.done()
        return parsed

    def __str__(self) -> str:
        return descriptions.description(
            self.oid, descriptions.quoted("DESC", self.description), *descriptions.extensions(self.extensions)
        )


class Schema:
    """Attribute types and object classes, found by any name or OID, case ignored."""

    def __init__(self, attributes: Iterable[AttributeType] = (), classes: Iterable[ObjectClass] = ()) -> None:
        self.attributes = tuple(attributes)
        self.classes = tuple(classes)
        self._attributes = {key: each for each in self.attributes for key in _keys(each.oid, each.names)}
        self._classes = {key: each for each in self.classes for key in _keys(each.oid, each.names)}
        self._inherited = {each.oid: self._inherit(each) for each in self.attributes}
        below: dict[str, set[str]] = {each.oid: set() for each in self.attributes}
        for each in self.attributes:
            for oid in self._lineage(each):
                below[oid].add(each.name.lower())
        self._subtypes = {oid: frozenset(names) for oid, names in below.items()}

    def attribute(self, description: str) -> AttributeType | None:
        """The type an attribute description names (options are ignored), with the rules,
        syntax and usage it inherits."""
        found = self._attributes.get(description.partition(";")[0].lower())
        return None if found is None else self._inherited[found.oid]

    def object_class(self, name: str) -> ObjectClass | None:
        return self._classes.get(name.lower())

    def subtypes(self, description: str) -> frozenset[str]:
        """First names, lower case, of the type and everything below it (RFC 4512 2.5.1)."""
        found = self._attributes.get(description.partition(";")[0].lower())
        return frozenset() if found is None else self._subtypes[found.oid]

    def superclasses(self, name: str) -> tuple[ObjectClass, ...]:
        """The class and all above it, nearest first, each once."""
        found: dict[str, ObjectClass] = {}
        waiting = [name]
        while waiting:
            each = self.object_class(waiting.pop(0))
            if each is not None and each.oid not in found:
                found[each.oid] = each
                waiting.extend(each.sup)
        return tuple(found.values())

    def _lineage(self, attribute: AttributeType) -> list[str]:
        line = [attribute.oid]
        while attribute.sup:
            above = self._attributes.get(attribute.sup.lower())
            if above is None or above.oid in line:
                raise BadSyntax(f"a supertype of {attribute.name} that is defined")
            line.append(above.oid)
            attribute = above
        return line

    def _inherit(self, attribute: AttributeType) -> AttributeType:
        for oid in self._lineage(attribute)[1:]:
            above = self._attributes[oid]
            attribute = replace(
                attribute,
                equality=attribute.equality or above.equality,
                ordering=attribute.ordering or above.ordering,
                substrings=attribute.substrings or above.substrings,
                syntax=attribute.syntax or above.syntax,
                length=attribute.length or above.length,
            )
        return attribute


def _keys(oid: str, names: tuple[str, ...]) -> list[str]:
    return [oid.lower(), *(name.lower() for name in names)]
