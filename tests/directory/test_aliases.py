"""Aliases in all four modes (RFC 4511 4.5.1.3): chains, circles, parts of names, hidden targets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imsd.directory.access import SERVER
from imsd.directory.changes import Change, Modification
from imsd.directory.directory import Directory
from imsd.errors import AliasProblem, NamingViolation, NoSuchEntry
from imsd.sessions import refusals
from protocols.ldap.messages import Deref, Scope
from protocols.ldap.results import ResultCode
from tests.directory.support import found, open_directory, viewer
from tests.support.stores import StoreReactor, open_store, run

MAIN = "ou=Main,o=Example"
RECIPIENTS = f"cn=Recipients,{MAIN}"
NEVER, SEARCHING, FINDING, ALWAYS = Deref.NEVER, Deref.SEARCHING, Deref.FINDING, Deref.ALWAYS


def alias(directory: Directory, name: str, target: str) -> None:
    given = [("objectClass", [b"alias"]), ("aliasedObjectName", [target.encode()])]
    run(directory.add_entry(name, given, SERVER))


def retarget(directory: Directory, name: str, target: str) -> None:
    change = Modification(Change.REPLACE, "aliasedObjectName", (target.encode(),))
    run(directory.modify_entry(name, [change], SERVER))


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    """Aliases of a person, of an alias, of a container; two in a circle; one of somebody hidden."""
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    for name in ("ann", "ben", "ghost"):
        run(directory.add_user(f"{name}@example.test", name=name.title()))
    run(directory.change("ghost", {"Hide-From-Address-Book": ["TRUE"]}))
    for container in ("Places", "Team"):
        run(directory.add_entry(f"cn={container},{MAIN}", [("objectClass", [b"container"])], SERVER))
    role = [("objectClass", [b"organizationalRole"])]
    run(directory.add_entry(f"cn=cook,cn=Team,{MAIN}", role, SERVER))
    alias(directory, f"cn=boss,cn=Places,{MAIN}", f"cn=ann,{RECIPIENTS}")
    alias(directory, f"cn=chief,cn=Places,{MAIN}", f"cn=boss,cn=Places,{MAIN}")
    alias(directory, f"cn=crew,cn=Places,{MAIN}", f"cn=Team,{MAIN}")
    alias(directory, f"cn=hidden,cn=Places,{MAIN}", f"cn=ghost,{RECIPIENTS}")
    alias(directory, f"cn=one,cn=Places,{MAIN}", f"cn=ann,{RECIPIENTS}")
    alias(directory, f"cn=two,cn=Places,{MAIN}", f"cn=one,cn=Places,{MAIN}")
    retarget(directory, f"cn=one,cn=Places,{MAIN}", f"cn=two,cn=Places,{MAIN}")
    yield directory
    run(database.close())


def names(answer: dict[str, object]) -> set[str]:
    return {name.partition(",")[0].partition("=")[2] for name in answer}


ALIASES = {"boss", "chief", "crew", "hidden", "one", "two"}
AT = f",cn=Places,{MAIN}"


@pytest.mark.parametrize(
    ("base", "scope", "deref", "expected"),
    [
        # The base itself
        (f"cn=boss{AT}", Scope.BASE, NEVER, {"boss"}),
        (f"cn=boss{AT}", Scope.BASE, SEARCHING, {"boss"}),
        (f"cn=boss{AT}", Scope.BASE, FINDING, {"ann"}),
        (f"cn=boss{AT}", Scope.BASE, ALWAYS, {"ann"}),
        (f"cn=chief{AT}", Scope.BASE, FINDING, {"ann"}),
        (f"cn=chief{AT}", Scope.BASE, NEVER, {"chief"}),
        # A part of its name, under either suffix
        (f"cn=cook,cn=crew{AT}", Scope.BASE, FINDING, {"cook"}),
        (f"cn=cook,cn=crew,cn=Places,{MAIN}".replace("o=Example", "dc=example,dc=test"),
         Scope.BASE, ALWAYS, {"cook"}),
        # What is below it
        (f"cn=crew{AT}", Scope.ONE, FINDING, {"cook"}),
        (f"cn=crew{AT}", Scope.SUBTREE, FINDING, {"Team", "cook"}),
        (f"cn=crew{AT}", Scope.SUBTREE, NEVER, {"crew"}),
        # Aliases that are found: one level has their targets, a subtree what is below these, too
        (f"cn=Places,{MAIN}", Scope.ONE, NEVER, ALIASES),
        (f"cn=Places,{MAIN}", Scope.ONE, FINDING, ALIASES),
        (f"cn=Places,{MAIN}", Scope.ONE, SEARCHING, {"ann", "Team", "ghost"}),
        (f"cn=Places,{MAIN}", Scope.SUBTREE, ALWAYS, {"Places", "ann", "Team", "cook", "ghost"}),
        (f"cn=Places,{MAIN}", Scope.SUBTREE, NEVER, {"Places", *ALIASES}),
        (MAIN, Scope.SUBTREE, SEARCHING,
         {"Main", "Recipients", "Configuration", "administrator", "ann", "ben", "ghost", "Places", "Team",
          "cook"}),
        # The subtree without its base
        (f"cn=Places,{MAIN}", Scope.CHILDREN, NEVER, ALIASES),
        (f"cn=Places,{MAIN}", Scope.CHILDREN, ALWAYS, {"ann", "Team", "cook", "ghost"}),
        (f"cn=crew{AT}", Scope.CHILDREN, FINDING, {"cook"}),
        (f"cn=Team,{MAIN}", Scope.CHILDREN, NEVER, {"cook"}),
        (f"cn=cook,cn=Team,{MAIN}", Scope.CHILDREN, NEVER, set()),
    ],
)  # fmt: skip
def test_the_four_modes(
    directory: Directory, base: str, scope: Scope, deref: Deref, expected: set[str]
) -> None:
    for planned in (True, False):
        answer = found(directory, "(objectClass=*)", base=base, scope=scope, deref=deref, planned=planned)
        assert names(answer) == expected and all(name in answer for name in answer)


@pytest.mark.parametrize("base", [f"cn=one{AT}", f"cn=two{AT}", f"cn=x,cn=one{AT}", f"cn=x,cn=y,cn=two{AT}"])
def test_a_circle_is_a_problem_of_aliases(directory: Directory, base: str) -> None:
    with pytest.raises(AliasProblem) as refused:
        found(directory, "(objectClass=*)", base=base, scope=Scope.BASE, deref=FINDING)
    result = refusals.ldap(refused.value)
    assert result is not None and result.code is ResultCode.ALIAS_PROBLEM


def test_what_is_not_seen_is_as_if_the_alias_led_nowhere(directory: Directory) -> None:
    ann = viewer(directory, "ann")
    with pytest.raises(AliasProblem):
        found(directory, "(objectClass=*)", base=f"cn=hidden{AT}", scope=Scope.BASE, deref=ALWAYS, asking=ann)
    places = f"cn=Places,{MAIN}"
    shown = found(directory, "(objectClass=*)", base=places, scope=Scope.ONE, deref=ALWAYS, asking=ann)
    assert names(shown) == {"ann", "Team"}
    run(directory.delete_entry(f"cn=cook,cn=Team,{MAIN}", SERVER))
    run(directory.delete_entry(f"cn=Team,{MAIN}", SERVER))
    with pytest.raises(NoSuchEntry):
        found(directory, "(objectClass=*)", base=f"cn=crew{AT}", scope=Scope.BASE, deref=ALWAYS)


def test_names_that_are_not_there_are_told_as_usual(directory: Directory) -> None:
    with pytest.raises(NoSuchEntry) as missing:
        found(directory, "(objectClass=*)", base=f"cn=x,cn=crew{AT}", scope=Scope.BASE, deref=ALWAYS)
    assert missing.value.matched == f"cn=Team,{MAIN}"
    with pytest.raises(NoSuchEntry) as missing:
        found(directory, "(objectClass=*)", base=f"cn=x,cn=crew{AT}", scope=Scope.BASE, deref=SEARCHING)
    assert missing.value.matched == f"cn=crew{AT}"
    with pytest.raises(NamingViolation):
        alias(directory, f"cn=below,cn=boss{AT}", f"cn=ben,{RECIPIENTS}")
