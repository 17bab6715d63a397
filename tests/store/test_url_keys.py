"""Keys that URLs are signed with, on both databases."""

from __future__ import annotations

import pytest

from imsd.store import jobs, mailboxes, url_keys
from imsd.store.ids import INBOX
from tests.support.mail import ALICE, BOB
from tests.support.stores import run

NOW = 1_700_000_000_000_000


@pytest.fixture
def alice(database):
    for account in (ALICE, BOB):
        run(database.write(mailboxes.create_account_mailboxes, account, NOW))
    return database


def find(database, account, mailbox):
    return run(database.read(url_keys.find, account, mailbox))


def make(database, account, mailbox):
    return run(database.write(url_keys.make, account, mailbox))


def test_a_key_is_made_once_and_is_like_no_other(alice):
    box = run(alice.write(mailboxes.create, ALICE, "Box", NOW))
    assert find(alice, ALICE, INBOX) is None
    keys = [make(alice, *where) for where in ((ALICE, INBOX), (ALICE, box.id), (BOB, INBOX))]
    assert len(set(keys)) == 3
    assert {len(key) for key in keys} == {url_keys.OCTETS}
    assert make(alice, ALICE, INBOX) == find(alice, ALICE, INBOX) == keys[0]


def test_a_forgotten_key_comes_back_as_another(alice):
    box = run(alice.write(mailboxes.create, ALICE, "Box", NOW))
    old, other, his = make(alice, ALICE, INBOX), make(alice, ALICE, box.id), make(alice, BOB, INBOX)
    run(alice.write(url_keys.forget, ALICE, INBOX))
    assert find(alice, ALICE, INBOX) is None
    assert find(alice, ALICE, box.id) == other
    assert make(alice, ALICE, INBOX) != old
    run(alice.write(url_keys.forget_account, ALICE))
    assert find(alice, ALICE, INBOX) is find(alice, ALICE, box.id) is None
    assert find(alice, BOB, INBOX) == his


def test_it_goes_with_the_mailbox_and_stays_when_that_is_renamed(alice):
    box = run(alice.write(mailboxes.create, ALICE, "Box", NOW))
    key = make(alice, ALICE, box.id)
    run(alice.write(mailboxes.rename, ALICE, "Box", "Other"))
    assert find(alice, ALICE, box.id) == key
    run(alice.write(mailboxes.delete_mailbox, ALICE, "Other", NOW))
    assert find(alice, ALICE, box.id) is None


def test_all_go_with_the_account(alice):
    make(alice, ALICE, INBOX)
    make(alice, BOB, INBOX)
    run(alice.write(mailboxes.delete_account_mailboxes, ALICE, NOW))
    run(jobs.purge(alice))
    assert find(alice, ALICE, INBOX) is None
    assert find(alice, BOB, INBOX) is not None
