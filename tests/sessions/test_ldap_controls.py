"""What controls do to searches and updates of the directory, and to whose rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from imsd import errors
from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door, Identity
from protocols.ldap import client, controls, responses
from protocols.ldap.controls import Controls, ListView, SortKey
from protocols.ldap.filters import parse
from protocols.ldap.messages import (
    AddRequest,
    Attribute,
    Change,
    ChangeKind,
    CompareRequest,
    Control,
    DeleteRequest,
    Deref,
    ModifyDnRequest,
    ModifyRequest,
    Scope,
    SearchRequest,
)
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.session import singly
from tests.directory.support import configure
from tests.sessions.test_ldap import ANN, RECIPIENTS, bind, directory, door
from tests.support.stores import run

__all__ = ["directory", "door"]

PEOPLE = [("zoe", "Zoë", "Adams"), ("bob", "bob", "Baker"), ("al", "Al", ""), ("eva", "Éva", "Clark")]


@dataclass
class Found:
    entries: list[tuple[str, dict[str, tuple[bytes, ...]]]]
    notes: dict[str, bytes | None]

    @property
    def names(self) -> list[str]:
        return [dn.partition(",")[0].partition("=")[2] for dn, _ in self.entries]


def ask(
    identity: Identity,
    text: str,
    asked: Controls,
    *attributes: str,
    base: str = RECIPIENTS,
    scope: Scope = Scope.SUBTREE,
    types_only: bool = False,
) -> Found:
    notes: list[Control] = []
    entries = []

    async def gather() -> None:
        request = SearchRequest(base, scope, Deref.NEVER, 0, 0, types_only, parse(text), attributes)
        async for answer in singly(identity.search(request, asked, notes.append)):
            if answer:
                entry: Any = client.read(responses.message(1, answer)).operation
                entries.append((entry.dn, {each.name: each.values for each in entry.attributes}))

    try:
        run(gather())
    except Failed as error:
        error.notes = notes  # type: ignore[attr-defined]
        raise
    return Found(entries, {each.oid: each.value for each in notes})


@pytest.fixture
def admin(door: Door, directory: Directory) -> Identity:
    for uid, given, surname in PEOPLE:
        run(directory.add_user(f"{uid}@example.test", alias=uid, name=f"{given} {surname}".strip()))
    return bind(door, "administrator", "secret")


PERSON = "(&(uid=*)(!(uid=administrator)))"


def sort(*keys: str, critical: bool = False) -> Controls:
    made = []
    for key in keys:
        name, _, rule = key.lstrip("-").partition(":")
        made.append(SortKey(name, rule, key.startswith("-")))
    return Controls(sort=tuple(made), sort_critical=critical)


# Sorting ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("sn",), ["zoe", "al", "bob", "eva", "ann"]),
        (("uid:2.5.13.3",), ["al", "ann", "bob", "eva", "zoe"]),
        (("title", "-uid"), ["bob", "zoe", "eva", "ann", "al"]),
        (("-title", "uid"), ["al", "ann", "eva", "zoe", "bob"]),
    ],
)
def test_entries_are_sorted(
    admin: Identity, directory: Directory, keys: tuple[str, ...], expected: Any
) -> None:
    run(directory.change("bob", {"title": ["Cook"]}))
    run(directory.change("zoe", {"title": ["dean"]}))
    found = ask(admin, PERSON, sort(*keys))
    assert found.names == expected
    assert found.notes == {controls.SORTED: controls.sort_control(0).value}


@pytest.mark.parametrize(
    ("key", "result"),
    [
        ("nonsense", ResultCode.NO_SUCH_ATTRIBUTE),
        ("telephoneNumber", ResultCode.INAPPROPRIATE_MATCHING),
        ("cn:9.9.9", ResultCode.INAPPROPRIATE_MATCHING),
        ("cn:integerOrderingMatch", ResultCode.INAPPROPRIATE_MATCHING),
    ],
)
def test_a_sort_that_cannot_be_done(admin: Identity, key: str, result: ResultCode) -> None:
    name = key.partition(":")[0]
    found = ask(admin, PERSON, sort(key))
    assert len(found.names) == 5 and found.notes == {
        controls.SORTED: controls.sort_control(result, name).value
    }
    with pytest.raises(Failed) as refused:
        ask(admin, PERSON, sort(key, critical=True))
    assert refused.value.result.code is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION


def test_more_than_may_be_sorted_is_not(admin: Identity, directory: Directory) -> None:
    configure(directory, ldap__sort_limit="100")
    for number in range(100):
        run(directory.add_contact(f"c{number}@example.test", f"c{number}@elsewhere.test"))
    found = ask(admin, "(uid=*)", sort("uid"))
    assert len(found.names) == 106
    assert found.notes[controls.SORTED] == controls.sort_control(ResultCode.ADMIN_LIMIT_EXCEEDED).value


def test_nobody_sorts_by_what_he_may_not_read(admin: Identity, door: Door, directory: Directory) -> None:
    run(directory.change("zoe", {"Admin-Description": ["1"]}))
    run(directory.change("al", {"Admin-Description": ["2"]}))
    assert ask(admin, PERSON, sort("Admin-Description", "uid")).names[:2] == ["zoe", "al"]
    ann = bind(door, "ann", "anns")
    assert ask(ann, PERSON, sort("Admin-Description", "uid")).names == ["al", "ann", "bob", "eva", "zoe"]


# List views ---------------------------------------------------------------------------------


def view(**asked: Any) -> Controls:
    return Controls(sort=(SortKey("uid"),), view=ListView(**asked))


@pytest.mark.parametrize(
    ("asked", "expected", "position"),
    [
        ({"before": 0, "after": 1, "offset": 1}, ["al", "ann"], 1),
        ({"before": 1, "after": 1, "offset": 3}, ["ann", "bob", "eva"], 3),
        ({"before": 1, "after": 9, "offset": 5, "count": 5}, ["eva", "zoe"], 5),
        ({"before": 0, "after": 0, "offset": 100, "count": 100}, ["zoe"], 5),
        ({"before": 0, "after": 0, "offset": 50, "count": 100}, ["ann"], 2),
        ({"before": 0, "after": 0, "offset": 100}, ["zoe"], 5),
        ({"before": 0, "after": 1, "value": b"B"}, ["bob", "eva"], 3),
        ({"before": 1, "after": 1, "value": b"zz"}, ["zoe"], 6),
        ({"before": 0, "after": 0, "value": b""}, ["al"], 1),
    ],
)
def test_a_window_of_a_sorted_list(admin: Identity, asked: Any, expected: list[str], position: int) -> None:
    found = ask(admin, PERSON, view(**asked))
    assert found.names == expected
    assert found.notes[controls.VLV_ANSWER] == controls.view_control(position, 5, 0).value


def test_a_window_of_nothing_and_places_there_are_not(admin: Identity) -> None:
    found = ask(admin, "(uid=nobody)", view(before=0, after=9, offset=1))
    assert found.names == [] and found.notes[controls.VLV_ANSWER] == controls.view_control(0, 0, 0).value
    for asked in ({"offset": 0}, {"offset": 9, "count": 5}):
        with pytest.raises(Failed) as refused:
            ask(admin, PERSON, view(before=0, after=1, **asked))
        assert refused.value.result.code is ResultCode.OFFSET_RANGE_ERROR


def test_a_list_follows_the_directory(admin: Identity, directory: Directory) -> None:
    first = view(before=0, after=0, offset=1)
    assert ask(admin, PERSON, first).names == ["al"] == ask(admin, PERSON, first).names
    run(directory.add_user("aa@example.test"))
    assert ask(admin, PERSON, first).names == ["aa"]


def test_lists_of_different_viewers_are_different(admin: Identity, door: Door, directory: Directory) -> None:
    run(directory.change("al", {"Hide-From-Address-Book": ["TRUE"]}))
    first = view(before=0, after=0, offset=1)
    assert ask(admin, PERSON, first).names == ["al"]
    assert ask(bind(door, "ann", "anns"), PERSON, first).names == ["ann"]


# Matched values, subentries, copies ----------------------------------------------------------


def matched(*items: str) -> Controls:
    return Controls(matched_values=tuple(map(parse, items)))


def test_values_that_match_are_returned(admin: Identity, directory: Directory) -> None:
    run(directory.change("bob", {"description": ["red", "green"], "telephoneNumber": ["+1 555", "+2 777"]}))
    asked = matched("(description=GR*)", "(telephoneNumber=*)")
    [(_, values)] = ask(admin, "(uid=bob)", asked, "description", "telephoneNumber", "sn").entries
    assert values == {
        "description": (b"green",), "telephoneNumber": (b"+1 555", b"+2 777"), "sn": (),
    }  # fmt: skip
    [(_, values)] = ask(admin, "(uid=bob)", matched("(:caseIgnoreMatch:=red)"), "description", "mail").entries
    assert values == {"description": (b"red",), "mail": ()}
    [(_, values)] = ask(admin, "(uid=bob)", matched("(nonsense=1)"), "description", types_only=True).entries
    assert values == {"description": ()}


def test_names_match_in_either_suffix(admin: Identity, directory: Directory) -> None:
    run(directory.add_group("team@example.test", members=["bob", "al"]))
    asked = matched(f"(member={f'cn=al,{RECIPIENTS}'.replace('o=Example', 'dc=example,dc=test')})")
    [(_, values)] = ask(admin, "(uid=team)", asked, "member").entries
    assert values == {"member": (f"cn=al,{RECIPIENTS}".encode(),)}


def test_there_are_no_subentries_below_our_names(admin: Identity) -> None:
    assert ask(admin, PERSON, Controls(subentries=True)).names == []
    assert len(ask(admin, PERSON, Controls(fresh=True)).names) == 5


# Assertions and images -----------------------------------------------------------------------


def replace(
    name: str, attribute: str, *values: bytes, kind: ChangeKind = ChangeKind.REPLACE
) -> ModifyRequest:
    return ModifyRequest(name, (Change(kind, Attribute(attribute, values)),))


BOB = f"cn=bob,{RECIPIENTS}"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("(uid=bob)", True), ("(uid=al)", False), ("(nonsense=1)", False), ("(!(nonsense=1))", False),
        (f"(entryDN={BOB})", True), ("(hasSubordinates=FALSE)", True), ("(numSubordinates=0)", True),
        (f"(manager=cn=al,{RECIPIENTS})", True), ("(manager=*)", True), ("(memberOf=*)", True),
        (f"(modifiersName=cn=al,{RECIPIENTS})", False), ("(cn:dn:=al)", False), ("(cn:dn:=Recipients)", True),
    ],
)  # fmt: skip
def test_an_update_is_done_if_the_assertion_is_true(
    admin: Identity, directory: Directory, text: str, holds: bool
) -> None:
    run(directory.add_group("team@example.test", members=["bob"]))
    run(directory.change("bob", {"manager": [f"cn=al,{RECIPIENTS}"]}))
    asked = Controls(assertion=parse(text))
    updates = [
        lambda: admin.modify(replace(BOB, "title", b"Cook"), asked),
        lambda: admin.modify_dn(ModifyDnRequest(BOB, "cn=bob", False, None), asked),
        lambda: admin.compare(CompareRequest(BOB, "uid", b"bob"), asked),
    ]
    for update in updates:
        if holds:
            run(update())
        else:
            with pytest.raises(errors.AssertionFailed):
                run(update())
    assert bool(ask(admin, "(title=Cook)", Controls()).names) is holds
    if not holds:
        with pytest.raises(errors.AssertionFailed):
            ask(admin, "(uid=*)", asked, base=BOB, scope=Scope.BASE)
        with pytest.raises(errors.AssertionFailed):
            run(admin.delete(DeleteRequest(BOB), asked))


def test_an_assertion_tells_nothing_that_may_not_be_read(
    admin: Identity, door: Door, directory: Directory
) -> None:
    run(directory.change("ann", {"Admin-Description": ["trouble"]}))
    ann = bind(door, "ann", "anns")
    for text in ("(Admin-Description=trouble)", "(!(Admin-Description=trouble))"):
        with pytest.raises(errors.AssertionFailed):
            run(ann.modify(replace(ANN, "info", b"x"), Controls(assertion=parse(text))))


def image(answered: tuple[Control, ...], oid: str) -> dict[str, tuple[bytes, ...]]:
    [found] = [each.value for each in answered if each.oid == oid]
    entry: Any = client.read(responses.message(1, found or b"")).operation
    return {"dn": entry.dn, **{each.name: each.values for each in entry.attributes}}


def test_the_entry_before_and_after(admin: Identity, door: Door) -> None:
    asked = Controls(pre_read=("title", "entryDN"), post_read=("title", "entryDN"))
    run(admin.modify(replace(BOB, "title", b"Cook")))
    answered = run(admin.modify(replace(BOB, "title", b"Chef"), asked))
    assert image(answered, controls.PRE_READ) == {"dn": BOB, "title": (b"Cook",), "entryDN": (BOB.encode(),)}
    assert image(answered, controls.POST_READ)["title"] == (b"Chef",)
    renamed = f"cn=rob,{RECIPIENTS}"
    answered = run(admin.modify_dn(ModifyDnRequest(BOB, "cn=rob", True, None), asked))
    assert image(answered, controls.PRE_READ)["dn"] == BOB
    assert image(answered, controls.POST_READ) == {
        "dn": renamed, "title": (b"Chef",), "entryDN": (renamed.encode(),),
    }  # fmt: skip
    name = f"cn=new,{RECIPIENTS.replace('o=Example', 'dc=example,dc=test')}"
    add = AddRequest(name, (Attribute("objectClass", (b"inetOrgPerson",)),))
    answered = run(admin.add(add, Controls(post_read=("mail", "entryUUID"))))
    assert set(image(answered, controls.POST_READ)) == {"dn", "mail", "entryUUID"}
    assert image(answered, controls.POST_READ)["dn"] == name
    answered = run(admin.delete(DeleteRequest(renamed), Controls(pre_read=("uid",))))
    assert image(answered, controls.PRE_READ) == {"dn": renamed, "uid": (b"bob",)}
    ann = bind(door, "ann", "anns")
    answered = run(ann.modify(replace(ANN, "info", b"x"), Controls(post_read=("*", "Admin-Description"))))
    assert "info" in image(answered, controls.POST_READ)


# Whose rights --------------------------------------------------------------------------------


def test_an_administrator_acts_for_anybody_others_for_themselves(admin: Identity, door: Door) -> None:
    ann = bind(door, "ann", "anns")
    assert run(admin.proxied("u:ann")).who_am_i() == f"dn:{ANN}" == run(admin.proxied(f"dn:{ANN}")).who_am_i()
    assert run(ann.proxied("u:ann")).who_am_i() == f"dn:{ANN}"
    assert run(ann.proxied("")).who_am_i() == ""
    acting = run(admin.proxied("u:ann"))
    with pytest.raises(errors.NotPermitted):
        run(acting.delete(DeleteRequest(BOB)))
    for identity, name in [
        (ann, "u:bob"),
        (admin, "u:nobody"),
        (admin, "ann"),
        (admin, "x:ann"),
        (acting, "u:bob"),
    ]:
        with pytest.raises(Failed) as refused:
            run(identity.proxied(name))
        assert refused.value.result.code is ResultCode.AUTHORIZATION_DENIED


# Other rules of updates -----------------------------------------------------------------------


def test_permissive_changes(admin: Identity, directory: Directory) -> None:
    run(directory.add_group("team@example.test", members=["bob"]))
    team, lenient = f"cn=team,{RECIPIENTS}", Controls(permissive=True)
    bob, al = BOB.encode(), f"cn=al,{RECIPIENTS}".encode()

    def members() -> set[bytes]:
        [(_, values)] = ask(admin, "(uid=team)", Controls(), "member").entries
        return set(values.get("member", ()))

    run(admin.modify(replace(team, "member", bob, al, kind=ChangeKind.ADD), lenient))
    assert members() == {bob, al}
    run(admin.modify(replace(team, "member", bob, kind=ChangeKind.DELETE), lenient))
    run(admin.modify(replace(team, "member", bob, kind=ChangeKind.DELETE), lenient))
    assert members() == {al}
    run(admin.modify(replace(BOB, "description", b"x", b"y"), lenient))
    run(admin.modify(replace(BOB, "description", b"Y", b"z", kind=ChangeKind.ADD), lenient))
    run(admin.modify(replace(BOB, "description", b"x", b"gone", kind=ChangeKind.DELETE), lenient))
    run(admin.modify(replace(BOB, "description", b"y", kind=ChangeKind.ADD), lenient))
    run(admin.modify(replace(BOB, "title", kind=ChangeKind.DELETE), lenient))
    [(_, values)] = ask(admin, "(uid=bob)", Controls(), "description", "title").entries
    assert values == {"description": (b"y", b"z")}
    with pytest.raises(errors.AttributeOrValueExists):
        run(admin.modify(replace(BOB, "description", b"y", kind=ChangeKind.ADD)))


def test_a_tree_is_deleted_whole_or_not_at_all(admin: Identity, door: Door, directory: Directory) -> None:
    unit = f"cn=Old,{RECIPIENTS}"
    run(admin.add(AddRequest(unit, (Attribute("objectClass", (b"container",)),))))
    for name in ("a", "b"):
        request = AddRequest(f"cn={name},{unit}", (Attribute("objectClass", (b"inetOrgPerson",)),))
        run(admin.add(request))
    with pytest.raises(errors.NotAllowedOnNonLeaf):
        run(admin.delete(DeleteRequest(unit)))
    with pytest.raises(errors.NotPermitted):
        run(bind(door, "ann", "anns").delete(DeleteRequest(unit), Controls(tree_delete=True)))
    with pytest.raises(errors.UnwillingToPerform):
        run(admin.delete(DeleteRequest(RECIPIENTS), Controls(tree_delete=True)))
    assert len(ask(admin, PERSON, Controls()).names) == 7
    run(admin.delete(DeleteRequest(unit), Controls(tree_delete=True)))
    assert len(ask(admin, PERSON, Controls()).names) == 5


def test_relaxed_rules_keep_identity_and_times(admin: Identity, door: Door) -> None:
    name, uuid = f"cn=copy,{RECIPIENTS}", b"12345678-1234-1234-1234-123456789abc"
    given = (
        Attribute("objectClass", (b"inetOrgPerson",)), Attribute("entryUUID", (uuid,)),
        Attribute("createTimestamp", (b"20200102030405Z",)), Attribute("creatorsName", (ANN.encode(),)),
    )  # fmt: skip
    with pytest.raises(errors.ConstraintViolation):
        run(admin.add(AddRequest(name, given)))
    run(admin.add(AddRequest(name, given), Controls(relax=True)))
    relaxed = Controls(relax=True)
    run(admin.modify(replace(name, "modifyTimestamp", b"20210102030405Z"), relaxed))
    [(_, values)] = ask(admin, "(uid=copy)", Controls(), "+").entries
    assert values["entryUUID"] == (uuid,) and values["creatorsName"] == (ANN.encode(),)
    assert values["createTimestamp"] == (b"20200102030405Z",)
    assert values["modifyTimestamp"] == (b"20210102030405Z",)
    found = ask(admin, f"(entryUUID={uuid.decode()})", Controls())
    assert found.names == ["copy"]
    for request in (replace(name, "entryUUID", uuid), replace(name, "creatorsName", b"cn=nobody")):
        with pytest.raises(errors.ConstraintViolation):
            run(admin.modify(request, relaxed))
    with pytest.raises(errors.NotPermitted):
        run(bind(door, "ann", "anns").modify(replace(ANN, "info", b"x"), relaxed))
