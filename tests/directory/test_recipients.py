"""Addresses to recipients, people by login, lists."""

from __future__ import annotations

import pytest

from imsd.directory.directory import Directory
from imsd.directory.values import Contact, DistributionList, Local, PublicFolder
from imsd.errors import (
    ConstraintViolation,
    EntryExists,
    NoSuchEntry,
    NoSuchRecipient,
    TooManyRecipients,
    UnwillingToPerform,
)
from imsd.store import credentials, mailboxes
from imsd.store.database import Database
from imsd.store.ids import PUBLIC, AccountId
from tests.directory.support import configure, open_directory
from tests.support.stores import run


@pytest.fixture
def directory(database: Database) -> Directory:
    return open_directory(database)


def test_an_organisation_has_an_administrator_who_is_postmaster(directory: Directory) -> None:
    admin = run(directory.person_by_login("administrator"))
    assert admin is not None
    assert admin.is_admin and admin.dn == "cn=administrator,cn=Recipients,ou=Main,o=Example"
    assert admin.addresses == ("administrator@example.test", "postmaster@example.test")
    assert run(directory.db.read(credentials.read, admin.entry)).password == "plain:secret"
    assert directory.serves("EXAMPLE.test") and not directory.serves("example.org")
    with pytest.raises(EntryExists):
        run(directory.bootstrap("Other", "Main", "other.test", "secret"))


def test_a_user_gets_a_mailbox_and_logs_in_by_any_name(directory: Directory) -> None:
    ann = run(directory.add_user("Ann.Lee@Example.test", name="Ann Lee", other_addresses=["al@example.test"]))
    assert (ann.uid, ann.name, ann.is_admin) == ("Ann.Lee", "Ann Lee", False)
    assert ann.addresses == ("ann.lee@example.test", "al@example.test")
    assert {box.name for box in run(directory.db.read(mailboxes.list_mailboxes, ann.account))} >= {"INBOX"}
    names = [
        "ann.lee", "ANN.LEE", "AL@example.TEST", "ann.lee@example.test", "EXAMPLE\\ann.lee", ann.dn,
        "cn=ann.lee, CN=recipients,ou=main,dc=example,dc=test", "cn=ann.lee,cn=EXAMPLE",
        "dc=EXAMPLE,cn=Ann.Lee",
    ]  # fmt: skip
    for name in names * 2:
        assert run(directory.person_by_login(name)) == ann, name
    for name in ("", "bob", "ann.lee@other.test", "cn=bob,o=Example", "cn=ann.lee,o=Example", "=", "a" * 999):
        assert run(directory.person_by_login(name)) is None, name
    assert run(directory.people())[1] == ann
    assert run(directory.person(AccountId(4711))) is None


def test_addresses_and_aliases_are_unique_in_the_organisation(directory: Directory) -> None:
    run(directory.add_user("ann@example.test"))
    with pytest.raises(ConstraintViolation):
        run(directory.add_user("ANN@example.test"))
    with pytest.raises(ConstraintViolation):
        run(directory.add_group("ann@example.test"))
    other = run(directory.add_user("ann@other.test"))
    assert other.uid == "ann2", "an alias that is taken gets a number"
    with pytest.raises((ConstraintViolation, EntryExists)):
        run(directory.add_user("x@example.test", alias="ann"))


def test_resolving_is_caseless_with_details_and_postmaster(directory: Directory) -> None:
    configure(directory, addressing__domains='["b.test", "BÜCHER.example"]')
    ann = run(directory.add_user("ann@example.test"))
    plus = run(directory.add_user("ann+x@example.test", alias="plus"))
    admin = run(directory.person_by_login("administrator"))
    assert admin is not None

    def account(address: str) -> tuple[AccountId, str]:
        found = run(directory.resolve(address))
        assert isinstance(found, Local)
        return found.account, found.detail

    for _ in range(2):
        assert account("ANN@EXAMPLE.TEST") == (ann.account, "")
        assert account("ann+News+y@example.test") == (ann.account, "news+y")
        assert account("ann+x+y@example.test") == (plus.account, "y")
        assert account("Postmaster@xn--bcher-kva.example") == (admin.account, "")
        assert account("postmaster@bücher.example") == (admin.account, "")
    for unknown in ("bob@example.test", "+x@example.test", "ann@b.test", "postmaster@example.org", "ann", ""):
        with pytest.raises(NoSuchRecipient):
            run(directory.resolve(unknown))


def test_what_was_unknown_is_found_once_it_is_there_and_gone_once_deleted(directory: Directory) -> None:
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("ann@example.test"))
    ann = run(directory.add_user("ann@example.test"))
    assert run(directory.resolve("ann@example.test")) == Local(ann.account, ann.entry, "ann@example.test")
    run(directory.delete_user("ann@example.test", delete_mailbox=False))
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("ann@example.test"))
    assert run(directory.person_by_login("ann")) is None
    assert run(directory.person(ann.account)) is None
    with pytest.raises(NoSuchEntry):
        run(directory.delete_user("ann@example.test", delete_mailbox=True))


