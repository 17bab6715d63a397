"""What FETCH and SEARCH need of many messages at once: rows and content in one statement.

A batch is one snapshot. Messages that were expunged but not told yet are found among the
expunged while their content is kept (RFC 2180 4.1.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, bindparam, case, cast, func, literal_column, null, select

from imsd.store import mailbox_tables as t
from imsd.store.blob_rows import blob, content
from imsd.store.ids import AccountId, BlobId, MailboxId
from imsd.store.search.grams import skeleton
from imsd.store.search.texts import readable
from imsd.store.sql import Statement, among, sql
from imsd.store.transaction import Transaction

SMALL = 65_536
"""Content up to this size comes with the row when it is wanted."""


@dataclass(slots=True)
class Content:
    """One message's stored content. Empty where it was not asked for.

    data: the whole blob where it is small, else None. header: the blob's header block, None
    where it is in a file. saved, email: of the row. date, date_offset: the Date
    field in microseconds, minutes east.
    """

    uid: int
    blob: BlobId
    size: int
    header_size: int
    scan_version: int
    raw: bool
    prefix: bytes
    envelope: bytes
    body: bytes
    bodystructure: bytes
    packed: bytes
    date: int | None
    date_offset: int
    header: bytes | None
    data: bytes | None
    saved: int | None
    email: int
    message_id: bytes
    references: bytes
    preview: bytes


_b = blob.c
_made: dict[tuple[Any, ...], Statement] = {}


def _statement(table: Any, summary: bool, header: bool, scan: bool, whole: bool, more: bool) -> Statement:
    """The SELECT for what is wanted; each kind is made once."""
    key = (table.name, summary, header, scan, whole, more)
    made = _made.get(key)
    if made is None:
        nothing = null()
        bytes_ = content.c.bytes
        # PostgreSQL cuts bytes by small integers only; a header block is bounded by far less.
        head = func.substr(bytes_, literal_column("1"), cast(_b.header_size, Integer))
        joined = table.join(blob, _b.id == table.c.blob)
        if header or whole:
            joined = joined.outerjoin(content, content.c.id == _b.id)
        made = _made[key] = sql(
            select(
                table.c.uid,
                _b.id,
                _b.size,
                _b.header_size,
                _b.scan_version,
                _b.raw,
                table.c.prefix,
                _b.envelope if summary else nothing,
                _b.body if summary else nothing,
                _b.bodystructure if summary else nothing,
                _b.packed if scan else nothing,
                _b.date,
                _b.date_offset,
                head if header and not whole else nothing,
                case((_b.size <= SMALL, bytes_), else_=head) if whole else nothing,
                table.c.saved if more and table is t.message else nothing,
                table.c.email,
                _b.message_id if more else nothing,
                _b.references if more else nothing,
                _b.preview if more else nothing,
            )
            .select_from(joined)
            .where(
                table.c.account == bindparam("a"),
                table.c.mailbox == bindparam("m"),
                among(table.c.uid, "uids"),
            )
            .order_by(table.c.uid)
        )
    return made


def read(
    tx: Transaction,
    account: AccountId,
    mailbox: MailboxId,
    uids: Sequence[int],
    summary: bool = False,
    header: bool = False,
    scan: bool = False,
    whole: bool = False,
    more: bool = False,
) -> list[Content]:
    """Content of the UIDs that have any, ascending. whole: the bytes too, where small.
    more: save date, ids and preview."""
    wanted = (summary, header, scan, whole, more)
    found = tx.all(_statement(t.message, *wanted), a=account, m=mailbox, uids=uids)
    if len(found) < len(uids):
        here = {row[0] for row in found}
        gone = [uid for uid in uids if uid not in here]
        found += tx.all(_statement(t.expunged, *wanted), a=account, m=mailbox, uids=gone)
        found.sort(key=lambda row: int(row[0]))
    return [_content(row) for row in found]


def read_one(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uid: int, *wanted: bool
) -> list[Content]:
    """The same of one: a kind of read of its own, which stays quick while others read twenty at once."""
    return read(tx, account, mailbox, (uid,), *wanted)


_PREFIXES = {
    table.name: sql(
        select(table.c.blob, table.c.prefix).where(
            table.c.account == bindparam("a"),
            table.c.mailbox == bindparam("m"),
            table.c.blob > 0,
            func.length(table.c.prefix) > 0,
        )
    )
    for table in (t.message, t.expunged)
}


def with_prefix(tx: Transaction, account: AccountId, mailbox: MailboxId, text: str) -> frozenset[int]:
    """Content of messages in front of which delivery put this text, without regard to case or accents."""
    wanted = skeleton(text)
    known: dict[bytes, bool] = {b"": False}
    found: set[int] = set()
    for statement in _PREFIXES.values():
        for blob_id, prefix in tx.each(statement, a=account, m=mailbox):
            has = known.get(prefix)
            if has is None:
                has = known[bytes(prefix)] = wanted in skeleton(readable(prefix))
            if has:
                found.add(blob_id)
    return frozenset(found)


def _content(row: tuple[Any, ...]) -> Content:
    (
        uid, blob_id, size, header_size, version, raw, prefix, envelope, body, structure, packed,
        date, offset, header, data, saved, email, message_id, references, preview,
    ) = row  # fmt: skip
    if data is not None:
        # Of larger content in the database only the header came along.
        header = data[:header_size]
        if len(data) != size:
            data = None
    return Content(
        uid, blob_id, size, header_size, version, bool(raw), prefix, envelope or b"", body or b"",
        structure or b"", packed or b"", date, offset, header, data, saved, email,
        message_id or b"", references or b"", preview or b"",
    )  # fmt: skip


_HASHES = sql(
    select(t.message.c.uid, _b.hash)
    .select_from(t.message.join(blob, _b.id == t.message.c.blob))
    .where(
        t.message.c.account == bindparam("a"),
        t.message.c.mailbox == bindparam("m"),
        t.message.c.uid > bindparam("after"),
    )
    .order_by(t.message.c.uid)
    .limit(bindparam("most"))
)


def hashes_after(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uid: int, most: int
) -> list[tuple[int, bytes]]:
    """(UID, SHA-256 of the content) of up to `most` messages with greater UIDs, ascending."""
    return tx.all(_HASHES, a=account, m=mailbox, after=uid, most=most)
