"""Annotations as sessions have them: rights, special use, what others are told (RFC 5464)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsd.auth.account import NOBODY
from imsd.errors import NoPrivateAnnotations, NoSuchMailbox, NotPermitted, TooManyAnnotations, UnsupportedUse
from imsd.sessions.imap4.account import ImapAccount
from imsd.store.ids import EntryId
from protocols.imap4.events import Event, Group, Mailboxes, Wanted
from protocols.imap4.values import MetadataNow
from tests.sessions.imap4.test_account import held  # noqa: F401  (a fixture)
from tests.sessions.imap4.test_rights import ROOT, THEIRS, alice, bob, grant, refused  # noqa: F401
from tests.support.imap import session
from tests.support.mail import ALICE
from tests.support.stores import run

COMMENT, SHARED = "/private/comment", "/shared/comment"


def put(account, name, **values):
    run(account.set_metadata(name, {"/" + key.replace("_", "/"): value for key, value in values.items()}))


def get(account, name, *entries, depth=0, most=None):
    return dict(run(account.metadata(name, entries, depth, most)).values)


def test_rights(alice, bob):  # noqa: F811
    put(alice, "INBOX", shared_comment=b"hers")
    refused(bob.metadata(THEIRS + "INBOX", [SHARED]), NoSuchMailbox)
    grant(alice, "INBOX", "bob", "lk")
    refused(bob.metadata(THEIRS + "INBOX", [SHARED]))
    grant(alice, "INBOX", "bob", "lr")
    put(bob, THEIRS + "INBOX", private_comment=b"his")
    assert get(bob, THEIRS + "INBOX", SHARED, COMMENT) == {SHARED: b"hers", COMMENT: b"his"}
    assert get(alice, "INBOX", COMMENT) == {COMMENT: None}
    refused(bob.set_metadata(THEIRS + "INBOX", {SHARED: b"x", COMMENT: b"x"}))
    assert get(bob, THEIRS + "INBOX", COMMENT) == {COMMENT: b"his"}
    grant(alice, "INBOX", "bob", "w", "+")
    put(bob, THEIRS + "INBOX", shared_comment=b"ours")
    assert get(alice, "INBOX", SHARED) == {SHARED: b"ours"}


def test_the_server_has_annotations(alice, bob, held):  # noqa: F811
    root = session(held, ROOT, admin=True)
    refused(alice.set_metadata("", {SHARED: b"x"}))
    put(root, "", shared_comment=b"Down on Sunday")
    put(alice, "", private_vendor_a_b=b"1")
    assert get(bob, "", SHARED, "/private/vendor/a/b", "/shared/admin") == {
        SHARED: b"Down on Sunday",
        "/private/vendor/a/b": None,
        "/shared/admin": b"mailto:postmaster@example.test",
    }
    assert get(alice, "", "/private", depth=256) == {"/private/vendor/a/b": b"1"}
    refused(root.set_metadata("", {"/shared/admin": b"mailto:x@y"}))


def test_limits(alice):  # noqa: F811
    put(alice, "INBOX", private_a=b"12345", private_b=b"123")
    found = run(alice.metadata("INBOX", ["/private"], 1, 4))
    assert found.values == (("/private/b", b"123"),) and found.longest == 5
    alice.held.settings.replace({"imap.metadata_entries": "10"})
    with pytest.raises(TooManyAnnotations):
        put(alice, "INBOX", **{f"private_{n}": b"x" for n in range(11)})
    assert get(alice, "INBOX", "/private", depth=1) == {"/private/a": b"12345", "/private/b": b"123"}


def test_special_use_is_an_annotation(alice, bob):  # noqa: F811
    use = "/private/specialuse"
    assert get(alice, "Sent", use, COMMENT) == {use: b"\\Sent", COMMENT: None}
    assert get(alice, "INBOX", "/private", depth=1) == {"/private": None}
    run(alice.create("Old mail", ()))
    for name, value in [("Old mail", b"\\Sent"), ("Old mail", b"\\All"), ("INBOX", b"\\Junk")]:
        refused(alice.set_metadata(name, {use: value}), UnsupportedUse)
    run(alice.set_metadata("Sent", {use: None}))
    run(alice.set_metadata("Old mail", {use: b"\\SENT", COMMENT: b"x"}))
    attributes = {entry.name: entry.attributes for entry in run(alice.mailboxes("", False))}
    assert attributes["Old mail"] == (b"\\Sent",) and attributes["Sent"] == ()
    grant(alice, "Old mail", "bob", "lrw")
    refused(bob.set_metadata(THEIRS + "Old mail", {use: b"\\Junk"}), UnsupportedUse)


def test_who_has_no_name_has_none_of_his_own(held):  # noqa: F811
    held.settings.replace({"imap.anonymous": "true"})
    nobody = ImapAccount(held, NOBODY)
    refused(nobody.set_metadata("", {COMMENT: b"x"}), NoPrivateAnnotations)
    refused(nobody.set_metadata("", {SHARED: b"x"}), NotPermitted)
    assert get(nobody, "", SHARED) == {SHARED: None}


def told(notices):
    found = []
    while batch := run(notices.take()):
        found += batch
    return found


def test_others_are_told_the_names(alice, bob, held):  # noqa: F811
    grant(alice, "INBOX", "bob", "lrw")
    rung = []
    hers = run(alice.notify(Wanted(metadata=True), lambda: rung.append(1)))
    his = run(bob.notify(Wanted(metadata=True), lambda: None))
    put(bob, THEIRS + "INBOX", shared_comment=b"x", private_comment=b"y")
    held.db.reactor.settle()
    assert rung and told(hers) == [MetadataNow("INBOX", (SHARED,))]
    assert told(his) == []
    put(session(held, ROOT, admin=True), "", shared_comment=b"x")
    assert told(hers) == told(his) == [MetadataNow("", (SHARED,))]
    # A second session of one's own hears of what is private.
    put(session(held, ALICE), "Drafts", private_comment=b"z")
    assert told(hers) == [MetadataNow("Drafts", (COMMENT,))] and told(his) == []
    grant(alice, "INBOX", "bob", "")
    put(alice, "INBOX", shared_comment=b"secret")
    assert told(his) == []


def test_notify_tells_what_is_wanted(alice, held):  # noqa: F811
    group = Group(Mailboxes.MAILBOXES, ("INBOX",), Event.MAILBOX_METADATA)
    hers = run(alice.notify(Wanted(groups=(group,)), lambda: None))
    other = session(held, ALICE)
    for name in ("INBOX", "Drafts", ""):
        put(other, name, private_comment=b"x")
    assert told(hers) == [MetadataNow("INBOX", (COMMENT,))]
    group = replace(group, events=Event.SERVER_METADATA)
    hers = run(alice.notify(Wanted(groups=(group,)), lambda: None))
    for name in ("INBOX", ""):
        put(other, name, private_comment=b"y")
    assert told(hers) == [MetadataNow("", (COMMENT,))]


def test_list_tells_of_many(alice):  # noqa: F811
    put(alice, "Drafts", private_comment=b"x")
    found = run(alice.metadata_of(["INBOX", "Drafts"], [COMMENT]))
    assert found == {"INBOX": [(COMMENT, None)], "Drafts": [(COMMENT, b"x")]}


def test_a_delegate_keeps_his_own(alice, bob, held):  # noqa: F811
    held.directory.named = {ALICE: frozenset({EntryId(bob.account.id)})}
    opened = ImapAccount(held, replace(alice.account, actor=bob.account.id, restricted=True))
    put(opened, "INBOX", private_comment=b"his")
    assert get(bob, THEIRS + "INBOX", COMMENT) == {COMMENT: b"his"}
    assert get(alice, "INBOX", COMMENT) == {COMMENT: None}
