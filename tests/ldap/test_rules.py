"""Matching rules by name: words, substrings, and which attributes a rule is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.ldap import certificates, options, rules
from protocols.ldap.schema import AttributeType

SYNTAX = "1.3.6.1.4.1.1466.115.121.1."


@pytest.mark.parametrize(
    ("rule", "value", "asserted", "matches"),
    [
        ("wordMatch", "Sales and Marketing", "marketing", True),
        ("2.5.13.32", "Sales and Marketing", "market", False),
        ("keywordMatch", "mail, directory; queue", "DIRECTORY", True),
        ("caseIgnoreSubstringsMatch", "Stacey", "st*", True),
        ("caseIgnoreSubstringsMatch", "Suzan Fine", "*NE", True),
        ("caseIgnoreSubstringsMatch", "Suzan Fine", "s*z*fine", True),
        ("2.5.13.4", "a*b", "*\\2a*", True),
        ("caseIgnoreSubstringsMatch", "ab", "*\\2A*", False),
        ("caseExactSubstringsMatch", "Stacey", "st*", False),
        ("caseIgnoreListSubstringsMatch", "1 Main\\24 St$Town", "*$ st*", True),
        ("integerOrderingMatch", "4", "5", True),
        ("integerOrderingMatch", "5", "5", False),
        ("generalizedTimeOrderingMatch", "20250101000000Z", "20260101000000Z", True),
        ("caseIgnoreMatch", "Alice  Smith", "alice smith", True),
    ],
)
def test_what_a_rule_asserts(rule: str, value: str, asserted: str, matches: bool) -> None:
    found = rules.named(rule)
    assert found is not None
    assert rules.test_of(found, asserted.encode())(value.encode()) is matches


@pytest.mark.parametrize(
    ("rule", "asserted"),
    [
        ("caseIgnoreSubstringsMatch", "abc"), ("caseIgnoreSubstringsMatch", "*"),
        ("caseIgnoreSubstringsMatch", "a**b"), ("caseIgnoreSubstringsMatch", ""),
        ("wordMatch", ""), ("keywordMatch", " - "), ("integerOrderingMatch", "x"),
        ("certificateExactMatch", "{ serialNumber x, issuer rdnSequence:\"cn=a\" }"),
        ("certificateExactMatch", "0\x82"), ("certificateExactMatch", "1$x"),
    ],
)  # fmt: skip
def test_what_no_rule_can_read(rule: str, asserted: str) -> None:
    found = rules.named(rule)
    assert found is not None
    with pytest.raises(BadSyntax):
        rules.test_of(found, asserted.encode("latin-1"))


@pytest.mark.parametrize(
    ("rule", "syntax", "usable"),
    [
        # RFC 4517 4.2.11: texts of other syntaxes, too
        ("caseIgnoreMatch", "15", True), ("caseIgnoreMatch", "44", True), ("caseIgnoreMatch", "11", True),
        ("caseIgnoreMatch", "50", True), ("caseIgnoreMatch", "27", False), ("caseIgnoreMatch", "12", False),
        ("caseIgnoreSubstringsMatch", "15", True), ("caseIgnoreListSubstringsMatch", "15", False),
        ("integerMatch", "27", True), ("integerMatch", "36", False), ("octetStringMatch", "40", True),
        ("objectIdentifierFirstComponentMatch", "37", True), ("certificateExactMatch", "8", True),
    ],
)  # fmt: skip
def test_which_attributes_a_rule_is_for(rule: str, syntax: str, usable: bool) -> None:
    found = rules.named(rule)
    assert found is not None
    assert rules.applies(found, AttributeType("1.1", ("x",), syntax=SYNTAX + syntax)) is usable


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_garbage_raises_only_bad_syntax(asserted: bytes, value: bytes) -> None:
    for rule in rules.ALL:
        try:
            rules.test_of(rule, asserted)(value)
        except BadSyntax:
            pass
    for read in (certificates.certificate, certificates.assertion):
        try:
            read(value)
        except BadSyntax:
            pass


@pytest.mark.parametrize(
    ("asked", "own", "is_covered"),
    [
        ("cn", "cn", True), ("cn", "cn;lang-de", True), ("cn;lang-de", "cn", False),
        ("cn;lang-de", "cn;lang-de;lang-ja", True), ("cn;lang-de;lang-ja", "cn;lang-de", False),
        ("cn;lang-en", "cn;lang-en-us", False), ("cn;lang-en-", "cn;lang-en-us", True),
        ("cn;lang-en-", "cn;lang-en", True), ("cn;lang-en-", "cn;lang-enm", False),
        ("cn;lang-", "cn;lang-x-klingon", True), ("cn;lang-", "cn", False),
        ("cn;LANG-De", "cn;lang-dE", True),
    ],
)  # fmt: skip
def test_descriptions_with_more_options_are_subtypes(asked: str, own: str, is_covered: bool) -> None:
    """RFC 4512 2.5.2, RFC 3866 3.1."""
    assert options.covers(options.split(asked)[1], options.split(own)[1]) is is_covered


@pytest.mark.parametrize(
    ("option", "tag", "span"),
    [
        ("lang-en", True, False), ("lang-en-us", True, False), ("lang-i-klingon", True, False),
        ("lang-", False, True), ("lang-en-", False, True), ("lang-123456789", False, False),
        ("lang--", False, False), ("lang-1", False, False), ("binary", False, False),
        ("lang-en--", False, False), ("lang-en-1a2b3c4d5", False, False),
    ],
)  # fmt: skip
def test_tags_and_ranges(option: str, tag: bool, span: bool) -> None:
    """RFC 3866 2.1, 3."""
    assert (options.is_tag(option), options.is_range(option)) == (tag, span)
