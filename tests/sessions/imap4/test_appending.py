"""MULTIAPPEND and REPLACE over the store: all or none, one unit."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.errors import AlreadyExpunged, OverQuota, TooLarge
from imsd.settings.imap import Imap
from imsd.store import jobs, mailboxes
from imsd.store.database import Database
from imsd.store.ids import INBOX
from tests.support.imap import mailstore, select, session, uid_set
from tests.support.mail import ALICE, NOW, make_account, put
from tests.support.stores import run

DATA = b"Subject: x\r\n\r\n0123456789"


async def appended(account: Any, *messages: bytes, name: str = "INBOX") -> Any:
    sink = await account.append(name, [], None, len(messages[0]))
    try:
        sink.write(messages[0])
        for data in messages[1:]:
            await sink.another([b"\\Seen"], None, len(data))
            sink.write(data)
        return await sink.finish()
    except BaseException:
        sink.abandon()
        raise


async def replaced(view: Any, uid: int, data: bytes, name: str = "INBOX") -> Any:
    sink = await view.replace(uid_set(uid), name, [], None, len(data))
    sink.write(data)
    return await sink.finish()


def test_several_messages_enter_together(database: Database) -> None:
    make_account(database)
    account = session(mailstore(database))
    done = run(appended(account, DATA, DATA + b"2", DATA + b"3"))
    assert (done.uid, done.count) == (1, 3)
    assert run(account.status(["INBOX"]))["INBOX"].unseen == 1


def test_none_enters_when_the_last_does_not_fit(database: Database) -> None:
    make_account(database)
    run(database.write(mailboxes.set_quota, ALICE, 60, 0))
    account = session(mailstore(database))
    with pytest.raises(OverQuota):
        run(appended(account, DATA, DATA + b"2", DATA + b"3"))
    assert run(account.status(["INBOX"]))["INBOX"].messages == 0


def test_the_messages_of_a_command_are_bounded_together(database: Database) -> None:
    make_account(database)
    held = mailstore(database)
    account = session(held)
    limit = held.settings[Imap].largest_append

    async def two() -> None:
        sink = await account.append("INBOX", [], None, limit - 1)
        try:
            await sink.another([], None, 2)
        finally:
            sink.abandon()

    with pytest.raises(TooLarge):
        run(two())


def test_a_replacement_needs_only_what_it_is_larger(database: Database) -> None:
    make_account(database)
    account = session(mailstore(database))
    run(appended(account, DATA))
    run(database.write(mailboxes.set_quota, ALICE, len(DATA), 1))
    view = select(account)
    done = run(replaced(view, 1, DATA[:-1] + b"!"))
    assert (done.uid, done.count) == (2, 1)
    assert [update.sequence for update in view.updates(True) if hasattr(update, "sequence")] == [1]
    with pytest.raises(OverQuota):
        run(replaced(view, 2, DATA + b" and more"))
    assert run(account.status(["INBOX"]))["INBOX"].messages == 1


def test_what_is_gone_is_not_replaced(database: Database) -> None:
    make_account(database)
    put(database)
    account = session(mailstore(database))
    view = select(account)
    run(jobs.expunge(database, (ALICE, INBOX), [1], NOW, only_deleted=False))
    with pytest.raises(AlreadyExpunged):
        run(replaced(view, 1, DATA))
    assert run(account.status(["INBOX"]))["INBOX"].messages == 0
