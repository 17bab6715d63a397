"""Who sees and changes what, in words; and that nobody learns by asking what he may not see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imsd.admin.operations import call
from imsd.directory import access, explaining, schema
from imsd.directory.access import ANONYMOUS, SERVER, Viewer
from imsd.directory.directory import Directory
from imsd.errors import NoSuchEntry, UnwillingToPerform
from tests.directory.support import configure, found, open_directory, viewer
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
NAMES = ("ann", "ben", "staff", "ghost")


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    for name in ("ann", "ben"):
        run(directory.add_user(f"{name}@example.test", name=name.title()))
    run(directory.add_user("ghost@example.test", name="Ghost"))
    run(directory.change("ghost", {"Hide-From-Address-Book": ["TRUE"]}))
    run(directory.add_group("staff@example.test", members=["ann", "ghost"], owner="ben"))
    run(directory.change("staff@example.test", {"Hide-DL-Membership": ["TRUE"]}))
    yield directory
    run(database.close())


def viewers(directory: Directory) -> dict[str, Viewer]:
    who = {name: viewer(directory, name) for name in ("ann", "ben", "administrator")}
    return {**who, "stranger": ANONYMOUS, "server": SERVER}


def ask(directory: Directory, who: str, entry: str, every: bool = False) -> dict[str, Any]:
    core = SimpleNamespace(directory=directory, settings=directory.settings)
    return run(call(core, "directory.explain", {"who": who, "entry": entry, "every": every}))


def test_what_is_said_is_what_is_decided(directory: Directory) -> None:
    """For everybody, of every entry and attribute."""
    configure(directory, ldap__attributes='{"title": "administrator", "jpegPhoto": "everyone"}')
    compared = 0
    for asking in viewers(directory).values():
        for name in NAMES:
            entry = run(directory.cache.entry(run(directory.cache.locate(f"cn={name},{RECIPIENTS}"))[0]))
            said = explaining.explain(asking, entry, directory.policy, True, True)
            rights = access.rights_class(asking, entry)
            assert said.seen == access.sees(rights, entry, asking.shut) and said.rights == rights.name.lower()
            for each in said.attributes:
                wanted = schema.definition(each.name)
                assert wanted is not None
                assert each.sees == (said.seen and directory.policy.reads(rights, wanted, entry)), each
                assert each.changes == (said.seen and access.writes(asking, entry, wanted)), each
                assert each.why_seen and each.why_changed
                compared += 1
    assert compared > 1_000


@pytest.mark.parametrize(
    ("who", "entry", "rights", "seen", "why"),
    [
        ("administrator", "ghost", "administrator", True, "every entry"),
        ("ann", "ann", "owner", True, "not hidden"),
        ("ann", "ben", "authenticated", True, "not hidden"),
        ("ann", "ghost", "authenticated", False, "Hide-From-Address-Book"),
        ("ghost", "ghost", "owner", True, "but not from its own person"),
        ("ben", "staff", "owner", True, "not hidden"),
        ("", "ann", "everyone", False, "ldap.anonymous"),
    ],
)
def test_the_entry_as_a_whole(
    directory: Directory, who: str, entry: str, rights: str, seen: bool, why: str
) -> None:
    said = ask(directory, who, f"{entry}@example.test")
    assert (said["rights"], said["seen"]) == (rights, seen) and why in said["why_seen"]


@pytest.mark.parametrize("entry", ["cn=Configuration", "cn=LDAP, cn=Configuration"])
def test_settings_are_for_administrators(directory: Directory, entry: str) -> None:
    configure(directory, ldap__anonymous="true")
    for who in ("", "ann"):
        said = ask(directory, who, entry, True)
        assert not said["seen"] and "for administrators" in said["why_seen"]
        assert not any(row["sees"] or row["changes"] for row in said["attributes"])
    said = ask(directory, "administrator", entry, True)
    assert (said["rights"], said["seen"]) == ("administrator", True)
    changing = {row["name"] for row in said["attributes"] if row["changes"]}
    assert changing == {name for name in _names(said) if name.startswith("conf-")}
    assert ("conf-ldap-attributes" in changing) == ("ldap" in entry.lower())
    with pytest.raises(NoSuchEntry):
        ask(directory, "administrator", "cn=nothing,cn=Configuration")


def _names(said: dict[str, Any]) -> list[str]:
    return [row["name"] for row in said["attributes"]]


def test_reasons_name_the_rule(directory: Directory) -> None:
    configure(directory, ldap__attributes='{"title": "administrator"}')

    def rows(who: str, entry: str) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in ask(directory, who, f"{entry}@example.test", True)["attributes"]}

    member = rows("ann", "staff")["member"]
    assert not member["sees"] and "Hide-DL-Membership" in member["why_seen"] and member["present"]
    own = rows("ben", "staff")["member"]
    assert own["sees"] and own["changes"] and "owner" in own["why_changed"]
    ann = rows("ann", "ann")
    assert "ldap.attributes" in ann["title"]["why_seen"] and not ann["title"]["sees"]
    assert not ann["userPassword"]["sees"] and "passwords" in ann["userPassword"]["why_seen"]
    assert ann["userPassword"]["changes"] and not ann["sn"]["changes"]
    assert "server alone" in ann["entryUUID"]["why_changed"]
    assert any("memberOf" in rule for rule in ask(directory, "ann", "ann@example.test")["rules"])
    with pytest.raises(NoSuchEntry):
        ask(directory, "nobody", "ann@example.test")
    with pytest.raises(NoSuchEntry):
        ask(directory, "ann", "nobody@example.test")
    run(directory.change("ann", {"imsAccountDisabled": ["TRUE"]}))
    with pytest.raises(UnwillingToPerform):
        ask(directory, "ann", "ben@example.test")


@pytest.mark.parametrize("who", ["ann", "stranger"])
def test_nothing_is_learnt_of_what_is_hidden(directory: Directory, who: str) -> None:
    """The same answers as where there is no such entry and no such member."""
    configure(directory, ldap__anonymous="true")
    asking = viewers(directory)[who]
    ghost, staff = f"cn=ghost,{RECIPIENTS}", f"cn=staff,{RECIPIENTS}"
    for text in (
        "(uid=ghost)", "(mail=ghost@example.test)", "(cn=gh*)", f"(entryDN={ghost})", f"(member={ghost})",
        f"(member=cn=ann,{RECIPIENTS})", "(member=*)", f"(memberOf={staff})", "(memberOf=*)",
        f"(member:distinguishedNameMatch:=cn=ann,{RECIPIENTS})", f"(manager={ghost})",
        f"(!(member=cn=ann,{RECIPIENTS}))", "(&(uid=staff)(!(member=*)))", "(:dn:caseIgnoreMatch:=ghost)",
        "(cn:dn:=ghost)", "(Hide-From-Address-Book=TRUE)", "(sn>=ghost)",
    ):  # fmt: skip
        for planned in (True, False):
            answer = set(found(directory, text, "1.1", asking=asking, planned=planned))
            assert ghost not in answer and (staff not in answer or text == "(sn>=ghost)"), text
            assert text.startswith(("(!", "(sn")) or not answer, text
    for text in ("(!(memberOf={}))", "(!(member={}))", "(!(entryDN={}))", "(|(owner={})(uid=ben))"):
        answers = [
            set(found(directory, text.format(name), "1.1", asking=asking))
            for name in (ghost, f"cn=nobody,{RECIPIENTS}")
        ]
        assert answers[0] == answers[1], text
    hidden, none = (
        set(found(directory, f"(!(memberOf={name}))", "1.1", asking=asking))
        for name in (staff, f"cn=nobody,{RECIPIENTS}")
    )
    assert hidden == none
    shown = found(directory, "(uid=staff)", "*", "+", asking=asking)[staff]
    assert "member" not in shown
    (above,) = found(directory, "(cn=Recipients)", "numSubordinates", asking=SERVER).values()
    (seen,) = found(directory, "(cn=Recipients)", "numSubordinates", asking=asking).values()
    assert int(above["numSubordinates"][0]) - int(seen["numSubordinates"][0]) == 1


def test_a_list_has_no_password(directory: Directory) -> None:
    shown = {name: str(ask(directory, "ann", f"cn={name},{RECIPIENTS}")) for name in ("ann", "staff")}
    assert "pwdChangedTime" in shown["ann"] and "pwdChangedTime" not in shown["staff"]
