"""Adding, changing, deleting and renaming entries as LDAP asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, select

from imsd.directory import draft, subschema
from imsd.directory.access import ANONYMOUS, SERVER, Viewer
from imsd.directory.attributes import Visible
from imsd.directory.changes import Change, Modification
from imsd.directory.directory import Directory
from imsd.directory.values import Local
from imsd.directory.working import Working
from imsd.errors import (
    AttributeOrValueExists,
    ConstraintViolation,
    EntryExists,
    InvalidDN,
    InvalidSyntax,
    NamingViolation,
    NoSuchAttribute,
    NoSuchEntry,
    NoSuchRecipient,
    NotAllowedOnNonLeaf,
    NotAllowedOnRdn,
    NotPermitted,
    ObjectClassViolation,
    Refusal,
    UndefinedAttribute,
    UnwillingToPerform,
)
from imsd.store import credentials, entries, mailboxes
from imsd.store.entry_tables import entry_value
from imsd.store.ids import AccountId, EntryId
from imsd.store.sql import sql
from protocols.ldap.messages import Scope
from tests.directory.support import configure, found, open_directory, viewer
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
ANN = f"cn=ann,{RECIPIENTS}"


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user("ann@example.test", name="Ann Lee"))
    yield directory
    run(database.close())


def add(directory: Directory, name: str, asking: Viewer = SERVER, **given: str | list[str]) -> EntryId:
    values = [
        (key.replace("_", "-"), [each.encode() for each in ([value] if isinstance(value, str) else value)])
        for key, value in given.items()
    ]
    return run(directory.add_entry(name, values, asking)).entry


def change(
    directory: Directory, name: str, *changes: tuple[str, str, list[str]], asking: Viewer = SERVER
) -> None:
    modifications = [
        Modification(Change[how.upper()], attribute, tuple(value.encode() for value in values))
        for how, attribute, values in changes
    ]
    run(directory.modify_entry(name, modifications, asking))


def entry(directory: Directory, name: str, *attributes: str) -> dict[str, list[str]]:
    return next(iter(found(directory, "(objectClass=*)", *attributes, base=name, scope=Scope.BASE).values()))


# Add -------------------------------------------------------------------------------------


def test_what_an_older_client_leaves_out_is_filled_in(directory: Directory) -> None:
    """The least that adds a mailbox (ims_spec 12.3), with the display name as cn."""
    name = f"cn=markc,{RECIPIENTS}"
    made = add(
        directory, name, objectClass="organizationalPerson", cn="Mark M. Clark", uid="markc",
        mailPreferenceOption="0", Home_MDB="cn=MDB", Home_MTA="cn=MTA",
    )  # fmt: skip
    shown = entry(directory, name)
    assert shown["cn"] == ["Mark M. Clark", "markc"]
    assert (shown["displayName"], shown["rdn"], shown["sn"]) == (["Mark M. Clark"], ["markc"], ["Clark"])
    assert shown["mail"] == ["markc@example.test"] and shown["uid"] == ["markc"]
    assert {"inetOrgPerson", "organizationalPerson", "person", "Mail-Recipient", "Mailbox"} <= set(
        shown["objectClass"]
    )
    assert run(directory.db.read(mailboxes.account_exists, AccountId(made)))
    assert run(directory.person_by_login("markc")).account == made  # type: ignore[union-attr]


def test_a_modern_client_adds_an_inetorgperson_by_uid(directory: Directory) -> None:
    name = "uid=eve,cn=Recipients,ou=Main,dc=example,dc=test"
    made = add(
        directory, name, objectClass=["top", "person", "organizationalPerson", "inetOrgPerson"],
        cn="Eve Adams", sn="Adams", givenName="Eve", userPassword="geheim-2", mail="Eve.Adams@example.test",
    )  # fmt: skip
    shown = entry(directory, name)
    assert shown["cn"] == ["Eve Adams"] and shown["uid"] == ["eve"] and shown["rdn"] == ["eve"]
    assert "userPassword" not in shown
    assert run(directory.db.read(credentials.read, made)).password == "plain:geheim-2"


def test_addresses_are_generated_by_the_site_and_numbered(directory: Directory) -> None:
    configure(
        directory,
        addressing__smtp='["%g.%s@example.test", "%m@b.test"]',
        addressing__x400='"c=US;a= ;p=Example;o=Main;"',
    )
    for number in ("", "2"):
        name = f"cn=zoe{number},{RECIPIENTS}"
        add(directory, name, objectClass="inetOrgPerson", cn="Zoë Q", sn="Q", givenName="Zoë")
        shown = entry(directory, name)
        assert shown["mail"] == [f"Zoe.Q{number}@example.test"]
        assert f"smtp$zoe{number}@b.test" in shown["otherMailbox"]
    assert entry(directory, f"cn=zoe,{RECIPIENTS}")["textEncodedORAddress"] == [
        "c=US;a= ;p=Example;o=Main;s=Q;g=Zoe;"
    ]


def test_containers_and_entries_in_them(directory: Directory) -> None:
    add(directory, f"ou=Berlin,{RECIPIENTS}", objectClass="organizationalUnit")
    add(directory, f"cn=bo,ou=Berlin,{RECIPIENTS}", objectClass="inetOrgPerson", cn="Bo", sn="B")
    assert isinstance(run(directory.resolve("bo@example.test")), Local)
    with pytest.raises(NotAllowedOnNonLeaf):
        run(directory.delete_entry(f"ou=Berlin,{RECIPIENTS}", SERVER))
    shown = entry(directory, f"ou=Berlin,{RECIPIENTS}", "numSubordinates", "hasSubordinates")
    assert shown == {"numSubordinates": ["1"], "hasSubordinates": ["TRUE"]}


@pytest.mark.parametrize(
    ("name", "given", "refusal"),
    [
        (ANN, {"objectClass": "inetOrgPerson"}, EntryExists),
        (f"cn=x,{ANN}", {"objectClass": "inetOrgPerson"}, NamingViolation),
        ("cn=x,o=Example", {"objectClass": "inetOrgPerson"}, NamingViolation),
        ("cn=x,cn=nowhere,o=Example", {"objectClass": "inetOrgPerson"}, NoSuchEntry),
        ("cn=x,o=Elsewhere", {"objectClass": "inetOrgPerson"}, NoSuchEntry),
        ("o=Example", {"objectClass": "organization"}, NamingViolation),
        (f"cn=x+uid=y,{RECIPIENTS}", {"objectClass": "inetOrgPerson"}, NamingViolation),
        (f"sn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson"}, NamingViolation),
        ("rubbish", {"objectClass": "inetOrgPerson"}, InvalidDN),
        (f"cn=x,{RECIPIENTS}", {"cn": "x"}, ObjectClassViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "nonsense"}, ObjectClassViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": ["inetOrgPerson", "groupOfNames"]}, ObjectClassViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "nonsense": "x"}, UndefinedAttribute),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "groupOfNames", "imsAdministrator": "TRUE"},
         ObjectClassViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "sn": ""}, InvalidSyntax),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "MAPI-Recipient": "maybe"}, InvalidSyntax),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "entryUUID": "x"}, ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "memberOf": ANN}, ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "manager": "cn=nobody,o=Example"},
         ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "manager": "nobody"}, InvalidSyntax),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "employeeNumber": ["1", "2"]},
         ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "title": ["a", "A "]},
         AttributeOrValueExists),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "mail": "ANN@example.test"},
         ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "uid": "ann"}, ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "uid": "ann@example.test"},
         ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "groupOfNames", "userPassword": "geheim-2"},
         ConstraintViolation),
        (f"cn=x,{RECIPIENTS}", {"objectClass": "inetOrgPerson", "rdn": "y"}, NotAllowedOnRdn),
    ],
)  # fmt: skip
def test_what_is_not_added(
    directory: Directory, name: str, given: dict[str, str | list[str]], refusal: type[Refusal]
) -> None:
    before = len(found(directory, "(objectClass=*)", "1.1"))
    with pytest.raises(refusal):
        add(directory, name, **given)
    assert len(found(directory, "(objectClass=*)", "1.1")) == before


# Modify ----------------------------------------------------------------------------------


def test_primary_and_secondary_address_swap_in_one_request(directory: Directory) -> None:
    """The product refused this, because it compared with the entry before the change (Q303028)."""
    change(directory, ANN, ("add", "otherMailbox", ["smtp$ann.lee@example.test"]))
    change(
        directory,
        ANN,
        ("replace", "mail", ["ann.lee@example.test"]),
        ("delete", "otherMailbox", ["smtp$ann.lee@example.test"]),
        ("add", "otherMailbox", ["smtp$ann@example.test"]),
    )
    shown = entry(directory, ANN)
    assert shown["mail"] == ["ann.lee@example.test"] and shown["otherMailbox"] == ["smtp$ann@example.test"]
    ann = run(directory.person_by_login("ann"))
    assert ann is not None and ann.addresses == ("ann.lee@example.test", "ann@example.test")
    change(
        directory, ANN, ("replace", "Proxy-Addresses", ["SMTP:ann@example.test", "smtp:ann.lee@example.test"])
    )
    assert entry(directory, ANN)["mail"] == ["ann@example.test"]
    with pytest.raises(AttributeOrValueExists):
        change(directory, ANN, ("add", "otherMailbox", ["smtp$ANN@example.test"]))
    with pytest.raises(ConstraintViolation):
        change(
            directory,
            ANN,
            ("replace", "mail", ["x@example.test"]),
            ("add", "proxyAddresses", ["smtp:y@b.test"]),
        )


def test_the_display_name_changes_and_the_directory_name_stays(directory: Directory) -> None:
    change(directory, ANN, ("replace", "cn", ["Ann Smith"]))
    assert entry(directory, ANN)["cn"] == ["Ann Smith", "ann"]
    change(directory, ANN, ("replace", "displayName", ["Ann Jones"]))
    assert entry(directory, ANN)["cn"] == ["Ann Jones", "ann"]
    change(directory, ANN, ("add", "cn", ["Annie"]))
    assert entry(directory, ANN)["cn"] == ["Ann Jones", "ann", "Annie"]
    for how in (("delete", "cn", ["ann"]), ("delete", "cn", [])):
        with pytest.raises(NotAllowedOnRdn):
            change(directory, ANN, how)
    with pytest.raises(NotAllowedOnRdn):
        change(directory, ANN, ("replace", "rdn", ["anna"]))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ([("delete", "title", [])], NoSuchAttribute),
        ([("add", "title", ["x"]), ("delete", "title", ["y"])], NoSuchAttribute),
        ([("add", "title", ["x"]), ("add", "title", ["X"])], AttributeOrValueExists),
        ([("add", "title", [])], InvalidSyntax),
        ([("delete", "sn", [])], ObjectClassViolation),
        ([("delete", "uid", [])], ObjectClassViolation),
        ([("replace", "modifyTimestamp", ["20260101000000Z"])], ConstraintViolation),
        ([("increment", "title", ["1"])], NoSuchAttribute),
        ([("add", "title", ["x"]), ("increment", "title", ["1"])], ConstraintViolation),
        ([("replace", "objectClass", ["groupOfNames"])], UnwillingToPerform),
        ([("add", "manager", ["cn=nobody,o=Example"])], ConstraintViolation),
        ([("delete", "manager", [])], NoSuchAttribute),
        ([("replace", "nonsense", [])], UndefinedAttribute),
        ([("replace", "cn;x-de", ["x"])], UndefinedAttribute),
        ([("replace", "cn;lang-de-", ["x"])], UndefinedAttribute),
        ([("replace", "uid;binary", ["x"])], UndefinedAttribute),
        ([("add", "objectClass", ["dcObject"]), ("add", "dc", ["x"])], ObjectClassViolation),
        ([("replace", "title", ["x" * 65])], InvalidSyntax),
        ([("replace", "userPassword", ["a", "b"])], ConstraintViolation),
    ],
)
def test_what_is_not_changed(
    directory: Directory, changes: list[tuple[str, str, list[str]]], refusal: type[Refusal]
) -> None:
    before = entry(directory, ANN, "*", "+")
    with pytest.raises(refusal):
        change(directory, ANN, ("replace", "info", ["never stored"]), *changes)
    assert entry(directory, ANN, "*", "+") == before


def test_numbers_grow_and_octets_take_the_binary_option(directory: Directory) -> None:
    change(directory, ANN, ("add", "Deliv-Cont-Length", ["10"]))
    change(directory, ANN, ("increment", "Deliv-Cont-Length", ["-3"]))
    change(directory, ANN, ("add", "User-Cert;binary", ["not DER, but octets"]))
    shown = entry(directory, ANN)
    assert shown["Deliv-Cont-Length"] == ["7"] and shown["User-Cert"] == ["not DER, but octets"]


def test_who_may_change_what(directory: Directory) -> None:
    run(directory.add_user("bob@example.test"))
    run(directory.add_group("team@example.test", members=["ann"], owner="bob"))
    ann, bob = viewer(directory, "ann"), viewer(directory, "bob")
    team = f"cn=team,{RECIPIENTS}"
    change(directory, ANN, ("replace", "telephoneNumber", ["+1 555"]), asking=ann)
    change(directory, ANN, ("replace", "userPassword", ["geheim-3"]), asking=ann)
    change(directory, team, ("add", "member", [f"cn=bob,{RECIPIENTS}"]), asking=bob)
    for name, what, asking in [
        (ANN, ("replace", "title", ["Boss"]), ann),
        (ANN, ("replace", "imsAdministrator", ["TRUE"]), ann),
        (ANN, ("replace", "telephoneNumber", ["+1 666"]), bob),
        (ANN, ("replace", "userPassword", ["geheim-4"]), bob),
        (ANN, ("replace", "telephoneNumber", ["+1 666"]), ANONYMOUS),
        (team, ("replace", "owner", [ANN]), bob),
        (team, ("add", "member", [ANN]), ann),
    ]:
        with pytest.raises(NotPermitted):
            change(directory, name, what, asking=asking)  # type: ignore[arg-type]
    with pytest.raises(NotPermitted):
        add(directory, f"cn=x,{RECIPIENTS}", asking=ann, objectClass="inetOrgPerson")
    with pytest.raises(NotPermitted):
        run(directory.delete_entry(ANN, ann))
    with pytest.raises(NotPermitted):
        run(directory.rename_entry(ANN, "cn=anna", True, None, ann))
    shown = entry(directory, ANN, "*", "modifiersName")
    assert shown["telephoneNumber"] == ["+1 555"] and shown["modifiersName"] == [ANN]


def test_rights_are_those_of_the_rows(directory: Directory) -> None:
    """A viewer who still thinks that he is an administrator, or who is gone, is refused."""
    run(directory.add_user("eve@example.test", admin=True))
    eve = viewer(directory, "eve")
    assert eve.level is Visible.ADMINISTRATOR
    run(directory.change("eve", {"imsAdministrator": []}))
    with pytest.raises(NotPermitted):
        change(directory, ANN, ("replace", "title", ["x"]), asking=eve)
    run(directory.delete_user("eve", delete_mailbox=True))
    with pytest.raises(NotPermitted):
        change(directory, ANN, ("replace", "title", ["x"]), asking=eve)


def test_what_is_hidden_cannot_be_changed_by_who_cannot_see_it(directory: Directory) -> None:
    run(directory.add_user("bob@example.test"))
    run(directory.change("ann", {"Hide-From-Address-Book": ["TRUE"]}))
    with pytest.raises(NoSuchEntry):
        change(directory, ANN, ("replace", "telephoneNumber", ["1"]), asking=viewer(directory, "bob"))
    change(directory, ANN, ("replace", "telephoneNumber", ["1"]), asking=viewer(directory, "ann"))


def test_owners_of_lists_cannot_probe_for_what_is_hidden(directory: Directory) -> None:
    run(directory.add_user("bob@example.test"))
    run(directory.add_group("team@example.test", members=["ann"], owner="bob"))
    run(directory.add_group("own@example.test", owner="bob"))
    run(directory.change("ann", {"Hide-From-Address-Book": ["TRUE"]}))
    bob = viewer(directory, "bob")
    for name in (ANN, f"cn=nobody,{RECIPIENTS}"):
        with pytest.raises(ConstraintViolation, match="names no entry here"):
            change(directory, f"cn=own,{RECIPIENTS}", ("add", "member", [name]), asking=bob)
    with pytest.raises(NoSuchEntry) as refused:
        change(directory, f"cn=x,{ANN}", ("replace", "info", ["x"]), asking=bob)
    assert refused.value.matched == ""
    change(directory, f"cn=team,{RECIPIENTS}", ("delete", "member", [ANN]), asking=bob)


def test_setting_a_password_does_not_tell_who_is_there(directory: Directory) -> None:
    run(directory.add_user("bob@example.test"))
    run(directory.change("ann", {"Hide-From-Address-Book": ["TRUE"]}))
    bob = viewer(directory, "bob")
    for name in (ANN, f"cn=nobody,{RECIPIENTS}", f"cn=x,{ANN}"):
        with pytest.raises(NoSuchEntry) as refused:
            change(directory, name, ("replace", "userPassword", ["geheim-4"]), asking=bob)
        assert refused.value.matched == ""
    with pytest.raises(ConstraintViolation):
        change(directory, ANN, ("delete", "userPassword", ["geheim-4"]))
    change(directory, ANN, ("delete", "userPassword", []))


# Rename and delete -----------------------------------------------------------------------


def test_a_rename_keeps_the_mailbox_and_every_reference(directory: Directory) -> None:
    run(directory.add_group("team@example.test", members=["ann"]))
    before = run(directory.person_by_login("ann"))
    run(directory.rename_entry(ANN, "cn=Anna L", True, None, SERVER))
    new = f"cn=Anna L,{RECIPIENTS}"
    assert entry(directory, new)["cn"] == ["Ann Lee", "Anna L"]
    assert entry(directory, f"cn=team,{RECIPIENTS}")["member"] == [new]
    assert run(directory.person_by_login("ann")).account == before.account  # type: ignore[union-attr]
    with pytest.raises(NoSuchEntry):
        entry(directory, ANN)
    run(directory.rename_entry(new, "cn=Ann", False, None, SERVER))
    assert entry(directory, ANN)["cn"] == ["Ann Lee", "Ann", "Anna L"]
    run(directory.rename_entry(ANN, "uid=ann", False, None, SERVER))
    assert entry(directory, f"uid=ann,{RECIPIENTS}")["cn"] == ["Ann Lee", "Ann", "Anna L"]


def test_a_name_that_was_the_display_name_too_is_followed(directory: Directory) -> None:
    add(directory, f"cn=Max Power,{RECIPIENTS}", objectClass="inetOrgPerson")
    run(directory.rename_entry(f"cn=Max Power,{RECIPIENTS}", "cn=Max Might", True, None, SERVER))
    assert entry(directory, f"cn=Max Might,{RECIPIENTS}")["displayName"] == ["Max Might"]


def test_a_subtree_moves(directory: Directory) -> None:
    add(directory, f"ou=A,{RECIPIENTS}", objectClass="organizationalUnit")
    add(directory, f"ou=B,{RECIPIENTS}", objectClass="organizationalUnit")
    run(directory.rename_entry(ANN, "cn=ann", True, f"ou=A,{RECIPIENTS}", SERVER))
    run(directory.rename_entry(f"ou=A,{RECIPIENTS}", "ou=A", True, f"ou=B,{RECIPIENTS}", SERVER))
    moved = f"cn=ann,ou=A,ou=B,{RECIPIENTS}"
    assert entry(directory, moved)["uid"] == ["ann"]
    assert run(directory.person_by_login("ann")).dn == moved  # type: ignore[union-attr]
    with pytest.raises(UnwillingToPerform):
        run(directory.rename_entry(f"ou=B,{RECIPIENTS}", "ou=B", True, f"ou=A,ou=B,{RECIPIENTS}", SERVER))
    with pytest.raises(NamingViolation):
        run(directory.rename_entry(moved, "cn=ann", True, "o=Example", SERVER))
    with pytest.raises(UnwillingToPerform):
        run(directory.rename_entry("o=Example", "o=Other", True, None, SERVER))


def test_deleting_a_person_removes_references(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    run(directory.add_group("team@example.test", members=["ann"]))
    monkeypatch.setattr(mailboxes, "usage", lambda tx, account: mailboxes.Usage(1, 1, 0, 0))
    with pytest.raises(UnwillingToPerform):
        run(directory.delete_entry(ANN, SERVER))
    change(directory, ANN, ("replace", "imsMailboxFate", ["delete"]))
    run(directory.delete_entry(ANN, SERVER))
    assert "member" not in entry(directory, f"cn=team,{RECIPIENTS}")
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("ann@example.test"))
    for needed in ("o=Example", "ou=Main,o=Example", "cn=Configuration,ou=Main,o=Example"):
        with pytest.raises(UnwillingToPerform):
            run(directory.delete_entry(needed, SERVER))


def test_a_setting_says_the_fate_of_all_mailboxes(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailboxes, "usage", lambda tx, account: mailboxes.Usage(1, 1, 0, 0))
    configure(directory, ldap__delete_mailboxes="true")
    with pytest.raises(ConstraintViolation, match="delete or refuse"):
        change(directory, ANN, ("replace", "imsMailboxFate", ["burn"]))
    change(directory, ANN, ("replace", "imsMailboxFate", ["refuse"]))
    with pytest.raises(UnwillingToPerform):
        run(directory.delete_entry(ANN, SERVER))
    change(directory, ANN, ("delete", "imsMailboxFate", []))
    run(directory.delete_entry(ANN, SERVER))


def test_text_does_not_grow_as_numbers_do(directory: Directory) -> None:
    change(directory, ANN, ("add", "telephoneNumber", ["+12"]), ("add", "Deliv-Cont-Length", ["10"]))
    for name, values in (("telephoneNumber", ["1"]), ("Deliv-Cont-Length", ["1", "2"])):
        with pytest.raises(ConstraintViolation):
            change(directory, ANN, ("increment", name, values))


def test_the_last_administrator_stays(directory: Directory) -> None:
    last = f"cn=administrator,{RECIPIENTS}"
    for name, values in (
        ("imsAdministrator", ["FALSE"]),
        ("imsAdministrator", []),
        ("imsAccountDisabled", ["TRUE"]),
    ):
        with pytest.raises(UnwillingToPerform):
            change(directory, last, ("replace", name, values))
    with pytest.raises(UnwillingToPerform):
        run(directory.delete_user("administrator", delete_mailbox=True))
    change(directory, ANN, ("replace", "imsAdministrator", ["TRUE"]))
    change(directory, last, ("replace", "imsAccountDisabled", ["TRUE"]))
    with pytest.raises(UnwillingToPerform):
        change(directory, ANN, ("replace", "imsAccountDisabled", ["TRUE"]))
    run(directory.delete_user("administrator", delete_mailbox=True))


def test_a_class_that_did_not_fit_before_hinders_no_other_change(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DIT content rules (RFC 4512 4.1.6) are younger than entries may be."""
    name = "ou=Old,o=Example"
    with monkeypatch.context() as before_there_were_rules:
        before_there_were_rules.setattr(subschema, "check_content", lambda structural, classes: None)
        add(directory, name, objectClass=["organizationalUnit", "Mail-Recipient"], cn="Old", info="x")
    with pytest.raises(ObjectClassViolation):
        add(directory, "ou=New,o=Example", objectClass=["organizationalUnit", "Mail-Recipient"], cn="New")
    change(directory, name, ("replace", "description", ["changed"]), ("delete", "info", []))
    assert entry(directory, name)["description"] == ["changed"]
    change(directory, name, ("add", "objectClass", ["dcObject"]), ("add", "dc", ["old"]))
    for other in ("Mailbox", "remote-address"):
        with pytest.raises(ObjectClassViolation):
            change(
                directory, name, ("add", "objectClass", [other]), ("add", "Target-Address", ["SMTP:a@b.test"])
            )
    run(directory.rename_entry(name, "ou=Older", True, None, SERVER))
    name = "ou=Older,o=Example"
    change(directory, name, ("delete", "objectClass", ["Mail-Recipient"]), ("delete", "cn", []))
    with pytest.raises(ObjectClassViolation):
        change(directory, name, ("add", "objectClass", ["Mail-Recipient"]), ("add", "cn", ["Old"]))


