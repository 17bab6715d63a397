"""Views of mailboxes that are not selected: read, and nothing else."""

from __future__ import annotations

import pytest

from imsd.store import mailboxes
from imsd.store.ids import PUBLIC
from protocols.imap4 import keys
from protocols.imap4.dialect import PLAIN
from protocols.imap4.events import Event, Group, Mailboxes, Wanted
from tests.sessions.imap4.test_account import append, held  # noqa: F401  (held: a fixture)
from tests.support.imap import select, session, uid_set
from tests.support.mail import BOB
from tests.support.stores import run

THEIRS = "Other Users/alice/"


@pytest.fixture
def alice(held):  # noqa: F811
    return session(held)


@pytest.fixture
def bob(held, alice):  # noqa: F811
    return session(held, BOB)


def glance(account, name, listed=False):
    return run(account.glance(name, listed, PLAIN))


def found(account, name, key):
    view = glance(account, name)
    try:
        return list(run(view.search(key)).uids)
    finally:
        view.close()


def test_text_flags_and_numbers_are_searched(alice):
    for subject in (b"one", b"two", b"three"):
        append(alice, "Sent", b"Subject: %b\r\n\r\nbody of %b\r\n" % (subject, subject))
    assert found(alice, "Sent", keys.Header("subject", "TWO")) == [2]
    assert found(alice, "Sent", keys.Body("of t")) == [2, 3]
    assert found(alice, "Sent", keys.Flag(b"\\Seen", False)) == [1, 2, 3]
    assert found(alice, "Sent", keys.Numbers(uid_set((2, 9)))) == [2, 3]


def test_recent_is_not_taken(alice):
    append(alice, "Sent")
    assert found(alice, "Sent", keys.Recent()) == [1]
    assert found(alice, "Sent", keys.Recent()) == [1]
    assert select(alice, "Sent").recent == 1


def test_the_index_is_let_go(alice, held):  # noqa: F811
    append(alice, "Sent")
    view = glance(alice, "Sent")
    index = view.index
    assert index.pins
    view.close()
    assert not index.pins


def test_it_is_no_selection(alice):
    """What happens in the mailbox is told by NOTIFY while it is looked at."""
    group = Group(Mailboxes.PERSONAL, (), Event.MESSAGES)
    notices = run(alice.notify(Wanted(groups=(group,)), lambda: None))
    view = glance(alice, "Sent")
    assert not alice.has_selected(view.place.key)
    append(session(alice.held), "Sent")
    assert [notice.name for notice in run(notices.take())] == ["Sent"]
    view.close()


@pytest.mark.parametrize(
    ("rights", "named", "listed"), [("lr", True, True), ("r", True, False), ("ls", False, False)]
)
def test_rights_on_what_is_shared(alice, bob, rights, named, listed):
    run(alice.set_acl("INBOX", "bob", rights, ""))
    for asked, expected in ((False, named), (True, listed)):
        view = glance(bob, THEIRS + "INBOX", asked)
        assert (view is not None) is expected
        if view is not None:
            view.close()


@pytest.mark.parametrize(
    "name",
    ["Nowhere", THEIRS + "INBOX", "Other Users/nobody/INBOX", "Other Users", "Public Folders", "", "a//b"],
)
def test_what_is_not_there_is_none(bob, name):
    assert glance(bob, name) is None


def test_seen_in_public_folders_is_the_readers(alice, bob, held):  # noqa: F811
    run(held.db.write(mailboxes.create, PUBLIC, "News", 1))
    root = session(held, admin=True)
    run(root.set_acl("Public Folders/News", "anyone", "lrsi", ""))
    append(alice, "Public Folders/News", flags=(b"\\Seen",))
    append(bob, "Public Folders/News")
    assert found(bob, "Public Folders/News", keys.Flag(b"\\Seen")) != found(
        alice, "Public Folders/News", keys.Flag(b"\\Seen")
    )
