"""Messages entering mailboxes, and their rows read back.

A message is a small prefix and a shared blob (design rule 5). Entering takes four
statements: count it against the account, take a UID and a mod-sequence from the mailbox,
count the blob's reference, insert the row. Quota and existence are decided here, in the
unit (rule 7). How messages change and leave: `imsd.store.marking`, `imsd.store.moving`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, literal_column, or_, select, update

from imsd.errors import LimitReached, NoSuchMailbox, OverQuota, Refusal
from imsd.store import blobs, keywords
from imsd.store import mailbox_tables as t
from imsd.store.blobs import NewBlob
from imsd.store.changes import KeywordsNamed, MailboxScope, MessagesAdded
from imsd.store.counters import counted_by
from imsd.store.flags import DELETED, LOW_MASK, SEEN, IndexRow, join_keywords, pack_high
from imsd.store.ids import INBOX, AccountId, BlobId, MailboxId, ModSeq, Uid, UidValidity
from imsd.store.sql import among, insertion, sql
from imsd.store.transaction import Transaction, Unit
from protocols.values import value

MAX_PREFIX = 4096
MAX_DELIVERIES = 100


@value(frozen=True, slots=True)
class Delivery:
    """One copy of a message for one local mailbox. prefix: this copy's own header fields."""

    account: AccountId
    prefix: bytes = b""
    mailbox: MailboxId = INBOX
    flags: int = 0
    keywords: tuple[str, ...] = ()


@value(frozen=True, slots=True)
class Stored:
    """Where a message is. email: the RFC 8474 identity within the account."""

    account: AccountId
    mailbox: MailboxId
    uidvalidity: UidValidity
    uid: Uid
    modseq: ModSeq
    email: int


@value(frozen=True, slots=True)
class Refused:
    """This copy could not be stored; the others were."""

    delivery: Delivery
    refusal: Refusal


@value(frozen=True, slots=True)
class MessageRow:
    """A message's own row. Times in microseconds; size includes the prefix."""

    uid: Uid
    modseq: ModSeq
    blob: BlobId
    size: int
    date: int
    saved: int
    email: int
    flags: int
    keywords: int
    prefix: bytes


# Written into the statement, not bound: nothing is merged per call on the hot path.
_ONE: ColumnElement[int] = literal_column("1")
_NONE: ColumnElement[int] = literal_column("0")

_m = t.mailbox.c
_a = t.account.c
_r = t.message.c
_x = t.expunged.c

_COUNT_IN = sql(
    update(t.account)
    .where(
        _a.account == bindparam("a"),
        or_(_a.quota_bytes == _NONE, _a.used_bytes + bindparam("size") <= _a.quota_bytes),
        or_(_a.quota_messages == _NONE, _a.used_messages + bindparam("count") <= _a.quota_messages),
    )
    .values(
        used_bytes=_a.used_bytes + bindparam("size"),
        used_messages=_a.used_messages + bindparam("count"),
        next_email=_a.next_email + bindparam("count"),
    )
    .returning(_a.next_email)
)
_COUNT_IN_ANYWAY = sql(
    update(t.account)
    .where(_a.account == bindparam("a"))
    .values(
        used_bytes=_a.used_bytes + bindparam("size"),
        used_messages=_a.used_messages + bindparam("count"),
        next_email=_a.next_email + bindparam("count"),
    )
    .returning(_a.next_email)
)
_TAKE_UIDS = sql(
    update(t.mailbox)
    .where(_m.account == bindparam("a"), _m.mailbox == bindparam("m"), _m.selectable == _ONE)
    .values(
        uidnext=_m.uidnext + bindparam("count"),
        highestmodseq=_m.highestmodseq + _ONE,
        messages=_m.messages + bindparam("count"),
        unseen=_m.unseen + bindparam("new_unseen"),
        deleted=_m.deleted + bindparam("new_deleted"),
        bytes=_m.bytes + bindparam("size"),
    )
    .returning(_m.uidnext, _m.highestmodseq, _m.uidvalidity)
)
_UNTAKE = sql(
    update(t.mailbox)
    .where(_m.account == bindparam("a"), _m.mailbox == bindparam("m"))
    .values(
        uidnext=_m.uidnext - bindparam("count"),
        highestmodseq=_m.highestmodseq - _ONE,
        messages=_m.messages - bindparam("count"),
        unseen=_m.unseen - bindparam("new_unseen"),
        deleted=_m.deleted - bindparam("new_deleted"),
        bytes=_m.bytes - bindparam("size"),
    )
)
_ADVANCE = sql(
    update(t.mailbox)
    .where(_m.account == bindparam("a"), _m.mailbox == bindparam("m"))
    .values(highestmodseq=_m.highestmodseq + _ONE)
    .returning(_m.highestmodseq)
)
_INSERT = insertion(t.message)

