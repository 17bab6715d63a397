"""Descriptions of what governs entries and values: DIT content rules, uses of matching rules."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.errors import BadSyntax
from protocols.ldap import descriptions
from protocols.ldap.descriptions import Extensions


@dataclass(frozen=True, slots=True)
class DitContentRule:
    """RFC 4512 4.1.6. oid: of the structural class. auxiliary: the classes that may go with it."""

    oid: str
    names: tuple[str, ...] = ()
    description: str = ""
    obsolete: bool = False
    auxiliary: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    extensions: Extensions = ()

    @classmethod
    def parse(cls, text: str) -> DitContentRule:
        fields = descriptions.Fields(text)
        parsed = cls(
            oid=fields.oid,
            names=fields.names,
            description=fields.text("DESC"),
            obsolete=fields.flag("OBSOLETE"),
            auxiliary=fields.many("AUX"),
            must=fields.many("MUST"),
            may=fields.many("MAY"),
            never=fields.many("NOT"),
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
            descriptions.words("AUX", self.auxiliary),
            descriptions.words("MUST", self.must),
            descriptions.words("MAY", self.may),
            descriptions.words("NOT", self.never),
            *descriptions.extensions(self.extensions),
        )


@dataclass(frozen=True, slots=True)
class MatchingRuleUse:
    """RFC 4512 4.1.4. applies: the attributes that may be matched by the rule."""

    oid: str
    names: tuple[str, ...] = ()
    description: str = ""
    obsolete: bool = False
    applies: tuple[str, ...] = ()
    extensions: Extensions = ()

    @classmethod
    def parse(cls, text: str) -> MatchingRuleUse:
        fields = descriptions.Fields(text)
        parsed = cls(
            oid=fields.oid,
            names=fields.names,
            description=fields.text("DESC"),
            obsolete=fields.flag("OBSOLETE"),
            applies=fields.many("APPLIES"),
            extensions=fields.extensions(),
        )
        fields.done()
        if not parsed.applies:
            raise BadSyntax("APPLIES")
        return parsed

    def __str__(self) -> str:
        return descriptions.description(
            self.oid,
            descriptions.names(self.names),
            descriptions.quoted("DESC", self.description),
            "OBSOLETE" * self.obsolete,
            descriptions.words("APPLIES", self.applies),
            *descriptions.extensions(self.extensions),
        )
