"""SORT and THREAD: what of messages they ask for.

Content never changes, so what was worked out for a blob is remembered by its id (`SortKeys`);
columns are read in pages and mapped in slices.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from imsd.errors import Refusal
from imsd.sessions.imap4.reading import read, summary_of
from imsd.sessions.imap4.remembered import SortKeys
from imsd.slices import SLICE
from imsd.store import sortkeys
from imsd.store.sortkeys import SortColumns
from protocols.imap4.ordering import Traits
from protocols.imap4.values import Needs
from protocols.message.collation import DEFAULT, casemap
from protocols.message.part import SCAN_VERSION
from protocols.message.subjects import base_subject
from protocols.message.summary import Summary

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

PAGE = 1000
FEW = 50


class Kept(NamedTuple):
    """Of one blob, mapped."""

    date: int | None
    base: bytes
    answer: bool
    sender: bytes
    to: bytes
    cc: bytes
    display_from: bytes
    display_to: bytes
    message_id: bytes
    references: tuple[bytes, ...]


async def traits(view: View, uids: Sequence[int], comparator: str = DEFAULT) -> list[Traits | None]:
    found: list[Traits | None] = []
    for at in range(0, len(uids), PAGE):
        found += await _page(view, uids[at : at + PAGE], comparator)
        view.owner.progress(len(found), len(uids))
        if at:
            await view.held.breath()
    return found


async def _page(view: View, uids: Sequence[int], comparator: str) -> list[Traits | None]:
    # Of other comparators nothing is remembered.
    known = view.held.sort_keys if comparator == DEFAULT else SortKeys()
    rows = view.index.columns(uids)
    kept: dict[int, Kept] = {}
    missing: dict[int, int] = {}
    for uid, row in zip(uids, rows, strict=True):
        if row is not None:
            remembered = known.get(row[2])
            if remembered is None:
                missing[row[2]] = uid
            else:
                kept[row[2]] = remembered
    if missing:
        db = view.held.db
        columns = await (db.read_few if len(missing) < FEW else db.read)(sortkeys.read, list(missing))
        since = time.perf_counter()
        for one in columns:
            if one.scan_version != SCAN_VERSION:
                again = await _scanned(view, missing[one.blob])
                if again is None:
                    continue
                one = again
            kept[one.blob] = _remember(known, one, comparator)
            if time.perf_counter() - since > SLICE:
                await view.held.breath()
                since = time.perf_counter()
    done: list[Traits | None] = []
    for row in rows:
        key = None if row is None else kept.get(row[2])
        if row is None or key is None:
            done.append(None)
        else:
            date, size, _blob = row
            sent = date if key[0] is None else key[0]
            done.append(Traits(date, sent, size, *key[1:]))
    return done


def _remember(known: SortKeys, columns: SortColumns, comparator: str) -> Kept:
    kept = _mapped(columns, comparator)
    texts = sum(len(part) for part in kept if isinstance(part, bytes))
    known.keep(columns.blob, kept, texts + len(columns.references) + 40 * len(kept.references))
    return kept


def _mapped(columns: SortColumns, comparator: str) -> Kept:
    subject = base_subject(columns.subject.decode("utf-8", "replace"))
    return Kept(
        columns.date,
        casemap(subject.base, comparator),
        subject.answer,
        _mailbox(columns.sender, columns.sender_name, comparator),
        _mailbox(columns.to, columns.to_name, comparator),
        _mailbox(columns.cc, b"", comparator),
        _shown(columns.sender, columns.sender_name, comparator),
        _shown(columns.to, columns.to_name, comparator),
        columns.message_id,
        tuple(columns.references.split()),
    )


def _mailbox(address: bytes, name: bytes, comparator: str) -> bytes:
    """addr-mailbox of the first address (RFC 5256 3); a group without members has its name
    there (RFC 9051 7.5.2)."""
    return casemap((address.rpartition(b"@")[0] or address or name).decode("utf-8", "replace"), comparator)


def _shown(address: bytes, name: bytes, comparator: str) -> bytes:
    """RFC 5957 3."""
    return casemap((name or address).decode("utf-8", "replace"), comparator)


async def _scanned(view: View, uid: int) -> SortColumns | None:
    """Of content that an older scanner described, or none did."""
    try:
        content = (await read(view, [uid], Needs())).get(uid)
        if content is None:
            return None
        summary: Summary = await summary_of(view.held, content)
    except Refusal as refusal:
        if refusal.temporary:
            raise
        return None
    return SortColumns(
        content.blob, summary.scan_version, summary.subject.encode("utf-8", "replace"), summary.sender,
        summary.sender_name.encode("utf-8", "replace"), summary.to,
        summary.to_name.encode("utf-8", "replace"), summary.cc, summary.date, summary.message_id,
        b" ".join(summary.references),
    )  # fmt: skip
