"""Rights on other people's mailboxes and on public folders (RFC 4314 4), as sessions have them."""

from __future__ import annotations

import pytest

from imsd.auth.account import NOBODY
from imsd.errors import NoSuchEntry, NoSuchMailbox, NotPermitted
from imsd.sessions.imap4.account import ImapAccount
from imsd.store import acl, mailboxes
from imsd.store.acl import ANYONE, AUTHENTICATED
from imsd.store.ids import INBOX, PUBLIC, EntryId
from protocols.imap4.values import AccessNow, FlagChange, KeywordsNow
from tests.sessions.imap4.test_account import append, held, names, put  # noqa: F401  (held: a fixture)
from tests.support.imap import EVERY, TEAM, flat, number_set, select, session
from tests.support.mail import ALICE, BOB
from tests.support.stores import run

ROOT = EntryId(9)
THEIRS = "Other Users/alice/"


@pytest.fixture
def alice(held):  # noqa: F811
    return session(held)


@pytest.fixture
def bob(held, alice):  # noqa: F811
    return session(held, BOB)


def grant(alice, name, who, rights, how=""):
    run(alice.set_acl(name, who, rights, how))


def refused(coroutine, kind=NotPermitted):
    with pytest.raises(kind):
        run(coroutine)


def test_lists_are_shown_in_one_form(alice):
    grant(alice, "INBOX", "bob@example.test", "rl")
    grant(alice, "INBOX", "$team", "lrs")
    grant(alice, "INBOX", "-bob", "s")
    grant(alice, "INBOX", "authusers", "p")
    assert run(alice.acl("INBOX")).entries == (
        ("alice", acl.ALL), ("authenticated", "p"), ("bob", "lr"), ("$team", "lrs"), ("-bob", "s"),
    )  # fmt: skip
    grant(alice, "INBOX", "bob", "")
    assert ("bob", "lr") not in run(alice.acl("INBOX")).entries
    refused(alice.set_acl("INBOX", "nobody", "l", ""), NoSuchEntry)


def test_the_owner_keeps_all_rights(alice):
    for identifier, rights, how in [("alice", "lr", ""), ("alice", "x", "-"), ("-alice", "x", "")]:
        refused(alice.set_acl("INBOX", identifier, rights, how))
    grant(alice, "INBOX", "alice", acl.ALL)
    assert run(alice.grantable("INBOX", "alice")).required == acl.ALL
    assert run(alice.my_rights("INBOX")) == acl.ALL


def test_only_who_administers_reads_and_changes_a_list(alice, bob):
    for use in (bob.acl(THEIRS + "INBOX"), bob.my_rights(THEIRS + "INBOX")):
        refused(use, NoSuchMailbox)
    grant(alice, "INBOX", "bob", "r")
    assert run(bob.my_rights(THEIRS + "INBOX")) == "r"
    refused(bob.acl(THEIRS + "INBOX"))
    refused(bob.set_acl(THEIRS + "INBOX", "bob", "a", "+"))
    grant(alice, "INBOX", "bob", "a")
    run(bob.set_acl(THEIRS + "INBOX", "bob", "lr", "+"))
    assert run(bob.my_rights(THEIRS + "INBOX")) == "lra"
    assert run(bob.grantable(THEIRS + "INBOX", "anyone")).optional == tuple(acl.ALL)


def test_names_are_listed_by_right_l_alone(alice, bob):
    run(alice.create("Work/2026", ()))
    grant(alice, "Work", "bob", "ri")
    grant(alice, "Work/2026", "bob", "l")
    assert names(bob, "Oth") == ["Other Users", "Other Users/alice", THEIRS + "Work", THEIRS + "Work/2026"]
    entries = {entry.name: entry for entry in run(bob.mailboxes("Oth", False))}
    assert not entries[THEIRS + "Work"].exists and entries[THEIRS + "Work"].rights == b""
    assert entries[THEIRS + "Work/2026"].rights == b"l"
    refused(bob.select(THEIRS + "Work/2026", False, None))
    select(bob, THEIRS + "Work")


def test_groups_and_denied_rights(alice, bob, held):  # noqa: F811
    grant(alice, "INBOX", "$team", "lrs")
    refused(bob.my_rights(THEIRS + "INBOX"), NoSuchMailbox)
    held.directory.members = {EntryId(BOB): frozenset({TEAM})}
    assert run(bob.my_rights(THEIRS + "INBOX")) == "lrs"
    grant(alice, "INBOX", "-bob", "s")
    assert run(bob.my_rights(THEIRS + "INBOX")) == "lr"


