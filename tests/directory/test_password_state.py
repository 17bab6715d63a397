"""What is known of a password, as attributes (draft-behera-ldap-password-policy-10 5.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imsd import errors
from imsd.directory.access import SERVER, Viewer
from imsd.directory.changes import Change, Modification
from imsd.directory.conditions import Conditions
from imsd.directory.directory import Directory
from imsd.directory.search import Search
from imsd.store import credentials
from imsd.store.database import Database
from imsd.store.ids import EntryId
from protocols.ldap.filters import parse
from tests.directory.support import configure, found, open_directory, viewer
from tests.support.stores import run

ANN = "cn=ann,cn=Recipients,ou=Main,o=Example"
SECOND = 1_000_000
NAMES = ("pwdChangedTime", "pwdAccountLockedTime", "pwdFailureTime", "pwdGraceUseTime", "pwdReset")
FOR_GOOD = "000001010000Z"


@pytest.fixture
def directory(database: Database) -> Iterator[Directory]:
    made = open_directory(database)
    run(made.add_user("ann@example.test", name="Ann Lee", password="anns"))
    run(made.add_user("bob@example.test", name="Bob Hill", password="bobs"))
    configure(made, passwords__lockout_failures="2", passwords__lockout_minutes="0")
    yield made


def ann_of(directory: Directory) -> EntryId:
    person = run(directory.person_by_login("ann"))
    assert person is not None
    return person.entry


def shown(directory: Directory, asking: Viewer = SERVER, *names: str) -> dict[str, list[str]]:
    return found(directory, "(uid=ann)", *(names or NAMES), asking=asking)[ANN]


def failed(directory: Directory, when: int) -> None:
    run(directory.db.write(credentials.failed, ann_of(directory), when, 0, 2))


def change(
    directory: Directory, kind: Change, name: str, *values: str, asking: Viewer = SERVER, **more: Any
) -> None:
    made = Modification(kind, name, tuple(value.encode() for value in values))
    run(directory.modify_entry(ANN, [made], asking, Conditions(**more)))


def test_failures_and_locks_are_seen_as_they_come(directory: Directory) -> None:
    before = shown(directory)
    assert list(before) == ["pwdChangedTime"] and before["pwdChangedTime"][0].endswith("Z")
    first = 1_800_000_000 * SECOND
    failed(directory, first + 250_000)
    assert shown(directory)["pwdFailureTime"] == ["20270115080000.250000Z"]
    failed(directory, first + 9 * SECOND)
    locked = shown(directory)
    assert locked["pwdFailureTime"] == ["20270115080000.250000Z", "20270115080009.000000Z"]
    assert locked["pwdAccountLockedTime"] == ["20270115080009Z"]
    for text in (
        "(pwdAccountLockedTime=*)",
        "(pwdFailureTime>=20270115080001Z)",
        "(pwdAccountLockedTime=202701150800.15Z)",
        "(&(objectClass=inetOrgPerson)(pwdFailureTime<=20270115080001Z))",
    ):
        assert found(directory, text, "1.1") == {ANN: {}}, text
    assert found(directory, "(pwdFailureTime>=20270115080009.1Z)", "1.1") == {}
    run(directory.unlock(run(directory.person_by_login("ann")).account))  # type: ignore[union-attr]
    assert shown(directory) == before


def test_grace_logins_are_seen(directory: Directory) -> None:
    times = [1_800_000_000 * SECOND, 1_800_000_060 * SECOND]
    for number, when in enumerate(times):
        assert run(directory.db.write(credentials.grace_used, ann_of(directory), 2, when))
        assert len(shown(directory)["pwdGraceUseTime"]) == number + 1
    assert not run(directory.db.write(credentials.grace_used, ann_of(directory), 2, times[1] + 1))
    assert shown(directory)["pwdGraceUseTime"] == ["20270115080000.000000Z", "20270115080100.000000Z"]
    run(directory.db.write(credentials.set_password, ann_of(directory), "plain:other"))
    assert list(shown(directory)) == ["pwdChangedTime"]


def test_they_are_for_whose_password_it_is_and_for_administrators(directory: Directory) -> None:
    failed(directory, SECOND)
    assert "pwdFailureTime" in shown(directory, viewer(directory, "ann"))
    assert shown(directory, viewer(directory, "bob")) == {}
    for text in ("(pwdFailureTime=*)", "(!(pwdFailureTime=*))", "(pwdChangedTime>=19700101000000Z)"):
        assert ANN not in found(directory, text, asking=viewer(directory, "bob"))
    assert shown(directory, SERVER, "pwdPolicySubentry") == {
        "pwdPolicySubentry": ["cn=passwords,cn=Configuration"]
    }
    assert shown(directory, viewer(directory, "ann"), "pwdPolicySubentry") == {}
    assert not set(NAMES) & shown(directory, SERVER, "*").keys()
    assert {"pwdFailureTime", "pwdChangedTime"} <= shown(directory, SERVER, "+").keys()
    assert not set(NAMES) & found(directory, "(ou=Main)", "+")["ou=Main,o=Example"].keys()
    failed(directory, 2 * SECOND)
    assert len(shown(directory, SERVER, "+")["pwdFailureTime"]) == 2, "an answer of before was kept"


def test_administrators_unlock_lock_and_reset(directory: Directory) -> None:
    failed(directory, SECOND)
    failed(directory, 2 * SECOND)
    change(directory, Change.DELETE, "pwdAccountLockedTime")
    assert not {"pwdAccountLockedTime", "pwdFailureTime"} & shown(directory).keys()
    with pytest.raises(errors.NoSuchAttribute):
        change(directory, Change.DELETE, "pwdAccountLockedTime")
    change(directory, Change.DELETE, "pwdAccountLockedTime", permissive=True)
    change(directory, Change.ADD, "pwdAccountLockedTime", FOR_GOOD)
    assert shown(directory)["pwdAccountLockedTime"] == [FOR_GOOD]
    assert found(directory, f"(pwdAccountLockedTime={FOR_GOOD})", "1.1") == {ANN: {}}
    assert shown(directory, SERVER, "imsAccountDisabled") == {"imsAccountDisabled": ["TRUE"]}
    with pytest.raises(errors.AttributeOrValueExists):
        change(directory, Change.ADD, "pwdAccountLockedTime", FOR_GOOD)
    change(directory, Change.REPLACE, "pwdAccountLockedTime")
    assert shown(directory, SERVER, "imsAccountDisabled") == {}
    change(directory, Change.REPLACE, "pwdReset", "TRUE")
    assert shown(directory)["pwdReset"] == ["TRUE"]
    assert run(directory.password_state(ann_of(directory))).must_change
    change(directory, Change.DELETE, "pwdReset", "TRUE")
    assert "pwdReset" not in shown(directory)
    both = [
        Modification(Change.REPLACE, "userPassword", (b"given",)),
        Modification(Change.REPLACE, "pwdReset", (b"TRUE",)),
    ]
    run(directory.modify_entry(ANN, both, SERVER))
    assert run(directory.db.read(credentials.read, ann_of(directory))).password == "plain:given"
    assert shown(directory)["pwdReset"] == ["TRUE"]


@pytest.mark.parametrize(
    ("kind", "name", "values", "refusal"),
    [
        (Change.REPLACE, "pwdReset", ["perhaps"], errors.InvalidSyntax),
        (Change.REPLACE, "pwdReset", ["TRUE", "FALSE"], errors.ConstraintViolation),
        (Change.INCREMENT, "pwdReset", ["TRUE"], errors.ConstraintViolation),
        (Change.DELETE, "pwdReset", ["FALSE"], errors.NoSuchAttribute),
        (Change.REPLACE, "pwdAccountLockedTime", ["20270101000000Z"], errors.UnwillingToPerform),
        (Change.REPLACE, "pwdChangedTime", ["20270101000000Z"], errors.ConstraintViolation),
        (Change.DELETE, "pwdFailureTime", [], errors.ConstraintViolation),
    ],
)
def test_what_is_refused(
    directory: Directory, kind: Change, name: str, values: list[str], refusal: type[errors.Refusal]
) -> None:
    with pytest.raises(refusal):
        change(directory, kind, name, *values)
    for value in (values, []):
        with pytest.raises((errors.NotPermitted, errors.ConstraintViolation)):
            change(directory, kind, name, *value, asking=viewer(directory, "ann"))


def test_whoever_is_added_may_have_to_change_it(directory: Directory) -> None:
    name = "cn=eve,cn=Recipients,ou=Main,o=Example"
    given = [("objectClass", [b"inetOrgPerson"]), ("userPassword", [b"given"]), ("pwdReset", [b"TRUE"])]
    run(directory.add_entry(name, given, SERVER))
    assert found(directory, "(pwdReset=TRUE)", "1.1") == {name: {}}
    with pytest.raises(errors.ConstraintViolation):
        run(directory.add_entry(name.replace("eve", "amy"), [given[0], given[2]], SERVER))
    with pytest.raises(errors.ConstraintViolation):
        role = name.replace("eve", "role")
        run(directory.add_entry(role, [("objectClass", [b"organizationalRole"]), given[2]], SERVER))


def test_a_change_may_depend_on_them(directory: Directory) -> None:
    search = Search(directory.db, directory.cache, directory.policy, SERVER)
    check = run(search.check(parse("(!(pwdAccountLockedTime=*))")))
    title = [Modification(Change.REPLACE, "title", (b"Cook",))]
    run(directory.modify_entry(ANN, title, SERVER, Conditions(check)))
    failed(directory, SECOND)
    failed(directory, 2 * SECOND)
    with pytest.raises(errors.AssertionFailed):
        run(directory.modify_entry(ANN, title, SERVER, Conditions(check)))
