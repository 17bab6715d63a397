"""Annotations as rows, on both databases."""

from __future__ import annotations

import pytest

from imsd.errors import TooManyAnnotations
from imsd.store import jobs, mailbox_annotations, mailboxes
from imsd.store.changes import AccountScope, AnnotationsChanged
from imsd.store.ids import INBOX, PUBLIC
from imsd.store.mailbox_annotations import NOBODY, SERVER, Target
from tests.support.mail import ALICE, BOB
from tests.support.stores import run

NOW = 1_700_000_000_000_000
HERS, HIS = Target(ALICE, INBOX, ALICE), Target(ALICE, INBOX, BOB)


@pytest.fixture
def alice(database):
    run(database.write(mailboxes.create_account_mailboxes, ALICE, NOW))
    return database


def put(database, target, most=100, **values):
    named = {"/" + name.replace("_", "/"): value for name, value in values.items()}
    run(database.write(mailbox_annotations.change, target, named, most))


def held(database, target):
    names = list(run(database.read(mailbox_annotations.sizes, target)))
    return run(database.read(mailbox_annotations.values, target, names))


def test_what_is_private_is_ones_own(alice):
    put(alice, HERS, shared_comment=b"all", private_comment=b"hers \0\xff")
    put(alice, HIS, private_comment=b"his")
    assert held(alice, HERS) == {"/shared/comment": b"all", "/private/comment": b"hers \0\xff"}
    assert held(alice, HIS) == {"/shared/comment": b"all", "/private/comment": b"his"}
    assert run(alice.read(mailbox_annotations.sizes, HERS)) == {"/shared/comment": 3, "/private/comment": 7}
    put(alice, HIS, shared_comment=None, private_comment=b"")
    assert held(alice, HIS) == {"/private/comment": b""}


def test_too_many_leave_all_as_it_was(alice):
    put(alice, HERS, private_a=b"1", private_b=b"2")
    with pytest.raises(TooManyAnnotations):
        put(alice, HERS, most=2, private_a=None, private_c=b"3", private_d=b"4")
    assert set(held(alice, HERS)) == {"/private/a", "/private/b"}
    put(alice, HERS, most=2, private_b=b"22")
    # Everybody's and each one's are counted apart.
    put(alice, HERS, most=2, shared_a=b"1")
    put(alice, HIS, most=2, private_x=b"1")


def test_they_go_with_the_mailbox(alice):
    box = run(alice.write(mailboxes.create, ALICE, "Box", NOW))
    there = Target(ALICE, box.id, ALICE)
    put(alice, there, shared_comment=b"x")
    run(alice.write(mailboxes.rename, ALICE, "Box", "Other"))
    assert held(alice, there) == {"/shared/comment": b"x"}
    run(alice.write(mailboxes.delete_mailbox, ALICE, "Other", NOW))
    assert held(alice, there) == {}


def test_the_inbox_keeps_its_own_when_it_is_renamed(alice):
    put(alice, HERS, private_comment=b"x")
    run(jobs.rename(alice, ALICE, "INBOX", "Old", NOW))
    old = run(alice.read(mailboxes.get, ALICE, "Old"))
    assert held(alice, Target(ALICE, old.id, ALICE)) == held(alice, HERS) == {"/private/comment": b"x"}


def test_who_is_gone_leaves_nothing_anywhere(alice):
    put(alice, HIS, private_comment=b"x")
    put(alice, Target(BOB, SERVER, BOB), private_comment=b"x")
    run(alice.write(mailboxes.delete_account_mailboxes, BOB, NOW))
    assert held(alice, HIS) == held(alice, Target(BOB, SERVER, BOB)) == {}


def test_changes_are_told_by_reader(alice):
    told = []
    watch = alice.feed.watch(AccountScope(ALICE), told.append)
    put(alice, HIS, shared_a=b"1", private_b=None)
    watch.stop()
    assert all(isinstance(each, AnnotationsChanged) for each in told)
    assert [(each.names, each.reader) for each in told] == [(("/shared/a",), NOBODY), (("/private/b",), BOB)]


@pytest.mark.parametrize(
    ("wanted", "depth", "found"),
    [("/shared/a", 0, ["/shared/a"]), ("/shared/a", 1, ["/shared/a", "/shared/a/b"]),
     ("/shared", 256, ["/shared/a", "/shared/a/b", "/shared/a/b/c", "/shared/ab"]), ("/shared", 0, [])],
)  # fmt: skip
def test_levels(wanted, depth, found):
    names = dict.fromkeys(["/shared/ab", "/shared/a", "/shared/a/b", "/shared/a/b/c", "/private/a"], 1)
    assert mailbox_annotations.names_of(names, wanted, depth) == found


def test_the_server_has_its_own(database):
    put(database, Target(PUBLIC, SERVER, NOBODY), shared_comment=b"hello")
    assert held(database, Target(PUBLIC, SERVER, NOBODY)) == {"/shared/comment": b"hello"}