_INDEXED = sql(
    select(entry_value.c.attribute, entry_value.c.value).where(entry_value.c.entry == bindparam("id"))
)
_CHANGED = ("title", "title;lang-de", "cn", "displayName", "telephoneNumber", "description", "otherMailbox")
_VALUES = {
    "telephoneNumber": ("+49 1", "+491", "+49 2"),
    "otherMailbox": ("smtp$x@example.test", "smtp$y@example.test", "MS$A/B/C"),
}


@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_what_is_indexed_after_changes_is_what_the_entry_says(
    data: st.DataObject, directory: Directory
) -> None:
    """Only attributes that differ are indexed anew; what comes of that is what all of them would give."""
    for _ in range(data.draw(st.integers(1, 6))):
        attribute = data.draw(st.sampled_from(_CHANGED))
        how = data.draw(st.sampled_from(("add", "delete", "replace")))
        several = _VALUES.get(attribute, ("Ann", "ANN ", "Lee", "Boss"))
        values = data.draw(st.lists(st.sampled_from(several), max_size=3, unique=True))
        try:
            change(directory, ANN, (how, attribute, values))
        except Refusal:
            continue
    number, _ = run(directory.cache.locate(ANN))
    row = run(directory.db.read(entries.load, number))
    there = set(run(directory.db.read(lambda tx: tx.all(_INDEXED, id=number))))
    assert there == draft.indexed(Working.of(row), row.uuid)
