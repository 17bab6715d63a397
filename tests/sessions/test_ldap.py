"""The door and the identities of LDAP over a directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from imsd import errors
from imsd.auth.account import Account
from imsd.directory.directory import Directory
from imsd.directory.search import FEW
from imsd.sessions.ldap import Door, Identity
from imsd.store import credentials
from imsd.store.ids import AccountId
from protocols.ldap import client, responses
from protocols.ldap.filters import parse
from protocols.ldap.interfaces import IDoor, IIdentity
from protocols.ldap.messages import (
    AddRequest,
    Attribute,
    Change,
    ChangeKind,
    CompareRequest,
    DeleteRequest,
    Deref,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    Scope,
    SearchRequest,
    SearchResultEntry,
)
from protocols.ldap.results import ResultCode
from protocols.ldap.session import singly
from protocols.security import Security
from tests.directory.support import configure, open_directory
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
ANN = f"cn=ann,{RECIPIENTS}"
HERE = Security(loopback=True, peer="127.0.0.1")


class Logins:
    """An authenticator that knows every password of `tests.directory.support`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def password(self, authzid: str, authcid: str, password: str, security: Security) -> Account:
        person = await self._directory.person_by_login(authcid)
        if person is None:
            raise errors.AuthenticationFailed
        held = await self._directory.db.read_few(credentials.read, person.entry)
        if held.password != f"plain:{password}":
            raise errors.AuthenticationFailed
        return Account(
            person.account, person.entry, person.dn, person.addresses, person.rights_version,
            person.is_admin, held.generation, person.account, must_change=held.must_change,
        )  # fmt: skip

    async def confirm(self, name: str, password: str, security: Security) -> None:
        await self.password("", name, password, security)


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user("ann@example.test", name="Ann Lee", password="anns"))
    yield directory
    run(database.close())


@pytest.fixture
def door(directory: Directory) -> Door:
    return Door(directory, directory.settings, Logins(directory))  # type: ignore[arg-type]


def bind(door: Door, name: str, password: str) -> Identity:
    return run(door.bind(name, password.encode(), HERE))


def search(identity: Identity, text: str, *attributes: str, base: str = "o=Example") -> dict[str, Any]:
    async def gather() -> dict[str, Any]:
        found = {}
        request = SearchRequest(base, Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse(text), attributes)
        async for answer in singly(identity.search(request)):
            if answer:
                entry = client.read(responses.message(1, answer)).operation
                assert isinstance(entry, SearchResultEntry)
                found[entry.dn] = {each.name: each.values for each in entry.attributes}
        return found

    return run(gather())


def test_they_are_what_the_server_asks_for(door: Door) -> None:
    assert verifyObject(IDoor, door)
    assert verifyObject(IIdentity, bind(door, "ann", "anns"))


@pytest.mark.parametrize(
    "name", ["ann", ANN, "ann@example.test", "cn=ann,cn=EXAMPLE", "cn=ann,cn=EXAMPLE,cn=Admin"]
)
def test_every_bind_name_of_old_and_new_clients(door: Door, name: str) -> None:
    assert bind(door, name, "anns").who_am_i() == f"dn:{ANN}"
    with pytest.raises(errors.AuthenticationFailed):
        bind(door, name, "wrong")
    with pytest.raises(errors.AuthenticationFailed):
        run(door.bind(name, b"\xff", HERE))


def test_the_root_dse_names_both_suffixes_and_the_schema_is_complete(door: Door) -> None:
    root = dict(door.root_dse().operational)
    assert root["namingContexts"] == (b"dc=example,dc=test", b"o=Example")
    assert root["subschemaSubentry"] == (door.subschema().dn.encode(),)
    assert {name for name, values in door.subschema().operational if values} == {
        "objectClasses", "attributeTypes", "matchingRules", "matchingRuleUse", "dITContentRules",
        "ldapSyntaxes",
    }  # fmt: skip


def test_strangers_are_let_in_by_a_setting(door: Door, directory: Directory) -> None:
    assert door.anonymous(HERE) is None
    configure(directory, ldap__anonymous="true")
    anyone = door.anonymous(HERE)
    assert anyone is not None and anyone.who_am_i() == ""
    assert set(search(anyone, "(uid=ann)")) == {ANN}
    assert anyone.limits.paged_entries == 100 and bind(door, "ann", "anns").limits.paged_entries == 0
    configure(directory, ldap__anonymous="false")
    with pytest.raises(errors.NotPermitted):
        search(anyone, "(uid=ann)")


def test_comparing_tells_true_false_and_why_not(door: Door, directory: Directory) -> None:
    run(directory.change("ann", {"telephoneNumber": ["+1 555"], "Admin-Description": ["trouble"]}))
    ann = bind(door, "ann", "anns")

    def compare(attribute: str, value: bytes, name: str = ANN) -> bool:
        return run(ann.compare(CompareRequest(name, attribute, value)))

    assert compare("telephoneNumber", b"+1-555") and not compare("telephoneNumber", b"1")
    assert compare("cn", b"ann lee") and compare("structuralObjectClass", b"inetorgperson")
    for attribute, value, refusal in [
        ("title", b"x", errors.NoSuchAttribute),
        ("Admin-Description", b"trouble", errors.NoSuchAttribute),
        ("userPassword", b"anns", errors.NoSuchAttribute),
        ("nonsense", b"x", errors.UndefinedAttribute),
        ("mailPreferenceOption", b"many", errors.InvalidSyntax),
        ("jpegPhoto", b"x", errors.NoSuchAttribute),
    ]:
        with pytest.raises(refusal):
            compare(attribute, value)
    with pytest.raises(errors.NoSuchEntry):
        compare("cn", b"x", "cn=nobody,o=Example")


