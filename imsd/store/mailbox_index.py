"""What every session on a mailbox shares: its messages as arrays, kept current by changes.

1. `modseq` is what is applied; committed >= applied >= what any view was told (rule 7).
2. A change is applied when its `previous` is `modseq`, dropped when it is older; when one
   is missing, `apply` says so and the owner re-reads rows with `merge`, which may repeat
   what is already here.
3. Views are told that something changed, once each, and look for themselves what it was:
   a slow client costs nothing here (rule 20).
4. What was expunged is remembered in `departed` until every view has been told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from imsd.store import uidsets
from imsd.store.changes import (
    Change,
    FlagsChanged,
    KeywordsNamed,
    MessagesAdded,
    MessagesExpunged,
    Missed,
    SeenChanged,
)
from imsd.store.flags import IndexRow
from imsd.store.ids import AccountId, MailboxId
from imsd.store.segments import SIZE, Segment
from imsd.store.uidmap import UidMap

MAX_DEPARTED = 200_000
LOG = 1024
"""Marked messages that are remembered by number, so that views need not scan for them."""


class Pin:
    """One user of an index. told: the mod-sequence up to which it has seen expunges."""

    __slots__ = ("changed", "index", "told")

    def __init__(self, index: MailboxIndex, changed: Callable[[], object] | None) -> None:
        self.index = index
        self.changed = changed
        self.told = index.modseq


class MailboxIndex:
    """The messages of one mailbox. Made by `imsd.store.index.MailboxIndexes`."""

    def __init__(self, account: AccountId, mailbox: MailboxId) -> None:
        self.account = account
        self.mailbox = mailbox
        self.uidvalidity = 0
        self.uidnext = 1
        self.modseq = 0
        self.recent_uid = 0
        self.recent_saved = 0
        self.segments: list[Segment] = []
        self.names: tuple[str, ...] = ()
        # What readers with a view have seen, in a public folder (design rule 9).
        self.overlays: dict[AccountId, uidsets.Ranges] = {}
        self.gone = False
        self.pins: set[Pin] = set()
        self.departed: dict[int, tuple[int, IndexRow]] = {}
        # (mod-sequence, UID) of messages marked lately; complete above _log_from.
        self._log: deque[tuple[int, int]] = deque()
        self._log_from = 0
        self.unsaved = 0
        # Octets that the owner's sum has for this index.
        self.counted = 0
        self.removed_segments: set[int] = set()
        self.next_segment = 0
        self._map: UidMap | None = None
        self._length = 0
        self._firsts: list[int] = []

    # Reading ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._length

    def map(self) -> UidMap:
        """The UIDs there are now; the same object until they change."""
        if self._map is None:
            self._map = UidMap([segment.uids for segment in self.segments], self._length)
        return self._map

    def segment_of(self, uid: int) -> Segment | None:
        """The segment that holds the UID if any does."""
        at = bisect_right(self._firsts, uid) - 1
        return self.segments[at] if at >= 0 else None

    def get(self, uid: int) -> IndexRow | None:
        segment = self.segment_of(uid)
        if segment is None:
            return None
        at = segment.find(uid)
        return segment.row(at) if at >= 0 else None

    def columns(self, uids: Sequence[int]) -> list[tuple[int, int, int] | None]:
        """(date, size, blob) of each UID, None of those nothing is known of any more."""
        found: list[tuple[int, int, int] | None] = []
        segment: Segment | None = None
        at = 0
        for uid in uids:
            # UIDs mostly follow each other in a segment.
            if segment is None or at >= len(segment.uids) or segment.uids[at] != uid:
                segment = self.segment_of(uid)
                at = -1 if segment is None else segment.find(uid)
                if segment is None or at < 0:
                    segment = None
                    row = self.departed_row(uid)
                    found.append(None if row is None else (row.date, row.size, row.blob))
                    continue
            found.append((segment.dates[at], segment.sizes[at], segment.blobs[at]))
            at += 1
        return found

    def segments_from(self, uid: int) -> Iterable[Segment]:
        """Segments that may hold the UID and greater ones, ascending."""
        return self.segments[max(bisect_right(self._firsts, uid) - 1, 0) :]

    def changed_since(self, modseq: int) -> Iterator[IndexRow]:
        """Messages whose flags changed after modseq, ascending; perhaps new ones too."""
        if modseq >= self._log_from:
            recent = {uid for at, uid in self._log if at > modseq}
            yield from (row for row in map(self.get, sorted(recent)) if row is not None)
            return
        for segment in self.segments:
            if segment.top > modseq:
                for at, changed in enumerate(segment.modseqs):
                    if changed > modseq:
                        yield segment.row(at)

    @property
    def memory(self) -> int:
        """Octets, about."""
        return 1500 + sum(segment.memory for segment in self.segments) + 200 * len(self.departed)

    # Changing --------------------------------------------------------------------------

    def fill(self, segments: Sequence[Segment]) -> None:
        """The content at first."""
        self.segments = [segment for segment in segments if len(segment)]
        self.next_segment = max((segment.number for segment in segments), default=-1) + 1
        self._length = sum(len(segment) for segment in self.segments)
        self._moved()

    def apply(self, change: Change) -> bool:
        """Take a change in. False: one before it is missing, rows must be re-read."""
        if isinstance(change, KeywordsNamed):
            # Names only grow, and go before the change that uses them.
            if len(change.names) > len(self.names):
                self.names = change.names
            return change.previous <= self.modseq
        if isinstance(change, SeenChanged):
            if change.previous <= self.modseq and change.reader in self.overlays:
                self.overlays[change.reader] = list(change.ranges)
            return change.previous <= self.modseq
        if change.next <= self.modseq:
            return True
        if change.previous != self.modseq or isinstance(change, Missed):
            return False
        self.modseq = change.next
        if isinstance(change, MessagesAdded):
            self._add(change.rows)
        elif isinstance(change, FlagsChanged):
            self._mark(change.rows)
        elif isinstance(change, MessagesExpunged):
            self._remove(change.uids)
        self.dirty()
        return True

    def merge(
        self,
        modseq: int,
        uidnext: int,
        rows: Iterable[IndexRow],
        vanished: Sequence[int],
        names: Sequence[str],
        overlays: Mapping[AccountId, uidsets.Ranges] | None = None,
    ) -> None:
        """Rows that changed after `modseq` of before, from the database; may be known."""
        if modseq < self.modseq:
            return
        self.modseq = modseq
        self.names = tuple(names)
        if overlays:
            self.overlays.update(overlays)
        self._remove(vanished)
        last = self.segments[-1].uids[-1] if self.segments else 0
        rows = sorted(rows)
        self._mark([row for row in rows if row.uid <= last])
        # What is merged comes in the order of UIDs, not of changes: the log begins anew.
        self._log.clear()
        self._log_from = modseq
        self._add([row for row in rows if row.uid > last])
        self.uidnext = max(self.uidnext, uidnext)
        self.dirty()

    def dirty(self) -> None:
        """Tell the views that there is something to look at."""
        for pin in tuple(self.pins):
            if pin.changed is not None:
                pin.changed()

    def _add(self, rows: Sequence[IndexRow]) -> None:
        if not rows:
            return
        for row in rows:
            # Only the newest segment grows: in older maps one before it has others behind it.
            last = self.segments[-1] if self.segments else None
            if last is None or len(last) >= SIZE or last.number != self.next_segment - 1:
                self.segments.append(Segment(self.next_segment))
                self._firsts.append(row.uid)
                self.next_segment += 1
            self.segments[-1].append(row)
        self._length += len(rows)
        self.uidnext = max(self.uidnext, rows[-1].uid + 1)
        self._map = None
        self.unsaved += len(rows)

    def _mark(self, rows: Sequence[IndexRow]) -> None:
        for row in rows:
            segment = self.segment_of(row.uid)
            at = segment.find(row.uid) if segment is not None else -1
            if segment is not None and at >= 0:
                segment.mark(at, row)
                self._log.append((row.modseq, row.uid))
        while len(self._log) > LOG:
            self._log_from = self._log.popleft()[0]
        self.unsaved += len(rows)

    def _remove(self, uids: Sequence[int]) -> None:
        places: dict[int, tuple[Segment, list[int]]] = {}
        for uid in sorted(uids):
            segment = self.segment_of(uid)
            at = segment.find(uid) if segment is not None else -1
            if segment is None or at < 0:
                continue
            if self.pins and len(self.departed) < MAX_DEPARTED:
                self.departed[uid] = (self.modseq, segment.row(at))
            places.setdefault(segment.number, (segment, []))[1].append(at)
        for segment, found in places.values():
            segment.remove(found)
            self._length -= len(found)
            self.unsaved += len(found)
            if not segment.uids:
                self.segments.remove(segment)
                self.removed_segments.add(segment.number)
        if places:
            self._moved()

    def _moved(self) -> None:
        self._map = None
        self._firsts = [segment.uids[0] for segment in self.segments]

    # Users -----------------------------------------------------------------------------

    def pin(self, changed: Callable[[], object] | None = None) -> Pin:
        """Use the index; `MailboxIndexes.release` ends it. changed: see rule 3."""
        pin = Pin(self, changed)
        self.pins.add(pin)
        return pin

    def told(self, pin: Pin, modseq: int) -> None:
        """This user knows of all expunges up to modseq."""
        pin.told = modseq
        self.forget_departed()

    def forget_departed(self) -> None:
        if self.departed:
            floor = min((pin.told for pin in self.pins), default=self.modseq)
            for uid in [uid for uid, (modseq, _row) in self.departed.items() if modseq <= floor]:
                del self.departed[uid]

    def blob_range(self) -> tuple[int, int]:
        """The lowest and the highest id of content here, or (0, 0)."""
        ends = [(min(each.blobs), max(each.blobs)) for each in self.segments if each.blobs]
        ends += [(row.blob, row.blob) for _, row in self.departed.values()]
        return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0, 0)

    def departed_row(self, uid: int) -> IndexRow | None:
        found = self.departed.get(uid)
        return found[1] if found else None
