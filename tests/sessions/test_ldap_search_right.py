"""The search right of containers: for whom one is shut, it is there and empty, whatever he asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imsd.admin.operations import call
from imsd.directory.access import ANONYMOUS, SERVER, Viewer
from imsd.directory.attributes import Visible
from imsd.directory.changes import Change, Modification
from imsd.directory.directory import Directory
from imsd.directory.searchrights import holding
from imsd.errors import ConstraintViolation, NoSuchEntry, NotPermitted, ObjectClassViolation
from imsd.sessions.ldap import Door, Identity
from protocols.ldap.controls import Controls, ListView, SortKey
from protocols.ldap.filters import parse
from protocols.ldap.messages import Deref, Scope, SearchRequest
from protocols.ldap.syncing import SyncRequest
from tests.directory.support import configure, found, open_directory
from tests.directory.support import viewer as viewer_of
from tests.sessions.test_ldap import HERE, Logins
from tests.sessions.test_ldap_probing import RECIPIENTS, alike, compare, modify, search, works
from tests.support.stores import StoreReactor, open_store, run

PARTNERS = "cn=Partners,ou=Main,o=Example"
INNER = f"cn=Inner,{PARTNERS}"
GHOST, NEAR = f"cn=ghost,{INNER}", f"cn=near,{PARTNERS}"
ANN, CLUB = f"cn=ann,{RECIPIENTS}", f"cn=club,{RECIPIENTS}"
CONTAINER = ("objectClass", [b"container"])


def change(directory: Directory, name: str, **values: list[str]) -> None:
    changes = [
        Modification(Change.REPLACE, attribute, tuple(each.encode() for each in given))
        for attribute, given in values.items()
    ]
    run(directory.modify_entry(name, changes, SERVER))


def made(home: Path, full: bool) -> Directory:
    """People, a container that whom it names may search, and (full) somebody in it and below it."""
    directory = open_directory(open_store(home))
    configure(directory, ldap__anonymous="true")
    for name in ("ann", "ben", "own"):
        run(directory.add_user(f"{name}@example.test", name=name.title(), password=name))
    run(directory.add_group("staff@example.test", members=["ben"], owner="own"))
    run(directory.add_group("club@example.test", members=["ben"], owner="ann"))
    run(directory.add_entry(PARTNERS, [CONTAINER], SERVER))
    if full:
        run(directory.add_entry(INNER, [CONTAINER], SERVER))
        for name, above in (("ghost", INNER), ("near", PARTNERS)):
            run(directory.add_user(f"{name}@example.test", name=name.title(), password=name))
            run(directory.rename_entry(f"cn={name},{RECIPIENTS}", f"cn={name}", True, above, SERVER))
        run(directory.change("ghost", {"manager": [ANN]}))
        # Not those of the other list: who owns one sees whoever is in it.
        change(directory, f"cn=staff,{RECIPIENTS}", member=[f"cn=ben,{RECIPIENTS}", GHOST, NEAR])
    change(directory, PARTNERS, imsSearchableBy=["named"], imsSearchers=[f"cn=own,{RECIPIENTS}"])
    return directory


def identity(directory: Directory, who: str) -> Identity:
    door = Door(directory, directory.settings, Logins(directory))  # type: ignore[arg-type]
    if who:
        return run(door.bind(who, who.encode(), HERE))
    stranger = door.anonymous(HERE)
    assert stranger is not None
    return stranger


@pytest.mark.parametrize("who", ["ann", ""])
def test_what_stands_in_it_is_as_if_it_were_not_there(
    tmp_path: Path, store_reactor: StoreReactor, who: str
) -> None:
    directories = [made(tmp_path / name, name == "full") for name in ("full", "empty")]
    own = [
        search("(objectClass=*)", "1.1", "numSubordinates", "hasSubordinates", base=base, controls=controls)
        for base in (PARTNERS, INNER, GHOST, NEAR, f"cn=x,{INNER}", "")
        for controls in (
            Controls(),
            Controls(sort=(SortKey("uid"),)),
            Controls(sort=(SortKey("uid"),), view=ListView(0, 5, offset=1)),
            Controls(sort=(SortKey("uid"),), view=ListView(0, 5, value=b"ghost")),
            Controls(sync=SyncRequest(False, b"", False)),
            Controls(assertion=parse("(numSubordinates>=1)")),
            Controls(assertion=parse("(hasSubordinates=TRUE)")),
            Controls(fresh=True, manage_dsa_it=True),
        )
    ]
    own += [
        compare(PARTNERS, attribute, value)
        for attribute, value in (("numSubordinates", "2"), ("hasSubordinates", "FALSE"),
                                 ("imsSearchableBy", "named"), ("imsSearchers", ANN))
    ]  # fmt: skip
    own += [modify(name, "description", "x") for name in (PARTNERS, INNER)]
    own += [
        modify(ANN, "info", "x", Controls(assertion=parse(f"(Reports={GHOST})"))),
        modify(PARTNERS, "description", "x", Controls(assertion=parse("(numSubordinates=2)"))),
        search("(member=*)", "member"),
        search("(numSubordinates>=1)", "numSubordinates"),
        search("(&(objectClass=container)(!(hasSubordinates=TRUE)))", "1.1"),
        modify(CLUB, "member", GHOST),
        modify(CLUB, "member", NEAR),
    ]
    both = [identity(each, who) for each in directories]
    for name in (GHOST, NEAR):
        alike(works(name), both)
    alike(own, both)
    for each in directories:
        run(each.db.close())


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    directory = made(tmp_path / "home", True)
    yield directory
    run(directory.db.close())


def viewer(directory: Directory, who: str) -> Viewer:
    return run(directory.db.read(holding, viewer_of(directory, who) if who else ANONYMOUS))


def finds(directory: Directory, who: str) -> set[str]:
    return {
        name.partition(",")[0].removeprefix("cn=")
        for planned in (True, False)
        for name in found(
            directory, "(|(uid=ghost)(uid=near))", "1.1", asking=viewer(directory, who), planned=planned
        )
    }


def test_an_answer_that_was_kept_for_one_is_not_given_to_another(directory: Directory) -> None:
    run(directory.add_group("open@example.test", members=["near@example.test", "ben"], owner="own"))
    change(directory, PARTNERS, imsSearchers=[f"cn=ben,{RECIPIENTS}"])
    for who, expected in (("ben", 2), ("ann", 1), ("ben", 2)):
        (shown,) = found(directory, "(uid=open)", "member", asking=viewer(directory, who)).values()
        assert len(shown["member"]) == expected, who


ALL = {"ghost", "near"}


@pytest.mark.parametrize(
    ("by", "searchers", "expected"),
    [
        ("named", [], {"": set(), "ann": set(), "ghost": {"ghost"}, "administrator": ALL}),
        ("named", ["ann"], {"": set(), "ann": ALL, "ben": set()}),
        ("Named", ["outer"], {"ben": ALL, "ann": set(), "own": set()}),
        ("authenticated", [], {"": set(), "ann": ALL, "ghost": ALL}),
        ("authenticated", ["ann"], {"": set(), "ben": ALL}),
        ("anonymous", [], {"": ALL, "ann": ALL}),
        ("", [], {"": ALL, "ann": ALL}),
    ],
)
def test_who_finds_it(
    directory: Directory, by: str, searchers: list[str], expected: dict[str, set[str]]
) -> None:
    run(directory.add_group("outer@example.test", members=["staff@example.test"]))
    change(
        directory,
        PARTNERS,
        imsSearchers=[f"cn={name},{RECIPIENTS}" for name in searchers],
        imsSearchableBy=[by] if by else [],
    )
    assert {who: finds(directory, who) for who in expected} == expected


def test_every_container_on_the_way_must_let_him_pass(directory: Directory) -> None:
    change(directory, INNER, imsSearchableBy=["named"], imsSearchers=[ANN])
    assert finds(directory, "ann") == set()
    assert finds(directory, "own") == {"near"}
    change(directory, PARTNERS, imsSearchers=[ANN])
    assert finds(directory, "ann") == ALL
    change(directory, "o=Example", imsSearchableBy=["authenticated"])
    assert found(directory, "(objectClass=*)", "1.1", asking=viewer(directory, "")).keys() == {"o=Example"}
    assert finds(directory, "ann") == ALL
    run(directory.delete("ann@example.test", delete_mailbox=True))
    # Whoever is named in place of the deleted: nobody; it is not open to all for that.
    assert finds(directory, "own") == set()


def test_rights_that_are_lost_end_a_search(directory: Directory) -> None:
    change(directory, PARTNERS, imsSearchers=[ANN])
    one = identity(directory, "ann")

    async def read() -> None:
        request = SearchRequest(PARTNERS, Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse("(uid=*)"), ("1.1",))
        async for _ in one.search(request):
            changes = [Modification(Change.REPLACE, "imsSearchers", ())]
            await directory.modify_entry(PARTNERS, changes, SERVER)

    with pytest.raises(NotPermitted):
        run(read())


def test_changes_are_held_to_it_in_their_unit(directory: Directory) -> None:
    """The rows decide, not what the request came with."""
    asking = replace(viewer(directory, "ann"), shut=frozenset())
    with pytest.raises(NoSuchEntry):
        run(directory.modify_entry(NEAR, [Modification(Change.REPLACE, "info", (b"x",))], asking))
    with pytest.raises(ConstraintViolation):
        run(directory.modify_entry(CLUB, [Modification(Change.REPLACE, "member", (NEAR.encode(),))], asking))
    own = viewer(directory, "near")
    run(directory.modify_entry(NEAR, [Modification(Change.REPLACE, "info", (b"x",))], own))


def test_who_acts_for_an_administrator_changes_nothing_as_one(directory: Directory) -> None:
    asking = replace(viewer_of(directory, "administrator"), level=Visible.AUTHENTICATED)
    with pytest.raises(NotPermitted):
        run(directory.modify_entry(ANN, [Modification(Change.REPLACE, "title", (b"x",))], asking))


@pytest.mark.parametrize(
    ("name", "values", "refusal"),
    [
        (PARTNERS, {"imsSearchableBy": ["nobody"]}, ConstraintViolation),
        (PARTNERS, {"imsSearchableBy": ["named", "anonymous"]}, ConstraintViolation),
        (PARTNERS, {"imsSearchableBy": []}, ConstraintViolation),
        (PARTNERS, {"imsSearchers": ["cn=nobody,o=Example"]}, ConstraintViolation),
        (ANN, {"imsSearchableBy": ["named"]}, ObjectClassViolation),
        (CLUB, {"imsSearchableBy": ["named"]}, ObjectClassViolation),
    ],
)
def test_what_it_may_say(
    directory: Directory, name: str, values: dict[str, list[str]], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        change(directory, name, **values)


@pytest.mark.parametrize(
    ("who", "entry", "seen", "why"),
    [
        ("ann", NEAR, False, f"imsSearchableBy of {PARTNERS} does not let him search: for him"),
        ("ann", GHOST, False, f"imsSearchableBy of {PARTNERS} does not"),
        ("ann", INNER, False, f"imsSearchableBy of {PARTNERS} does not"),
        ("ann", PARTNERS, True, "not hidden"),
        ("own", GHOST, True, "not hidden"),
        ("near", NEAR, True, "but its own person"),
        ("administrator", NEAR, True, "every entry"),
        ("", NEAR, False, f"imsSearchableBy of {PARTNERS}"),
    ],
)
def test_it_is_explained(directory: Directory, who: str, entry: str, seen: bool, why: str) -> None:
    core = SimpleNamespace(directory=directory, settings=directory.settings)
    said: dict[str, Any] = run(call(core, "directory.explain", {"who": who, "entry": entry}))
    assert said["seen"] is seen and why in said["why_seen"]
    assert seen or not any(each["sees"] for each in said["attributes"])