_index_columns = (_r.uid, _r.flags, _r.keywords, _r.more_keywords, _r.modseq, _r.size, _r.date, _r.blob)
_here = (_r.account == bindparam("a"), _r.mailbox == bindparam("m"))
_AFTER_UID = sql(
    select(*_index_columns)
    .where(*_here, _r.uid > bindparam("after"))
    .order_by(_r.uid)
    .limit(bindparam("most"))
)
_VANISHED_PAGE = sql(
    select(_x.modseq, _x.uid)
    .where(
        _x.account == bindparam("a"),
        _x.mailbox == bindparam("m"),
        _x.modseq >= bindparam("at"),
        or_(_x.modseq > bindparam("upon"), _x.uid > bindparam("u")),
    )
    .order_by(_x.modseq, _x.uid)
    .limit(bindparam("most"))
)
_VANISHED_BY_UID = sql(
    select(_x.uid)
    .where(
        _x.account == bindparam("a"),
        _x.mailbox == bindparam("m"),
        _x.uid > bindparam("u"),
        _x.uid <= bindparam("upto"),
        _x.modseq > bindparam("since"),
    )
    .order_by(_x.uid)
    .limit(bindparam("most"))
)
_AFTER_MODSEQ = sql(select(*_index_columns).where(*_here, _r.modseq > bindparam("after")).order_by(_r.modseq))
_INDEX_ROWS = sql(select(*_index_columns).where(*_here, among(_r.uid, "uids")).order_by(_r.uid))
_VANISHED = sql(
    select(_x.uid).where(
        _x.account == bindparam("a"), _x.mailbox == bindparam("m"), _x.modseq > bindparam("after")
    )
)
_MODSEQ = sql(select(_m.highestmodseq).where(_m.account == bindparam("a"), _m.mailbox == bindparam("m")))
_row_columns = (
    _r.uid, _r.modseq, _r.blob, _r.size, _r.date, _r.saved, _r.email, _r.flags, _r.keywords,
    _r.more_keywords, _r.prefix,
)  # fmt: skip
_ROWS = sql(select(*_row_columns).where(*_here, among(_r.uid, "uids")).order_by(_r.uid))
_LEFT = sql(
    select(_x.uid, _x.modseq, _x.blob, _x.size, _x.date, _x.email, _x.flags, _x.prefix).where(
        _x.account == bindparam("a"), _x.mailbox == bindparam("m"), among(_x.uid, "uids"), _x.blob != _NONE
    )
)


# Entering ------------------------------------------------------------------------------


def deliver(unit: Unit, deliveries: Sequence[Delivery], content: NewBlob, now: int) -> list[Stored | Refused]:
    """Put one message into up to 100 mailboxes; results in the order given.

    A copy that is refused (OverQuota, NoSuchMailbox) does not hinder the others; the blob
    is kept when any was stored.
    """
    if len(deliveries) > MAX_DELIVERIES:
        raise ValueError("more deliveries than one unit may hold")
    results: dict[int, Stored | Refused] = {}
    blob: BlobId | None = None
    extra = 0
    # Counter rows are always locked in ascending order (design rule 3).
    order = range(len(deliveries))
    if len(deliveries) > 1:
        order = sorted(order, key=lambda n: (deliveries[n].account, deliveries[n].mailbox))  # type: ignore[assignment]
    for place in order:
        item = deliveries[place]
        try:
            entry = enter(unit, item.account, item.mailbox, content.size + len(item.prefix), item.flags)
        except (NoSuchMailbox, OverQuota) as refusal:
            results[place] = Refused(item, refusal)
            continue
        if blob is None:
            blob = blobs.keep(unit, content)
        else:
            extra += 1
        results[place] = _put(unit, item, entry, blob, content.size, now, now)
    if blob is not None and extra:
        blobs.refer(unit, blob, extra)
    return [results[place] for place in range(len(deliveries))]