def test_lists_nest_and_cycles_are_cut(directory: Directory) -> None:
    ann = run(directory.add_user("ann@example.test"))
    bob = run(directory.add_user("bob@example.test"))
    inner = run(directory.add_group("inner@example.test", members=["ann@example.test", "bob"]))
    run(directory.add_contact("carl@example.test", "carl@elsewhere.test", name="Carl"))
    outer = run(
        directory.add_group("outer@example.test", members=["inner@example.test", "carl@example.test", ann.dn])
    )
    run(directory.change_members("inner@example.test", add=["outer@example.test", "bob"]))
    start = run(directory.resolve("outer@example.test"))
    assert start == DistributionList(outer, "outer@example.test")
    found = run(directory.expand(start))
    assert {recipient.address for recipient in found.recipients} == {
        "ann@example.test", "bob@example.test", "carl@example.test",
    }  # fmt: skip
    assert set(found.lists) == {outer, inner} and found.missing == ()
    with pytest.raises(TooManyRecipients):
        run(directory.expand(start, limit=2))
    run(directory.change_members("inner@example.test", remove=[bob.dn]))
    assert len(run(directory.expand(start)).recipients) == 2


def test_the_last_list_that_says_so_decides_who_hears_of_failures(directory: Directory) -> None:
    run(directory.add_group("deep@example.test", members=[]))
    for name, members in (("deep", "c"), ("hidden", "b deep"), ("plain", "d"), ("top", "a hidden plain")):
        for each in members.split():
            if len(each) == 1:
                run(directory.add_user(f"{each}@example.test"))
        named = [f"{each}@example.test" for each in members.split()]
        if name == "deep":
            run(directory.change_members("deep@example.test", add=named))
        else:
            run(directory.add_group(f"{name}@example.test", members=named))
    run(directory.change("hidden@example.test", {"Hide-DL-Membership": ["TRUE"]}))
    found = run(directory.expand(run(directory.resolve("top@example.test"))))
    told = {
        each.address: found.told[each.entry].address for each in found.recipients if each.entry in found.told
    }
    assert told == dict.fromkeys(("b@example.test", "c@example.test"), "hidden@example.test")


def test_a_contact_leads_to_its_target(directory: Directory) -> None:
    entry = run(directory.add_contact("carl@example.test", "carl@elsewhere.test"))
    assert run(directory.resolve("carl@example.test")) == Contact(
        entry, "carl@example.test", "carl@elsewhere.test"
    )
    with pytest.raises(ConstraintViolation):
        run(directory.add_contact("loop@example.test", "LOOP@example.test"))


def test_a_public_folder_has_an_address_and_a_place(directory: Directory) -> None:
    entry = run(directory.add_folder("projects@example.test", "Work/Projects"))
    assert run(directory.resolve("projects@example.test")) == PublicFolder(
        entry, "projects@example.test", "Work/Projects"
    )
    names = {box.name for box in run(directory.db.read(mailboxes.list_mailboxes, PUBLIC))}
    assert names == {"Work", "Work/Projects"}
    run(directory.add_folder("", "Work/News"))
    assert isinstance(run(directory.resolve("News@example.test")), PublicFolder)


def test_a_mailbox_that_is_not_empty_needs_its_fate_said(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = run(directory.add_user("ann@example.test", password="one"))
    used = mailboxes.Usage(10, 1, 0, 0)
    monkeypatch.setattr(mailboxes, "usage", lambda tx, account: used)
    with pytest.raises(UnwillingToPerform):
        run(directory.delete_user("ann@example.test", delete_mailbox=False))
    run(directory.delete_user("ann@example.test", delete_mailbox=True, at_once=True))
    assert not run(directory.db.read(mailboxes.account_exists, ann.account))
    assert run(directory.db.read(credentials.read, ann.entry)).password == ""


def test_passwords_and_disabling(directory: Directory) -> None:
    ann = run(directory.add_user("ann@example.test", password="one"))
    run(directory.set_password(ann.account, "two"))
    assert run(directory.db.read(credentials.read, ann.entry)).password == "plain:two"
    run(directory.set_disabled(ann.account, True))
    after = run(directory.person(ann.account))
    assert after is not None and after.disabled and after.rights_version > ann.rights_version
    run(directory.set_disabled(ann.account, False))
    assert not run(directory.person_by_login("ann")).disabled  # type: ignore[union-attr]


def test_removing_the_primary_address_stops_internet_mail(directory: Directory) -> None:
    ann = run(directory.add_user("ann@example.test"))
    run(directory.change("ann", {"mail": []}))
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("ann@example.test"))
    assert run(directory.person(ann.account)).address == ""  # type: ignore[union-attr]


