"""Who somebody is to an access control list: groups, delegates, identifiers."""

from __future__ import annotations

import pytest

from imsd.directory import undeleting
from imsd.directory.directory import Directory
from imsd.directory.values import Person
from imsd.errors import NoSuchEntry, PostingDenied
from imsd.mail.posting import may_post
from imsd.store import acl, mailboxes
from imsd.store.database import Database
from imsd.store.ids import PUBLIC
from tests.directory.support import open_directory
from tests.support.stores import run

DOMAIN = "@example.test"


@pytest.fixture
def directory(database: Database) -> Directory:
    found = open_directory(database)
    for alias in ("alice", "bob"):
        run(found.add_user(alias + DOMAIN, name=alias.title()))
    run(found.add_group("inner" + DOMAIN, members=["bob"]))
    run(found.add_group("outer" + DOMAIN, members=["inner" + DOMAIN]))
    run(found.change_members("inner" + DOMAIN, add=["outer" + DOMAIN]))
    return found


def person(directory: Directory, name: str) -> Person:
    found = run(directory.person_by_login(name))
    assert found is not None
    return found


def test_groups_are_those_of_groups_too_and_cycles_are_cut(directory: Directory) -> None:
    inner, outer = (run(directory.resolve(name + DOMAIN)).entry for name in ("inner", "outer"))
    assert run(directory.groups_of(person(directory, "bob").entry)) == {inner, outer}
    assert run(directory.groups_of(person(directory, "alice").entry)) == frozenset()
    run(directory.change_members("inner" + DOMAIN, remove=["bob"]))
    assert run(directory.groups_of(person(directory, "bob").entry)) == frozenset()


def test_delegates_are_found_from_either_side(directory: Directory) -> None:
    alice, bob = person(directory, "alice"), person(directory, "bob")
    inner = run(directory.resolve("inner" + DOMAIN)).entry
    run(directory.change("alice", {"publicDelegates": [bob.dn, run(directory.cache.dn(inner))]}))
    assert run(directory.delegates(alice.account)) == {bob.entry, inner}
    assert run(directory.delegators([bob.entry])) == [alice.account]
    assert run(directory.delegators([inner])) == [alice.account]
    assert run(directory.delegators([alice.entry])) == []


def test_identifiers_have_many_forms_and_one_answer(directory: Directory) -> None:
    bob = person(directory, "bob")
    inner = run(directory.resolve("inner" + DOMAIN)).entry
    for name in ("bob", "BOB", "bob" + DOMAIN, bob.dn):
        assert run(directory.grantee(name)) == bob.entry
    for name in ("$inner", "inner", "inner" + DOMAIN):
        assert run(directory.grantee(name)) == inner
    assert run(directory.grantee("Anyone")) == acl.ANYONE
    assert run(directory.grantee("authusers")) == acl.AUTHENTICATED
    shown = [run(directory.identifier(each)) for each in (bob.entry, inner, acl.AUTHENTICATED, 999)]
    assert shown == ["bob", "$inner", "authenticated", ""]
    for name in ("nobody", "$bob2", "x@elsewhere.example", "", "$"):
        with pytest.raises(NoSuchEntry):
            run(directory.grantee(name))


def test_posting_by_mail_needs_a_right(directory: Directory) -> None:
    run(directory.add_folder("board" + DOMAIN, "Board"))
    board = run(directory.resolve("board" + DOMAIN))
    bob, root = person(directory, "bob"), person(directory, "administrator")
    for account in (None, bob.account, root.account):
        run(may_post(directory, board, account))
    row = run(directory.db.read(mailboxes.get, PUBLIC, "Board"))
    for grantee in (acl.ANYONE, acl.AUTHENTICATED):
        run(directory.db.write(acl.change, PUBLIC, row.id, grantee, ""))
    for account in (None, bob.account):
        with pytest.raises(PostingDenied):
            run(may_post(directory, board, account))
    run(may_post(directory, board, root.account))
    inner = run(directory.resolve("inner" + DOMAIN)).entry
    run(directory.db.write(acl.change, PUBLIC, row.id, inner, "p"))
    run(may_post(directory, board, bob.account))
    run(may_post(directory, run(directory.resolve("alice" + DOMAIN)), None))


def test_a_list_that_is_gone_gives_nothing(directory: Directory) -> None:
    inner = run(directory.resolve("inner" + DOMAIN)).entry
    alice = person(directory, "alice").account
    run(directory.db.write(acl.change, alice, 1, inner, "lr"))
    run(directory.delete("inner" + DOMAIN))
    assert run(directory.identifier(inner)) == "", "it may come back, with what it was granted"
    run(directory.db.write(undeleting.purge, f"#{inner}", directory.now()))
    assert run(directory.db.read(acl.of_mailbox, alice, 1)) == ()