def test_a_delegate_has_the_whole_tree_less_what_is_denied(alice, bob, held):  # noqa: F811
    held.directory.named = {ALICE: frozenset({EntryId(BOB)})}
    run(alice.create("Secret", ()))
    grant(alice, "Secret", "-bob", "lrswipkxte")
    assert run(bob.my_rights(THEIRS + "INBOX")) == "lrswipkxte"
    listed = names(bob, "Oth")
    assert THEIRS + "Sent" in listed and THEIRS + "Secret" not in listed
    run(bob.create(THEIRS + "New", ()))
    run(bob.rename(THEIRS + "New", THEIRS + "Newer"))
    run(bob.delete(THEIRS + "Newer"))
    refused(bob.acl(THEIRS + "INBOX"))
    assert ("bob", "lrswipkxte") in run(alice.acl("INBOX")).entries
    assert run(alice.grantable("INBOX", "bob")).optional == ("a",)


def test_the_tree_is_changed_by_k_and_x(alice, bob):
    run(alice.create("Work/a", ()))
    refused(bob.create(THEIRS + "Work/b", ()), NoSuchMailbox)
    grant(alice, "Work", "bob", "lr")
    refused(bob.create(THEIRS + "Work/b", ()))
    grant(alice, "Work", "bob", "k", "+")
    run(bob.create(THEIRS + "Work/b/c", ()))
    assert run(bob.my_rights(THEIRS + "Work/b/c")) == "lrk"
    refused(bob.create(THEIRS + "Top", ()), NoSuchMailbox)
    refused(bob.delete(THEIRS + "Work/b/c"))
    grant(alice, "Work/b/c", "bob", "x", "+")
    run(bob.rename(THEIRS + "Work/b/c", THEIRS + "Work/d"))
    assert run(bob.my_rights(THEIRS + "Work/d")) == "lrkx"
    refused(bob.rename(THEIRS + "Work/d", "Mine"))
    run(bob.delete(THEIRS + "Work/d"))


@pytest.mark.parametrize(
    ("rights", "kept"),
    [("lri", b""), ("lris", b"\\Seen"), ("lriw", b"\\Flagged $a"), ("lrit", b"\\Deleted"),
     ("lriswt", b"\\Seen \\Flagged \\Deleted $a")],
)  # fmt: skip
def test_flags_come_along_by_right(alice, bob, rights, kept):
    run(alice.create("In", ()))
    grant(alice, "In", "bob", rights)
    flags = (b"\\Seen", b"\\Flagged", b"\\Deleted", b"$a")
    append(bob, THEIRS + "In", flags=flags)
    append(bob, "INBOX", flags=flags)
    view = select(bob)
    run(view.copy(number_set(1), THEIRS + "In"))
    run(view.move(number_set(1), THEIRS + "In"))
    rows = flat(select(alice, "In").rows(number_set(EVERY)))
    assert [row.flags.replace(b" \\Recent", b"").replace(b"\\Recent", b"") for row in rows] == [kept] * 3


def test_read_only_is_who_may_change_nothing_shared(alice, bob, held, database):  # noqa: F811
    for rights, read_only in [("lr", True), ("lrs", False), ("lri", False), ("lre", False), ("lrp", True)]:
        grant(alice, "INBOX", "bob", rights)
        assert select(bob, THEIRS + "INBOX").read_only is read_only
    root = session(held, ROOT, admin=True)
    run(root.create("Public Folders/News", ()))
    # \Seen is one's own there; i is not.
    run(root.set_acl("Public Folders/News", "authenticated", "lrs", ""))
    view = select(bob, "Public Folders/News")
    assert view.read_only and b"\\Seen" in view.permanent_flags


def test_a_right_that_is_lost_ends_the_selection(alice, bob, database):
    put(database, 2)
    grant(alice, "INBOX", "bob", "lrswte")
    view = select(bob, THEIRS + "INBOX")
    run(view.store(number_set(1), FlagChange.ADD, (b"\\Flagged",), None))
    list(view.updates(True))
    grant(alice, "INBOX", "bob", "lr")
    refused(view.store(number_set(1), FlagChange.ADD, (b"\\Deleted",), None))
    news = [each for each in view.updates(True) if isinstance(each, KeywordsNow | AccessNow)]
    assert news[0].permanent == b"" and news[1].read_only
    assert not list(view.updates(True))
    grant(alice, "INBOX", "bob", "l")
    assert not view.gone
    refused(view.search(None), NoSuchMailbox)
    assert view.gone