def append(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    content: NewBlob,
    flags: int = 0,
    keywords: tuple[str, ...] = (),
    date: int | None = None,
    now: int = 0,
    prefix: bytes = b"",
    limited: bool = True,
) -> Stored:
    """Put one message into one mailbox (RFC 9051 6.3.12). date: internal date, or now."""
    item = Delivery(account, prefix, mailbox, flags, keywords)
    entry = enter(unit, account, mailbox, content.size + len(prefix), flags, limited=limited)
    blob = blobs.keep(unit, content)
    return _put(unit, item, entry, blob, content.size, now if date is None else date, now)


class Entry(NamedTuple):
    """Numbers taken for messages about to enter: the first of `count` UIDs and emails."""

    uid: Uid
    modseq: ModSeq
    uidvalidity: UidValidity
    email: int


def enter(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    size: int,
    flags: int = 0,
    count: int = 1,
    unseen: int | None = None,
    deleted: int | None = None,
    limited: bool = True,
) -> Entry:
    """Take numbers for messages of `size` octets together and count them everywhere.

    flags are those of a single message; of several, say how many are unseen and deleted. limited:
    False for what no quota may keep out, the warning about it.
    Raises NoSuchMailbox, OverQuota, with nothing counted.
    """
    if unseen is None:
        unseen = 0 if flags & SEEN else 1
    if deleted is None:
        deleted = 1 if flags & DELETED else 0
    row = unit.one(
        _TAKE_UIDS, a=account, m=mailbox, count=count, new_unseen=unseen, new_deleted=deleted, size=size
    )
    if row is None:
        raise NoSuchMailbox
    uidnext, modseq, validity = row
    if uidnext > 1 << 32:
        _uncount(unit, account, mailbox, count, unseen, deleted, size)
        raise LimitReached("The mailbox has used all its UIDs")
    email = unit.value(_COUNT_IN if limited else _COUNT_IN_ANYWAY, a=account, size=size, count=count)
    if email is None:
        _uncount(unit, account, mailbox, count, unseen, deleted, size)
        raise OverQuota
    return Entry(Uid(uidnext - count), ModSeq(modseq), UidValidity(validity), email - count)


def _uncount(
    unit: Unit, account: AccountId, mailbox: MailboxId, count: int, unseen: int, deleted: int, size: int
) -> None:
    """Take `enter`'s counting back; the caller may go on with other mailboxes."""
    unit.run(_UNTAKE, a=account, m=mailbox, count=count, new_unseen=unseen, new_deleted=deleted, size=size)


def _put(unit: Unit, item: Delivery, entry: Entry, blob: BlobId, size: int, date: int, now: int) -> Stored:
    account, prefix, mailbox, flags = item.account, item.prefix, item.mailbox, item.flags
    if len(prefix) > MAX_PREFIX:
        raise ValueError("prefix too long")
    uid, modseq, validity, email = entry
    bits = name_keywords(unit, account, mailbox, item.keywords, entry.modseq) if item.keywords else 0
    size += len(prefix)
    row = IndexRow(uid, flags, bits, modseq, size, date, blob)
    unit.put(_INSERT, _columns(account, mailbox, row, now, email, prefix))
    unit.changed(MessagesAdded(MailboxScope(account, mailbox), modseq - 1, modseq, (row,)))
    return Stored(account, mailbox, validity, uid, modseq, email)


def _columns(
    account: AccountId, mailbox: MailboxId, row: IndexRow, saved: int, email: int, prefix: bytes
) -> tuple[Any, ...]:
    """A message's row, in the order of the table."""
    return (
        account, mailbox, row.uid, row.modseq, row.blob, row.size, row.date, saved, email, row.flags,
        row.keywords & LOW_MASK, pack_high(row.keywords), prefix,
    )  # fmt: skip


def insert_messages(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    entering: Sequence[IndexRow],
    emails: Sequence[int],
    prefixes: Sequence[bytes],
    now: int,
) -> None:
    """Rows of messages that were counted by `enter` and whose blobs are referred to."""
    unit.put_all(
        _INSERT,
        [
            _columns(account, mailbox, row, now, email, prefix)
            for row, email, prefix in zip(entering, emails, prefixes, strict=True)
        ],
    )


