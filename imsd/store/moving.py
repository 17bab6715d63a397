"""Messages copied, moved and expunged.

Expunging moves the row to the expunged table with its reference to the content: a view
that was not told yet may still read it, and QRESYNC asks for the UID (design rule 7).
All functions are for batches of up to a few hundred messages; `imsd.store.jobs` does many.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, delete, insert, literal_column, select, update

from imsd.errors import NoSuchMailbox
from imsd.store import blobs, seen, uidsets
from imsd.store import keywords as keyword_names
from imsd.store import mailbox_tables as t
from imsd.store.changes import MailboxScope, MessagesAdded, MessagesExpunged
from imsd.store.flags import DELETED, SEEN, IndexRow
from imsd.store.ids import PUBLIC, AccountId, MailboxId, ModSeq, Uid, UidValidity
from imsd.store.messages import MessageRow, enter, insert_messages, name_keywords, rows
from imsd.store.sql import among, sql
from imsd.store.transaction import Unit


@dataclass(frozen=True, slots=True)
class Copied:
    """source[i] became target[i]; UIDs, ascending on both sides (RFC 4315 3)."""

    uidvalidity: UidValidity
    source: tuple[Uid, ...]
    target: tuple[Uid, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a message brings along: a mask of system flags, and whether its keywords."""

    flags: int = ~0
    keywords: bool = True


ALL_FLAGS = Kept()

_m = t.mailbox.c
_r = t.message.c
_x = t.expunged.c
_a = t.account.c
_ONE: ColumnElement[int] = literal_column("1")
_here = (_r.account == bindparam("a"), _r.mailbox == bindparam("m"), among(_r.uid, "uids"))
_REMEMBER = sql(
    insert(t.expunged).from_select(
        ["account", "mailbox", "uid", "modseq", "blob", "size", "date", "email", "flags", "prefix", "time"],
        select(
            _r.account, _r.mailbox, _r.uid, bindparam("new_modseq", type_=_r.modseq.type), _r.blob,
            _r.size, _r.date, _r.email, _r.flags, _r.prefix, bindparam("now", type_=_r.date.type),
        ).where(*_here),
    )
)  # fmt: skip
_REMOVE = sql(delete(t.message).where(*_here))
_COUNT_OUT = sql(
    update(t.mailbox)
    .where(_m.account == bindparam("a"), _m.mailbox == bindparam("m"))
    .values(
        highestmodseq=_m.highestmodseq + _ONE,
        messages=_m.messages - bindparam("count"),
        unseen=_m.unseen - bindparam("were_unseen"),
        deleted=_m.deleted - bindparam("were_deleted"),
        bytes=_m.bytes - bindparam("size"),
    )
    .returning(_m.highestmodseq)
)
_FREE = sql(
    update(t.account)
    .where(_a.account == bindparam("a"))
    .values(
        used_bytes=_a.used_bytes - bindparam("size"),
        used_messages=_a.used_messages - bindparam("count"),
    )
)
_VALIDITY = sql(
    select(_m.uidvalidity).where(
        _m.account == bindparam("a"), _m.mailbox == bindparam("m"), _m.selectable == _ONE
    )
)


def expunge(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    uids: Sequence[int],
    now: int,
    *,
    only_deleted: bool = True,
) -> tuple[Uid, ...]:
    """Remove those of the UIDs that exist, and have \\Deleted unless told otherwise.

    Returns what was removed, ascending (RFC 9051 6.4.3, 6.4.9).
    """
    going = [row for row in rows(unit, account, mailbox, uids) if row.flags & DELETED or not only_deleted]
    if going:
        _leave(unit, account, mailbox, going, now)
    return tuple(row.uid for row in going)


def copy(
    unit: Unit,
    source: tuple[AccountId, MailboxId],
    uids: Sequence[int],
    target: tuple[AccountId, MailboxId],
    now: int,
    reader: AccountId | None = None,
    kept: Kept = ALL_FLAGS,
) -> Copied:
    """Copy messages with flags, keywords and dates (RFC 9051 6.4.7); missing ones are left out.

    reader: whose \\Seen is read from and written to a public folder on either side.
    Raises NoSuchMailbox (target), OverQuota, LimitReached.
    """
    return _enter_rows(unit, source, rows(unit, *source, uids), target, now, reader, kept)


