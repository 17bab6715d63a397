"""Filter text (RFC 4515): its examples, ldaptor as oracle, properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldaptor import ldapfilter

from protocols.errors import BadSyntax
from protocols.ldap import client, filters
from protocols.ldap.filters import (
    And,
    Approx,
    BadFilter,
    Equal,
    Extensible,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
    parse,
)
from tests.ldap import strategies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(cn=Babs Jensen)", Equal("cn", b"Babs Jensen")),
        ("(!(cn=Tim Howes))", Not(Equal("cn", b"Tim Howes"))),
        ("(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
         And((Equal("objectClass", b"Person"), Or((Equal("sn", b"Jensen"), Substrings("cn", b"Babs J")))))),
        ("(o=univ*of*mich*)", Substrings("o", b"univ", (b"of", b"mich"))),
        ("(o=*end)", Substrings("o", None, (), b"end")),
        ("(seeAlso=)", Equal("seeAlso", b"")),
        ("(cn:caseExactMatch:=Fred Flintstone)", Extensible("caseExactMatch", "cn", b"Fred Flintstone")),
        ("(cn:=Betty Rubble)", Extensible(None, "cn", b"Betty Rubble")),
        ("(sn:dn:2.4.6.8.10:=Barney Rubble)", Extensible("2.4.6.8.10", "sn", b"Barney Rubble", True)),
        ("(o:dn:=Ace Industry)", Extensible(None, "o", b"Ace Industry", True)),
        ("(:1.2.3:=Wilma Flintstone)", Extensible("1.2.3", None, b"Wilma Flintstone")),
        ("(:DN:2.4.6.8.10:=Dino)", Extensible("2.4.6.8.10", None, b"Dino", True)),
        (r"(o=Parens R Us \28for all your parenthetical needs\29)",
         Equal("o", b"Parens R Us (for all your parenthetical needs)")),
        (r"(cn=*\2A*)", Substrings("cn", None, (b"*",))),
        (r"(filename=C:\5cMyFile)", Equal("filename", rb"C:\MyFile")),
        (r"(bin=\00\00\00\04)", Equal("bin", b"\0\0\0\4")),
        (r"(sn=Lu\c4\8di\c4\87)", Equal("sn", "Lučić".encode())),
        (r"(1.3.6.1.4.1.1466.0=\04\02\48\69)", Equal("1.3.6.1.4.1.1466.0", b"\x04\x02Hi")),
        ("(sn~=x)", Approx("sn", b"x")),
        ("(sn>=x)", GreaterOrEqual("sn", b"x")),
        ("(sn<=x)", LessOrEqual("sn", b"x")),
        ("(cn;lang-de=*)", Present("cn;lang-de")),
        ("(&)", And(())),
        ("(|)", Or(())),
        ("uid=alice", Equal("uid", b"alice")),
    ],
)  # fmt: skip
def test_parsed(text: str, expected: filters.Filter) -> None:
    assert parse(text) == expected
    assert parse(filters.format(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "()", "(", "(cn)", "(=x)", "(cn=a", "cn=a)", "(cn=a)x", "(cn=a)(cn=b)", "(!)", "(!(a=b)(c=d))",
     "(&(a=b)",
     r"(cn=\2)", r"(cn=\zz)", "(cn=a**b)", "(cn=**)", "(cn>=*)", "(cn:=a*)", "(:=x)", "(:dn:=x)", "(c n=x)",
     "(cn=(x))", "(!" * 70 + "(a=b)" + ")" * 70],
)  # fmt: skip
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(BadFilter):
        parse(text)


@given(strategies.all_filters)
def test_parse_of_format_is_identity(value: filters.Filter) -> None:
    assert parse(filters.format(value)) == value


@given(st.text(max_size=30) | st.text("()&|!=*<>~:\\acn1. ", max_size=30))
def test_garbage_raises_only_bad_syntax(text: str) -> None:
    try:
        parse(text)
    except BadSyntax:
        pass


words = st.text("abcXYZ 019.-_@*()\\", min_size=1, max_size=8).map(str.encode)
simple = st.one_of(
    st.builds(Equal, st.sampled_from(["cn", "uid"]), words),
    st.builds(Present, st.sampled_from(["cn", "uid"])),
    st.builds(Substrings, st.just("cn"), words, st.lists(words, max_size=2).map(tuple), words),
)


@given(st.lists(simple, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))))
def test_ldaptor_reads_the_same(value: filters.Filter) -> None:
    assert ldapfilter.parseFilter(filters.format(value)).toWire() == client.encode_filter(value)
