"""Small content and mailboxes for tests of the store and of what stands on it."""

from __future__ import annotations

from imsd.store import mailboxes, messages
from imsd.store.blobs import NewBlob, new_blob
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId, MailboxId
from protocols.message.summary import summarize
from tests.support.stores import run

ALICE = AccountId(7)
BOB = AccountId(8)
NOW = 1_700_000_000_000_000


def content(body: str = "hello", subject: str = "a subject") -> NewBlob:
    """A small message as delivery would have made it."""
    data = (
        f"From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nSubject: {subject}\r\n"
        f"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <{hash(body) & 0xFFFF}@x>\r\n\r\n{body}\r\n"
    ).encode()
    return new_blob(data, summarize(data))


def make_account(database: Database, account: AccountId = ALICE) -> AccountId:
    run(database.write(mailboxes.create_account_mailboxes, account, NOW))
    return account


def put(
    database: Database,
    count: int = 1,
    account: AccountId = ALICE,
    mailbox: MailboxId = INBOX,
    flags: int = 0,
    keywords: tuple[str, ...] = (),
    body: str = "hello",
) -> list[int]:
    """Append messages; their UIDs."""
    return [
        run(
            database.write(
                messages.append, account, mailbox, content(f"{body} {n}"), flags, keywords, None, NOW
            )
        ).uid
        for n in range(count)
    ]