def test_one_that_waits_hears_of_it(alice, bob, held, database):  # noqa: F811
    grant(alice, "INBOX", "bob", "lr")
    view = select(bob, THEIRS + "INBOX")
    run(view.search(_all()))
    rung = []
    view.watch(lambda: rung.append(view.gone))
    grant(alice, "INBOX", "bob", "")
    assert not rung
    database.reactor.advance(0.3)
    # Reads of several threads come in any order.
    for _ in range(500):
        run(database.read(lambda tx: None))
        database.reactor.settle()
        if rung:
            break
    assert rung == [True]


def _all():
    from protocols.imap4.keys import All

    return All()


def test_public_folders_by_their_lists(alice, bob, held):  # noqa: F811
    root = session(held, ROOT, admin=True)
    run(root.create("Public Folders/News/Local", ()))
    assert run(bob.my_rights("Public Folders/News")) == "lrsip"
    run(root.set_acl("Public Folders/News", "bob", "lrswipkxtea", ""))
    run(root.set_acl("Public Folders/News", "anyone", "", ""))
    run(root.set_acl("Public Folders/News", "authenticated", "", ""))
    assert names(alice, "Pub") == ["Public Folders", "Public Folders/News", "Public Folders/News/Local"]
    refused(alice.my_rights("Public Folders/News"), NoSuchMailbox)
    run(bob.create("Public Folders/News/Sport", ()))
    refused(alice.my_rights("Public Folders/News/Sport"), NoSuchMailbox)
    refused(alice.create("Public Folders/News/Mine", ()), NoSuchMailbox)
    refused(bob.create("Public Folders/Top", ()))
    assert run(root.my_rights("Public Folders/News/Sport")) == acl.ALL
    run(bob.delete("Public Folders/News/Sport"))


def test_the_default_of_public_folders_is_two_rows(held, database):  # noqa: F811
    run(database.write(mailboxes.create, PUBLIC, "News", 1))
    rows = run(database.read(acl.of_mailbox, PUBLIC, INBOX))
    assert [row.grantee for row in rows] == [ANYONE, AUTHENTICATED]


def test_special_use_is_told_of_ones_own(alice, bob, held):  # noqa: F811
    held.directory.named = {ALICE: frozenset({EntryId(BOB)})}
    listed = {entry.name: entry.attributes for entry in run(bob.mailboxes("", False))}
    assert listed["Sent"] == (b"\\Sent",) and listed[THEIRS + "Sent"] == ()


def test_who_may_only_keep_his_own_seen_keeps_it(bob, held):  # noqa: F811
    root = session(held, ROOT, admin=True)
    run(root.create("Public Folders/News", ()))
    append(root, "Public Folders/News")
    run(root.set_acl("Public Folders/News", "authenticated", "lrs", ""))
    view = select(bob, "Public Folders/News")
    run(view.store(number_set(1), FlagChange.ADD, (b"\\Seen",), None))
    assert run(bob.status(["Public Folders/News"]))["Public Folders/News"].unseen == 0
    refused(view.store(number_set(1), FlagChange.ADD, (b"\\Flagged",), None))
    refused(view.expunge(None))


def test_what_one_without_a_name_has_seen_is_not_what_others_have(held, bob):  # noqa: F811
    held.settings.replace({"imap.anonymous": "true"})
    mailbox = run(held.db.write(mailboxes.create, PUBLIC, "Board", 1)).id
    put(held.db, 1, PUBLIC, mailbox)
    run(held.db.write(acl.grant, PUBLIC, mailbox, ANYONE, "lrsi"))
    nobody = ImapAccount(held, NOBODY)
    assert run(nobody.my_rights("Public Folders/Board")) == "lri"
    assert run(bob.my_rights("Public Folders/Board")) == "lrsip"
    view = select(nobody, "Public Folders/Board")
    assert view.permanent_flags == b""
    refused(view.store(number_set(1), FlagChange.ADD, (b"\\Seen",), None))
    run(select(bob, "Public Folders/Board").store(number_set(1), FlagChange.ADD, (b"\\Seen",), None))
    assert run(nobody.status(["Public Folders/Board"]))["Public Folders/Board"].unseen == 1
