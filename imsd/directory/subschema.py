"""The subschema subentry (RFC 4512 4.2): what clients are told of the schema.

Which auxiliary classes go with a structural one is told by DIT content rules (RFC 4512 4.1.6), and
held by `draft`: a mailbox is a person, not an organisational unit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from imsd.directory.schema import SCHEMA
from imsd.errors import ObjectClassViolation
from protocols.ldap import rules
from protocols.ldap.governing import DitContentRule, MatchingRuleUse
from protocols.ldap.schema import Kind, MatchingRule, Syntax

_ARC: Final = "1.3.6.1.4.1.1466.115.121.1."
_SYNTAXES: Final = {
    # RFC 4517 3.3
    "3": "Attribute Type Description", "6": "Bit String", "7": "Boolean", "11": "Country String",
    "12": "DN", "14": "Delivery Method", "15": "Directory String", "16": "DIT Content Rule Description",
    "22": "Facsimile Telephone Number", "24": "Generalized Time", "26": "IA5 String", "27": "INTEGER",
    "28": "JPEG", "30": "Matching Rule Description", "31": "Matching Rule Use Description",
    "34": "Name And Optional UID", "36": "Numeric String", "37": "Object Class Description",
    "38": "OID", "40": "Octet String", "41": "Postal Address", "44": "Printable String",
    "50": "Telephone Number", "51": "Teletex Terminal Identifier", "52": "Telex Number",
    "54": "LDAP Syntax Description", "58": "Substring Assertion",
    # RFC 4523 2.1, RFC 2252 6
    "8": "X.509 Certificate", "5": "Binary",
}  # fmt: skip
_OTHERS: Final = {"1.3.6.1.1.16.1": "UUID", "1.3.6.1.1.15.1": "X.509 Certificate Exact Assertion"}
_DESCRIBED: Final = {**{_ARC + number: text for number, text in _SYNTAXES.items()}, **_OTHERS}
_OCTETS: Final = {_ARC + number for number in ("5", "8", "28", "40")}
_TRANSFERRED: Final = {_ARC + number for number in ("5", "8")}

# Which auxiliary classes do not go with a structural class; all others do.
_RECIPIENT: Final = frozenset({"Mail-Recipient", "Mailbox", "remote-address"})
_PLACES: Final = frozenset({"dcObject", "domainRelatedObject"})
_HOLDERS: Final = frozenset({"imsSearchRight"})
_NEVER: Final = frozenset({"subschema"})
_NOT_WITH: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(("organization", "organizationalUnit", "domain"), _RECIPIENT),
    **dict.fromkeys(("person", "organizationalPerson", "inetOrgPerson"), _PLACES | _HOLDERS),
    **dict.fromkeys(("groupOfNames", "public-folder"), _PLACES | _HOLDERS | {"Mailbox", "remote-address"}),
    "container": _RECIPIENT | _PLACES,
    **dict.fromkeys(("mail-gateway", "organizationalRole", "alias"), _RECIPIENT | _PLACES | _HOLDERS),
    "referral": _HOLDERS,
}


@lru_cache(maxsize=1)
def content_rules() -> dict[str, DitContentRule]:
    """By the name of the structural class."""
    auxiliary = [each.name for each in SCHEMA.classes if each.kind is Kind.AUXILIARY]
    return {
        each.name: DitContentRule(
            each.oid,
            each.names,
            auxiliary=tuple(
                name for name in auxiliary if name not in _NEVER | _NOT_WITH.get(each.name, frozenset())
            ),
        )
        for each in SCHEMA.classes
        if each.kind is Kind.STRUCTURAL
    }


@lru_cache(maxsize=256)
def check_content(structural: str, classes: frozenset[str]) -> None:
    """Do the auxiliary classes go with the structural one? Raises ObjectClassViolation."""
    allowed = content_rules()[structural].auxiliary
    for name in sorted(classes):
        found = SCHEMA.object_class(name)
        if found is not None and found.kind is Kind.AUXILIARY and found.name not in allowed:
            raise ObjectClassViolation(f"{found.name} does not go with {structural}")


@lru_cache(maxsize=1)
def subschema() -> tuple[tuple[str, tuple[bytes, ...]], ...]:
    """The attributes of the subschema subentry."""
    types = [found for each in SCHEMA.attributes if (found := SCHEMA.attribute(each.name))]
    used = {each.syntax for each in types} | {rule.syntax for rule in rules.ALL}
    uses = []
    for rule in rules.ALL:
        applies = tuple(each.name for each in types if rules.applies(rule, each))
        if applies:
            uses.append(MatchingRuleUse(rule.oid, (rule.name,), applies=applies))
    described: tuple[tuple[str, list[object]], ...] = (
        ("objectClasses", list(SCHEMA.classes)),
        ("attributeTypes", list(SCHEMA.attributes)),
        ("matchingRules", [MatchingRule(rule.oid, (rule.name,), syntax=rule.syntax) for rule in rules.ALL]),
        ("matchingRuleUse", list(uses)),
        ("dITContentRules", list(content_rules().values())),
        ("ldapSyntaxes", [_syntax(oid) for oid in sorted(used)]),
    )
    return tuple((name, tuple(str(each).encode() for each in every)) for name, every in described)


def _syntax(oid: str) -> Syntax:
    said = {"X-NOT-HUMAN-READABLE": oid in _OCTETS, "X-BINARY-TRANSFER-REQUIRED": oid in _TRANSFERRED}
    return Syntax(
        oid, _DESCRIBED.get(oid, ""), tuple((word, ("TRUE",)) for word, holds in said.items() if holds)
    )