# Inbound domains and what is nobody's there (ims_spec 3.11.3) ------------------------------


def test_rows_of_the_routing_table_make_domains_inbound(directory: Directory) -> None:
    rows = '[{"domain": "hosted.test", "action": "inbound"}, {"domain": "#example.test", "action": "relay"}]'
    run(directory.add_user("alice@example.test", other_addresses=["alice@sub.hosted.test"]))
    configure(directory, **{"routing.table": rows})
    assert directory.serves("hosted.test") and directory.serves("SUB.hosted.test")
    assert not directory.serves("example.test")
    assert isinstance(run(directory.resolve("alice+tag@sub.hosted.test")), Local)


def test_a_served_domain_is_more_specific_than_a_row_for_what_it_is_below(directory: Directory) -> None:
    configure(directory, **{"routing.table": '[{"domain": "test", "action": "relay"}]'})
    assert directory.serves("example.test")
    assert not directory.serves("sub.example.test")


def test_catch_all_gets_what_is_nobodys(directory: Directory) -> None:
    run(directory.add_user("alice@example.test"))
    configure(directory, **{"routing.catch_all": '{"example.test": "alice@example.test"}'})
    caught = run(directory.resolve("nobody@example.test"))
    assert isinstance(caught, Local) and caught.address == "nobody@example.test"
    assert caught.account == run(directory.resolve("alice@example.test")).account  # type: ignore[union-attr]
    for other in ("nobody@example.org", "IMCEAX400-x@example.test"):
        with pytest.raises(NoSuchRecipient):
            run(directory.resolve(other))
    configure(
        directory,
        **{
            "routing.catch_all": '{"*": "alice@example.test"}',
            "addressing.share_domain_with": '{"example.test": "other.test"}',
        },
    )
    assert directory.share_host("example.test") == "other.test"
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("nobody@example.test"))


def test_postmaster_is_the_administrators_mailbox_or_who_has_the_address(
    directory: Directory,
) -> None:
    alice = run(directory.add_user("alice@example.test"))
    rows = '[{"domain": "hosted.test", "action": "inbound"}]'
    configure(directory, **{"routing.table": rows, "ims.admin_mailbox": '"Alice@example.test"'})
    found = run(directory.resolve("Postmaster@hosted.test"))
    assert isinstance(found, Local) and found.account == alice.account
    assert run(directory.resolve("postmaster@example.test")).entry != alice.entry
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("postm@hosted.test"))


def test_addresses_of_other_types_lead_to_who_has_them(directory: Directory) -> None:
    run(directory.add_user("alice@example.test"))
    run(
        directory.change(
            "alice@example.test", {"otherMailbox": ["X400$c=US;a= ;s=Alice;", "MS$NET/PO/ALICE"]}
        )
    )
    alice = run(directory.resolve("alice@example.test"))
    assert run(directory.resolve_foreign("X400", "c=us;a= ;s=alice;")).entry == alice.entry
    assert run(directory.resolve_foreign("MS", "net/po/alice")).entry == alice.entry
    assert (
        run(directory.resolve_foreign("EX", "/o=EXAMPLE/ou=main/cn=recipients/cn=alice")).entry == alice.entry
    )
    for kind, value in (("MS", "net/po/bob"), ("EX", "/o=Other/cn=alice"), ("EX", "x"), ("X400", "\0")):
        with pytest.raises(NoSuchRecipient):
            run(directory.resolve_foreign(kind, value))


def test_a_custom_recipient_may_be_of_another_type(directory: Directory) -> None:
    run(directory.add_contact("jean@example.test", "MS:NET/PO/JEAN"))
    found = run(directory.resolve("jean@example.test"))
    assert isinstance(found, Contact)
    assert (found.kind, found.target) == ("MS", "NET/PO/JEAN")


def test_names_in_a_restriction_stand_for_entries_and_lists_for_their_members(directory: Directory) -> None:
    alice, bob = (run(directory.add_user(f"{name}@example.test")) for name in ("alice", "bob"))
    inner = run(directory.add_group("inner@example.test", members=["alice@example.test"]))
    run(directory.add_group("outer@example.test", members=["inner@example.test", "bob@example.test"]))
    run(directory.change_members("inner@example.test", add=["outer@example.test"]))
    assert run(directory.entries_of(("outer@example.test",))) == {alice.entry, bob.entry}
    assert run(directory.entries_of((alice.dn, "nobody@example.test", "no=dn"))) == {alice.entry}
    assert inner not in run(directory.entries_of(("inner@example.test",)))
