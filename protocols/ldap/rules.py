"""Matching rules by name: what an extensible match asserts (RFC 4511 4.5.1.7.7), and of which attributes.

An equality rule asserts equality, an ordering rule "less", a substrings rule a pattern
`initial*any*final` (RFC 4517 3.3.30), wordMatch and keywordMatch one word (RFC 4517 4.2.21,
4.2.32).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from protocols.errors import BadSyntax
from protocols.ldap import matching
from protocols.ldap.schema import AttributeType

ValueTest = Callable[[bytes], bool]

_SYNTAX: Final = "1.3.6.1.4.1.1466.115.121.1."


@dataclass(frozen=True, slots=True)
class Words:
    """A rule that finds one word in a value; case and what stands between words do not matter."""

    oid: str
    name: str
    syntax: str = _SYNTAX + "15"


WORDS: Final = (Words("2.5.13.33", "keywordMatch"), Words("2.5.13.32", "wordMatch"))

Rule = matching.Equality | matching.Ordering | matching.Substring | Words
ALL: Final[tuple[Rule, ...]] = (*matching.EQUALITY, *matching.ORDERING, *matching.SUBSTRINGS, *WORDS)

_BY_NAME: Final = {key.lower(): rule for rule in ALL for key in (rule.oid, rule.name)}


def _of(*numbers: int) -> frozenset[str]:
    return frozenset(f"{_SYNTAX}{number}" for number in numbers)


# RFC 4517 4.2: texts of any alternative of DirectoryString; ours are IA5 as well.
_TEXT: Final = _of(11, 15, 26, 44, 50)
_APPLIES: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(
        (
            "caseexactmatch", "caseexactorderingmatch", "caseexactsubstringsmatch", "caseignorematch",
            "caseignoreorderingmatch", "caseignoresubstringsmatch", "keywordmatch", "wordmatch",
        ),
        _TEXT,
    ),
    "caseignoreia5substringsmatch": _of(26),
    "caseignorelistsubstringsmatch": _of(41),
    "numericstringsubstringsmatch": _of(36),
    "telephonenumbersubstringsmatch": _of(50),
    "octetstringmatch": _of(5, 8, 28, 40),
    "octetstringorderingmatch": _of(5, 8, 28, 40),
    "certificateexactmatch": _of(8),
    "objectidentifierfirstcomponentmatch": _of(3, 16, 30, 31, 35, 37, 54),
    "integerfirstcomponentmatch": _of(17),
}  # fmt: skip


def applies(rule: Rule, attribute: AttributeType) -> bool:
    """May the rule be used with values of an attribute (RFC 4512 4.1.4)?"""
    own = rule.oid, rule.name
    if attribute.equality in own or attribute.ordering in own or attribute.substrings in own:
        return True
    return attribute.syntax in _APPLIES.get(rule.name.lower(), (rule.syntax,))


def named(name: str) -> Rule | None:
    """The rule of a name or an OID."""
    return _BY_NAME.get(name.lower())


def test_of(rule: Rule, value: bytes) -> ValueTest:
    """The test of values that a rule makes of what is asserted. Raises BadSyntax."""
    match rule:
        case matching.Equality():
            key, asserted = rule.key, rule.assertion(value)
            return lambda each: key(each) == asserted
        case matching.Ordering():
            sort, bound = rule.key, rule.key(value)
            return lambda each: bool(sort(each) < bound)
        case matching.Substring():
            return rule.test(*substring_assertion(value))
    wanted = _words(value)
    if not wanted:
        raise BadSyntax("a word")
    return lambda each: wanted <= _words(each)


def _words(value: bytes) -> frozenset[str]:
    return frozenset(filter(None, re.split(r"\W+", matching.case_ignore(value))))


# substring-assertion = [ initial ] any [ final ]; "*" and "\" within are escaped (RFC 4517 3.3.30)
_ESCAPED: Final = re.compile(rb"\\(2A|5C)", re.IGNORECASE)


def substring_assertion(value: bytes) -> tuple[bytes | None, tuple[bytes, ...], bytes | None]:
    """initial, any, final. Raises BadSyntax."""
    first, *middle = (_ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), part)
                      for part in value.split(b"*"))  # fmt: skip
    if not middle or not all(middle[:-1]) or not (first or any(middle)):
        raise BadSyntax("initial*any*final")
    return first or None, tuple(middle[:-1]), middle[-1] or None
