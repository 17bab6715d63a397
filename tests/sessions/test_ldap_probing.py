"""Two directories that differ only in what somebody may not see answer him alike, whatever he asks.

In one there is a hidden person, a list with other hidden members, other values of attributes that
administrators read; everything that searches, compares, sorts, counts, asserts, reads before a change
or copies is asked of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imsd import errors
from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door, Identity
from protocols.ldap import client, responses
from protocols.ldap.controls import NONE, Controls, ListView, SortKey
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
    PasswordModify,
    Scope,
    SearchRequest,
)
from protocols.ldap.results import Failed
from protocols.ldap.session import singly
from protocols.ldap.syncing import Answer, SyncRequest
from tests.directory.support import configure, open_directory
from tests.sessions.test_ldap import HERE, Logins
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
ANN, BEN, GHOST, STAFF = (f"cn={name},{RECIPIENTS}" for name in ("ann", "ben", "ghost", "staff"))


def identity(home: Path, secret: bool, who: str) -> tuple[Directory, Identity]:
    directory = open_directory(open_store(home))
    configure(directory, ldap__anonymous="true")
    for name in ("ann", "ben", "own"):
        run(directory.add_user(f"{name}@example.test", name=name.title(), password=name))
    members = ["ben"]
    if secret:
        run(directory.add_user("ghost@example.test", name="Ghost", password="ghost"))
        run(directory.change("ghost", {"Hide-From-Address-Book": ["TRUE"], "manager": [ANN]}))
        run(directory.change("ben", {"Admin-Description": ["secret"], "homePostalAddress": ["1 Here"]}))
        run(directory.change("ann", {"Admin-Description": ["secret"]}))
        run(directory.change("ann", {"secretary": ["x"]}))
        run(directory.change("ann", {"secretary": []}))
        members = ["ann", "ghost"]
    run(directory.add_group("staff@example.test", members=members, owner="own"))
    run(directory.change("staff@example.test", {"Hide-DL-Membership": ["TRUE"]}))
    door = Door(directory, directory.settings, Logins(directory))  # type: ignore[arg-type]
    if who:
        return directory, run(door.bind(who, who.encode(), HERE))
    stranger = door.anonymous(HERE)
    assert stranger is not None
    return directory, stranger


@pytest.fixture(params=["ann", ""], ids=["ann", "stranger"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, store_reactor: StoreReactor
) -> Iterator[list[Identity]]:
    made = [identity(tmp_path / name, name == "with", request.param) for name in ("with", "without")]
    yield [each for _, each in made]
    for directory, _ in made:
        run(directory.db.close())


def search(
    text: str, *attributes: str, base: str = "o=Example", controls: Controls = NONE
) -> Callable[[Identity], Any]:
    def work(identity: Identity) -> Any:
        notes: list[Control] = []
        found: list[Any] = []

        async def gather() -> None:
            request = SearchRequest(base, Scope.SUBTREE, Deref.ALWAYS, 0, 0, False, parse(text), attributes)
            async for answer in singly(identity.search(request, controls, notes.append)):
                if isinstance(answer, Answer):
                    # Entries' UUIDs differ from one directory to the other; what matters is which there are.
                    found.append(answer.operation)
                elif answer:
                    found.append(client.read(responses.message(1, answer)).operation)

        run(gather())
        seen = () if controls.sync is not None else tuple((each.oid, each.value) for each in notes)
        return found, seen

    return work


def modify(name: str, attribute: str, value: str, controls: Controls = NONE) -> Callable[[Identity], Any]:
    change = Change(ChangeKind.REPLACE, Attribute(attribute, (value.encode(),)))
    return lambda identity: run(identity.modify(ModifyRequest(name, (change,)), controls))


def compare(name: str, attribute: str, value: str, controls: Controls = NONE) -> Callable[[Identity], Any]:
    request = CompareRequest(name, attribute, value.encode())
    return lambda identity: run(identity.compare(request, controls))


def asserting(text: str) -> Controls:
    return Controls(assertion=parse(text))


def matched(text: str) -> Controls:
    return Controls(matched_values=(parse(text),))


ADMINS = ("Admin-Description", "homePostalAddress", "imsAdministrator")


def works(ghost: str) -> list[Callable[[Identity], Any]]:
    """Everything that may be asked about an entry of that name, and of others."""
    return [
        *(
            search(text.replace("%", name), "memberOf", "member", "manager", "Reports",
                   "numSubordinates", "*")
            for name in ADMINS
            for text in ("(%=secret)", "(%=s*)", "(%=*)", "(!(%=secret))", "(|(uid=ben)(%=*))",
                         "(%;lang-de=x)", "(:caseIgnoreMatch:=secret)", "(%:caseIgnoreMatch:=secret)",
                         "(%>=a)", "(%~=secret)")
        ),
        *(search(f"({name}={value})", "1.1")
          for name in ("member", "memberOf", "manager", "Reports", "entryDN", "creatorsName", "owner",
                       "seeAlso")
          for value in (ghost, STAFF, ANN, "*")),
        search("(objectClass=*)", "1.1", "numSubordinates", "hasSubordinates"),
        search("(objectClass=*)", "1.1", base=ghost), search("(objectClass=*)", "1.1", base=f"cn=x,{ghost}"),
        search("(uid=*)", "1.1", controls=Controls(sort=(SortKey("Admin-Description"), SortKey("uid")))),
        search("(uid=*)", "1.1", controls=Controls(sort=(SortKey("Admin-Description", "", True),))),
        search("(uid=*)", "1.1",
               controls=Controls(sort=(SortKey("uid"),), view=ListView(1, 5, value=b"ghost"))),
        search("(uid=*)", "1.1", controls=Controls(sort=(SortKey("uid"),), view=ListView(0, 9, offset=1))),
        search("(uid=*)", "1.1",
               controls=Controls(sort=(SortKey("Admin-Description"),), view=ListView(0, 9, value=b"secret"))),
        search("(uid=*)", "1.1", controls=Controls(sync=SyncRequest(False, b"", False))),
        *(search("(uid=*)", "Admin-Description", "member", "memberOf", "cn", controls=matched(text))
          for text in ("(Admin-Description=secret)", f"(member={ANN})", f"(memberOf={STAFF})", "(member=*)",
                       "(:caseIgnoreMatch:=secret)", "(Admin-Description=*)")),
        *(search("(uid=ben)", "1.1", base=BEN, controls=asserting(text))
          for text in ("(Admin-Description=secret)", "(!(Admin-Description=secret))", f"(memberOf={STAFF})")),
        *(compare(name, attribute, value)
          for name in (BEN, ghost, STAFF, f"cn=x,{ghost}")
          for attribute, value in (("Admin-Description", "secret"), ("member", ANN), ("memberOf", STAFF),
                                   ("cn", "ghost"), ("Hide-From-Address-Book", "TRUE"))),
        compare(BEN, "uid", "ben", asserting("(Admin-Description=secret)")),
        *(modify(name, "info", "x") for name in (BEN, ghost, STAFF, f"cn=x,{ghost}")),
        *(modify(ANN, "info", "x", asserting(text))
          for text in ("(Admin-Description=secret)", "(Admin-Description=*)", f"(memberOf={STAFF})",
                       "(!(memberOf=*))", f"(Reports={ghost})", "(!(Reports=*))")),
        modify(STAFF, "member", ghost), modify(ANN, "manager", ghost), modify(ANN, "Admin-Description", "x"),
        modify(ghost, "userPassword", "x"),
        *(lambda identity, name=name: run(identity.delete(DeleteRequest(name))) for name in (ghost, BEN)),
        *(lambda identity, name=name: run(identity.modify_dn(ModifyDnRequest(name, "cn=y", True, None)))
          for name in (ghost, BEN)),
        lambda identity: run(identity.modify_dn(ModifyDnRequest(BEN, "cn=ghost", True, None))),
        *(lambda identity, name=name: run(identity.add(AddRequest(name, ())))
          for name in (ghost, f"cn=n,{ghost}")),
        *(lambda identity, name=name: run(identity.password_modify(PasswordModify(name, None, b"n")))
          for name in ("ghost", ghost, "nobody", "ben")),
        *(lambda identity, name=name: run(identity.proxied(name)).who_am_i()
          for name in ("u:ghost", f"dn:{ghost}", "u:nobody")),
    ]  # fmt: skip


def outcome(work: Callable[[Identity], Any], identity: Identity) -> Any:
    try:
        return work(identity)
    except Failed as error:
        return error.result
    except errors.Refusal as error:
        return type(error), error.text, getattr(error, "matched", "")


def alike(asked: list[Callable[[Identity], Any]], both: list[Identity]) -> None:
    for number, work in enumerate(asked):
        with_it, without = (outcome(work, each) for each in both)
        assert with_it == without, number
        assert b"ghost" not in repr(with_it).encode().lower() or "cn=ghost" in repr(without), number


def test_whoever_may_not_see_it_is_answered_as_if_it_were_not_there(both: list[Identity]) -> None:
    alike(works(GHOST), both)


def test_images_of_a_change_show_no_more_than_a_search(both: list[Identity]) -> None:
    """RFC 4527 6."""
    asked = ("Admin-Description", "memberOf", "Reports", "info", "*")
    controls = Controls(pre_read=asked, post_read=asked)
    made = [outcome(modify(ANN, "info", "y", controls), each) for each in both]
    assert made[0] == made[1]
