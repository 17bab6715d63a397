"""Who has seen what in the public folders (design rule 9).

\\Seen of a public folder is not a flag of the message but of the reader: one row per
folder and reader holds the UIDs as ranges, so that a folder read to its end costs a few
bytes. What changes here bumps the messages' mod-sequences like any flag (RFC 7162 3.1.1).
"""

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, select

from imsd.store import mailbox_tables as t
from imsd.store import uidsets
from imsd.store.changes import MailboxScope, SeenChanged
from imsd.store.ids import AccountId, MailboxId
from imsd.store.sql import insert_row, sql
from imsd.store.transaction import Transaction, Unit

_s = t.seen.c
_key = (_s.account == bindparam("a"), _s.mailbox == bindparam("m"), _s.reader == bindparam("reader"))
_READ = sql(select(_s.uids).where(*_key))
_REMOVE = sql(delete(t.seen).where(*_key))
_INSERT = insert_row(t.seen)


def ranges(tx: Transaction, account: AccountId, mailbox: MailboxId, reader: AccountId) -> uidsets.Ranges:
    """The UIDs that reader has seen."""
    return uidsets.parse(tx.value(_READ, a=account, m=mailbox, reader=reader) or "")


def change(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    reader: AccountId,
    add: Iterable[int] = (),
    remove: Iterable[int] = (),
    *,
    modseq: int,
) -> None:
    """Mark UIDs (ascending) as seen and as not seen by reader, in the change numbered modseq."""
    held = ranges(unit, account, mailbox, reader)
    now = uidsets.without(uidsets.union(held, uidsets.of(add)), uidsets.of(remove))
    if now == held:
        return
    unit.run(_REMOVE, a=account, m=mailbox, reader=reader)
    if now:
        unit.run(_INSERT, account=account, mailbox=mailbox, reader=reader, uids=uidsets.encode(now))
    unit.changed(SeenChanged(MailboxScope(account, mailbox), modseq - 1, modseq, reader, tuple(now)))
