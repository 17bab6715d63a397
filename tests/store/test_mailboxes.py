"""Trees of mailboxes: names, creation, deletion, renaming, subscriptions."""

from typing import Any

import pytest

from imsd.errors import InvalidName, MailboxExists, MailboxHasChildren, NoSuchMailbox, NotPermitted
from imsd.store import jobs, mailboxes, names
from imsd.store.changes import AccountScope, MailboxCreated, MailboxDeleted, Missed
from imsd.store.ids import INBOX, PUBLIC
from tests.support.mail import ALICE, NOW, make_account, put
from tests.support.stores import run


@pytest.fixture
def tree(database):
    make_account(database)

    class Tree:
        def call(self, fn, *args):
            return run(database.write(fn, ALICE, *args))

        def names(self):
            return [m.name for m in run(database.read(mailboxes.list_mailboxes, ALICE))]

        def get(self, name):
            return run(database.read(mailboxes.get, ALICE, name))

        def create(self, name):
            return self.call(mailboxes.create, name, NOW)

        def delete(self, name):
            return self.call(mailboxes.delete_mailbox, name, NOW)

    return Tree()


@pytest.mark.parametrize(
    ("given", "stored"),
    [("inbox", "INBOX"), ("Inbox/a", "INBOX/a"), ("Caf\u0065\u0301", "Caf\u00e9"), ("a/b", "a/b")],
)
def test_names_are_canonical(given, stored):
    assert names.canonical(given) == stored


@pytest.mark.parametrize("given", ["", "/", "a//b", "/a", "a/", "a/..", "a\x00b", "a\nb", "x" * 901])
def test_names_that_confuse_are_refused(given):
    with pytest.raises(InvalidName):
        names.canonical(given)


def test_a_new_account_has_inbox_and_special_use_folders(tree):
    assert tree.names() == ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]
    assert tree.get("INBOX").id == INBOX
    assert tree.get("Sent").special == "\\Sent"


def test_create_makes_missing_parents(tree):
    tree.create("a/b/c")
    assert {"a", "a/b", "a/b/c"} <= set(tree.names())
    with pytest.raises(MailboxExists):
        tree.create("a/b")


def test_uidvalidity_never_repeats(tree):
    first = tree.create("x").uidvalidity
    tree.delete("x")
    second = tree.create("x").uidvalidity
    tree.delete("x")
    assert first < second < tree.create("x").uidvalidity


def test_deleting_a_parent_leaves_a_name_that_cannot_be_selected(tree):
    tree.create("a/b")
    tree.delete("a")
    assert not tree.get("a").selectable
    with pytest.raises(MailboxHasChildren):
        tree.delete("a")
    revived = tree.create("a")
    assert revived.selectable and revived.messages == 0


def test_inbox_cannot_be_deleted(tree):
    with pytest.raises(NotPermitted):
        tree.delete("inbox")


def test_rename_takes_the_whole_tree(tree):
    tree.create("a/b/c")
    identity = tree.get("a/b/c").id
    tree.call(mailboxes.rename, "a", "x/y")
    assert tree.get("x/y/b/c").id == identity
    assert "a" not in tree.names()


def test_rename_below_itself_or_onto_another_is_refused(tree):
    tree.create("a")
    tree.create("b")
    with pytest.raises(NotPermitted):
        tree.call(mailboxes.rename, "a", "a/b")
    with pytest.raises(MailboxExists):
        tree.call(mailboxes.rename, "a", "b")
    with pytest.raises(NoSuchMailbox):
        tree.call(mailboxes.rename, "nowhere", "c")


def test_renaming_inbox_empties_it(database, tree):
    put(database, 3)
    run(jobs.rename(database, ALICE, "INBOX", "old", NOW))
    assert tree.get("INBOX").messages == 0
    assert tree.get("old").messages == 3


def test_subscriptions_outlive_mailboxes(database, tree):
    tree.create("a")
    tree.call(mailboxes.subscribe, "a")
    tree.delete("a")
    assert "a" in run(database.read(mailboxes.subscriptions, ALICE))
    tree.call(mailboxes.unsubscribe, "a")
    assert "a" not in run(database.read(mailboxes.subscriptions, ALICE))


def test_changes_of_the_tree_are_announced(database, tree):
    heard = []
    database.feed.watch(AccountScope(ALICE), heard.append)
    made = tree.create("a")
    tree.delete("a")
    # Where nodes share a database, a hint of what was written before may come now.
    heard = [each for each in heard if type(each) is not Missed]
    assert [(type(c), c.mailbox) for c in heard] == [(MailboxCreated, made.id), (MailboxDeleted, made.id)]
    assert heard[1].previous == heard[0].next


def test_public_folders_have_no_inbox(database):
    run(database.write(mailboxes.create, PUBLIC, "News/Local", NOW))
    assert [m.name for m in run(database.read(mailboxes.list_mailboxes, PUBLIC))] == ["News", "News/Local"]


def test_deleted_mailbox_is_purged_and_its_content_released(database, tree):
    tree.create("a")
    put(database, 5, mailbox=tree.get("a").id)
    assert run(database.read(mailboxes.usage, ALICE)).messages == 5
    tree.delete("a")
    assert run(database.read(mailboxes.usage, ALICE)) == mailboxes.Usage(0, 0, 0, 0)
    assert run(jobs.purge(database)) == 1
    assert run(database.read(_left)) == (0, 0)


def test_deleted_account_is_purged(database, tree):
    put(database, 3)
    tree.call(mailboxes.delete_account_mailboxes, NOW)
    assert tree.names() == []
    assert run(jobs.purge(database)) == 6
    assert run(database.read(_left)) == (0, 0)


def _left(tx):
    from sqlalchemy import func, select

    from imsd.store.blob_rows import blob
    from imsd.store.mailbox_tables import message
    from imsd.store.sql import sql

    messages_left = tx.value(sql(select(func.count()).select_from(message)))
    return messages_left, tx.value(sql(select(func.count()).select_from(blob).where(blob.c.refs > 0)))


def test_many_mailboxes_are_known_without_reading_them(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_account(database)
    here = len(run(database.read(mailboxes.list_mailboxes, ALICE)))
    monkeypatch.setattr(mailboxes, "MANY", here + 1)
    assert not run(database.read(mailboxes.are_many, ALICE, True))
    monkeypatch.setattr(mailboxes, "MANY", here)
    assert run(database.read(mailboxes.are_many, ALICE, True))
