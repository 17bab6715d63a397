"""The counters of STATUS (RFC 9051 6.3.11), from the mailbox's row where it has them."""

from sqlalchemy import bindparam, func, literal_column, select

from imsd.store import mailbox_tables as t
from imsd.store import mailboxes, seen
from imsd.store.flags import DELETED
from imsd.store.ids import AccountId, MailboxId
from imsd.store.mailboxes import Mailbox
from imsd.store.sql import sql
from imsd.store.transaction import Transaction

_r = t.message.c
_BETWEEN = sql(
    select(func.count())
    .select_from(t.message)
    .where(
        _r.account == bindparam("a"),
        _r.mailbox == bindparam("m"),
        _r.uid >= bindparam("low"),
        _r.uid <= bindparam("high"),
    )
)

_DELETED_BYTES = sql(
    select(func.coalesce(func.sum(_r.size), literal_column("0"))).where(
        _r.account == bindparam("a"),
        _r.mailbox == bindparam("m"),
        _r.flags.op("&")(literal_column(str(DELETED))) != literal_column("0"),
    )
)


def deleted_bytes(tx: Transaction, account: AccountId, mailbox: MailboxId) -> int:
    """Octets of the messages with \\Deleted (RFC 9208 4.1.4); reads every row of the mailbox."""
    return int(tx.value(_DELETED_BYTES, a=account, m=mailbox))


def status(
    tx: Transaction, account: AccountId, mailbox: MailboxId, reader: AccountId | None, recent_uid: int = 0
) -> tuple[Mailbox, int, int]:
    """The row, how many messages are \\Recent, and how many unseen (by reader in a public folder).

    recent_uid: the high-water mark in memory, which may be ahead of the row's.
    """
    row = mailboxes.get_by_id(tx, account, mailbox)
    recent = 0
    recent_uid = max(recent_uid, row.recent_uid)
    if row.uidnext - 1 > recent_uid:
        recent = tx.value(_BETWEEN, a=account, m=mailbox, low=recent_uid + 1, high=row.uidnext)
    unseen = row.unseen
    if reader is not None:
        unseen = row.messages - sum(
            tx.value(_BETWEEN, a=account, m=mailbox, low=low, high=high)
            for low, high in seen.ranges(tx, account, mailbox, reader)
        )
    return row, recent, unseen
