"""What SORT and THREAD ask of content: the columns that delivery filled."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from imsd.store.blob_rows import blob
from imsd.store.sql import among, sql
from imsd.store.transaction import Transaction

_b = blob.c
_KEYS = sql(
    select(
        _b.id, _b.scan_version, _b.subject, _b.sender, _b.sender_name, _b.to, _b.to_name, _b.cc, _b.date,
        _b.message_id, _b.references,
    ).where(among(_b.id, "ids"))
)  # fmt: skip


_DATES = sql(select(_b.id, _b.date, _b.date_offset, _b.scan_version).where(among(_b.id, "ids")))


def dates(tx: Transaction, blobs: Sequence[int]) -> list[tuple[int, int | None, int, int]]:
    """(id, Date field, its zone in minutes east, scan version) of the blobs that are there."""
    return tx.all(_DATES, ids=blobs)


@dataclass(frozen=True, slots=True)
class SortColumns:
    """Of one blob; text as UTF-8. date: microseconds, None without a readable Date field.
    scan_version: of the scanner that filled them."""

    blob: int
    scan_version: int
    subject: bytes
    sender: bytes
    sender_name: bytes
    to: bytes
    to_name: bytes
    cc: bytes
    date: int | None
    message_id: bytes
    references: bytes


def read(tx: Transaction, blobs: Sequence[int]) -> list[SortColumns]:
    """Of the blobs that are there, in no order."""
    return [SortColumns(*row) for row in tx.all(_KEYS, ids=blobs)]
