"""Much at once, in small units (design rule 11): each under 10 ms, resumable, yielding.

The functions here await `Database.write` once per batch, so that interactive units get in
between. What must not be half done is either undone on a refusal (`copy`), or complete in
each batch (`move`: every message is in one of the two places), or noted in a table first
(`purge`: a deleted mailbox stands in `doomed` until the last of its rows is gone). `needs` are
rights that each batch looks at (`permits`).
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, literal_column, select, update

from imsd.errors import MailboxExists, Refusal
from imsd.store import acl, blobs, mailbox_annotations, mailboxes, marking, moving, names
from imsd.store import index as indexes
from imsd.store import mailbox_tables as t
from imsd.store.database import Database
from imsd.store.ids import INBOX, PUBLIC, AccountId, MailboxId, Uid, UidValidity
from imsd.store.marking import Mark, Marked
from imsd.store.moving import ALL_FLAGS, Copied, Kept
from imsd.store.permits import Needs, under
from imsd.store.sql import among, sql
from imsd.store.transaction import Transaction, Unit

BATCH = 250
"""Messages in one unit."""

Place = tuple[AccountId, MailboxId]
Report = Callable[[int, int], object]
"""Called between units with the messages done and their number, 0 where that is not known."""


def _unheard(done: int, goal: int) -> None:
    pass


_NONE: ColumnElement[int] = literal_column("0")
_r = t.message.c
_x = t.expunged.c
_d = t.doomed.c
_DOOMED = sql(select(_d.account, _d.mailbox).order_by(_d.account, _d.mailbox).limit(literal_column("100")))
_UNDOOM = sql(delete(t.doomed).where(_d.account == bindparam("a"), _d.mailbox == bindparam("m")))
_MESSAGES = sql(
    select(_r.uid, _r.blob)
    .where(_r.account == bindparam("a"), _r.mailbox == bindparam("m"))
    .order_by(_r.uid)
    .limit(bindparam("most"))
)
_DROP_MESSAGES = sql(
    delete(t.message).where(_r.account == bindparam("a"), _r.mailbox == bindparam("m"), among(_r.uid, "uids"))
)
_EXPUNGED = sql(
    select(_x.uid, _x.blob)
    .where(_x.account == bindparam("a"), _x.mailbox == bindparam("m"))
    .order_by(_x.uid)
    .limit(bindparam("most"))
)
_DROP_EXPUNGED = sql(
    delete(t.expunged).where(
        _x.account == bindparam("a"), _x.mailbox == bindparam("m"), among(_x.uid, "uids")
    )
)
_DROP_SEEN = sql(delete(t.seen).where(t.seen.c.account == bindparam("a"), t.seen.c.mailbox == bindparam("m")))
_UIDS = sql(
    select(_r.uid)
    .where(_r.account == bindparam("a"), _r.mailbox == bindparam("m"), _r.uid > bindparam("after"))
    .order_by(_r.uid)
    .limit(bindparam("most"))
)
_RELEASABLE = sql(
    select(_x.account, _x.mailbox, _x.uid, _x.blob)
    .where(_x.time <= bindparam("before"), _x.blob != _NONE)
    .order_by(_x.time)
    .limit(bindparam("most"))
)
_RELEASED = sql(
    update(t.expunged)
    .where(_x.account == bindparam("a"), _x.mailbox == bindparam("m"), _x.uid == bindparam("u"))
    .values(blob=_NONE, prefix=bindparam("nothing"))
)


def _batches(uids: Sequence[int]) -> list[Sequence[int]]:
    return [uids[at : at + BATCH] for at in range(0, len(uids), BATCH)]


async def store_flags(
    db: Database,
    place: Place,
    uids: Sequence[int],
    mark: Mark,
    flags: int,
    keywords: tuple[str, ...] = (),
    unchanged_since: int | None = None,
    reader: AccountId | None = None,
    report: Report = _unheard,
    needs: Needs = (),
) -> Marked:
    """`marking.store_flags` for any number of ascending UIDs."""
    rows: list[Any] = []
    failed: list[Uid] = []
    missing: list[Uid] = []
    done = 0
    for batch in _batches(uids):
        marked = await db.write(
            under(needs, marking.store_flags), *place, batch, mark, flags, keywords, unchanged_since,
            reader, account=place[0],
        )  # fmt: skip
        rows.extend(marked.rows)
        failed.extend(marked.failed)
        missing.extend(marked.missing)
        done += len(batch)
        report(done, len(uids))
    return Marked(tuple(rows), tuple(failed), tuple(missing))


async def expunge(
    db: Database,
    place: Place,
    uids: Sequence[int],
    now: int,
    *,
    only_deleted: bool = True,
    report: Report = _unheard,
    needs: Needs = (),
) -> list[Uid]:
    """`moving.expunge` for any number of ascending UIDs."""
    removed: list[Uid] = []
    done = 0
    for batch in _batches(uids):
        removed.extend(
            await db.write(under(needs, _expunge), place, batch, now, only_deleted, account=place[0])
        )
        done += len(batch)
        report(done, len(uids))
    return removed


def _expunge(unit: Unit, place: Place, uids: Sequence[int], now: int, only_deleted: bool) -> tuple[Uid, ...]:
    return moving.expunge(unit, *place, uids, now, only_deleted=only_deleted)


async def copy(
    db: Database,
    source: Place,
    uids: Sequence[int],
    target: Place,
    now: int,
    reader: AccountId | None = None,
    kept: Kept = ALL_FLAGS,
    report: Report = _unheard,
    needs: Needs = (),
) -> Copied:
    """`moving.copy` for any number of UIDs; all or none (RFC 9051 6.4.7): what was copied
    before a refusal is removed again."""
    done: list[Copied] = []
    try:
        for batch in _batches(uids) or [()]:
            done.append(
                await db.write(
                    under(needs, moving.copy), source, batch, target, now, reader, kept, account=target[0]
                )
            )
            report(min(len(done) * BATCH, len(uids)), len(uids))
    except Refusal:
        copied = [uid for part in done for uid in part.target]
        await expunge(db, target, copied, now, only_deleted=False)
        raise
    return _joined(done)


async def move(
    db: Database,
    source: Place,
    uids: Sequence[int],
    target: Place,
    now: int,
    reader: AccountId | None = None,
    kept: Kept = ALL_FLAGS,
    report: Report = _unheard,
    needs: Needs = (),
) -> Copied:
    """`moving.move` for any number of UIDs; a refusal after some batches leaves those moved
    (RFC 6851 4.3 has each message in one place)."""
    done: list[Copied] = []
    for batch in _batches(uids) or [()]:
        done.append(
            await db.write(
                under(needs, moving.move), source, batch, target, now, reader, kept, account=target[0]
            )
        )
        report(min(len(done) * BATCH, len(uids)), len(uids))
    return _joined(done)


def _joined(done: Sequence[Copied]) -> Copied:
    return Copied(
        UidValidity(done[-1].uidvalidity),
        tuple(uid for part in done for uid in part.source),
        tuple(uid for part in done for uid in part.target),
    )


async def rename(
    db: Database,
    account: AccountId,
    old: str,
    new: str,
    now: int,
    report: Report = _unheard,
    moved: Callable[[Place, Place, Copied], object] | None = None,
    leaving: Needs = (),
    room: Needs = (),
) -> None:
    """`mailboxes.rename`; the INBOX is emptied into a new mailbox (RFC 9051 6.3.6).

    moved: called with the INBOX, the new mailbox and each batch. leaving, room: rights on the old
    mailbox, and above the new one.
    """
    if account == PUBLIC or names.canonical(old) != names.INBOX:
        await db.write(under((*leaving, *room), mailboxes.rename), account, old, new, account=account)
        return
    made = await db.write(under((*leaving, *room), mailboxes.create), account, new, now, account=account)
    if made.id == INBOX:
        raise MailboxExists
    await db.write(under(leaving, mailbox_annotations.copy), account, INBOX, made.id, account=account)
    done = 0
    while uids := await db.read(_first_uids, account, INBOX):
        batch = await move(db, (account, INBOX), uids, (account, made.id), now, account, needs=leaving)
        if moved is not None:
            moved((account, INBOX), (account, made.id), batch)
        done += len(uids)
        report(done, 0)


def _first_uids(tx: Transaction, account: AccountId, mailbox: MailboxId) -> list[int]:
    return [uid for (uid,) in tx.all(_UIDS, a=account, m=mailbox, after=0, most=BATCH)]


# Removing what is not reachable any more ---------------------------------------------------


async def purge(db: Database) -> int:
    """Remove the rows of deleted mailboxes; the number of mailboxes finished.

    Run at start and after each deletion: what a crash interrupted goes on.
    """
    finished = 0
    while doomed := await db.read(_doomed):
        for account, mailbox in doomed:
            while await db.write(_purge_some, account, mailbox, account=account):
                pass
            finished += 1
    return finished


def _doomed(tx: Transaction) -> list[tuple[Any, ...]]:
    return tx.all(_DOOMED)


def _purge_some(unit: Unit, account: AccountId, mailbox: MailboxId) -> bool:
    """Remove a batch; False when that was the last, and the mailbox is forgotten."""
    for find, drop in ((_MESSAGES, _DROP_MESSAGES), (_EXPUNGED, _DROP_EXPUNGED)):
        found = unit.all(find, a=account, m=mailbox, most=BATCH)
        if found:
            unit.run(drop, a=account, m=mailbox, uids=[uid for uid, _blob in found])
            blobs.release_many(unit, [blob for _uid, blob in found if blob])
            return True
    unit.run(_DROP_SEEN, a=account, m=mailbox)
    acl.forget(unit, account, mailbox)
    mailbox_annotations.forget(unit, account, mailbox)
    indexes.drop_pack(unit, account, mailbox)
    unit.run(_UNDOOM, a=account, m=mailbox)
    return False


async def release_expunged(db: Database, before: int) -> int:
    """Give back the content of what was expunged up to that time; UIDs stay remembered.

    before: older than any view may be that still shows the messages.
    """
    total = 0
    while count := await db.write(_release_some, before):
        total += count
    return total


def _release_some(unit: Unit, before: int) -> int:
    found = unit.all(_RELEASABLE, before=before, most=BATCH)
    unit.many(_RELEASED, [{"a": a, "m": m, "u": uid, "nothing": b""} for a, m, uid, _blob in found])
    blobs.release_many(unit, [blob for _a, _m, _uid, blob in found])
    return len(found)
