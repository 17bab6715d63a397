"""The policy of passwords over LDAP: what sets one, and what the control tells."""

from __future__ import annotations

import pytest

from imsd import errors
from imsd.directory.directory import Directory
from imsd.directory.passwords import PasswordState
from imsd.sessions import password_policy
from imsd.sessions.ldap import Door
from protocols.ldap.controls import NONE, Controls, PasswordError
from protocols.ldap.messages import AddRequest, Attribute, CompareRequest, PasswordModify
from protocols.ldap.results import ResultCode
from tests.directory.support import configure
from tests.sessions.test_ldap import ANN, RECIPIENTS, bind, directory, door, search
from tests.sessions.test_ldap_controls import replace
from tests.support.stores import run

__all__ = ["directory", "door"]


def must_change(directory: Directory, who: str) -> bool:
    person = run(directory.person_by_login(who))
    assert person is not None
    return run(directory.password_state(person.entry)).must_change


def test_a_reset_lets_its_owner_do_nothing_but_change_it(door: Door, directory: Directory) -> None:
    configure(directory, passwords__change_after_reset="true")
    run(bind(door, "administrator", "secret").modify(replace(ANN, "userPassword", b"given")))
    ann = bind(door, "ann", "given")
    for refused in (
        lambda: search(ann, "(uid=ann)"),
        lambda: run(ann.modify(replace(ANN, "title", b"Cook"))),
        lambda: run(ann.compare(CompareRequest(ANN, "uid", b"ann"))),
        lambda: run(ann.modify(replace(f"cn=administrator,{RECIPIENTS}", "userPassword", b"mine"))),
        lambda: run(ann.modify(replace(ANN, "userPassword", b"mine"), Controls(relax=True))),
        lambda: run(ann.modify(replace(ANN, "userPassword"))),
    ):
        with pytest.raises(errors.ChangePasswordFirst):
            refused()
    assert run(ann.password_policy()).value == bytes.fromhex("3003810102")
    run(ann.modify(replace(ANN, "userPassword", b"mine"), Controls(password_policy=True)))
    assert search(ann, "(uid=ann)")
    assert run(ann.password_policy()).value == bytes.fromhex("3000")
    assert not must_change(directory, "ann")


def test_password_modify_does_as_well(door: Door, directory: Directory) -> None:
    configure(directory, passwords__change_after_reset="true")
    admin = bind(door, "administrator", "secret")
    run(admin.password_modify(PasswordModify("u:ann", None, b"given")))
    ann = bind(door, "ann", "given")
    with pytest.raises(errors.NotPermitted):
        run(ann.password_modify(PasswordModify("u:administrator", None, b"mine")))
    run(ann.password_modify(PasswordModify(None, b"given", b"mine")))
    assert search(ann, "(uid=ann)")


def test_an_administrator_whose_password_must_be_changed_is_none(door: Door, directory: Directory) -> None:
    admin = run(directory.person_by_login("administrator"))
    assert admin is not None
    run(directory.set_password(admin.account, "given", reset=True, must_change=True))
    identity = bind(door, "administrator", "given")
    for user in ("u:ann", "ann"):
        with pytest.raises(errors.ChangePasswordFirst):
            run(identity.password_modify(PasswordModify(user, None, b"mine")))
    with pytest.raises(errors.ChangePasswordFirst):
        run(identity.modify(replace(ANN, "userPassword", b"mine")))
    assert run(directory.person_by_login("ann")) and bind(door, "ann", "anns")


def test_whoever_is_added_must_change_it_too(door: Door, directory: Directory) -> None:
    configure(directory, passwords__change_after_reset="true")
    admin = bind(door, "administrator", "secret")
    given = Attribute("objectClass", (b"inetOrgPerson",)), Attribute("userPassword", (b"given",))
    run(admin.add(AddRequest(f"cn=bob,{RECIPIENTS}", given)))
    run(directory.add_user("eve@example.test", password="given"))
    assert must_change(directory, "bob") and must_change(directory, "eve")
    assert not must_change(directory, "ann")
    run(bind(door, "ann", "anns").modify(replace(ANN, "userPassword", b"mine")))
    assert not must_change(directory, "ann"), "she did it herself"


def test_former_passwords_do_not_come_back(door: Door, directory: Directory) -> None:
    configure(directory, passwords__history="2")
    ann = bind(door, "ann", "anns")
    run(ann.modify(replace(ANN, "userPassword", b"second")))
    run(ann.password_modify(PasswordModify(None, b"second", b"third")))
    for former in (b"anns", b"second", b"third"):
        with pytest.raises(errors.PasswordUsedBefore):
            run(ann.modify(replace(ANN, "userPassword", former)))
        with pytest.raises(errors.PasswordUsedBefore):
            run(ann.password_modify(PasswordModify(None, None, former)))
    run(ann.modify(replace(ANN, "userPassword")))  # taken away, it is a former one
    run(bind(door, "administrator", "secret").modify(replace(ANN, "userPassword", b"fourth")))
    ann = bind(door, "ann", "fourth")
    with pytest.raises(errors.PasswordUsedBefore):
        run(ann.modify(replace(ANN, "userPassword", b"third")))
    run(ann.modify(replace(ANN, "userPassword", b"anns")))


@pytest.mark.parametrize(
    ("state", "value"),
    [
        (PasswordState(), "3000"),
        (PasswordState(warn=300), "3006a0048002012c"),
        (PasswordState(expired=True, grace=0), "3005a003810100"),
        (PasswordState(expired=True, grace=2), "3005a003810102"),
        (PasswordState(warn=5, must_change=True), "3008a003800105810102"),
    ],
)
def test_what_a_bind_is_told(state: PasswordState, value: str) -> None:
    assert password_policy.told(state).value == bytes.fromhex(value)


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (errors.PasswordExpired(), PasswordError.EXPIRED, ResultCode.INVALID_CREDENTIALS),
        (errors.AccountLocked(), None, ResultCode.INVALID_CREDENTIALS),
        (
            errors.AccountLocked(errors.AccountLocked.told),
            PasswordError.LOCKED,
            ResultCode.INVALID_CREDENTIALS,
        ),
        (errors.PasswordMustChange(), PasswordError.CHANGE_AFTER_RESET, ResultCode.INVALID_CREDENTIALS),
        (
            errors.ChangePasswordFirst(),
            PasswordError.CHANGE_AFTER_RESET,
            ResultCode.INSUFFICIENT_ACCESS_RIGHTS,
        ),
        (errors.PasswordTooShort(), PasswordError.TOO_SHORT, ResultCode.CONSTRAINT_VIOLATION),
        (errors.PasswordUnusable(), PasswordError.QUALITY, ResultCode.CONSTRAINT_VIOLATION),
        (errors.PasswordUsedBefore(), PasswordError.IN_HISTORY, ResultCode.CONSTRAINT_VIOLATION),
        (errors.AuthenticationFailed(), None, ResultCode.INVALID_CREDENTIALS),
        (errors.ConstraintViolation(), None, ResultCode.CONSTRAINT_VIOLATION),
    ],
)
def test_what_a_refusal_is_told(
    door: Door, error: errors.Refusal, expected: PasswordError | None, code: ResultCode
) -> None:
    assert door.password_error(error) is expected
    explained = door.explain(error)
    assert explained is not None and explained.code is code
    assert Controls() == NONE
