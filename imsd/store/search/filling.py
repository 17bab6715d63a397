"""One step of filling the index: some blobs read, made texts, added."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import bindparam, func, select

from imsd.store.blob_files import Files
from imsd.store.blob_rows import blob, content
from imsd.store.search.texts import NOTHING, Indexed, indexed
from imsd.store.sql import sql
from imsd.store.transaction import Transaction
from protocols.message.part import SCAN_VERSION, Scan
from protocols.message.summary import Summarizer

BATCH = 100
"""Blobs of one step: 13 MiB at most, what is larger is in files."""
_PIECE = 256 * 1024

_b = blob.c
_NEXT = sql(
    select(_b.id, _b.size, _b.file, _b.scan_version, _b.packed, content.c.bytes)
    .select_from(blob.outerjoin(content, content.c.id == _b.id))
    .where(_b.id > bindparam("after"), _b.id <= bindparam("upto"))
    .order_by(_b.id)
    .limit(bindparam("most"))
)
_NEWEST = sql(select(func.coalesce(func.max(_b.id), 0)))
_ALIVE = sql(select(func.count()).where(_b.id > bindparam("after"), _b.id <= bindparam("upto")))


@dataclass(frozen=True, slots=True)
class Document:
    """A blob and what is indexed of it."""

    blob: int
    text: Indexed


class Filled(Protocol):
    """An index as it is filled."""

    upto: int

    def add(self, documents: list[Document], base: int, upto: int) -> bool: ...


def newest(tx: Transaction) -> int:
    """The highest id of a blob."""
    return int(tx.value(_NEWEST))


def alive(tx: Transaction, after: int, upto: int) -> int:
    """How many blobs there are above `after` up to `upto`."""
    return int(tx.value(_ALIVE, after=after, upto=upto))


def documents(
    tx: Transaction, home: Path, after: int, upto: int, most: int = BATCH
) -> tuple[list[Document], int]:
    """The next blobs above `after`, up to `upto`, and the id up to which that is all of them."""
    rows = tx.all(_NEXT, after=after, upto=upto, most=most)
    files = Files(home)
    found = [Document(row[0], _text(files, *row[1:])) for row in rows]
    return found, found[-1].blob if len(rows) == most else upto


def _text(files: Files, size: int, file: str, version: int, packed: bytes, data: bytes | None) -> Indexed:
    def read(start: int, stop: int) -> bytes:
        if data is not None:
            return data[start:stop]
        return files.read(file, start, max(stop - start, 0))

    try:
        if version != SCAN_VERSION:
            packed = _scanned(read, size)
        return indexed(Scan.unpack(packed), read)
    except Exception:
        # Whatever is wrong with it, whoever searches reads it, and is told then.
        return NOTHING


def _scanned(read: Any, size: int) -> bytes:
    summarizer = Summarizer()
    for at in range(0, size, _PIECE):
        summarizer.feed(read(at, min(at + _PIECE, size)))
    return summarizer.finish().packed
