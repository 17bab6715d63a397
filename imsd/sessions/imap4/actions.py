"""What a view changes: STORE, COPY, MOVE, EXPUNGE (RFC 9051 6.4).

Messages that were expunged elsewhere and not told of yet are left out; conditions are
decided in the units, against rows (design rule 7). Everything works on the set as it was
told when the command began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imsd.auth.standing import ANY
from imsd.errors import AlreadyExpunged, NotPermitted
from imsd.sessions.imap4 import marks
from imsd.sessions.imap4.appending import Append, kept
from imsd.sessions.imap4.marks import DELETED, SEEN
from imsd.sessions.imap4.places import Place
from imsd.store import jobs
from imsd.store.marking import Mark
from protocols.imap4.sets import SequenceSet, compact
from protocols.imap4.values import Copied, FlagChange, Row, Stored

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

_MARKS = {
    FlagChange.REPLACE: Mark.REPLACE,
    FlagChange.ADD: Mark.ADD,
    FlagChange.REMOVE: Mark.REMOVE,
}


async def store(
    view: View,
    which: SequenceSet,
    change: FlagChange,
    flags: Sequence[bytes],
    unchanged_since: int | None,
) -> Stored:
    if view.examined:
        raise NotPermitted("The mailbox is selected read only")
    bits, keywords = marks.parse(flags)
    mark, bits, keywords = _allowed(view.place.rights, _MARKS[change], bits, keywords)
    uids = view.uids(which)
    told = view.told
    marked = await jobs.store_flags(
        view.held.db, view.place.key, uids, mark, bits, keywords, unchanged_since, view.reader,
        report=view.owner.progress, needs=view.place.needs(_touched(mark, bits, keywords)),
    )  # fmt: skip
    for row in marked.rows:
        view.own[row.uid] = row.modseq
    failed: Sequence[int] = marked.failed
    if not which.uid:
        failed = [told.position(uid) + 1 for uid in marked.failed]
    return Stored(view.rows_of(uids), compact(failed), bool(marked.missing))


def _allowed(
    rights: frozenset[str], mark: Mark, bits: int, keywords: tuple[str, ...]
) -> tuple[Mark, int, tuple[str, ...]]:
    """What of a change the rights s, t and w let through (RFC 4314 4); none: NotPermitted."""
    if rights.issuperset("stw"):
        return mark, bits, keywords
    may = (SEEN if "s" in rights else 0) | (DELETED if "t" in rights else 0)
    if "w" in rights:
        may |= ~(SEEN | DELETED)
    else:
        if not bits & may and (bits or keywords or mark is not Mark.REPLACE):
            raise NotPermitted
        keywords = ()
    if mark is Mark.REPLACE:
        # Flags that may not be touched stay: the others are added, or taken away.
        if may == SEEN:
            return (Mark.ADD if bits & SEEN else Mark.REMOVE), SEEN, ()
        raise NotPermitted("FLAGS needs the rights to change all of them; use +FLAGS and -FLAGS")
    return mark, bits & may, keywords


def _touched(mark: Mark, bits: int, keywords: tuple[str, ...]) -> str:
    """The rights that a change needs which was let through."""
    if mark is Mark.REPLACE:
        return "stw"
    others = bits & ~(SEEN | DELETED) or keywords
    return ("s" if bits & SEEN else "") + ("t" if bits & DELETED else "") + ("w" if others else "")


async def seen(view: View, uids: Sequence[int]) -> Iterator[Sequence[Row]]:
    """\\Seen for what was fetched without PEEK; nothing where it may not be set."""
    if view.examined or "s" not in view.place.rights:
        return iter(())
    fresh = [
        found.uid for found in map(view.index.get, uids) if found is not None and not view.shown(found) & SEEN
    ]
    if not fresh:
        return iter(())
    try:
        marked = await jobs.store_flags(
            view.held.db, view.place.key, fresh, Mark.ADD, SEEN, (), None, view.reader,
            needs=view.place.needs("s"),
        )  # fmt: skip
    except NotPermitted:
        return iter(())
    for row in marked.rows:
        view.own[row.uid] = row.modseq
    return view.rows_of(row.uid for row in marked.rows)


def _enters(place: Place) -> str:
    """Right i, and those by which flags come along."""
    return "i" + "".join(letter for letter in "stw" if letter in place.rights)


async def copy(view: View, which: SequenceSet, target: str) -> Copied:
    uids = view.uids(which)
    place = await view.owner.places.find(target, ANY)
    place.need("i")
    with view.owner.making() as made:
        done = await jobs.copy(
            view.held.db, view.place.key, uids, place.key, view.held.now(), view.owner.reader, kept(place),
            report=view.owner.progress, needs=(*view.place.needs("r"), *place.needs(_enters(place))),
        )  # fmt: skip
        made(place.key, done.target)
    return Copied(done.uidvalidity, compact(done.source), compact(done.target))


async def move(view: View, which: SequenceSet, target: str) -> Copied:
    if view.examined:
        raise NotPermitted("The mailbox is selected read only")
    view.place.need("te")
    uids = view.uids(which)
    place = await view.owner.places.find(target, ANY)
    place.need("i")
    with view.owner.making() as made:
        done = await jobs.move(
            view.held.db, view.place.key, uids, place.key, view.held.now(), view.owner.reader, kept(place),
            report=view.owner.progress, needs=(*view.place.needs("rte"), *place.needs(_enters(place))),
        )  # fmt: skip
        made(place.key, done.target)
    return Copied(done.uidvalidity, compact(done.source), compact(done.target))


async def replace(
    view: View,
    which: SequenceSet,
    name: str,
    flags: Sequence[bytes],
    internal_date: int | None,
    size: int,
    whole: bool,
) -> Append:
    """REPLACE: the rights of STORE \\Deleted, EXPUNGE and APPEND (RFC 8508 4.1)."""
    if view.examined:
        raise NotPermitted("The mailbox is selected read only")
    view.place.need("te")
    uids = view.uids(which)
    if not uids:
        raise AlreadyExpunged
    # What it frees is known when it goes; the quota is decided then.
    sink = await view.owner.append(name, flags, internal_date, size, whole, check=False)
    sink.replaces = (*view.place.key, uids[0])
    sink.needs = view.place.needs("te")
    return sink


async def expunge(view: View, which: SequenceSet | None) -> int:
    if view.examined:
        raise NotPermitted("The mailbox is selected read only")
    view.place.need("e")
    if which is None:
        uids = [
            uid
            for segment in view.index.segments
            for uid in segment.having(DELETED)
            if view.told.position(uid) >= 0
        ]
    else:
        found = ((uid, view.index.get(uid)) for uid in view.uids(which))
        uids = [uid for uid, row in found if row is not None and row.flags & DELETED]
    removed = await jobs.expunge(
        view.held.db, view.place.key, uids, view.held.now(), report=view.owner.progress,
        needs=view.place.needs("e"),
    )  # fmt: skip
    return len(removed)
