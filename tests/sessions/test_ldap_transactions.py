"""Transactions over a directory: one unit, all or none."""

from __future__ import annotations

import pytest

from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door
from protocols.ldap.controls import NONE, POST_READ, Controls
from protocols.ldap.filters import parse
from protocols.ldap.messages import (
    AddRequest,
    Attribute,
    DeleteRequest,
    ModifyDnRequest,
    PasswordModify,
)
from protocols.ldap.results import FailedUpdate, ResultCode
from tests.sessions.test_ldap import ANN, RECIPIENTS, bind, directory, door, search
from tests.sessions.test_ldap_controls import image, replace
from tests.support.stores import run

__all__ = ["directory", "door"]

NEW = f"cn=new,{RECIPIENTS}"


def add(name: str) -> AddRequest:
    return AddRequest(name, (Attribute("objectClass", (b"inetOrgPerson",)),))


def test_all_are_done_in_turn(door: Door) -> None:
    admin = bind(door, "administrator", "secret")
    answered = run(
        admin.settle(
            [
                (add(NEW), NONE),
                (replace(NEW, "title", b"Cook"), Controls(assertion=parse("(uid=new)"))),
                (ModifyDnRequest(NEW, "cn=newer", True, None), Controls(post_read=("title",))),
                (DeleteRequest(ANN), NONE),
            ]
        )
    )
    assert image(answered[2], POST_READ) == {"dn": f"cn=newer,{RECIPIENTS}", "title": (b"Cook",)}
    assert set(search(admin, "(uid=*)", "1.1")) == {
        f"cn=newer,{RECIPIENTS}", f"cn=administrator,{RECIPIENTS}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (add(NEW), ResultCode.ENTRY_ALREADY_EXISTS),
        (replace(NEW, "nonsense", b"x"), ResultCode.UNDEFINED_ATTRIBUTE_TYPE),
        (replace(NEW, "userPassword", b"a", b"b"), ResultCode.CONSTRAINT_VIOLATION),
        (DeleteRequest(f"cn=nobody,{RECIPIENTS}"), ResultCode.NO_SUCH_OBJECT),
    ],
)
def test_or_none(door: Door, directory: Directory, last: AddRequest, expected: ResultCode) -> None:
    admin = bind(door, "administrator", "secret")
    with pytest.raises(FailedUpdate) as failed:
        run(admin.settle([(add(NEW), NONE), (DeleteRequest(ANN), NONE), (last, NONE)]))
    assert failed.value.number == 2 and failed.value.result.code is expected
    assert len(search(admin, "(uid=*)", "1.1")) == 2


def test_nobody_does_together_what_he_may_not_do(door: Door) -> None:
    ann = bind(door, "ann", "anns")
    with pytest.raises(FailedUpdate) as failed:
        run(ann.settle([(replace(ANN, "info", b"x"), NONE), (replace(ANN, "title", b"Boss"), NONE)]))
    assert failed.value.number == 1
    assert failed.value.result.code is ResultCode.INSUFFICIENT_ACCESS_RIGHTS
    run(ann.settle([(replace(ANN, "userPassword", b"other"), NONE), (replace(ANN, "info", b"x"), NONE)]))
    assert ann.who_am_i() and search(ann, "(info=x)", "1.1") == {ANN: {}}
    run(ann.password_modify(PasswordModify(None, b"other", b"again")))


def test_a_password_is_part_of_it(door: Door, directory: Directory) -> None:
    admin = bind(door, "administrator", "secret")
    given = (PasswordModify("u:ann", None, b"given-anew"), NONE)
    run(admin.settle([(replace(ANN, "title", b"Cook"), NONE), given]))
    ann = bind(door, "ann", "given-anew")
    for wrong, code in (
        (PasswordModify(None, b"wrong", b"mine-alone"), ResultCode.INVALID_CREDENTIALS),
        (PasswordModify("u:administrator", None, b"mine-alone"), ResultCode.INSUFFICIENT_ACCESS_RIGHTS),
    ):
        with pytest.raises(FailedUpdate) as failed:
            run(ann.settle([(replace(ANN, "info", b"x"), NONE), (wrong, NONE)]))
        assert (failed.value.number, failed.value.result.code) == (1, code)
    run(ann.settle([(replace(ANN, "info", b"x"), NONE), (PasswordModify(None, None, b"mine-alone"), NONE)]))
    assert bind(door, "ann", "mine-alone") and search(ann, "(info=x)", "1.1") == {ANN: {}}
