"""Referral entries (RFC 3296): who is sent elsewhere, and with which URLs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from imsd import errors
from imsd.sessions import refusals
from imsd.sessions.ldap import Door, Identity
from protocols.ldap import client, responses
from protocols.ldap.controls import NONE, Controls
from protocols.ldap.filters import parse
from protocols.ldap.messages import (
    AddRequest,
    Attribute,
    CompareRequest,
    DeleteRequest,
    Deref,
    ModifyDnRequest,
    Scope,
    SearchRequest,
)
from protocols.ldap.results import ResultCode
from protocols.ldap.session import singly
from tests.directory.support import configure
from tests.sessions.test_ldap import ANN, HERE, RECIPIENTS, bind, directory, door
from tests.sessions.test_ldap_controls import replace
from tests.support.stores import run

__all__ = ["directory", "door"]

SITE = "ou=Main,o=Example"
PEOPLE = f"ou=People,{SITE}"
MANAGE = Controls(manage_dsa_it=True)
AT_B = "ldap://hostb/ou=People,o=B%20C"


@pytest.fixture
def admin(door: Door) -> Identity:
    admin = bind(door, "administrator", "secret")
    refs = (b"ldap://hostb/ou=People,o=B%20C?cn?one?(x=y)", b"ldap://hostc", b"https://example.org/people")
    given = (Attribute("objectClass", (b"referral", b"extensibleObject")), Attribute("ref", refs))
    run(admin.add(AddRequest(PEOPLE, given)))
    return admin


def ask(identity: Identity, base: str, scope: Scope, controls: Controls = NONE) -> tuple[Any, Any]:
    names, urls = [], []

    async def gather() -> None:
        request = SearchRequest(base, scope, Deref.NEVER, 0, 0, False, parse("(ou=*)"), ("ref",))
        async for answer in singly(identity.search(request, controls)):
            if answer:
                assert isinstance(answer, bytes)
                operation: Any = client.read(responses.message(1, answer)).operation
                if hasattr(operation, "urls"):
                    urls.append(operation.urls)
                else:
                    names.append(operation.dn)

    run(gather())
    return names, urls


@pytest.mark.parametrize(("scope", "said"), [(Scope.SUBTREE, "sub"), (Scope.ONE, "base")])
def test_a_search_continues_elsewhere(admin: Identity, scope: Scope, said: str) -> None:
    names, urls = ask(admin, SITE, scope)
    assert PEOPLE not in names
    assert urls == [
        (f"{AT_B}??{said}", f"ldap://hostc/{PEOPLE}??{said}", "https://example.org/people"),
    ]  # fmt: skip
    assert ask(admin, RECIPIENTS, scope)[1] == []
    names, urls = ask(admin, SITE, scope, MANAGE)
    assert PEOPLE in names and urls == []


@pytest.mark.parametrize(
    ("base", "scope", "expected"),
    [
        (PEOPLE, Scope.BASE, f"{AT_B}??base"),
        (f"cn=x,cn=y,{PEOPLE}", Scope.SUBTREE, "ldap://hostb/cn=x,cn=y,ou=People,o=B%20C??sub"),
        (f"cn=x,{PEOPLE.replace('o=Example', 'dc=example,dc=test')}", Scope.ONE,
         "ldap://hostb/cn=x,ou=People,o=B%20C??one"),
    ],
)  # fmt: skip
def test_a_search_begins_elsewhere(admin: Identity, base: str, scope: Scope, expected: str) -> None:
    with pytest.raises(errors.HeldElsewhere) as elsewhere:
        ask(admin, base, scope)
    assert elsewhere.value.urls[0] == expected
    result = refusals.ldap(elsewhere.value)
    assert result is not None and result.code is ResultCode.REFERRAL and result.referrals[0] == expected


BELOW = f"cn=x,{PEOPLE}"
GIVEN = (Attribute("objectClass", (b"inetOrgPerson",)),)


@pytest.mark.parametrize(
    ("request_of", "expected"),
    [
        (lambda one: one.modify(replace(PEOPLE, "description", b"x")), AT_B),
        (lambda one: one.delete(DeleteRequest(PEOPLE)), AT_B),
        (lambda one: one.modify_dn(ModifyDnRequest(PEOPLE, "ou=P", True, None)), AT_B),
        (lambda one: one.compare(CompareRequest(PEOPLE, "ou", b"People")), AT_B),
        (lambda one: one.add(AddRequest(BELOW, GIVEN)), "ldap://hostb/cn=x,ou=People,o=B%20C"),
        (lambda one: one.add(AddRequest(f"cn=z,{BELOW}", GIVEN)), "ldap://hostb/cn=z,cn=x,ou=People,o=B%20C"),
        (lambda one: one.delete(DeleteRequest(BELOW)), "ldap://hostb/cn=x,ou=People,o=B%20C"),
        (lambda one: one.compare(CompareRequest(BELOW, "cn", b"x")), "ldap://hostb/cn=x,ou=People,o=B%20C"),
    ],
)
def test_what_is_there_is_asked_for_there(
    admin: Identity, request_of: Callable[[Identity], Awaitable[Any]], expected: str
) -> None:
    with pytest.raises(errors.HeldElsewhere) as elsewhere:
        run(request_of(admin))
    assert elsewhere.value.urls[0] == expected


def test_referrals_are_managed_and_are_not_for_everybody(admin: Identity, door: Door, directory: Any) -> None:
    with pytest.raises(errors.AffectsOthers):
        run(admin.modify_dn(ModifyDnRequest(ANN, "cn=ann", True, PEOPLE)))
    configure(directory, ldap__anonymous="true")
    anyone = door.anonymous(HERE)
    assert anyone is not None and ask(anyone, SITE, Scope.SUBTREE)[1] == []
    with pytest.raises(errors.NoSuchEntry):
        ask(anyone, BELOW, Scope.BASE)
    with pytest.raises(errors.InvalidSyntax):
        run(admin.modify(replace(PEOPLE, "ref", b"nonsense"), MANAGE))
    run(admin.modify(replace(PEOPLE, "ref", b"ldap://hostd"), MANAGE))
    assert run(admin.compare(CompareRequest(PEOPLE, "ref", b"ldap://hostd"), MANAGE))
    run(admin.delete(DeleteRequest(PEOPLE), MANAGE))
    assert ask(admin, SITE, Scope.SUBTREE)[1] == []
