"""Access control lists as rows, on both databases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.errors import LimitReached
from imsd.store import acl, mailboxes
from imsd.store.acl import ANONYMOUS, ANYONE, AUTHENTICATED, Grant
from imsd.store.changes import AccountScope, Missed, RightsChanged
from imsd.store.ids import INBOX, PUBLIC, EntryId
from tests.support.mail import ALICE, BOB
from tests.support.stores import run

NOW = 1_700_000_000_000_000
B, TEAM = EntryId(BOB), EntryId(77)


@pytest.fixture
def alice(database):
    run(database.write(mailboxes.create_account_mailboxes, ALICE, NOW))
    return database


def of(database, account, mailbox):
    return run(database.read(acl.of_mailbox, account, mailbox))


def made(database, name, account=ALICE):
    return run(database.write(mailboxes.create, account, name, NOW)).id


def test_rights_are_set_added_and_taken(alice):
    for rights, how, left in [("rl", "", "lr"), ("is", "+", "lrsi"), ("r", "-", "lsi"), ("", "", "")]:
        run(alice.write(acl.change, ALICE, INBOX, B, rights, how))
        assert of(alice, ALICE, INBOX) == ([Grant(B, left)] if left else ())


def test_denied_rights_stand_beside_given_ones(alice):
    run(alice.write(acl.change, ALICE, INBOX, TEAM, "lrs"))
    run(alice.write(acl.change, ALICE, INBOX, B, "s", "+", True))
    assert of(alice, ALICE, INBOX) == [Grant(TEAM, "lrs"), Grant(B, "s", True)]
    assert run(alice.read(acl.granted_to, [B, TEAM])) == {(ALICE, INBOX): "lr"}
    assert run(alice.read(acl.granted_to, [TEAM])) == {(ALICE, INBOX): "lrs"}
    assert run(alice.read(acl.granted_to, [B])) == {}


def test_the_default_of_public_folders_becomes_rows_and_never_comes_back(database):
    news = made(database, "News", PUBLIC)
    assert of(database, PUBLIC, news) == acl.PUBLIC_DEFAULT
    run(database.write(acl.change, PUBLIC, news, B, "lrsw"))
    assert set(of(database, PUBLIC, news)) == {*acl.PUBLIC_DEFAULT, Grant(B, "lrsw")}
    for grantee in (B, ANYONE, AUTHENTICATED):
        run(database.write(acl.change, PUBLIC, news, grantee, ""))
    assert of(database, PUBLIC, news) == [Grant(ANYONE, "")]
    below = made(database, "News/Local", PUBLIC)
    assert of(database, PUBLIC, below) == [Grant(ANYONE, "")]


def test_lists_are_inherited_moved_and_dropped(alice):
    work = made(alice, "Work")
    run(alice.write(acl.change, ALICE, work, B, "lrk"))
    run(alice.write(acl.change, ALICE, work, TEAM, "x", "", True))
    below = made(alice, "Work/2026/May")
    assert of(alice, ALICE, below) == [Grant(B, "lrk"), Grant(TEAM, "x", True)]
    run(alice.write(mailboxes.rename, ALICE, "Work/2026", "Old"))
    assert of(alice, ALICE, below) == [Grant(B, "lrk"), Grant(TEAM, "x", True)]
    run(alice.write(mailboxes.delete_mailbox, ALICE, "Old/May", NOW))
    assert of(alice, ALICE, below) == ()
    assert set(run(alice.read(acl.granted_to, [B]))) == {(ALICE, work), (ALICE, below - 1)}


def test_levels_made_by_rename_inherit(alice):
    run(alice.write(acl.change, ALICE, made(alice, "Work"), B, "l"))
    run(alice.write(mailboxes.rename, ALICE, "Drafts", "Work/a/Drafts"))
    level = run(alice.read(mailboxes.get, ALICE, "Work/a")).id
    assert of(alice, ALICE, level) == [Grant(B, "l")]


def test_who_is_gone_has_no_rights(alice):
    run(alice.write(acl.change, ALICE, INBOX, TEAM, "l"))
    run(alice.write(acl.forget_grantee, TEAM))
    assert of(alice, ALICE, INBOX) == ()


def test_a_list_is_bounded(alice, monkeypatch):
    monkeypatch.setattr(acl, "MOST", 2)
    for grantee in (B, TEAM):
        run(alice.write(acl.change, ALICE, INBOX, grantee, "l"))
    with pytest.raises(LimitReached):
        run(alice.write(acl.change, ALICE, INBOX, ANYONE, "l"))
    run(alice.write(acl.change, ALICE, INBOX, B, "lr"))


def test_changes_are_told(alice):
    told = []
    watch = alice.feed.watch(AccountScope(ALICE), told.append)
    run(alice.write(acl.change, ALICE, INBOX, B, "l"))
    watch.stop()
    # Where nodes share a database, a hint of what was written before may come now.
    changes = [each for each in told if type(each) is not Missed]
    assert [type(each) for each in changes] == [RightsChanged] and changes[0].mailbox == INBOX


grantees = st.sampled_from([B, TEAM, ANYONE, AUTHENTICATED, ANONYMOUS])
rights = st.sets(st.sampled_from(acl.ALL)).map(acl.ordered)
lists = st.lists(st.builds(Grant, grantees, rights, st.booleans()))


@given(lists, st.sets(grantees), rights)
def test_what_is_denied_to_any_identity_is_not_held(grants, identities, more):
    held = acl.effective(grants, identities, more)
    for grant in grants:
        if grant.grantee in identities and grant.negative:
            assert held.isdisjoint(grant.rights)
    assert held <= set(more).union(*(g.rights for g in grants if g.grantee in identities))


@given(lists, rights)
def test_nobody_has_only_what_needs_no_row(grants, more):
    assert acl.effective(grants, frozenset(), more) == frozenset(more)
