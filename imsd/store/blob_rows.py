"""Content as rows: what is known of each blob, how many refer to it, and small bytes themselves.

States of a blob row: referred to (references > 0); released (references = 0, since `released`);
gone. `keep` makes or refers to, `refer` and `release` count, `collect` takes released rows away.
A file's name stands in the row while it lives and in `unlinking` from the transaction that ends
that until the file is removed, so that no crash forgets it (rule 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, Index, Table, bindparam, case, delete, func, literal_column, select, update

from imsd.errors import StoreUnavailable
from imsd.store.ids import BlobId
from imsd.store.sql import among, insert, insertion, sql
from imsd.store.tables import Bytes, Id, Int, Number, Small, String, metadata, now
from imsd.store.transaction import Transaction, Unit
from protocols.message.summary import Summary
from protocols.values import value

UNLINK_GRACE = 600 * 1_000_000
"""Microseconds between the end of a row and the end of its file: reads under way may finish."""


def _number(name: str) -> Column[int]:
    return Column(name, Number, nullable=False)


blob = Table(
    "blob",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hash", Bytes, nullable=False),
    _number("size"),
    _number("refs"),
    # When the last reference went; 0 while there is one.
    _number("released"),
    _number("created"),
    # The file under blobs/, "" when the bytes are in `content`.
    Column("file", String, nullable=False),
    # What delivery computed once: `protocols.message.summary`; scan_version 0 where it did not.
    Column("scan_version", Small, nullable=False),
    Column("packed", Bytes, nullable=False),
    _number("header_size"),
    _number("lines"),
    Column("raw", Small, nullable=False),
    Column("envelope", Bytes, nullable=False),
    Column("body", Bytes, nullable=False),
    Column("bodystructure", Bytes, nullable=False),
    # Text of messages is UTF-8 bytes here: it may hold what a text column refuses.
    Column("preview", Bytes, nullable=False),
    Column("subject", Bytes, nullable=False),
    Column("sender", Bytes, nullable=False),
    Column("sender_name", Bytes, nullable=False),
    Column("to", Bytes, nullable=False),
    Column("to_name", Bytes, nullable=False),
    Column("cc", Bytes, nullable=False),
    Column("message_id", Bytes, nullable=False),
    # Ids separated by a space.
    Column("references", Bytes, nullable=False),
    Column("date", Number),
    Column("date_offset", Small, nullable=False),
    _number("attachments"),
    Index("ix_blob_hash", "hash", unique=True),
    # An id must never name other content while something may still remember it.
    sqlite_autoincrement=True,
)
Index(
    "ix_blob_released",
    blob.c.released,
    sqlite_where=blob.c.refs == 0,
    postgresql_where=blob.c.refs == 0,
)

content = Table(
    "content",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("bytes", Bytes, nullable=False),
)
"""Small content, by blob id; no migration touches it (rule 23)."""

unlinking = Table(
    "unlinking",
    metadata,
    Column("file", String, primary_key=True),
    _number("after"),
    sqlite_with_rowid=False,
)
"""Files whose row is gone, or never came, and when they may be removed."""


@value(frozen=True, slots=True)
class NewBlob:
    """Finished content that no row names yet: in memory, or in a synced file.

    `data` is None when `file` names the content; `file` is "" when it is in memory.
    """

    size: int
    sha256: bytes
    data: bytes | None
    file: str = ""
    summary: Summary | None = None

    def described(self, summary: Summary) -> NewBlob:
        """The same content with what was computed of it."""
        return replace(self, summary=summary)


_TEXT = frozenset({"preview", "subject", "sender_name", "to_name"})
_KEPT = frozenset(field.name for field in fields(Summary)) - {"size"}
SUMMARY = tuple(column.name for column in blob.c if column.name in _KEPT)
"""The columns of a summary, in the order of the table."""
_VALUES = attrgetter(*SUMMARY)
_VERSION = SUMMARY.index("scan_version")
_TEXTS = [SUMMARY.index(name) for name in _TEXT]
_RAW, _REFERENCES = SUMMARY.index("raw"), SUMMARY.index("references")
_NUMBERS = frozenset({"scan_version", "header_size", "lines", "raw", "date_offset", "attachments"})
_EMPTY = [None if name == "date" else 0 if name in _NUMBERS else b"" for name in SUMMARY]


def summary_columns(summary: Summary | None) -> list[Any]:
    """A summary as the row keeps it, in the order of `SUMMARY`."""
    if summary is None:
        return _EMPTY
    row = list(_VALUES(summary))
    for place in _TEXTS:
        row[place] = row[place].encode("utf-8", "replace")
    row[_RAW] = int(row[_RAW])
    row[_REFERENCES] = b" ".join(row[_REFERENCES])
    return row


def _from_columns(size: int, values: Sequence[Any]) -> Summary:
    row = dict(zip(SUMMARY, values, strict=True))
    for name in _TEXT:
        row[name] = row[name].decode("utf-8", "replace")
    row["raw"] = bool(row["raw"])
    row["references"] = tuple(row["references"].split())
    return Summary(size=size, **row)


_b = blob.c
_REUSE = sql(
    update(blob)
    .where(_b.hash == bindparam("sha256"))
    .values(refs=_b.refs + bindparam("count"), released=0)
    .returning(_b.id, _b.file)
)
# New content is the rule, so it is inserted before it is looked for.
_INSERT = insertion(blob, "hash", "size", "refs", "released", "created", "file", *SUMMARY, known="hash")
_INSERT_CONTENT = insertion(content)
_REFER = sql(
    update(blob).where(_b.id == bindparam("blob")).values(refs=_b.refs + bindparam("count"), released=0)
)
_RELEASE = sql(
    update(blob)
    .where(_b.id == bindparam("blob"), _b.refs >= bindparam("count"))
    .values(
        refs=_b.refs - bindparam("count"),
        released=case((_b.refs == bindparam("count"), bindparam("time")), else_=0),
    )
)
_DESCRIBE = sql(
    update(blob).where(_b.id == bindparam("blob")).values({name: bindparam(name) for name in SUMMARY})
)
_SUMMARY = sql(select(_b.size, *(_b[name] for name in SUMMARY)).where(_b.id == bindparam("blob")))
_PIECE = sql(
    select(
        _b.size,
        _b.file,
        func.substr(content.c.bytes, bindparam("first", type_=Int), bindparam("count", type_=Int)),
    )
    .select_from(blob.outerjoin(content, content.c.id == _b.id))
    .where(_b.id == bindparam("blob"))
)
_COLLECTABLE = sql(
    select(_b.id, _b.file)
    # Written out, not bound: the partial index serves only a condition that names its constant.
    .where(_b.refs == literal_column("0"), _b.released <= bindparam("before"))
    .order_by(_b.released)
    .limit(bindparam("limit"))
)
_DELETE = sql(delete(blob).where(among(_b.id, "ids")))
_DELETE_CONTENT = sql(delete(content).where(among(content.c.id, "ids")))
_KNOWN = sql(select(blob.c.size, blob.c.hash).where(blob.c.id == bindparam("blob")))
_UNLINK = sql(
    insert(unlinking)
    .values(file=bindparam("file"), after=bindparam("after"))
    .on_conflict_do_nothing(index_elements=["file"])
)
_DUE = sql(select(unlinking.c.file).where(unlinking.c.after <= bindparam("time")).limit(bindparam("limit")))
_UNLINKED = sql(delete(unlinking).where(among(unlinking.c.file, "files")))
_NAMED = sql(select(_b.file).where(among(_b.file, "files")))
_NAMED_UNLINKING = sql(select(unlinking.c.file).where(among(unlinking.c.file, "files")))


def keep(unit: Unit, new: NewBlob, count: int = 1) -> BlobId:
    """Store the content, or find it stored already, with `count` references more."""
    if new.data is not None or new.file:
        made = unit.put(
            _INSERT, (new.sha256, new.size, count, 0, now(), new.file, *summary_columns(new.summary))
        )
        if made:
            if new.data is not None:
                unit.put(_INSERT_CONTENT, (made, new.data))
            return BlobId(made)
    found = unit.one(_REUSE, sha256=new.sha256, count=count)
    if found is None:
        raise StoreUnavailable("Content is missing")
    # The same NewBlob may be kept again: then its file is the row's.
    if new.file not in ("", found[1]):
        unlink(unit, new.file)
    return BlobId(found[0])


def known(tx: Transaction, blob_id: BlobId) -> NewBlob:
    """Content that is stored already, as `keep` takes it: by its hash, without its bytes."""
    row = tx.one(_KNOWN, blob=blob_id)
    if row is None:
        raise StoreUnavailable("Content is missing")
    return NewBlob(row[0], bytes(row[1]), None)


def refer(unit: Unit, blob_id: BlobId, count: int = 1) -> None:
    """Count more references to content that has one."""
    if unit.run(_REFER, blob=blob_id, count=count) != 1:
        raise StoreUnavailable("Content is missing")


def refer_many(unit: Unit, blob_ids: Iterable[BlobId]) -> None:
    """Count one reference for each id given; an id may be given several times."""
    for blob_id, count in sorted(Counter(blob_ids).items()):
        refer(unit, blob_id, count)


def release(unit: Unit, blob_id: BlobId, count: int = 1) -> None:
    """Give references back; content without any is collected later."""
    unit.run(_RELEASE, blob=blob_id, count=count, time=now())


def release_many(unit: Unit, blob_ids: Iterable[BlobId]) -> None:
    """Give one reference back for each id given; an id may be given several times."""
    time = now()
    counts = sorted(Counter(blob_ids).items())
    unit.many(_RELEASE, [{"blob": blob_id, "count": count, "time": time} for blob_id, count in counts])


def describe(unit: Unit, blob_id: BlobId, summary: Summary) -> None:
    """Write what was computed anew, by a newer version of the scanner (rule 15)."""
    unit.run(_DESCRIBE, blob=blob_id, **dict(zip(SUMMARY, summary_columns(summary), strict=True)))


def summary(tx: Transaction, blob_id: BlobId) -> Summary | None:
    """What was computed of the content; None where nothing was."""
    row = tx.one(_SUMMARY, blob=blob_id)
    if row is None:
        raise StoreUnavailable("Content is missing")
    return _from_columns(row[0], row[1:]) if row[1 + _VERSION] else None


def piece(tx: Transaction, blob_id: BlobId, start: int, count: int) -> tuple[int, str, bytes | None]:
    """Size, file, and, when the bytes are rows, up to `count` of them from `start`."""
    row = tx.one(_PIECE, blob=blob_id, first=start + 1, count=count)
    if row is None:
        raise StoreUnavailable("Content is missing")
    return row[0], row[1], row[2]


def unlink(unit: Unit, file: str, grace: int = UNLINK_GRACE) -> None:
    """Have a file without a row removed after the grace time."""
    unit.run(_UNLINK, file=file, after=now() + grace)


def collect(unit: Unit, before: int, limit: int = 100, grace: int = UNLINK_GRACE) -> int:
    """Take away up to `limit` rows released up to `before`; how many there were."""
    rows = unit.all(_COLLECTABLE, before=before, limit=limit)
    if rows:
        ids = [row[0] for row in rows]
        unit.run(_DELETE_CONTENT, ids=ids)
        unit.run(_DELETE, ids=ids)
        for _, file in rows:
            if file:
                unlink(unit, file, grace)
    return len(rows)


def due_files(tx: Transaction, time: int, limit: int = 100) -> list[str]:
    """Files to remove now."""
    return [row[0] for row in tx.all(_DUE, time=time, limit=limit)]


def unlinked(unit: Unit, files: list[str]) -> None:
    """The files are gone."""
    unit.run(_UNLINKED, files=files)


def known_files(tx: Transaction, files: list[str]) -> set[str]:
    """Which of the files a row names, or will see removed."""
    return {row[0] for row in (*tx.all(_NAMED, files=files), *tx.all(_NAMED_UNLINKING, files=files))}
