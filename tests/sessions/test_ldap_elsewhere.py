"""Other servers that the settings name, and the default referral (ims_spec 7.5)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imsd import errors
from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door, Identity
from protocols.ldap.controls import Controls
from protocols.ldap.messages import CompareRequest, DeleteRequest, Scope
from tests.directory.support import configure
from tests.sessions.test_ldap import ANN, HERE, bind, directory, door
from tests.sessions.test_ldap_referrals import ask
from tests.support.stores import run

__all__ = ["directory", "door"]

ROWS = [
    {"server": "a.test", "base": "o=Other, c=DE"},
    {"server": "b.test", "base": "ou=Berlin,o=Example", "tls": True},
    {"server": "c.test", "base": "ou=Sales,ou=Berlin,o=Example", "port": 1389},
    {"server": "d.test", "base": "o=Example"},
]
A, B, C = "ldap://a.test:389", "ldaps://b.test:636", "ldap://c.test:1389"


@pytest.fixture
def ann(door: Door, directory: Directory) -> Identity:
    configure(directory, ldap__referrals=json.dumps(ROWS), ldap__default_referral='"ldap://default.test"')
    return bind(door, "ann", "anns")


@pytest.mark.parametrize(
    ("base", "scope", "url"),
    [
        ("o=Other,c=DE", Scope.SUBTREE, f"{A}/o=Other,c=DE??sub"),
        ("cn=x,O=other,C=de", Scope.BASE, f"{A}/cn=x,o=Other,c=DE??base"),
        ("ou=Berlin,o=Example", Scope.ONE, f"{B}/ou=Berlin,o=Example??one"),
        ("cn=y,ou=Berlin,dc=example,dc=test", Scope.SUBTREE, f"{B}/cn=y,ou=Berlin,o=Example??sub"),
        ("cn=y,ou=Sales,ou=Berlin,o=Example", Scope.BASE, f"{C}/cn=y,ou=Sales,ou=Berlin,o=Example??base"),
        ("o=Nobody", Scope.SUBTREE, "ldap://default.test/o=Nobody??sub"),
    ],
)
def test_who_asks_for_what_others_hold_is_referred_there(
    ann: Identity, base: str, scope: Scope, url: str
) -> None:
    with pytest.raises(errors.HeldElsewhere) as referred:
        ask(ann, base, scope)
    assert referred.value.urls == (url,)


@pytest.mark.parametrize(
    ("base", "scope", "urls"),
    [
        ("o=Example", Scope.SUBTREE, [f"{B}/ou=Berlin,o=Example??sub",
                                      f"{C}/ou=Sales,ou=Berlin,o=Example??sub"]),
        ("dc=example,dc=test", Scope.ONE, [f"{B}/ou=Berlin,o=Example??base"]),
        ("o=Example", Scope.BASE, []),
        ("ou=Main,o=Example", Scope.SUBTREE, []),
        ("", Scope.SUBTREE, [f"{A}/o=Other,c=DE??sub", f"{B}/ou=Berlin,o=Example??sub",
                             f"{C}/ou=Sales,ou=Berlin,o=Example??sub"]),
    ],
)  # fmt: skip
def test_searches_from_above_go_on_there(ann: Identity, base: str, scope: Scope, urls: list[str]) -> None:
    found: Any = ask(ann, base, scope)
    given = [url.decode() if isinstance(url, bytes) else url for one in found[1] for url in one]
    assert sorted(given) == sorted(urls)


def test_other_requests_and_who_manages_them(ann: Identity, door: Door, directory: Directory) -> None:
    for work in (
        lambda: ann.delete(DeleteRequest("cn=x,o=Other,c=DE")),
        lambda: ann.compare(CompareRequest("cn=x,o=Other,c=DE", "cn", b"x")),
    ):
        with pytest.raises(errors.HeldElsewhere) as referred:
            run(work())
        assert referred.value.urls == (f"{A}/cn=x,o=Other,c=DE",)
    assert run(ann.compare(CompareRequest(ANN, "uid", b"ann")))
    with pytest.raises(errors.NoSuchEntry):
        ask(ann, "o=Other,c=DE", Scope.BASE, Controls(manage_dsa_it=True))
    with pytest.raises(errors.NoSuchEntry):
        ask(ann, "ou=Nothing,o=Example", Scope.BASE)
    # Strangers are told nothing.
    configure(directory, ldap__anonymous="true")
    stranger = door.anonymous(HERE)
    configure(directory, ldap__anonymous="false")
    assert stranger is not None
    with pytest.raises(errors.NotPermitted):
        ask(stranger, "o=Other,c=DE", Scope.BASE)
    configure(directory, ldap__default_referral='""', ldap__referrals="[]")
    with pytest.raises(errors.NoSuchEntry):
        ask(ann, "o=Other,c=DE", Scope.BASE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ldap.referrals", [{"server": "a b", "base": "o=x"}]),
        ("ldap.referrals", [{"server": "a", "base": "x"}]),
        ("ldap.referrals", [{"server": "a", "base": ""}]), ("ldap.referrals", [{"base": "o=x"}]),
        ("ldap.referrals", [{"server": "a", "base": "o=x", "port": 70_000}]),
        ("ldap.referrals", [{"server": "a", "base": f"o=x{n}"} for n in range(351)]),
        ("ldap.default_referral", "http://a.test"), ("ldap.default_referral", "ldap://"),
        ("ldap.default_referral", "ldap://a b"),
    ],
)  # fmt: skip
def test_what_is_no_server_is_refused(directory: Directory, key: str, value: Any) -> None:
    with pytest.raises(errors.ConstraintViolation):
        directory.settings.parse(key, json.dumps(value))
