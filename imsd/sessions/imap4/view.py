"""A view: what one session was told of a mailbox, and so the owner of message numbers.

1. `told` is the map of UIDs as the client knows it. Numbers are positions in it, plus one.
   It is replaced in `updates` alone (design rule 6).
2. With nothing held back, `told` is the index's own map: a reference. Messages that were
   told while expunges are held back are put after it in a map of the view's own.
3. What of the told messages changed is worked out in `updates`, from mod-sequences above
   `flags_at` and from the difference of maps: an unread change costs nothing here.
4. HIGHESTMODSEQ is what everything up to has been told, expunges too (RFC 7162 6).
5. \\Recent belongs to the first view that may write and is told of a message: what is above
   the mailbox's high-water UID then (RFC 3501 2.3.2).
6. Rights on a mailbox that is not the session's own are looked up again once they may have
   moved (`access`): without `r` the view ends, else what can be changed is told anew.
7. In a public folder \\Seen is the reader's overlay (design rule 9).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from zope.interface import implementer

from imsd.errors import NoSuchMailbox, Refusal
from imsd.sessions.imap4 import actions, arranged, arranging, identities, marks, reading, resync, searching
from imsd.sessions.imap4.held import Mailstore, background
from imsd.sessions.imap4.marks import ALL_SYSTEM, DELETED, RECENT_BIT, SEEN, Words
from imsd.sessions.imap4.places import Place
from imsd.store import uidsets
from imsd.store.flags import IndexRow
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.mailbox_index import Pin
from imsd.store.uidmap import UidMap
from protocols.imap4.dialect import Dialect
from protocols.imap4.interfaces import IAppend, IMessage, IView
from protocols.imap4.keys import Key
from protocols.imap4.ordering import Criterion, Traits
from protocols.imap4.sets import Ranges, SequenceSet
from protocols.imap4.values import (
    AccessNow,
    Copied,
    Expunged,
    FlagChange,
    FlagsNow,
    Found,
    Grown,
    KeywordsNow,
    Needs,
    Row,
    Stored,
    Update,
    UrlKeyNow,
)
from protocols.message.collation import DEFAULT

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

BATCH = 1000
MANY = 200
"""Ranges for which a copy of the UIDs is quicker to search than their chunks."""


@implementer(IView)
class View:
    """Made by `ImapAccount.select`, which pins the index first."""

    def __init__(
        self,
        held: Mailstore,
        owner: ImapAccount,
        name: str,
        place: Place,
        dialect: Dialect,
        read_only: bool,
    ) -> None:
        self.name = name
        self.held = held
        self.owner = owner
        self.place = place
        self.dialect = dialect
        self.reader: AccountId | None = owner.reader if place.mailbox.account == PUBLIC else None
        self.examined = read_only
        self.ended = False
        self.stale = False
        self.rekeyed = False
        self._told_rights = place.rights
        self._words = Words()
        self._callback: Callable[[], object] | None = None
        self._called = False

    def begin(self, pin: Pin) -> None:
        """Be told everything there is."""
        index = pin.index
        self._pin = pin
        self.index = index
        self.uid_validity = index.uidvalidity
        self.mailbox_id = identities.mailbox(*self.place.key)
        self.told: UidMap = index.map()
        self.uid_next = index.uidnext
        self.highest_modseq = self._flags_at = index.modseq
        self._names = index.names
        self._recents: uidsets.Ranges = []
        # Changes this view made and has reported itself: UID to mod-sequence.
        self.own: dict[int, int] = {}
        self._stirred: set[int] | None = None
        self._take_recent(0)

    def close(self) -> None:
        self._callback = None
        self.ended = True
        self.owner.closed(self)
        self.held.access.leave(self)
        self.held.indexes.release(self._pin)

    # Rights ------------------------------------------------------------------------------

    @property
    def read_only(self) -> bool:
        """EXAMINE, or none of the rights of RFC 4314 5.2: i, e and those of shared flags."""
        shared = "iewt" if self.reader is not None else "iewts"
        return self.examined or self.place.rights.isdisjoint(shared)

    async def current(self) -> View:
        """The view with the rights as they are now. Raises NoSuchMailbox where `r` is lost."""
        if self.stale and not self.ended:
            self.stale = False
            try:
                place = await self.owner.places.again(self.place)
            except Refusal as refusal:
                self.stale = refusal.temporary
                self.ended = self.ended or not refusal.temporary
                raise
            self.place = place
            self.ended = self.ended or "r" not in place.rights
        if self.ended:
            raise NoSuchMailbox
        return self

    def look_again(self) -> None:
        """The same for a session that does nothing just now, which hears of it."""
        background(self._look)

    async def _look(self) -> None:
        try:
            await self.current()
        finally:
            self.changed()

    # What is told ----------------------------------------------------------------------

    @property
    def exists(self) -> int:
        return len(self.told)

    @property
    def recent(self) -> int:
        return sum(self.told.lower(high + 1) - self.told.lower(low) for low, high in self._recents)

    @property
    def first_unseen(self) -> int:
        for batch in self._scan_unseen():
            return batch
        return 0

    @property
    def may_expunge(self) -> bool:
        return not self.examined and "e" in self.place.rights

    @property
    def holds_back(self) -> bool:
        return self.highest_modseq < self._flags_at

    @property
    def gone(self) -> bool:
        return self.index.gone or self.ended

    @property
    def flags(self) -> bytes:
        return b" ".join([ALL_SYSTEM, *(name.encode() for name in self._names)])

    @property
    def permanent_flags(self) -> bytes:
        if self.examined:
            return b""
        rights = self.place.rights
        words = [
            name
            for bit, name in marks.SYSTEM
            if ("s" if bit == SEEN else "t" if bit == DELETED else "w") in rights
        ]
        if "w" in rights:
            words += [name.encode() for name in self._names]
            words.append(b"\\*")
        return b" ".join(words)

    def _scan_unseen(self) -> Iterator[int]:
        """The number of the first message without \\Seen, if there is one."""
        if self.reader is not None:
            overlay = self.index.overlays.get(self.reader, [])
            for position, uid in enumerate(self.told):
                if not uidsets.contains(overlay, uid):
                    yield position + 1
                    return
            return
        for segment in self.index.segments:
            uid = segment.lacking(SEEN)
            if uid:
                yield self.told.position(uid) + 1
                return

    def _take_recent(self, after: int) -> None:
        """Messages above `after` were just told: those not recent to anybody are ours."""
        low = max(after, self.index.recent_uid) + 1
        last = self.told.last
        if low <= last:
            self._recents = uidsets.union(self._recents, [(low, last)])
            if not self.read_only:
                self.index.recent_uid = last

    # Changes ---------------------------------------------------------------------------

    def watch(self, callback: Callable[[], object] | None) -> None:
        self._callback = callback
        self._called = False
        if self._behind():
            self.changed()

    def changed(self) -> None:
        """The index has something new, or the view ended: say so once."""
        if self._callback is not None and not self._called:
            self._called = True
            self.held.bell.ring(self._call)

    def _call(self) -> None:
        if self._callback is not None and self._called:
            self._callback()

    def _behind(self) -> bool:
        return (
            self.gone
            or self.rekeyed
            or self.index.modseq > self._flags_at
            or self._names is not self.index.names
            or self._told_rights != self.place.rights
        )

    def updates(self, expunge: bool) -> Iterator[Update]:
        self._called = False
        return iter(self._updates(expunge))

    def _updates(self, expunge: bool) -> list[Update]:
        index = self.index
        found: list[Update] = []
        if self._told_rights != self.place.rights and not self.ended:
            self._told_rights = self.place.rights
            found.append(KeywordsNow(self.flags, self.permanent_flags))
            if not self.examined:
                found.append(AccessNow(self.read_only))
        if self.rekeyed:
            self.rekeyed = False
            found.append(UrlKeyNow())
        if index.modseq == self._flags_at and not (expunge and self.holds_back):
            return found
        told, newer = self.told, index.map()
        last = told.last
        gone = told.gone(newer)
        if expunge:
            found.extend(Expunged(at + 1 - n, uid) for n, (at, uid) in enumerate(gone))
            recent_left = self._recents
            self.told = newer
        else:
            recent_left = self._recents
            fresh = newer.slice(newer.lower(last + 1), len(newer))
            self.told = newer if not gone else told.extended(fresh)
        self._recents = recent_left
        grown = self.told.last > last
        if grown:
            self._take_recent(last)
            found.append(Grown(len(self.told), self.recent))
        if self._names is not index.names:
            self._names = index.names
            found.append(KeywordsNow(self.flags, self.permanent_flags))
        rows = list(self._changed_rows(last))
        for at in range(0, len(rows), BATCH):
            found.append(FlagsNow(rows[at : at + BATCH]))
        if self._stirred is not None:
            self._stirred.update(self.told.slice(self.told.lower(last + 1), len(self.told)))
            self._stirred.update(
                row.uid for row in index.changed_since(self._flags_at) if self.told.position(row.uid) >= 0
            )
        self.own.clear()
        self._flags_at = index.modseq
        self.uid_next = index.uidnext
        if expunge or not gone:
            self.highest_modseq = index.modseq
            index.told(self._pin, index.modseq)
        return found

    def stirred(self) -> Sequence[int]:
        found, self._stirred = self._stirred, set()
        return sorted(found or ())

    def _changed_rows(self, last: int) -> Iterator[Row]:
        """Rows of messages told before whose flags changed since, but not by us."""
        own = self.own
        for found in self.index.changed_since(self._flags_at):
            if found.uid <= last and own.get(found.uid) != found.modseq:
                position = self.told.position(found.uid)
                if position >= 0:
                    yield self.row(position + 1, found)

    # Rows ------------------------------------------------------------------------------

    def positions(self, which: SequenceSet) -> Ranges:
        """The set as ascending ranges of positions, the ends included, within what is told."""
        told = self.told
        if not len(told):
            return ()
        if which.uid:
            ranges = which.resolve(told.last)
            first = told[0]
            found: Iterable[tuple[int, int]]
            if told.last - first + 1 == len(told):
                # UIDs without a gap are positions.
                end = told.last - first
                found = ((max(low - first, 0), min(high - first, end)) for low, high in ranges)
            elif len(ranges) > MANY:
                flat = told.slice(0, len(told))
                lows, highs = zip(*ranges, strict=True)
                found = zip(
                    map(bisect_left, repeat(flat), lows),
                    (at - 1 for at in map(bisect_right, repeat(flat), highs)),
                    strict=True,
                )
            else:
                found = ((told.lower(low), told.lower(high + 1) - 1) for low, high in ranges)
        else:
            size = len(told)
            found = ((low - 1, min(high, size) - 1) for low, high in which.resolve(size) if low <= size)
        return tuple((low, high) for low, high in found if low <= high)

    def uids(self, which: SequenceSet) -> list[int]:
        """The told UIDs of the set, ascending."""
        found: list[int] = []
        for low, high in self.positions(which):
            found.extend(self.told.slice(low, high + 1))
        return found

    def sequences(self, uids: Sequence[int]) -> Sequence[int]:
        told = self.told
        return [at + 1 for at in map(told.position, uids) if at >= 0]

    def uid_of(self, number: int) -> int:
        return self.told[number - 1] if 0 < number <= len(self.told) else 0

    def rows(self, which: SequenceSet, changed_since: int = 0) -> Iterator[Sequence[Row]]:
        return self._rows(self.told, self.positions(which), changed_since)

    def _rows(
        self, told: UidMap, ranges: Ranges, changed_since: int = 0, most: int = BATCH
    ) -> Iterator[Sequence[Row]]:
        """Rows in batches of `most`, each worked out when it is asked for."""
        batch: list[Row] = []
        make = self.row
        for low, high in ranges:
            for start in range(low, high + 1, most):
                stop = min(start + most, high + 1)
                for number, found in self.entries(told, start, stop):
                    if found.modseq > changed_since:
                        batch.append(make(number, found))
                if len(batch) >= most:
                    yield batch[:most]
                    batch = batch[most:]
        if batch:
            yield batch

    def entries(self, told: UidMap, start: int, stop: int) -> Iterator[tuple[int, IndexRow]]:
        """(message number, what is known) of the positions from start to before stop."""
        index = self.index
        segment = None
        at = size = 0
        for number, uid in enumerate(told.slice(start, stop), start + 1):
            # Told messages mostly follow each other in a segment.
            if segment is None or at >= size or segment.uids[at] != uid:
                segment = index.segment_of(uid)
                at = segment.find(uid) if segment is not None else -1
                if segment is None or at < 0:
                    segment = None
                    row = index.departed_row(uid)
                    if row is not None:
                        yield number, row
                    continue
                size = len(segment)
            yield number, segment.row(at)
            at += 1

    def row(self, number: int, found: IndexRow) -> Row:
        """As the client is told: with \\Recent, and this reader's \\Seen."""
        return Row(
            number,
            found.uid,
            self._words.text(self.shown(found), found.keywords, self.index.names),
            found.modseq,
            found.size,
            found.date,
        )

    def shown(self, found: IndexRow) -> int:
        """System flags as this session sees them, with RECENT_BIT."""
        flags = found.flags
        if self.reader is not None and uidsets.contains(self.index.overlays.get(self.reader, []), found.uid):
            flags |= SEEN
        if self._recents and not self.dialect.rev2 and uidsets.contains(self._recents, found.uid):
            flags |= RECENT_BIT
        return flags

    @property
    def recents(self) -> uidsets.Ranges:
        """UIDs that are \\Recent in this session."""
        return self._recents

    def is_recent(self, uid: int) -> bool:
        return bool(self._recents) and uidsets.contains(self._recents, uid)

    def rows_of(self, uids: Iterable[int]) -> Iterator[Sequence[Row]]:
        """Rows of told UIDs, given ascending."""
        told = self.told
        ranges = uidsets.of(at for at in map(told.position, uids) if at >= 0)
        return self._rows(told, tuple(ranges))

    # What is done elsewhere --------------------------------------------------------------

    def fetch(
        self, which: SequenceSet, needs: Needs, changed_since: int = 0
    ) -> AsyncIterator[Sequence[tuple[Row, IMessage]]]:
        return reading.fetch(self, which, needs, changed_since)

    async def store(
        self,
        which: SequenceSet,
        change: FlagChange,
        flags: Sequence[bytes],
        unchanged_since: int | None,
    ) -> Stored:
        return await actions.store(await self.current(), which, change, flags, unchanged_since)

    async def seen(self, uids: Sequence[int]) -> Iterator[Sequence[Row]]:
        return await actions.seen(await self.current(), uids)

    async def search(self, key: Key, comparator: str = DEFAULT) -> Found:
        return await searching.search(await self.current(), key, comparator)

    async def traits(self, uids: Sequence[int], comparator: str = DEFAULT) -> Sequence[Traits | None]:
        return await arranging.traits(await self.current(), uids, comparator)

    async def in_order(
        self, uids: Sequence[int], criteria: tuple[Criterion, ...], comparator: str = DEFAULT
    ) -> Sequence[int]:
        return await arranged.in_order(await self.current(), uids, criteria, comparator)

    def recall(self, question: Hashable, found: Found) -> bytes | None:
        return arranged.recall(self, question, found)

    def remember(self, question: Hashable, found: Found, said: bytes) -> None:
        arranged.remember(self, question, found, said)

    async def copy(self, which: SequenceSet, target: str) -> Copied:
        return await actions.copy(await self.current(), which, target)

    async def move(self, which: SequenceSet, target: str) -> Copied:
        return await actions.move(await self.current(), which, target)

    async def replace(
        self,
        which: SequenceSet,
        name: str,
        flags: Sequence[bytes],
        internal_date: int | None,
        size: int,
        whole: bool = True,
    ) -> IAppend:
        return await actions.replace(await self.current(), which, name, flags, internal_date, size, whole)

    async def expunge(self, uids: SequenceSet | None) -> int:
        return await actions.expunge(await self.current(), uids)

    def vanished(self, which: SequenceSet, since: int, after: int = 0) -> AsyncIterator[Ranges]:
        return resync.vanished(self, which, since, after)
