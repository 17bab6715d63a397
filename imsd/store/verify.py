"""Proof of the store: what should agree does, or a list of what does not and how to repair it.

    report = await verify(db, blobs, repair=False, contents=True)

references   each blob is referred to as often as it counts, and every reference has its blob
contents     the bytes of each blob are there and have its hash
counters     mailboxes and accounts count what they hold; numbers given are below the next one
files        no content file is without a row for a day

A repair changes what can be counted again. Lost or changed bytes are only reported: nothing here
can bring them back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from imsd.store import blob_rows
from imsd.store.blob_rows import blob, content
from imsd.store.blobs import PIECE, Blobs
from imsd.store.database import Database
from imsd.store.flags import DELETED, SEEN
from imsd.store.mailbox_tables import account, expunged, mailbox, message
from imsd.store.sql import Statement, sql
from imsd.store.tables import metadata, now
from imsd.store.transaction import Transaction, Unit

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Problem:
    """kind: the check that found it. repair: what would be, or was, done; "" if nothing can be."""

    kind: str
    what: str
    repair: str = ""


@dataclass(slots=True)
class Report:
    """What was looked at, and what was wrong."""

    blobs: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)
    repaired: bool = False

    @property
    def sound(self) -> bool:
        return not self.problems


def _referring() -> Any:
    """Every reference to a blob, once for each: all tables with a column `blob`."""
    tables = [each for each in metadata.sorted_tables if "blob" in each.c and each is not blob]
    return union_all(*(select(each.c.blob.label("blob")).where(each.c.blob > 0) for each in tables))


_statements: dict[str, Statement] = {}


def _statement(name: str) -> Statement:
    """The statements that need every table to be known, made at first use."""
    if not _statements:
        referring = _referring().subquery()
        counted = select(referring.c.blob, func.count().label("n")).group_by(referring.c.blob).subquery()
        number = func.coalesce(counted.c.n, 0)
        _statements["miscounted"] = sql(
            select(blob.c.id, blob.c.refs, number)
            .select_from(blob.outerjoin(counted, counted.c.blob == blob.c.id))
            .where(blob.c.refs != number)
            .order_by(blob.c.id)
        )
        _statements["missing"] = sql(
            select(counted.c.blob, counted.c.n)
            .select_from(counted.outerjoin(blob, blob.c.id == counted.c.blob))
            .where(blob.c.id.is_(None))
            .order_by(counted.c.blob)
        )
    return _statements[name]


_RECOUNT = sql(
    update(blob)
    .where(blob.c.id == bindparam("blob"))
    .values(
        refs=bindparam("count"),
        released=case((bindparam("count") == literal_column("0"), bindparam("time")), else_=0),
    )
)
_BLOBS = sql(
    select(blob.c.id, blob.c.hash, blob.c.size, blob.c.file)
    .where(blob.c.id > bindparam("after"))
    .order_by(blob.c.id)
    .limit(50)
)
_CONTENT = sql(select(content.c.bytes).where(content.c.id == bindparam("id")))

_in_mailbox = and_(message.c.account == mailbox.c.account, message.c.mailbox == mailbox.c.mailbox)


def _of_messages(value: ColumnElement[Any]) -> ScalarSelect[Any]:
    return select(func.coalesce(value, 0)).where(_in_mailbox).correlate(mailbox).scalar_subquery()


def _having(bit: int, wanted: int) -> ColumnElement[Any]:
    return func.sum(case((message.c.flags.bitwise_and(bit) == wanted, 1), else_=0))


_MAILBOX = {
    "messages": _of_messages(func.count()),
    "bytes": _of_messages(func.sum(message.c.size)),
    "unseen": _of_messages(_having(SEEN, 0)),
    "deleted": _of_messages(_having(DELETED, DELETED)),
}
_highest_uid = _of_messages(func.max(message.c.uid))
_highest_modseq = _of_messages(func.max(message.c.modseq))
_highest_expunged = (
    select(func.coalesce(func.max(expunged.c.modseq), 0))
    .where(expunged.c.account == mailbox.c.account, expunged.c.mailbox == mailbox.c.mailbox)
    .correlate(mailbox)
    .scalar_subquery()
)
_ACCOUNT = {
    name: select(func.coalesce(value, 0))
    .where(message.c.account == account.c.account)
    .correlate(account)
    .scalar_subquery()
    for name, value in {
        "used_messages": func.count(),
        "used_bytes": func.sum(message.c.size),
    }.items()
}
_MAILBOXES = sql(
    select(
        mailbox.c.account,
        mailbox.c.mailbox,
        *(mailbox.c[name] for name in _MAILBOX),
        *_MAILBOX.values(),
        mailbox.c.uidnext,
        _highest_uid,
        mailbox.c.highestmodseq,
        _highest_modseq,
        _highest_expunged,
    )
    .where(
        or_(
            mailbox.c.account > bindparam("account"),
            and_(mailbox.c.account == bindparam("account"), mailbox.c.mailbox > bindparam("mailbox")),
        )
    )
    .order_by(mailbox.c.account, mailbox.c.mailbox)
    .limit(10)
)
_REPAIR_MAILBOX = sql(
    update(mailbox)
    .where(mailbox.c.account == bindparam("of"), mailbox.c.mailbox == bindparam("which"))
    .values(
        **_MAILBOX,
        uidnext=case((mailbox.c.uidnext <= _highest_uid, _highest_uid + 1), else_=mailbox.c.uidnext),
        # Above everything given out, so that no client keeps what changed under it.
        highestmodseq=case(
            (_highest_modseq > mailbox.c.highestmodseq, _highest_modseq + 1),
            (_highest_expunged > mailbox.c.highestmodseq, _highest_expunged + 1),
            else_=mailbox.c.highestmodseq + 1,
        ),
    )
)
_ACCOUNTS = sql(
    select(account.c.account, *(account.c[name] for name in _ACCOUNT), *_ACCOUNT.values())
    .where(account.c.account > bindparam("after"))
    .order_by(account.c.account)
    .limit(10)
)
_REPAIR_ACCOUNT = sql(update(account).where(account.c.account == bindparam("of")).values(**_ACCOUNT))


async def verify(db: Database, blobs: Blobs, *, repair: bool = False, contents: bool = True) -> Report:
    """Check the store while it is in use; with `repair`, put right what can be.

    contents=False leaves out reading every byte, the long part.
    """
    report = Report(repaired=repair)
    await _references(db, report, repair)
    await _counters(db, report, repair)
    await _contents(db, blobs, report, contents)
    await _files(db, blobs, report, repair)
    return report


async def _references(db: Database, report: Report, repair: bool) -> None:
    for blob_id, found, right in await db.read(_all, "miscounted"):
        report.problems.append(
            Problem("references", f"content {blob_id} counts {found} references, has {right}", "count")
        )
    for blob_id, count in await db.read(_all, "missing"):
        report.problems.append(Problem("references", f"content {blob_id} is gone, {count} rows refer to it"))
    if repair and report.problems:
        await db.write(_recount)


def _all(tx: Transaction, name: str) -> list[tuple[Any, ...]]:
    return tx.all(_statement(name))


def _recount(unit: Unit) -> None:
    for blob_id, _, right in unit.all(_statement("miscounted")):
        unit.run(_RECOUNT, blob=blob_id, count=right, time=now())


async def _counters(db: Database, report: Report, repair: bool) -> None:
    names = tuple(_MAILBOX)
    at = (-1, 0)
    while rows := await db.read(_mailboxes, *at):
        for row in rows:
            at = (row[0], row[1])
            have, right = row[2 : 2 + len(names)], row[2 + len(names) : 2 + 2 * len(names)]
            uidnext, uid, modseq, modseq_message, modseq_expunged = row[2 + 2 * len(names) :]
            wrong = [
                f"{name} is {one}, should be {other}"
                for name, one, other in zip(names, have, right, strict=True)
                if one != other
            ]
            if uidnext <= uid:
                wrong.append(f"next UID {uidnext} is given already")
            if modseq < max(modseq_message, modseq_expunged):
                wrong.append(f"HIGHESTMODSEQ {modseq} is passed already")
            for each in wrong:
                where = f"mailbox {at[1]} of account {at[0]}"
                report.problems.append(Problem("counters", f"{where}: {each}", "count"))
            if wrong and repair:
                await db.write(_repair_mailbox, *at, account=at[0])
    await _accounts(db, report, repair)


async def _accounts(db: Database, report: Report, repair: bool) -> None:
    names = tuple(_ACCOUNT)
    after = -1
    while rows := await db.read(_some_accounts, after):
        for row in rows:
            after = row[0]
            have, right = row[1 : 1 + len(names)], row[1 + len(names) :]
            if tuple(have) != tuple(right):
                what = f"account {after}: {names} are {have}, should be {right}"
                report.problems.append(Problem("counters", what, "count"))
                if repair:
                    await db.write(_repair_account, after, account=after)


def _mailboxes(tx: Transaction, account_id: int, mailbox_id: int) -> list[tuple[Any, ...]]:
    return tx.all(_MAILBOXES, account=account_id, mailbox=mailbox_id)


def _repair_mailbox(unit: Unit, account_id: int, mailbox_id: int) -> None:
    unit.run(_REPAIR_MAILBOX, of=account_id, which=mailbox_id)


def _some_accounts(tx: Transaction, after: int) -> list[tuple[Any, ...]]:
    return tx.all(_ACCOUNTS, after=after)


def _repair_account(unit: Unit, account_id: int) -> None:
    unit.run(_REPAIR_ACCOUNT, of=account_id)


async def _contents(db: Database, blobs: Blobs, report: Report, hashes: bool) -> None:
    after = 0
    while rows := await db.read(_some_blobs, after, hashes):
        for blob_id, digest, size, file, found in rows:
            after = blob_id
            report.blobs += 1
            report.bytes += size
            if file:
                found = await db.in_thread(_file_hash, blobs, file, hashes)
            if found is None:
                report.problems.append(Problem("contents", f"the bytes of content {blob_id} are gone"))
            elif found not in (b"", digest):
                report.problems.append(
                    Problem("contents", f"the bytes of content {blob_id} are not what they were")
                )


def _some_blobs(tx: Transaction, after: int, hashes: bool) -> list[Sequence[Any]]:
    """Rows with the hash of the bytes as they are; b"" is not computed, None is not there."""
    rows: list[Sequence[Any]] = []
    for blob_id, digest, size, file in tx.all(_BLOBS, after=after):
        found: bytes | None = b""
        if not file:
            data = tx.value(_CONTENT, id=blob_id)
            found = None if data is None else hashlib.sha256(data).digest() if hashes else b""
        rows.append((blob_id, digest, size, file, found))
    return rows


def _file_hash(blobs: Blobs, file: str, hashes: bool) -> bytes | None:
    path = blobs.files.path(file)
    if not path.exists():
        return None
    if not hashes:
        return b""
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while piece := opened.read(PIECE):
            digest.update(piece)
    return digest.digest()


async def _files(db: Database, blobs: Blobs, report: Report, repair: bool) -> None:
    folders = blobs.files.older(_DAY)
    while names := await db.in_thread(next, folders, None):
        known = await db.read(blob_rows.known_files, names)
        lost = [name for name in names if name not in known]
        for name in lost:
            report.problems.append(Problem("files", f"file {name} belongs to no content", "remove"))
        if repair and lost:
            await db.in_thread(blobs.files.remove, lost)
