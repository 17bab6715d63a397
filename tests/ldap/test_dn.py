"""Distinguished names (RFC 4514): the RFC's examples, ldaptor as oracle, properties."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ldaptor.protocols.ldap import distinguishedname as theirs

from protocols.errors import BadSyntax
from protocols.ldap.dn import AVA, DN, MAX_LENGTH, MAX_RDNS, RDN, ROOT, BadDN, parse, parse_rdn, rdn


@pytest.mark.parametrize(
    ("text", "avas"),
    [
        ("UID=jsmith,DC=example,DC=net", [[("UID", "jsmith")], [("DC", "example")], [("DC", "net")]]),
        ("OU=Sales+CN=J.  Smith,DC=net", [[("OU", "Sales"), ("CN", "J.  Smith")], [("DC", "net")]]),
        (r"CN=James \"Jim\" Smith\, III", [[("CN", 'James "Jim" Smith, III')]]),
        (r"CN=Before\0dAfter", [[("CN", "Before\rAfter")]]),
        ("1.3.6.1.4.1.1466.0=#04024869", [[("1.3.6.1.4.1.1466.0", "Hi")]]),
        (r"CN=Lu\C4\8Di\C4\87", [[("CN", "Lučić")]]),
        ("cn=a=b", [[("cn", "a=b")]]),
        ("cn=", [[("cn", "")]]),
        (r"cn=\ a\ ", [[("cn", " a ")]]),
        (r"cn=\#a", [[("cn", "#a")]]),
        # RFC 2253 4 and RFC 1779, as older clients write
        (" cn = a , dc = b ", [[("cn", "a")], [("dc", "b")]]),
        ('o="a,b";c=US', [[("o", "a,b")], [("c", "US")]]),
    ],
)
def test_parsed(text: str, avas: list[list[tuple[str, str]]]) -> None:
    assert [[(ava.type, ava.value) for ava in each.avas] for each in parse(text).rdns] == avas


@pytest.mark.parametrize(
    "text",
    ["cn", "=x", "cn=a,", ",cn=a", "cn=a,,dc=b", "cn=a+", "1.=x", "01.2=x", "c_n=x", "cn=a<b", 'cn=a"b',
     'cn="a', 'cn="a"b', "cn=a\\", "cn=a\\g", "cn=\\c4", "cn=\\ff", "cn=#", "cn=#0", "cn=#0101ff",
     "cn=#0402ff",
     "cn=a\0b", "cn=\ue000", "x" * (MAX_LENGTH + 1), ",".join(["dc=a"] * (MAX_RDNS + 1))],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(BadDN):
        parse(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Alice,DC=Test", "cn=alice,dc=test"),
        ("cn=J.  Smith ", "CN=j. smith"),
        ("commonName=a", "2.5.4.3=A"),
        ("cn=a+ou=b", "OU=B+CN=A"),
        ("cn=ÉCOLE", "cn=e\u0301cole"),
        ("cn=straße", "cn=STRASSE"),
        ("uid=a", "userid=a"),
        ("cn=a\u00adb", "cn=ab"),
    ],
)
def test_the_same_entry(one: str, other: str) -> None:
    assert parse(one) == parse(other)
    assert hash(parse(one)) == hash(parse(other))
    assert parse(one).normal == parse(other).normal


@pytest.mark.parametrize(
    ("one", "other"),
    [("cn=a", "uid=a"), ("cn=a,dc=b", "cn=a"), (r"cn=a\,dc=b", "cn=a,dc=b"), (r"cn=a\+ou=b", "cn=a+ou=b"),
     ("cn=", "")],
)  # fmt: skip
def test_not_the_same_entry(one: str, other: str) -> None:
    assert parse(one) != parse(other)


def test_the_tree() -> None:
    name = parse("cn=a,ou=b,o=c")
    assert str(name.parent) == "ou=b,o=c"
    assert [str(each) for each in name.ancestors()] == ["ou=b,o=c", "o=c"]
    assert name.under(parse("OU=B,o=c")) and name.under(name) and name.under(ROOT)
    assert not name.under(parse("ou=x,o=c")) and not name.parent.under(name)
    assert name.parent.child(parse_rdn("cn=A")) == name
    assert not ROOT and len(ROOT) == 0 and str(ROOT) == ""
    with pytest.raises(BadDN):
        parse_rdn("cn=a,dc=b")
    with pytest.raises(BadDN):
        parse_rdn("")


def test_written_names_escape_what_needs_it() -> None:
    assert str(rdn(cn="Smith, John + #1")) == r"cn=Smith\, John \+ #1"
    assert str(rdn(cn=" #\0 ")) == r"cn=\ #\00\ "
    assert str(rdn(cn=" ")) == r"cn=\ "
    assert str(rdn(cn="#")) == r"cn=\#"
    assert str(rdn(cn="a=b")) == "cn=a=b"


values = st.text(st.characters(exclude_categories=["Cs", "Co", "Cn"]), max_size=12)
types = st.from_regex(r"[a-zA-Z][a-zA-Z0-9-]{0,5}", fullmatch=True)
names = st.lists(
    st.lists(st.builds(AVA, types, values), min_size=1, max_size=2).map(lambda avas: RDN(tuple(avas))),
    max_size=3,
).map(lambda rdns: DN(tuple(rdns)))


def written(name: DN) -> list[list[tuple[str, str]]]:
    return [[(ava.type, ava.value) for ava in each.avas] for each in name.rdns]


@given(names)
def test_parse_of_format_is_identity(name: DN) -> None:
    assert written(parse(str(name))) == written(name)
    assert parse(str(name)) == name


@given(names)
def test_normal_is_a_name_and_its_own_normal(name: DN) -> None:
    assert parse(name.normal).normal == name.normal


@given(st.text(max_size=30))
def test_garbage_raises_only_bad_syntax(text: str) -> None:
    try:
        parse(text)
    except BadSyntax:
        pass


plain = st.text(
    st.sampled_from('abcXYZ 019.,+\\"<>;=#-_@é\u00df'), min_size=1, max_size=10
)  # ldaptor takes the first octet of everything else for itself


@given(st.lists(st.tuples(st.sampled_from(["cn", "ou", "dc"]), plain), min_size=1, max_size=3))
def test_ldaptor_reads_what_we_write(pairs: list[tuple[str, str]]) -> None:
    # ldaptor drops the escape of a space at the end together with the space.
    assume(all(value == value.strip(" ") for _, value in pairs))
    text = str(DN(tuple(RDN((AVA(kind, value),)) for kind, value in pairs)))
    found = theirs.DistinguishedName(text).split()
    assert [[(ava.attributeType, ava.value) for ava in each.split()] for each in found] == [
        [pair] for pair in pairs
    ]


@given(st.lists(st.tuples(st.sampled_from(["cn", "ou", "dc"]), plain), min_size=1, max_size=3))
def test_we_read_what_ldaptor_writes(pairs: list[tuple[str, str]]) -> None:
    assume(all(value == value.strip(" ") for _, value in pairs))
    text = theirs.DistinguishedName(
        listOfRDNs=[
            theirs.RelativeDistinguishedName(
                attributeTypesAndValues=[theirs.LDAPAttributeTypeAndValue(attributeType=kind, value=value)]
            )
            for kind, value in pairs
        ]
    ).getText()
    assert written(parse(text)) == [[pair] for pair in pairs]
