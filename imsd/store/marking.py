"""Flags and keywords of stored messages (RFC 9051 6.4.6, RFC 7162 3.1.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import ColumnElement, bindparam, literal_column, select, update

from imsd.errors import NoSuchMailbox
from imsd.store import keywords as keyword_names
from imsd.store import mailbox_tables as t
from imsd.store import seen, uidsets
from imsd.store.changes import FlagsChanged, MailboxScope
from imsd.store.flags import DELETED, LOW_MASK, SEEN, IndexRow, pack_high
from imsd.store.ids import AccountId, MailboxId, ModSeq, Uid
from imsd.store.messages import index_rows, name_keywords
from imsd.store.sql import sql
from imsd.store.transaction import Unit


class Mark(Enum):
    """How STORE combines its flags with those a message has."""

    REPLACE = 0
    ADD = 1
    REMOVE = 2


@dataclass(frozen=True, slots=True)
class Marked:
    """What a unit of STORE did.

    rows: the messages that changed, as they are now.  failed: those changed after
    UNCHANGEDSINCE, left alone.  missing: those that do not exist any more.
    """

    rows: tuple[IndexRow, ...]
    failed: tuple[Uid, ...]
    missing: tuple[Uid, ...]


_m = t.mailbox.c
_r = t.message.c
_ONE: ColumnElement[int] = literal_column("1")
_here = (_m.account == bindparam("a"), _m.mailbox == bindparam("m"))
_LOCK = sql(select(_m.highestmodseq).where(*_here).with_for_update())
_COUNT = sql(
    update(t.mailbox)
    .where(*_here)
    .values(
        highestmodseq=_m.highestmodseq + _ONE,
        unseen=_m.unseen + bindparam("more_unseen"),
        deleted=_m.deleted + bindparam("more_deleted"),
    )
)
_MARK = sql(
    update(t.message)
    .where(_r.account == bindparam("a"), _r.mailbox == bindparam("m"), _r.uid == bindparam("u"))
    .values(
        flags=bindparam("new_flags"),
        keywords=bindparam("low"),
        more_keywords=bindparam("high"),
        modseq=bindparam("new_modseq"),
    )
)


def lock(unit: Unit, account: AccountId, mailbox: MailboxId) -> ModSeq:
    """The mailbox's highest mod-sequence, which nobody else moves until this unit ends."""
    value = unit.value(_LOCK, a=account, m=mailbox)
    if value is None:
        raise NoSuchMailbox
    return ModSeq(value)


def store_flags(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    uids: Sequence[int],
    mark: Mark,
    flags: int,
    keywords: tuple[str, ...] = (),
    unchanged_since: int | None = None,
    reader: AccountId | None = None,
) -> Marked:
    """Change flags of up to a few hundred messages, under one new mod-sequence.

    Conditions are decided against the rows. With a reader the mailbox is a public folder,
    and \\Seen is that reader's alone. A message that already is as asked keeps its
    mod-sequence. Raises NoSuchMailbox, LimitReached (keywords).
    """
    previous = lock(unit, account, mailbox)
    modseq = ModSeq(previous + 1)
    if mark is Mark.REMOVE:
        bits = keyword_names.mask(unit, account, mailbox, keywords)
    else:
        bits = name_keywords(unit, account, mailbox, keywords, modseq)
    found = index_rows(unit, account, mailbox, uids)
    present = {row.uid for row in found}
    missing = tuple(Uid(uid) for uid in uids if uid not in present)
    failed: tuple[Uid, ...] = ()
    if unchanged_since is not None:
        failed = tuple(row.uid for row in found if row.modseq > unchanged_since)
        found = [row for row in found if row.modseq <= unchanged_since]
    held = seen.ranges(unit, account, mailbox, reader) if reader is not None else []

    changed: list[IndexRow] = []
    newly_seen: list[int] = []
    unseen_again: list[int] = []
    more_unseen = more_deleted = 0
    for row in found:
        old = row.flags
        if reader is not None and uidsets.contains(held, row.uid):
            old |= SEEN
        if mark is Mark.ADD:
            new, new_bits = old | flags, row.keywords | bits
        elif mark is Mark.REMOVE:
            new, new_bits = old & ~flags, row.keywords & ~bits
        else:
            new, new_bits = flags, bits
        if new == old and new_bits == row.keywords:
            continue
        more_deleted += bool(new & DELETED) - bool(old & DELETED)
        if reader is None:
            more_unseen += bool(old & SEEN) - bool(new & SEEN)
        else:
            if (new ^ old) & SEEN:
                (newly_seen if new & SEEN else unseen_again).append(row.uid)
            new &= ~SEEN
        changed.append(row._replace(flags=new, keywords=new_bits, modseq=modseq))
    if not changed:
        return Marked((), failed, missing)
    if reader is not None:
        seen.change(unit, account, mailbox, reader, newly_seen, unseen_again, modseq=modseq)
    unit.run(_COUNT, a=account, m=mailbox, more_unseen=more_unseen, more_deleted=more_deleted)
    unit.many(
        _MARK,
        [
            {
                "a": account, "m": mailbox, "u": row.uid, "new_flags": row.flags,
                "low": row.keywords & LOW_MASK, "high": pack_high(row.keywords), "new_modseq": modseq,
            }
            for row in changed
        ],
    )  # fmt: skip
    rows = tuple(changed)
    unit.changed(FlagsChanged(MailboxScope(account, mailbox), previous, modseq, rows))
    return Marked(rows, failed, missing)