def move(
    unit: Unit,
    source: tuple[AccountId, MailboxId],
    uids: Sequence[int],
    target: tuple[AccountId, MailboxId],
    now: int,
    reader: AccountId | None = None,
    kept: Kept = ALL_FLAGS,
) -> Copied:
    """Move messages: in this unit they leave the one and enter the other (RFC 6851 3.3)."""
    going = rows(unit, *source, uids)
    if going:
        # First out, so that a full account can still be tidied up.
        _leave(unit, *source, going, now)
    return _enter_rows(unit, source, going, target, now, reader, kept)


def _leave(unit: Unit, account: AccountId, mailbox: MailboxId, going: Sequence[MessageRow], now: int) -> None:
    size = sum(row.size for row in going)
    # Nobody's \\Seen is counted in a public folder: all its messages are unseen.
    unseen = sum(not row.flags & SEEN for row in going)
    modseq = unit.value(
        _COUNT_OUT, a=account, m=mailbox, count=len(going), size=size, were_unseen=unseen,
        were_deleted=sum(bool(row.flags & DELETED) for row in going),
    )  # fmt: skip
    if modseq is None:
        raise NoSuchMailbox
    uids = [row.uid for row in going]
    unit.run(_REMEMBER, a=account, m=mailbox, uids=uids, new_modseq=modseq, now=now)
    unit.run(_REMOVE, a=account, m=mailbox, uids=uids)
    unit.run(_FREE, a=account, size=size, count=len(going))
    unit.changed(MessagesExpunged(MailboxScope(account, mailbox), modseq - 1, modseq, tuple(uids)))


def _enter_rows(
    unit: Unit,
    source: tuple[AccountId, MailboxId],
    coming: Sequence[MessageRow],
    target: tuple[AccountId, MailboxId],
    now: int,
    reader: AccountId | None,
    kept: Kept,
) -> Copied:
    account, mailbox = target
    if not coming:
        validity = unit.value(_VALIDITY, a=account, m=mailbox)
        if validity is None:
            raise NoSuchMailbox
        return Copied(UidValidity(validity), (), ())
    seen_there = seen.ranges(unit, *source, reader) if source[0] == PUBLIC and reader is not None else []
    flags = [
        (row.flags | SEEN if seen_there and uidsets.contains(seen_there, row.uid) else row.flags) & kept.flags
        for row in coming
    ]
    was_seen = [bool(bits & SEEN) for bits in flags]
    if account == PUBLIC:
        flags = [bits & ~SEEN for bits in flags]
    entry = enter(
        unit, account, mailbox, sum(row.size for row in coming), count=len(coming),
        unseen=sum(not bits & SEEN for bits in flags),
        deleted=sum(bool(bits & DELETED) for bits in flags),
    )  # fmt: skip
    translated = _translate(unit, source, target, coming, entry.modseq) if kept.keywords else {}
    same_account = source[0] == account
    arrived = tuple(
        IndexRow(
            Uid(entry.uid + n), flags[n], translated.get(row.keywords, 0), entry.modseq,
            row.size, row.date, row.blob,
        )
        for n, row in enumerate(coming)
    )  # fmt: skip
    insert_messages(
        unit, account, mailbox, arrived,
        # A copy within the account is the same email (RFC 8474 5.1).
        [row.email if same_account else entry.email + n for n, row in enumerate(coming)],
        [row.prefix for row in coming], now,
    )  # fmt: skip
    blobs.refer_many(unit, [row.blob for row in coming])
    if account == PUBLIC and reader is not None:
        seen.change(
            unit,
            account,
            mailbox,
            reader,
            [row.uid for row, was in zip(arrived, was_seen, strict=True) if was],
            modseq=entry.modseq,
        )
    scope = MailboxScope(account, mailbox)
    unit.changed(MessagesAdded(scope, entry.modseq - 1, entry.modseq, arrived))
    return Copied(entry.uidvalidity, tuple(row.uid for row in coming), tuple(row.uid for row in arrived))


def _translate(
    unit: Unit,
    source: tuple[AccountId, MailboxId],
    target: tuple[AccountId, MailboxId],
    coming: Sequence[MessageRow],
    modseq: ModSeq,
) -> dict[int, int]:
    """Sets of keyword bits of the source as bits of the target, made where missing."""
    used = {row.keywords for row in coming} - {0}
    if not used:
        return {}
    if source == target:
        return {bits: bits for bits in used}
    there = keyword_names.names(unit, *source)
    every = 0
    for bits in used:
        every |= bits
    wanted = tuple(name for bit, name in enumerate(there) if every >> bit & 1)
    name_keywords(unit, *target, wanted, modseq)
    return {
        bits: keyword_names.mask(unit, *target, [name for bit, name in enumerate(there) if bits >> bit & 1])
        for bits in used
    }
