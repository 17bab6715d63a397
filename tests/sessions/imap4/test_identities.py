"""OBJECTID, SAVEDATE, PREVIEW and WITHIN over the store."""

from __future__ import annotations

from typing import Any

from imsd.store.database import Database
from protocols.imap4 import keys
from protocols.imap4.values import Needs
from tests.support.imap import mailstore, select, session, uid_set
from tests.support.mail import make_account
from tests.support.stores import run


def prepared(database: Database) -> Database:
    make_account(database)
    return database


async def put(account: Any, data: bytes, name: str = "INBOX", date: int | None = None) -> int:
    sink = await account.append(name, [], date, len(data))
    sink.write(data)
    return int((await sink.finish()).uid)


async def shown(view: Any, *uids: int) -> list[Any]:
    found = []
    async for batch in view.fetch(uid_set(*uids), Needs(identity=True)):
        found += [message for _, message in batch]
    return found


FIRST = b"Message-ID: <a@x>\r\nSubject: one\r\n\r\nHello you\r\n"
ANSWER = b"Message-ID: <b@x>\r\nReferences: <a@x>\r\n\r\nHello back\r\n"
DEEPER = b"Message-ID: <c@x>\r\nReferences: <a@x> <b@x>\r\n\r\n\r\n"
ALONE = b"Subject: no id\r\n\r\n\r\n"


def test_a_conversation_is_one_thread(database: Database) -> None:
    account = session(mailstore(prepared(database)))
    uids = [run(put(account, data)) for data in (FIRST, ANSWER, DEEPER, ALONE)]
    view = select(account)
    first, answer, deeper, alone = run(shown(view, *uids))
    assert first.thread_id == answer.thread_id == deeper.thread_id != b""
    assert alone.thread_id == b""
    found = run(view.search(keys.Identity(first.thread_id, True)))
    assert list(found.uids) == uids[:3]


def test_a_copy_is_the_same_email_saved_anew(database: Database) -> None:
    account = session(mailstore(prepared(database)))
    uid = run(put(account, FIRST, date=0))
    view = select(account)
    run(view.copy(uid_set(uid), "Archive"))
    (here,) = run(shown(view, uid))
    there = select(account, "Archive")
    (copy,) = run(shown(there, 1))
    assert here.email_id == copy.email_id
    assert copy.saved >= here.saved > 0
    assert here.preview == b"Hello you"
    assert list(run(there.search(keys.Identity(here.email_id, False))).uids) == [1]
    assert list(run(there.search(keys.Within(60, True))).uids) == [1]
    assert list(run(there.search(keys.Within(60, False))).uids) == []


def test_a_mailbox_keeps_its_identity_when_it_is_renamed(database: Database) -> None:
    account = session(mailstore(prepared(database)))
    made = run(account.create("Old", ()))
    run(account.rename("Old", "New"))
    assert run(account.status(["New"]))["New"].mailbox_id == made
    assert select(account, "New").mailbox_id == made
    run(account.delete("New"))
    assert run(account.create("Old", ())) != made
