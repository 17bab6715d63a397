"""QUOTA over the store: who sees it, who sets it, what it stops."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.errors import NoSuchMailbox, NotPermitted, OverQuota, Unsupported
from imsd.store.database import Database
from imsd.store.ids import AccountId
from protocols.imap4.values import FlagChange
from tests.support.imap import mailstore, select, session, uid_set
from tests.support.mail import ALICE, BOB, make_account, put
from tests.support.stores import run

ROOT = AccountId(9)


def sessions(database: Database) -> tuple[Any, Any, Any]:
    for account in (ALICE, BOB, ROOT):
        make_account(database, account)
    held = mailstore(database)
    return session(held, ALICE), session(held, BOB), session(held, ROOT, admin=True)


def limits(quota: Any) -> dict[bytes, int]:
    return {name: limit for name, _, limit in quota.resources if name != b"MAILBOX"}


def test_administrators_set_what_the_owner_sees(database: Database) -> None:
    alice, bob, root = sessions(database)
    run(root.set_quota("#user/alice", {b"STORAGE": 10, b"MESSAGE": 1}))
    assert limits(run(alice.quota("#user/alice"))) == {b"STORAGE": 10, b"MESSAGE": 1}
    assert run(alice.quota_of("Not/there")).root == "#user/alice"
    for refused in (bob.quota("#user/alice"), bob.quota("#user/nobody"), alice.set_quota("#user/alice", {})):
        with pytest.raises(NotPermitted):
            run(refused)
    with pytest.raises(NoSuchMailbox):
        run(bob.quota_of("Other Users/alice/INBOX"))
    with pytest.raises(Unsupported):
        run(root.set_quota("#user/alice", {b"MAILBOX": 1}))
    # What is not named is not limited any more.
    assert limits(run(root.set_quota("#user/alice", {b"MESSAGE": 2}))) == {b"MESSAGE": 2}


def test_a_limit_stops_append_and_copy(database: Database) -> None:
    alice, _, root = sessions(database)
    put(database)
    run(root.set_quota("#user/alice", {b"MESSAGE": 1}))
    view = select(alice)
    with pytest.raises(OverQuota):
        run(view.copy(uid_set(1), "Archive"))
    with pytest.raises(OverQuota):
        run(alice.append("INBOX", [], None, 10))
    # Within the account nothing more is held.
    run(view.move(uid_set(1), "Archive"))


def test_none_is_another_limit_than_no_limit(database: Database) -> None:
    alice, _, root = sessions(database)
    assert limits(run(root.set_quota("#user/alice", {b"STORAGE": 0, b"MESSAGE": 0}))) == {
        b"STORAGE": 0,
        b"MESSAGE": 0,
    }
    with pytest.raises(OverQuota):
        run(alice.append("INBOX", [], None, 1))
    assert limits(run(root.set_quota("#user/alice", {}))) == {}
    run(alice.append("INBOX", [], None, 1)).abandon()


def test_what_an_expunge_would_free(database: Database) -> None:
    alice, _, _ = sessions(database)
    put(database, 2)
    view = select(alice)
    run(view.store(uid_set(1), FlagChange.ADD, [b"\\Deleted"], None))
    status = run(alice.status(["INBOX"], True))["INBOX"]
    assert 0 < status.deleted_storage < status.size
