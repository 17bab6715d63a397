"""Matching rules (RFC 4517) by table, and filters on entries with three values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.ldap import filters, matching
from protocols.ldap.dn import DN, parse
from protocols.ldap.evaluation import compiled
from protocols.ldap.schema import AttributeType, Schema


@pytest.mark.parametrize(
    ("rule", "value", "asserted", "matches"),
    [
        ("caseIgnoreMatch", "Alice  Smith", "alice smith", True),
        ("caseIgnoreMatch", "Alice", "Bob", False),
        ("2.5.13.2", "É", "e\u0301", True),
        ("CASEEXACTMATCH", "Alice", "alice", False),
        ("caseExactMatch", " Alice ", "Alice", True),
        ("caseIgnoreIA5Match", "A@B.test", "a@b.TEST", True),
        ("caseExactIA5Match", "/Home", "/home", False),
        ("numericStringMatch", "12 34", "1234", True),
        ("telephoneNumberMatch", "+1 555-01", "+155501", True),
        ("integerMatch", "-5", "-5", True),
        ("booleanMatch", "TRUE", "true", True),
        ("booleanMatch", "TRUE", "FALSE", False),
        ("octetStringMatch", "a", "A", False),
        ("bitStringMatch", "'0101'B", "'0101'B", True),
        ("bitStringMatch", "'0101'B", "'101'B", False),
        ("distinguishedNameMatch", "CN=A, dc=B", "cn=a,dc=b", True),
        ("uniqueMemberMatch", "cn=A#'01'B", "CN=a#'01'B", True),
        ("uniqueMemberMatch", "cn=A#'01'B", "cn=a", False),
        ("objectIdentifierMatch", "Person", "person", True),
        ("objectIdentifierFirstComponentMatch", "( 2.5.4.3 NAME 'cn' )", "2.5.4.3", True),
        ("integerFirstComponentMatch", "( 7 NAME 'x' )", "7", True),
        ("directoryStringFirstComponentMatch", "( abc DESC 'x' )", "ABC", True),
        ("caseIgnoreListMatch", "1 Main St$Town", "1 main st$town", True),
        ("caseIgnoreListMatch", "a$b", "a\\24b", False),
        ("generalizedTimeMatch", "20260101120000Z", "202601011300+0100", True),
        ("generalizedTimeMatch", "2026010112.5Z", "20260101123000Z", True),
        ("generalizedTimeMatch", "20261231235960Z", "20270101000000Z", True),
        ("generalizedTimeMatch", "20260101120000.5Z", "20260101120000Z", False),
        ("generalizedTimeMatch", "000001010000Z", "00000101000000Z", True),
        ("generalizedTimeMatch", "000001010000Z", "20260101120000Z", False),
        ("UUIDMatch", "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", True),
    ],
)
def test_equality(rule: str, value: str, asserted: str, matches: bool) -> None:
    found = matching.equality(rule)
    assert found is not None
    assert (found.key(value.encode()) == found.assertion(asserted.encode())) is matches


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("integerMatch", b"05"), ("integerMatch", b"x"), ("integerMatch", b"-0"), ("booleanMatch", b"yes"),
        ("numericStringMatch", b"12a"), ("generalizedTimeMatch", b"20261301000000Z"),
        ("generalizedTimeMatch", b"20260101"), ("generalizedTimeMatch", b"2026010112"),
        ("bitStringMatch", b"0101"), ("caseIgnoreIA5Match", "é".encode()), ("caseIgnoreMatch", b"\xff"),
        ("distinguishedNameMatch", b"x"), ("objectIdentifierMatch", b"1."), ("UUIDMatch", b"1"),
        ("caseIgnoreMatch", b""), ("caseExactMatch", b""), ("telephoneNumberMatch", b""),
        ("caseIgnoreListMatch", b""), ("integerFirstComponentMatch", b"7"), ("integerMatch", b"9" * 5000),
    ],
)  # fmt: skip
def test_values_no_rule_can_read(rule: str, value: bytes) -> None:
    found = matching.equality(rule)
    assert found is not None
    with pytest.raises(BadSyntax):
        found.assertion(value) if "First" not in rule else found.key(value)


@given(st.binary(max_size=30) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")))
def test_garbage_raises_only_bad_syntax(value: bytes) -> None:
    for rule in matching.EQUALITY:
        for read in (rule.key, rule.assertion):
            try:
                assert read(value) == read(value)
            except BadSyntax:
                pass
    for each in matching.SUBSTRINGS:
        try:
            each.test(value, (value,), value)(value)
        except BadSyntax:
            pass


@pytest.mark.parametrize(
    ("rule", "value", "parts", "matches"),
    [
        ("caseIgnoreSubstringsMatch", "Stacey", ("st", (), None), True),
        ("caseIgnoreSubstringsMatch", "Suzan Fine", (None, (), "NE"), True),
        ("caseIgnoreSubstringsMatch", "Maria", (None, ("r",), None), True),
        ("caseIgnoreSubstringsMatch", "Maria", ("m", ("i", "r"), None), False),
        ("caseIgnoreSubstringsMatch", "aba", ("ab", (), "ba"), False),
        ("caseIgnoreSubstringsMatch", "abba", ("ab", (), "ba"), True),
        ("caseIgnoreSubstringsMatch", "a  b", (None, ("A B",), None), True),
        ("caseIgnoreSubstringsMatch", "ab", (None, ("a b",), None), False),
        ("caseExactSubstringsMatch", "Alice", ("al", (), None), False),
        ("telephoneNumberSubstringsMatch", "+1 555-0102", (None, ("5550",), "02"), True),
        ("numericStringSubstringsMatch", "1 2 3", ("12", (), None), True),
        ("caseIgnoreListSubstringsMatch", "1 Main$Town", (None, ("main",), None), True),
        ("caseIgnoreListSubstringsMatch", "1 Main$Town", (None, ("maintown",), None), False),
    ],
)
def test_substrings(
    rule: str, value: str, parts: tuple[str | None, tuple[str, ...], str | None], matches: bool
) -> None:
    found = matching.substring(rule)
    assert found is not None
    initial, middle, final = parts
    test = found.test(
        None if initial is None else initial.encode(),
        tuple(part.encode() for part in middle),
        None if final is None else final.encode(),
    )
    assert test(value.encode()) is matches


# Filters -------------------------------------------------------------------------------

STRING = "1.3.6.1.4.1.1466.115.121.1.15"
INTEGER = "1.3.6.1.4.1.1466.115.121.1.27"
SCHEMA = Schema(
    [
        AttributeType("2.5.4.41", ("name",), equality="caseIgnoreMatch",
                      substrings="caseIgnoreSubstringsMatch", syntax=STRING),
        AttributeType("2.5.4.3", ("cn", "commonName"), sup="name"),
        AttributeType("2.5.4.11", ("ou",), sup="name"),
        AttributeType("1.1", ("size",), equality="integerMatch",
                      ordering="integerOrderingMatch", syntax=INTEGER),
        AttributeType("1.2", ("secret",), equality="caseIgnoreMatch", syntax=STRING),
        AttributeType("1.3", ("photo",), syntax="1.3.6.1.4.1.1466.115.121.1.28"),
    ]
)  # fmt: skip


@dataclass
class Entry:
    name: DN
    attributes: dict[str, tuple[bytes, ...]]

    def values(self, description: str) -> Iterable[bytes] | None:
        if description.lower() == "secret":
            return None
        wanted = SCHEMA.subtypes(description)
        return [value for name in wanted for value in self.attributes.get(name, ())]

    def descriptions(self) -> Iterable[str]:
        return self.attributes


ENTRY = Entry(
    parse("cn=Alice,ou=People,o=Test"),
    {"cn": (b"Alice Example", b"alice"), "size": (b"10",), "photo": (b"\xff\xd8",)},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(cn=ALICE)", True),
        ("(cn=bob)", False),
        ("(commonName=alice)", True),
        ("(2.5.4.3=alice)", True),
        ("(name=alice)", True),  # a supertype (RFC 4512 2.5.1)
        ("(cn=al*ex*le)", True),
        ("(cn~=alice)", True),
        ("(size>=10)", True),
        ("(size>=9)", True),
        ("(size>=11)", False),
        ("(size<=9)", False),
        ("(size<=100)", True),
        ("(size=x)", None),
        ("(!(size=x))", None),
        ("(cn>=a)", None),  # no ordering rule
        ("(size=1*)", None),  # no substrings rule
        ("(photo=x)", None),  # no equality rule
        ("(photo=*)", True),
        ("(cn=*)", True),
        ("(ou=*)", False),
        ("(unknown=*)", None),
        ("(unknown=x)", None),
        ("(secret=x)", None),
        ("(!(secret=x))", None),
        ("(secret=*)", None),
        ("(!(secret=*))", None),
        ("(&)", True),
        ("(|)", False),
        ("(&(cn=alice)(secret=x))", None),
        ("(&(cn=bob)(secret=x))", False),
        ("(|(cn=alice)(secret=x))", True),
        ("(|(cn=bob)(secret=x))", None),
        ("(!(cn=bob))", True),
        ("(cn:=alice)", True),
        ("(cn:caseExactMatch:=ALICE)", False),
        ("(cn:2.5.13.5:=alice)", True),
        ("(cn:unknownMatch:=alice)", None),
        ("(size:integerOrderingMatch:=11)", True),
        ("(size:integerOrderingMatch:=10)", False),
        ("(ou:=people)", False),
        ("(ou:dn:=people)", True),
        ("(ou:dn:=others)", False),
        ("(:dn:caseIgnoreMatch:=people)", True),
        ("(:caseIgnoreMatch:=alice)", True),
        ("(:caseIgnoreMatch:=10)", False),  # size is no string
        ("(secret:=x)", None),
        ("(size:integerMatch:=x)", None),
    ],
)
def test_filters_have_three_values(text: str, expected: bool | None) -> None:
    assert compiled(filters.parse(text), SCHEMA)(ENTRY) is expected