def name_keywords(
    unit: Unit, account: AccountId, mailbox: MailboxId, wanted: tuple[str, ...], modseq: ModSeq
) -> int:
    """The bits of keywords about to be set by the change numbered modseq.

    New names are announced before it, under the same numbers.
    """
    bits, all_names = keywords.make(unit, account, mailbox, wanted)
    if all_names:
        unit.changed(KeywordsNamed(MailboxScope(account, mailbox), modseq - 1, modseq, all_names))
    return bits


# Counters ------------------------------------------------------------------------------


def advance(unit: Unit, account: AccountId, mailbox: MailboxId) -> ModSeq:
    """The next mod-sequence of the mailbox; the one before it was the highest."""
    value = unit.value(_ADVANCE, a=account, m=mailbox)
    if value is None:
        raise NoSuchMailbox
    return ModSeq(value)


def _advance_scope(unit: Unit, scope: MailboxScope) -> tuple[int, int]:
    value = advance(unit, scope.account, scope.mailbox)
    return value - 1, value


def _read_scope(tx: Transaction, scope: MailboxScope) -> int:
    return tx.value(_MODSEQ, a=scope.account, m=scope.mailbox) or 0


counted_by(MailboxScope, _advance_scope, _read_scope)


# Reading back --------------------------------------------------------------------------


def index_rows(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[int]
) -> list[IndexRow]:
    """What the index would say of the UIDs that exist, ascending."""
    return [_index_row(row) for row in tx.all(_INDEX_ROWS, a=account, m=mailbox, uids=uids)]


def _index_row(row: tuple[Any, ...]) -> IndexRow:
    uid, flags, low, high, modseq, size, date, blob = row
    return IndexRow(uid, flags, join_keywords(low, high), modseq, size, date, blob)


def after_uid(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uid: int, most: int
) -> list[tuple[Any, ...]]:
    """Up to `most` raw index rows with greater UIDs: (uid, flags, low and high keywords,
    modseq, size, date, blob), ascending."""
    return tx.all(_AFTER_UID, a=account, m=mailbox, after=uid, most=most)


def changed_since(tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: int) -> list[IndexRow]:
    """Messages that entered or changed after modseq, in the order of their changes."""
    return [_index_row(row) for row in tx.all(_AFTER_MODSEQ, a=account, m=mailbox, after=modseq)]


def vanished_since(tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: int) -> list[Uid]:
    """UIDs expunged after modseq, ascending (RFC 7162 3.2.5.2)."""
    # Sorted here: asked to, SQLite walks all that was ever expunged in the order of UIDs.
    return sorted(uid for (uid,) in tx.all(_VANISHED, a=account, m=mailbox, after=modseq))


def vanished_page(
    tx: Transaction, account: AccountId, mailbox: MailboxId, since: int, modseq: int, uid: int, most: int
) -> list[tuple[int, int]]:
    """Up to `most` of (mod-sequence, UID) expunged after `since`, in that order, after the given."""
    at = max(modseq, since + 1)
    return tx.all(_VANISHED_PAGE, a=account, m=mailbox, at=at, upon=modseq, u=uid, most=most)


def vanished_by_uid(
    tx: Transaction, account: AccountId, mailbox: MailboxId, since: int, uid: int, upto: int, most: int
) -> list[int]:
    """Up to `most` UIDs above `uid` and up to `upto` that were expunged after `since`, ascending."""
    found = tx.all(_VANISHED_BY_UID, a=account, m=mailbox, since=since, u=uid, upto=upto, most=most)
    return [each for (each,) in found]


def rows(tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[int]) -> list[MessageRow]:
    """The rows of the UIDs that exist, ascending."""
    return [_message_row(row) for row in tx.all(_ROWS, a=account, m=mailbox, uids=uids)]


def departed(
    tx: Transaction, account: AccountId, mailbox: MailboxId, uids: Sequence[int]
) -> list[MessageRow]:
    """What is still known of expunged messages whose content was not released yet."""
    return [
        MessageRow(uid, modseq, blob, size, date, 0, email, flags, 0, prefix)
        for uid, modseq, blob, size, date, email, flags, prefix in tx.all(
            _LEFT, a=account, m=mailbox, uids=uids
        )
    ]


def _message_row(row: tuple[Any, ...]) -> MessageRow:
    uid, modseq, blob, size, date, saved, email, flags, low, high, prefix = row
    return MessageRow(uid, modseq, blob, size, date, saved, email, flags, join_keywords(low, high), prefix)
