"""MULTIAPPEND and REPLACE over the store: all or none, one unit."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.errors import AlreadyExpunged, OverQuota, TooLarge
from imsd.sessions.imap4.appending import Append
from imsd.settings.imap import Imap
from imsd.store import acl, jobs, mailboxes
from imsd.store.database import Database
from imsd.store.ids import INBOX
from protocols.imap4.values import Needs
from tests.support.imap import mailstore, select, session, uid_set
from tests.support.mail import ALICE, BOB, NOW, make_account, put
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


# CATENATE (RFC 4469): what may be read, and how much it may become


def test_a_part_of_another_mailbox_is_given_to_who_may_read_it(database: Database) -> None:
    make_account(database)
    make_account(database, BOB)
    put(database, 1, BOB)
    account = session(mailstore(database))
    needs = Needs(content=True)

    def there(validity: int = 0, uid: int = 1) -> bool:
        return run(account.message("Other Users/bob/INBOX", validity, uid, needs)) is not None

    assert not there()
    run(database.write(acl.grant, BOB, INBOX, ALICE, "l"))
    assert not there()
    run(database.write(acl.grant, BOB, INBOX, ALICE, "lr"))
    assert there()
    validity = run(account.status(["Other Users/bob/INBOX"]))["Other Users/bob/INBOX"].uid_validity
    assert there(validity)
    assert not there(validity + 1)
    assert not there(uid=2)


def test_what_was_expunged_is_not_given_though_others_still_see_it(database: Database) -> None:
    make_account(database)
    put(database)
    account = session(mailstore(database))
    view = select(account, "INBOX")
    run(jobs.expunge(database, view.place.key, [1], NOW, only_deleted=False))
    assert run(account.message("INBOX", 0, 1, Needs(content=True))) is None
    assert view.exists == 1


def test_a_message_of_unknown_size_is_bounded_as_it_comes(database: Database) -> None:
    make_account(database)
    account = session(mailstore(database))
    place = run(account.places.find("INBOX"))
    sink = Append(account.held, place, ALICE, [], None, 0, 50_000, whole=False)
    run(sink.write(b"x" * 30_000))
    with pytest.raises(TooLarge):
        sink.write(b"x" * 30_000)
    sink.abandon()
