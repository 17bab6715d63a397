"""Schema descriptions (RFC 4512 4.1), inheritance, selection of attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldaptor.schema import AttributeTypeDescription, ObjectClassDescription

from protocols.errors import BadSyntax
from protocols.ldap.schema import AttributeType, Kind, MatchingRule, ObjectClass, Schema, Syntax, Usage
from protocols.ldap.selection import selection

CN = "( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'it\\27s a name' SUP name X-ORIGIN 'RFC 4519' )"
UID = (
    "( 0.9.2342.19200300.100.1.1 NAME 'uid' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch "
    "SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{256} SINGLE-VALUE )"
)
STAMP = (
    "( 2.5.18.1 NAME 'createTimestamp' EQUALITY generalizedTimeMatch ORDERING generalizedTimeOrderingMatch "
    "SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation )"
)
PERSON = "( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) MAY ( userPassword $ description ) )"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (AttributeType, CN),
        (AttributeType, UID),
        (AttributeType, STAMP),
        (ObjectClass, PERSON),
        (ObjectClass, "( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )"),
        (ObjectClass, "( 1.2.3 NAME 'x' OBSOLETE SUP ( a $ b ) AUXILIARY )"),
        (MatchingRule, "( 2.5.13.2 NAME 'caseIgnoreMatch' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )"),
        (Syntax, "( 1.3.6.1.4.1.1466.115.121.1.7 DESC 'Boolean' )"),
        (Syntax, "( 1.2.3 X-A ( 'b' 'c' ) )"),
    ],
)
def test_format_of_parse_is_identity(kind: Any, text: str) -> None:
    assert str(kind.parse(text)) == text


def test_fields() -> None:
    stamp = AttributeType.parse(STAMP)
    assert (
        stamp.usage is Usage.DIRECTORY and stamp.operational and stamp.single and stamp.no_user_modification
    )
    uid = AttributeType.parse(UID)
    assert (uid.length, uid.syntax) == (256, "1.3.6.1.4.1.1466.115.121.1.15")
    cn = AttributeType.parse(CN)
    assert cn.description == "it's a name" and cn.extensions == (("X-ORIGIN", ("RFC 4519",)),)
    person = ObjectClass.parse(PERSON)
    assert person.must == ("sn", "cn") and person.kind is Kind.STRUCTURAL
    loose = ObjectClass.parse("(2.5.6.6 MAY (a$b)  NAME 'person')")
    assert loose.may == ("a", "b") and loose.name == "person"


@pytest.mark.parametrize(
    "text",
    ["", "()", "( )", "( 1.2", "1.2 SYNTAX 1.2", "( 1.2 )", "( 1.2 SYNTAX 1.3{x} )",
     "( 1.2 SYNTAX 1.3 USAGE x )",
     "( 1.2 NAME cn SYNTAX 1.3 )", "( 1.2 NAME 'cn SYNTAX 1.3 )", "( 1.2 SYNTAX 1.3 WHAT )",
     "( 1.2 SYNTAX 1.3 SYNTAX 1.3 )", "( 1.2 SYNTAX ( 1.3 $ 1.4 ) )", "( 1.2 SUP ( a b )", "( 1.2 SYNTAX )"],
)  # fmt: skip
def test_what_is_no_description(text: str) -> None:
    with pytest.raises(BadSyntax):
        AttributeType.parse(text)


@given(st.text("( )'$ABNME1.2{}DESCSUP\\", max_size=40))
def test_garbage_raises_only_bad_syntax(text: str) -> None:
    for kind in (AttributeType, ObjectClass, MatchingRule, Syntax):
        try:
            kind.parse(f"( 1.2 {text} )")  # type: ignore[attr-defined]
        except BadSyntax:
            pass


def test_ldaptor_reads_the_same() -> None:
    theirs = AttributeTypeDescription(UID)
    ours = AttributeType.parse(UID)
    assert theirs.oid == ours.oid.encode()
    assert list(theirs.name) == [b"uid"] and theirs.single_value
    assert theirs.equality == ours.equality.encode()
    person = ObjectClassDescription(PERSON)
    assert [each.decode() for each in person.must] == ["sn", "cn"]
    assert person.type == b"STRUCTURAL"


def test_types_inherit() -> None:
    name = AttributeType.parse("( 2.5.4.41 NAME 'name' EQUALITY caseIgnoreMatch SYNTAX 1.2.3{99} )")
    schema = Schema([AttributeType.parse(CN), name])
    cn = schema.attribute("CommonName;lang-en")
    assert cn is not None and (cn.equality, cn.syntax, cn.length) == ("caseIgnoreMatch", "1.2.3", 99)
    assert schema.attribute("2.5.4.3") is cn
    assert schema.attribute("nothing") is None
    assert schema.subtypes("name") == {"name", "cn"}
    assert schema.subtypes("cn") == {"cn"}
    assert schema.subtypes("nothing") == frozenset()


def test_a_supertype_must_be_there() -> None:
    with pytest.raises(BadSyntax):
        Schema([AttributeType.parse(CN)])
    with pytest.raises(BadSyntax):
        Schema([AttributeType("1.1", ("a",), sup="b"), AttributeType("1.2", ("b",), sup="a")])


def test_superclasses() -> None:
    top = ObjectClass.parse("( 2.5.6.0 NAME 'top' ABSTRACT )")
    person = ObjectClass.parse(PERSON)
    worker = ObjectClass.parse("( 1.2 NAME 'worker' SUP ( person $ top ) )")
    schema = Schema(classes=[top, person, worker])
    assert [each.name for each in schema.superclasses("WORKER")] == ["worker", "person", "top"]


@pytest.mark.parametrize(
    ("asked", "wanted", "unwanted"),
    [
        ((), ["cn", "cn;lang-de"], ["+createtimestamp"]),
        (("*",), ["cn"], ["+createtimestamp"]),
        (("+",), ["+createtimestamp"], ["cn"]),
        (("*", "+"), ["cn", "+createtimestamp"], []),
        (("1.1",), [], ["cn", "+createtimestamp"]),
        (("1.1", "cn"), ["cn"], ["sn"]),
        (("CN",), ["cn", "cn;lang-de"], ["sn", "cnx"]),
        (("cn;lang-de",), ["cn;lang-de", "cn;lang-de;x-a"], ["cn", "cn;lang-fr"]),
        (("createTimestamp",), ["+createtimestamp"], ["cn"]),
    ],
)
def test_selection(asked: tuple[str, ...], wanted: list[str], unwanted: list[str]) -> None:
    chosen = selection(asked)
    for name in wanted + unwanted:
        operational = name.startswith("+")
        assert chosen.wants(name.lstrip("+"), operational) is (name in wanted), name


def test_equal_requests_share_a_selection() -> None:
    assert selection(("CN", "sn")) == selection(("sn", "cn"))
    assert selection(("@Person",)).classes == {"person"}
