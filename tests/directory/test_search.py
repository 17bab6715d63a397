"""Searches: every filter, scopes, rights, both suffixes, and the planner against a walk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsd.directory.access import ANONYMOUS, SERVER
from imsd.directory.directory import Directory
from imsd.errors import InvalidDN, LimitReached, NoSuchEntry
from protocols.ldap import filters
from protocols.ldap.messages import Deref, Scope
from tests.directory.support import configure, found, open_directory, viewer
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    populate(directory)
    yield directory
    run(database.close())


def populate(directory: Directory) -> None:
    """The people of ims_spec 7.5, a list, a contact, something hidden."""
    names = ("Stacey", "Steve", "Suzan Fine", "Maria", "Raymond")
    for name in names:
        alias = name.split()[0].lower()
        run(directory.add_user(f"{alias}@example.test", name=name))
        run(directory.change(alias, {"title": ["Engineer"], "telephoneNumber": ["+1 555-0100"]}))
    run(directory.change("maria", {"manager": [f"cn=steve,{RECIPIENTS}"]}))
    run(directory.change("maria", {"Hide-From-Address-Book": ["TRUE"]}))
    run(directory.change("stacey", {"homePostalAddress": ["1 Road$Town"], "employeeNumber": ["7"]}))
    run(directory.add_group("team@example.test", name="Team", members=["stacey", "maria"], owner="steve"))
    run(directory.add_group("secret@example.test", name="Secret", members=["stacey"]))
    run(directory.change("secret@example.test", {"Hide-DL-Membership": ["TRUE"]}))
    run(directory.add_contact("carl@example.test", "carl@elsewhere.test", name="Carl"))


def names(result: dict[str, object]) -> set[str]:
    return {name.partition(",")[0].partition("=")[2] for name in result}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(uid=STACEY)", {"stacey"}),
        ("(cn=suzan fine)", {"suzan"}),
        ("(cn=suzan)", {"suzan"}),
        ("(displayName=suzan)", set()),
        ("(name=suzan fine)", {"suzan"}),
        ("(mail=Stacey@Example.Test)", {"stacey"}),
        ("(rfc822Mailbox=stacey@example.test)", {"stacey"}),
        ("(otherMailbox=smtp$postmaster@example.test)", {"administrator"}),
        ("(proxyAddresses=SMTP:steve@example.test)", {"steve"}),
        ("(cn=st*)", {"stacey", "steve"}),
        ("(cn=*ne)", {"suzan"}),
        ("(cn=*r*)", {"administrator", "carl", "maria", "raymond", "secret", "Recipients", "Configuration"}),
        ("(&(cn=s*)(cn=*y))", {"stacey"}),
        ("(|(uid=maria)(uid=raymond)(uid=nobody))", {"maria", "raymond"}),
        ("(telephoneNumber=+15550100)", {"stacey", "steve", "suzan", "maria", "raymond"}),
        ("(&(objectClass=inetOrgPerson)(!(objectClass=Mailbox)))", {"carl"}),
        ("(objectClass=groupOfNames)", {"team", "secret"}),
        ("(&(objectClass=organizationalPerson)(title=engineer)(!(cn=s*)))", {"maria", "raymond"}),
        (f"(member=cn=stacey,{RECIPIENTS})", {"team", "secret"}),
        ("(member=CN=Stacey,cn=recipients,ou=main,dc=example,dc=test)", {"team", "secret"}),
        (f"(memberOf=cn=team,{RECIPIENTS})", {"stacey", "maria"}),
        (f"(manager=cn=steve,{RECIPIENTS})", {"maria"}),
        (f"(Reports=cn=maria,{RECIPIENTS})", {"steve"}),
        (f"(entryDN=cn=maria,{RECIPIENTS})", {"maria"}),
        ("(manager=*)", {"maria"}),
        ("(manager=cn=nobody,o=Example)", set()),
        ("(manager=rubbish)", set()),
        ("(employeeNumber>=6)", {"stacey"}),
        ("(employeeNumber<=6)", set()),
        ("(uid~=stacey)", {"stacey"}),
        ("(uid:caseExactMatch:=stacey)", {"stacey"}),
        ("(uid:2.5.13.5:=Stacey)", set()),
        ("(:caseExactMatch:=Raymond)", {"raymond"}),
        ("(&(cn:dn:=recipients)(uid=maria))", {"maria"}),
        ("(nonsense=*)", set()),
        ("(!(nonsense=*))", set()),
        ("(|(nonsense=x)(uid=maria))", {"maria"}),
        ("(userPassword=*)", set()),
        ("(!(userPassword=*))", set()),
        ("(hasSubordinates=TRUE)", {"Example", "Main", "Recipients"}),
        ("(structuralObjectClass=groupOfNames)", {"team", "secret"}),
        ("(&)", None),
        ("(|)", set()),
    ],
)
def test_filters(directory: Directory, text: str, expected: set[str] | None) -> None:
    planned = found(directory, text, "cn")
    assert planned == found(directory, text, "cn", planned=False)
    assert len(planned) == 13 if expected is None else names(planned) == expected


def test_scopes_and_suffixes(directory: Directory) -> None:
    assert names(found(directory, "(objectClass=*)", base="o=Example", scope=Scope.ONE)) == {"Main"}
    assert names(found(directory, "(objectClass=*)", base="ou=main,o=example", scope=Scope.BASE)) == {"Main"}
    one = found(directory, "(cn=s*)", base="cn=Recipients,ou=Main,dc=example,dc=test", scope=Scope.ONE)
    assert names(one) == {"stacey", "steve", "suzan", "secret"}
    assert all(name.endswith(",cn=Recipients,ou=Main,dc=example,dc=test") for name in one)
    top = found(directory, "(objectClass=*)", base="dc=example,dc=test", scope=Scope.BASE)
    assert top["dc=example,dc=test"]["dc"] == ["example"] and top["dc=example,dc=test"]["o"] == ["Example"]
    maria = found(directory, "(uid=maria)", "manager", "memberOf", base="dc=example,dc=test")
    assert list(maria.values()) == [
        {
            "manager": ["cn=steve,cn=Recipients,ou=Main,dc=example,dc=test"],
            "memberOf": ["cn=team,cn=Recipients,ou=Main,dc=example,dc=test"],
        }
    ]
    assert names(found(directory, "(uid=maria)", base="")) == {"maria"}
    for nowhere in ("cn=x,o=Example", "o=Other"):
        with pytest.raises(NoSuchEntry):
            found(directory, "(objectClass=*)", base=nowhere)
    with pytest.raises(InvalidDN):
        found(directory, "(objectClass=*)", base="rubbish")
    with pytest.raises(NoSuchEntry) as refused:
        found(directory, "(objectClass=*)", base="cn=x,ou=Main,dc=example,dc=test")
    assert refused.value.matched == "ou=Main,dc=example,dc=test"


def test_what_is_selected(directory: Directory) -> None:
    def one(*attributes: str, **more: bool) -> set[str]:
        return set(next(iter(found(directory, "(uid=stacey)", *attributes, **more).values())))  # type: ignore[arg-type]

    user = one()
    assert {"cn", "sn", "uid", "mail", "displayName", "rdn", "proxyAddresses", "objectClass"} <= user
    assert not user & {"createTimestamp", "entryUUID", "memberOf", "userPassword"}
    assert one("*") == user
    operational = one("+")
    assert {"createTimestamp", "modifyTimestamp", "entryUUID", "entryDN", "memberOf", "numSubordinates",
            "hasSubordinates", "structuralObjectClass", "subschemaSubentry"} <= operational  # fmt: skip
    assert not operational & user
    assert one("*", "+") == user | operational
    assert one("1.1") == set()
    assert one("SN", "2.5.4.3") == {"sn", "cn"}
    assert one("name") >= {"cn", "sn", "title"}
    assert one("@person") <= {"objectClass", "cn", "sn", "telephoneNumber", "description", "userPassword"}
    only = found(directory, "(uid=stacey)", "cn", types_only=True)
    assert list(only.values()) == [{"cn": []}]


def test_rights_come_before_filters(directory: Directory) -> None:
    stacey, steve, maria = (viewer(directory, who) for who in ("stacey", "steve", "maria"))
    secret = "(homePostalAddress=1 Road$Town)"
    assert names(found(directory, secret, asking=SERVER)) == {"stacey"}
    assert names(found(directory, secret, asking=stacey)) == {"stacey"}, "it is hers"
    assert found(directory, secret, asking=steve) == {}
    assert (
        found(directory, f"(!{secret})", asking=steve).keys()
        == found(directory, "(&(uid=steve)(homePostalAddress=*))", asking=steve).keys()
        | found(directory, f"(&(objectClass=*)(!{secret}))", asking=steve).keys()
    )
    assert "stacey" not in names(found(directory, f"(!{secret})", asking=steve)), "not under NOT either"
    shown = found(directory, "(uid=stacey)", asking=steve)
    assert "homePostalAddress" not in next(iter(shown.values()))
    assert "maria" not in names(found(directory, "(objectClass=*)", asking=stacey))
    assert "maria" in names(found(directory, "(objectClass=*)", asking=maria))
    with pytest.raises(NoSuchEntry) as refused:
        found(directory, "(objectClass=*)", base=f"cn=maria,{RECIPIENTS}", scope=Scope.BASE, asking=stacey)
    assert refused.value.matched == RECIPIENTS
    assert "Configuration" not in names(found(directory, "(objectClass=*)", asking=stacey))
    with pytest.raises(NoSuchEntry) as refused:
        found(directory, "(objectClass=*)", base=f"cn=x,cn=maria,{RECIPIENTS}", asking=stacey)
    assert refused.value.matched == RECIPIENTS, "how far a name is right tells of nobody"


def test_names_of_what_may_not_be_seen_are_left_out(directory: Directory) -> None:
    stacey, steve = viewer(directory, "stacey"), viewer(directory, "steve")
    team = next(iter(found(directory, "(cn=team)", "member", asking=stacey).values()))
    assert team == {"member": [f"cn=stacey,{RECIPIENTS}"]}
    owner = next(iter(found(directory, "(cn=team)", "member", asking=steve).values()))
    assert len(owner["member"]) == 2, "the owner sees all he may change"
    assert found(directory, "(cn=secret)", "member", asking=stacey) == {f"cn=secret,{RECIPIENTS}": {}}
    assert found(directory, f"(memberOf=cn=secret,{RECIPIENTS})", asking=stacey) == {}
    own = next(iter(found(directory, "(uid=stacey)", "memberOf", asking=stacey).values()))
    assert own == {"memberOf": [f"cn=team,{RECIPIENTS}"]}
    assert found(directory, f"(Reports=cn=maria,{RECIPIENTS})", asking=stacey) == {}
    assert found(directory, "(Reports=*)", asking=stacey) == {}
    assert names(found(directory, "(Reports=*)")) == {"steve"}


def test_anonymous_sees_public_attributes_alone(directory: Directory) -> None:
    shown = found(directory, "(uid=stacey)", asking=ANONYMOUS)
    (attributes,) = shown.values()
    assert "telephoneNumber" in attributes and "employeeNumber" not in attributes
    assert found(directory, "(employeeNumber=7)", asking=ANONYMOUS) == {}
    least = '{"telephoneNumber": "administrator", "employeeNumber": "everyone"}'
    configure(directory, ldap__attributes=least)
    (attributes,) = found(directory, "(uid=stacey)", asking=ANONYMOUS).values()
    assert "telephoneNumber" not in attributes and "employeeNumber" in attributes
    assert found(directory, "(telephoneNumber=*)", asking=viewer(directory, "steve")) == {}


@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        ("any_as_initial", "(cn=St*)", {"stacey", "steve"}),
        ("any_as_initial", "(cn=*r*)", {"raymond", "Recipients"}),
        ("any_as_initial", "(cn=*ne)", set()),
        ("initial_only", "(cn=St*)", {"stacey", "steve"}),
        ("initial_only", "(cn=*r*)", set()),
        ("initial_only", "(!(cn=*r*))", set()),
        ("initial_only", "(|(cn=*r*)(uid=maria))", {"maria"}),
    ],
)
def test_substring_modes(directory: Directory, mode: str, text: str, expected: set[str]) -> None:
    assert names(found(directory, text, substring=mode)) == expected


def test_a_search_looks_at_no_more_than_it_may(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    from imsd.directory import scopes, search

    monkeypatch.setattr(scopes, "PAGE", 4)
    monkeypatch.setattr(search.Search, "__init__", _limited(search.Search.__init__))
    with pytest.raises(LimitReached):
        found(directory, "(description=x)")


def _limited(init):  # type: ignore[no-untyped-def]
    def limited(self, *args):  # type: ignore[no-untyped-def]
        init(self, *args)
        self.look_through = 5

    return limited


def test_aliases_are_followed_when_asked_for(directory: Directory) -> None:
    run(
        directory.add_entry(
            "cn=boss,ou=Main,o=Example",
            [
                ("objectClass", [b"alias"]),
                ("aliasedObjectName", [f"cn=steve,{RECIPIENTS}".encode()]),
            ],
            SERVER,
        )
    )
    boss = "cn=boss,ou=Main,o=Example"
    assert names(found(directory, "(objectClass=*)", base=boss, scope=Scope.BASE)) == {"boss"}
    finding = found(directory, "(objectClass=*)", base=boss, scope=Scope.BASE, deref=Deref.FINDING)
    assert names(finding) == {"steve"}
    main = "ou=Main,o=Example"
    one = found(directory, "(objectClass=*)", base=main, scope=Scope.ONE, deref=Deref.SEARCHING)
    assert names(one) == {"Recipients", "Configuration", "steve"}
    whole = found(directory, "(objectClass=*)", deref=Deref.ALWAYS)
    assert "boss" not in names(whole) and "steve" in names(whole)


def test_a_large_list_is_shown_whole(directory: Directory) -> None:
    members = [f"c{number}@example.test" for number in range(450)]
    for address in members:
        run(directory.add_contact(address, f"{address}.elsewhere.test"))
    run(directory.add_group("large@example.test", members=members))
    shown = next(iter(found(directory, "(cn=large)", "member").values()))
    assert [name.partition(",")[0] for name in shown["member"]] == [f"cn=c{n}" for n in range(450)]
    expansion = run(directory.expand(run(directory.resolve("large@example.test"))))
    assert len(expansion.recipients) == 450


# The planner against a walk ---------------------------------------------------------------

_ATTRIBUTES = (
    "cn", "uid", "mail", "name", "title", "telephoneNumber", "objectClass", "otherMailbox", "rdn",
    "member", "memberOf", "manager", "homePostalAddress", "employeeNumber", "nonsense", "userPassword",
    "displayName", "sn", "Hide-From-Address-Book", "entryUUID", "proxyAddresses",
)  # fmt: skip
_VALUES = (
    b"stacey", b"Steve", b"s", b"e", b"Suzan Fine", b" suzan  fine ", b"fine", b"engineer", b"+1 555-0100",
    b"555", b"inetorgperson", b"TRUE", b"7", b"", b" ", b"%", b"\xff", b"stacey@example.test",
    b"smtp$postmaster@example.test", f"cn=stacey,{RECIPIENTS}".encode(),
    b"cn=team,cn=Recipients,ou=Main,o=example", b"SMTP:steve@example.test",
)  # fmt: skip
_attribute = st.sampled_from(_ATTRIBUTES)
_value = st.sampled_from(_VALUES)
_leaf = st.one_of(
    st.builds(filters.Equal, _attribute, _value),
    st.builds(filters.Approx, _attribute, _value),
    st.builds(filters.GreaterOrEqual, _attribute, _value),
    st.builds(filters.Present, _attribute),
    st.builds(
        lambda name, initial, middle, final: filters.Substrings(name, initial, tuple(middle), final),
        _attribute,
        st.none() | _value,
        st.lists(_value, min_size=1, max_size=2),
        st.none() | _value,
    ),
    st.builds(filters.Extensible, st.sampled_from([None, "caseExactMatch", "none"]), _attribute, _value),
)
_filter = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.builds(lambda parts: filters.And(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: filters.Or(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(filters.Not, inner),
    ),
    max_leaves=5,
)


def test_an_extensible_match_without_a_rule_finds_names_too(directory: Directory) -> None:
    name = b"cn=stacey,cn=Recipients,ou=Main,o=Example"
    equal = found(directory, filters.Equal("member", name), "1.1")
    assert equal
    assert found(directory, filters.Extensible(None, "member", name), "1.1") == equal
    assert found(directory, filters.Extensible(None, "entryDN", name), "1.1").keys() == {name.decode()}


def test_a_plan_finds_what_a_walk_finds(directory: Directory) -> None:
    viewers = [SERVER, ANONYMOUS, viewer(directory, "stacey"), viewer(directory, "steve")]

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_filter, st.sampled_from(viewers), st.sampled_from([Scope.SUBTREE, Scope.ONE]))
    def check(item: filters.Filter, asking: object, scope: Scope) -> None:
        base = RECIPIENTS if scope is Scope.ONE else "o=Example"
        planned = found(directory, item, "1.1", asking=asking, base=base, scope=scope)  # type: ignore[arg-type]
        walked = found(
            directory,
            item,
            "1.1",
            asking=asking,
            base=base,
            scope=scope,
            planned=False,  # type: ignore[arg-type]
        )
        assert planned == walked

    check()


def test_how_far_a_name_is_right_does_not_tell_what_is_hidden(directory: Directory) -> None:
    configuration = "cn=Configuration,ou=Main,o=Example"
    run(directory.add_entry(f"cn=secret,{configuration}", [("objectClass", (b"container",))], SERVER))
    for name in ("secret", "nothing", "below,cn=secret"):
        with pytest.raises(NoSuchEntry) as refused:
            found(directory, "(cn=*)", asking=viewer(directory, "raymond"), base=f"cn={name},{configuration}")
        assert refused.value.matched == "ou=Main,o=Example"


def test_how_many_entries_are_below_does_not_tell_what_is_hidden(directory: Directory) -> None:
    asked = ("(|(ou=Main)(cn=Recipients))", "numSubordinates", "hasSubordinates")
    count = len(found(directory, "(cn=*)", base=RECIPIENTS, scope=Scope.ONE))
    ordinary = found(directory, *asked, asking=viewer(directory, "raymond"))
    assert ordinary[RECIPIENTS]["numSubordinates"] == [str(count - 1)]
    assert ordinary["ou=Main,o=Example"] == {"numSubordinates": ["1"], "hasSubordinates": ["TRUE"]}
    everything = found(directory, *asked)
    assert everything[RECIPIENTS]["numSubordinates"] == [str(count)]
    assert everything["ou=Main,o=Example"]["numSubordinates"] == ["2"]


def test_an_object_class_has_many_names_and_an_unknown_one_is_undefined(directory: Directory) -> None:
    people = found(directory, "(objectClass=inetOrgPerson)")
    assert people
    for text in ("(objectClass=2.16.840.1.113730.3.2.2)", "(objectClass:=2.16.840.1.113730.3.2.2)"):
        assert found(directory, text).keys() == people.keys()
    assert found(directory, "(objectClass=Distribution-List)").keys() == {
        f"cn={name},{RECIPIENTS}" for name in ("team", "secret")
    }
    assert found(directory, "(!(objectClass=nonsense))") == {}
    assert found(directory, "(!(&(objectClass=nonsense)(uid=stacey)))")


def test_a_part_may_be_as_long_as_a_request(directory: Directory) -> None:
    # SQLite looks for no pattern of more than 50,000 octets.
    text = "x" * 70_000
    run(directory.change("steve", {"employeeNumber": [f"a {text} end"]}))
    for name, expected in ((f"*{text}*", 1), (f"*%{text}*", 0), (f"*{text[:60_000]}*nd", 1)):
        assert len(found(directory, f"(employeeNumber={name})")) == expected
    assert not found(directory, f"(cn=*{text}*)")