def test_an_administrator_adds_changes_renames_and_deletes(door: Door) -> None:
    admin = bind(door, "administrator", "secret")
    name = f"cn=bob,{RECIPIENTS}"
    run(admin.add(AddRequest(name, (Attribute("objectClass", (b"inetOrgPerson",)),))))
    run(admin.modify(ModifyRequest(name, (Change(ChangeKind.ADD, Attribute("title", (b"Cook",))),))))
    run(admin.modify_dn(ModifyDnRequest(name, "cn=rob", True, "cn=recipients,ou=main,dc=example,dc=test")))
    assert search(admin, "(title=cook)", "cn") == {f"cn=rob,{RECIPIENTS}": {"cn": (b"rob",)}}
    run(admin.delete(DeleteRequest(f"cn=rob,{RECIPIENTS}")))
    assert search(admin, "(title=cook)") == {}


def test_an_identity_ends_with_its_account_or_its_password(door: Door, directory: Directory) -> None:
    ann, again = bind(door, "ann", "anns"), bind(door, "ann", "anns")
    run(again.password_modify(PasswordModify(None, b"anns", b"new")))
    assert search(again, "(uid=ann)"), "who changed it stays"
    with pytest.raises(errors.NotPermitted):
        search(ann, "(uid=ann)")
    disabled = bind(door, "ann", "new")
    person = run(directory.person_by_login("ann"))
    assert person is not None
    run(directory.set_disabled(AccountId(person.account), True))
    with pytest.raises(errors.NotPermitted):
        search(disabled, "(uid=ann)")
    run(directory.delete_user("ann", delete_mailbox=True))
    with pytest.raises(errors.NotPermitted):
        search(disabled, "(uid=ann)")


def test_a_lost_right_is_lost_with_the_next_request(door: Door, directory: Directory) -> None:
    run(directory.change("ann", {"imsAdministrator": ["TRUE"], "Admin-Description": ["x"]}))
    ann = bind(door, "ann", "anns")
    assert search(ann, "(Admin-Description=x)")
    run(directory.change("ann", {"imsAdministrator": []}))
    assert search(ann, "(Admin-Description=x)") == {}


def test_who_acts_for_another_is_no_administrator(door: Door, directory: Directory) -> None:
    admin = run(Logins(directory).password("", "administrator", "secret", HERE))
    ann = run(directory.person_by_login("ann"))
    assert ann is not None
    acting = Account(
        ann.account, ann.entry, ann.dn, ann.addresses, ann.rights_version, False, admin.generation, admin.id
    )
    identity = door.bound(acting, HERE)
    assert identity.who_am_i() == f"dn:{ANN}"
    assert search(identity, "(uid=administrator)") and search(identity, "(imsAdministrator=TRUE)") == {}


def test_passwords_of_others_are_the_administrators(door: Door) -> None:
    ann, admin = bind(door, "ann", "anns"), bind(door, "administrator", "secret")
    for user in ("administrator", "u:administrator", f"dn:cn=administrator,{RECIPIENTS}", "nobody"):
        with pytest.raises(errors.NotPermitted):
            run(ann.password_modify(PasswordModify(user, None, b"mine")))
    with pytest.raises(errors.AuthenticationFailed):
        run(ann.password_modify(PasswordModify(None, b"wrong", b"mine")))
    generated = run(admin.password_modify(PasswordModify("u:ann")))
    assert generated is not None and bind(door, "ann", generated.decode())
    with pytest.raises(errors.NoSuchEntry):
        run(admin.password_modify(PasswordModify("nobody")))


def test_refusals_become_results_and_bugs_do_not(door: Door) -> None:
    result = door.explain(errors.NoSuchEntry("not there", matched="o=Example"))
    assert result is not None
    assert (result.code, result.matched, result.text) == (
        ResultCode.NO_SUCH_OBJECT, "o=Example", "not there",
    )  # fmt: skip
    assert door.explain(ValueError()) is None


def test_substring_mode_and_limits_are_settings(door: Door, directory: Directory) -> None:
    ann = bind(door, "ann", "anns")
    assert search(ann, "(cn=*nn*)")
    configure(
        directory, ldap__substring='"initial_only"', ldap__size_limit="7", ldap__idle_minutes="1",
        ldap__operations="3",
    )  # fmt: skip
    assert search(ann, "(cn=*nn*)") == {} and search(ann, "(cn=an*)")
    assert ann.limits.entries == 7 and door.limits.idle == 60.0 and door.limits.operations == 3


def test_a_search_ends_with_the_right_it_was_begun_with(door: Door, directory: Directory) -> None:
    run(directory.change("ann", {"imsAdministrator": ["TRUE"]}))
    for number in range(2 * FEW):
        run(directory.add_contact(f"c{number}@example.test", f"c{number}@far.test"))
    for change in ({"imsAdministrator": []}, {"imsAccountDisabled": ["TRUE"]}):
        ann = bind(door, "ann", "anns")
        request = SearchRequest(
            "o=Example", Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse("(objectClass=*)"), ("1.1",)
        )
        answers = ann.search(request)
        run(anext(answers))
        run(directory.change("ann", {"telephoneNumber": ["1"]}))
        run(anext(answers))
        run(directory.change("ann", change))
        with pytest.raises(errors.NotPermitted):
            run(anext(answers))
