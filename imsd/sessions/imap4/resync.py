"""QRESYNC: what was expunged while a client was away (RFC 7162 3.2.5, 3.2.6).

Few are found by their mod-sequence and put in order; of many, which may be as many as ever
were expunged, the UIDs are read in their own order. Either way in pages, each a snapshot of
its own: what is expunged meanwhile is still told, or was never told of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from imsd.store import messages
from protocols.imap4.sets import Ranges, SequenceSet, compact, contains

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

PAGE = 5000
FEW = 10_000


async def vanished(view: View, which: SequenceSet, since: int, after: int) -> AsyncIterator[Ranges]:
    told = view.told
    wanted = tuple(
        (max(low, after + 1), high) for low, high in which.resolve(max(told.last, 1)) if high > after
    )
    if not wanted:
        return
    found = await _by_modseq(view, since)
    if found is not None:
        uids = [uid for uid in found if told.position(uid) < 0 and contains(wanted, uid)]
        if uids:
            yield compact(uids)
        return
    uid = wanted[0][0] - 1
    while page := await view.held.db.read(
        messages.vanished_by_uid, *view.place.key, since, uid, wanted[-1][1], PAGE
    ):
        uids = [uid for uid in page if told.position(uid) < 0 and contains(wanted, uid)]
        if uids:
            yield compact(uids)
        uid = page[-1]


async def _by_modseq(view: View, since: int) -> list[int] | None:
    """All that was expunged since, ascending, or None when that is much."""
    db = view.held.db
    found: list[int] = []
    modseq = uid = 0
    while True:
        page = await db.read(messages.vanished_page, *view.place.key, since, modseq, uid, PAGE)
        found.extend(each for _modseq, each in page)
        if len(page) < PAGE:
            return sorted(found)
        if len(found) >= FEW:
            return None
        modseq, uid = page[-1]
