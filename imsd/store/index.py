"""The shared mailbox indexes: opened once, fed by the change feed, cached, packed.

    index = await indexes.open(account, mailbox)      pinned until close
    pin = indexes.pin(index, changed)                 one more user
    indexes.release(pin)

Opening reads packed segments and then the rows that are newer (design rule 8); without a
pack the rows are read by UID in slices. A pack is a cache: its header says up to which
mod-sequence all its segments are complete, segments may be newer, and applying rows again
is harmless. It is written in the background, segments first and the header last.

Unpinned indexes stay, least recently used first out, within a budget of octets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from imsd.errors import NoSuchMailbox, Refusal
from imsd.store import keywords, mailboxes, messages, seen, uidsets
from imsd.store import mailbox_tables as t
from imsd.store.changes import AccountScope, Change, MailboxDeleted, MailboxScope
from imsd.store.database import Database, Watch
from imsd.store.flags import IndexRow
from imsd.store.ids import AccountId, MailboxId
from imsd.store.mailbox_index import MailboxIndex, Pin
from imsd.store.segments import FORMAT, SIZE, Segment
from imsd.store.sql import insert_row, sql
from imsd.store.transaction import Transaction, Unit

_log = Logger()

BUDGET = 256 << 20
"""Octets that indexes may use together before those nobody uses are dropped."""
PACK_FROM = SIZE
"""Messages from which a mailbox is worth packing; below, its rows are read as quickly."""
SAVE_AFTER = 2048
"""Changed messages after which a pack is brought up to date."""
FEW = 100
"""Changes that are re-read on the reactor while that is quick."""
_SEGMENTS_A_READ = 64
_SEGMENTS_A_WRITE = 4

_p = t.pack.c
_g = t.segment.c
_m = t.mailbox.c
_pack_key = (_p.account == bindparam("a"), _p.mailbox == bindparam("m"))
_segment_key = (_g.account == bindparam("a"), _g.mailbox == bindparam("m"))
_PACK = sql(select(_p.modseq, _p.format).where(*_pack_key))
_SEGMENTS = sql(
    select(_g.number, _g.data)
    .where(*_segment_key, _g.number >= bindparam("first"))
    .order_by(_g.number)
    .limit(bindparam("most"))
)
_DROP_PACK = sql(delete(t.pack).where(*_pack_key))
_DROP_SEGMENT = sql(delete(t.segment).where(*_segment_key, _g.number == bindparam("number")))
_DROP_SEGMENTS = sql(delete(t.segment).where(*_segment_key))
_ADD_PACK = insert_row(t.pack)
_ADD_SEGMENT = insert_row(t.segment)
_SET_RECENT = sql(
    update(t.mailbox)
    .where(_m.account == bindparam("a"), _m.mailbox == bindparam("m"), _m.recent_uid < bindparam("upto"))
    .values(recent_uid=bindparam("upto"))
)


class MailboxIndexes:
    """All indexes of this process."""

    def __init__(self, db: Database, budget: int = BUDGET) -> None:
        self._db = db
        self.budget = budget
        self._used = 0
        self._open: OrderedDict[tuple[AccountId, MailboxId], MailboxIndex] = OrderedDict()
        self._opening: dict[tuple[AccountId, MailboxId], list[Deferred[MailboxIndex]]] = {}
        self._keepers: dict[tuple[AccountId, MailboxId], _Keeper] = {}

    async def open(
        self, account: AccountId, mailbox: MailboxId, changed: Callable[[], object] | None = None
    ) -> Pin:
        """A pin on the index, loaded when it was not here. Raises NoSuchMailbox."""
        key = (account, mailbox)
        index = self._open.get(key)
        if index is None:
            waiting = self._opening.get(key)
            if waiting is not None:
                done: Deferred[MailboxIndex] = Deferred()
                waiting.append(done)
                index = await done
            else:
                index = await self._first(key)
        self._open.move_to_end(key)
        return index.pin(changed)

    async def _first(self, key: tuple[AccountId, MailboxId]) -> MailboxIndex:
        waiting = self._opening[key] = []
        keeper = _Keeper(self._db, MailboxIndex(*key), self._lost)
        try:
            await keeper.load()
        except BaseException as error:
            keeper.stop()
            del self._opening[key]
            failure = error if isinstance(error, Exception) else Refusal("Interrupted")
            for done in waiting:
                if not done.called:
                    done.errback(failure)
            raise
        del self._opening[key]
        self._open[key] = keeper.index
        self._count(keeper.index)
        self._keepers[key] = keeper
        for done in waiting:
            if not done.called:
                done.callback(keeper.index)
        return keeper.index

    def release(self, pin: Pin) -> None:
        """This user is gone; the index may be dropped when it was the last."""
        index = pin.index
        if pin not in index.pins:
            return
        index.pins.discard(pin)
        index.forget_departed()
        if index.pins:
            return
        if (index.account, index.mailbox) in self._open:
            self._count(index)
        keeper = self._keepers.get((index.account, index.mailbox))
        if keeper is not None:
            keeper.idle()
        self._evict()

    def _count(self, index: MailboxIndex) -> None:
        """Keep the sum of what indexes use; each is measured when it is opened and released."""
        now = index.memory
        self._used += now - index.counted
        index.counted = now

    def _evict(self) -> None:
        if self._used <= self.budget:
            return
        for key, index in list(self._open.items()):
            if not index.pins:
                self._drop(key)
                if self._used <= self.budget:
                    return

    def _drop(self, key: tuple[AccountId, MailboxId]) -> None:
        index = self._open.pop(key, None)
        if index is not None:
            self._used -= index.counted
        keeper = self._keepers.pop(key, None)
        if keeper is not None:
            keeper.stop()

    def _lost(self, index: MailboxIndex) -> None:
        """The mailbox was deleted."""
        self._drop((index.account, index.mailbox))
        index.gone = True
        index.dirty()

    def recent_uid(self, account: AccountId, mailbox: MailboxId) -> int:
        """Up to where messages are not \\Recent any more, where an index is open; else 0."""
        index = self._open.get((account, mailbox))
        return index.recent_uid if index is not None else 0

    def memory(self) -> int:
        """Octets that all indexes use, about."""
        return self._used

    async def overlay(self, pin: Pin, reader: AccountId) -> None:
        """Have the index know what reader has seen of a public folder, from now on."""
        index = pin.index
        while reader not in index.overlays:
            before = index.modseq
            ranges = await self._db.read_few(seen.ranges, index.account, index.mailbox, reader)
            if index.modseq == before:
                # Else it may have changed since it was read.
                index.overlays.setdefault(reader, ranges)

    async def save(self, account: AccountId, mailbox: MailboxId) -> None:
        """Bring the pack of an open index up to date now."""
        keeper = self._keepers.get((account, mailbox))
        if keeper is not None:
            await keeper.save()

    def close(self) -> None:
        for key in list(self._open):
            self._drop(key)


class _Keeper:
    """Keeps one index current: loads, watches, re-reads, packs."""

    def __init__(self, db: Database, index: MailboxIndex, lost: Callable[[MailboxIndex], None]) -> None:
        self._db = db
        self.index = index
        self._lost = lost
        self._latest = 0
        self._loaded = False
        self._rereading = False
        self._saving = False
        # Segments in the database are of another numbering.
        self._stale = False
        self._watches: list[Watch] = [
            db.feed.watch(MailboxScope(index.account, index.mailbox), self._changed),
            db.feed.watch(AccountScope(index.account), self._tree_changed),
        ]

    def stop(self) -> None:
        for watch in self._watches:
            watch.stop()
        self._watches.clear()

    # Loading ---------------------------------------------------------------------------

    async def load(self) -> None:
        index = self.index
        key = (index.account, index.mailbox)
        row, packed = await self._db.read_few(_headers, *key)
        index.uidvalidity = row.uidvalidity
        index.recent_uid = index.recent_saved = row.recent_uid
        if packed is None and row.messages <= SIZE:
            # One bounded snapshot has it all.
            row, names, rows = await (
                self._db.read_few(_small, *key) if row.messages <= 200 else self._db.read(_small, *key)
            )
            index.names = tuple(names)
            if len(rows) <= SIZE:
                index.fill([Segment.of_rows(0, rows)])
                index.modseq, index.uidnext = row.highestmodseq, row.uidnext
                self._loaded = True
                if self._latest > index.modseq:
                    await self._catch_up()
                return
        since: int = row.highestmodseq
        segments: list[Segment] = []
        if packed is not None:
            try:
                segments = await self._unpack()
                since = packed
            except ValueError:
                _log.warn("The packed index of mailbox {key} is unreadable; reading rows", key=key)
                segments = []
        if not segments:
            since = row.highestmodseq
            self._stale = True
            segments = await self._read_rows()
        index.fill(segments)
        index.modseq = since
        self._loaded = True
        await self._catch_up(row.highestmodseq)
        if packed is None and len(index) >= PACK_FROM:
            self._save_later()

    async def _unpack(self) -> list[Segment]:
        segments: list[Segment] = []
        first = 0
        while True:
            more = await self._db.read(_segments, self.index.account, self.index.mailbox, first)
            segments.extend(more)
            if len(more) < _SEGMENTS_A_READ:
                return segments
            first = more[-1].number + 1

    async def _read_rows(self) -> list[Segment]:
        segments: list[Segment] = []
        after = 0
        while True:
            segment = await self._db.read(
                _row_segment, self.index.account, self.index.mailbox, after, len(segments)
            )
            if not len(segment):
                return segments
            segments.append(segment)
            after = segment.uids[-1]

    async def _catch_up(self, upto: int = 0) -> None:
        """Apply rows newer than the index until nothing newer was announced.

        upto: the mod-sequence of the database as it was last seen.
        """
        index = self.index
        while True:
            wanted = (_since, index.account, index.mailbox, index.modseq, tuple(index.overlays))
            few = max(self._latest, upto) - index.modseq < FEW
            index.merge(*await (self._db.read_few(*wanted) if few else self._db.read(*wanted)))
            if self._latest <= index.modseq:
                return

    # Watching --------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        self._latest = max(self._latest, change.next)
        if not self._loaded or self._rereading:
            return
        if not self.index.apply(change):
            self._rereading = True
            ensureDeferred(self._reread())
        elif self.index.unsaved >= SAVE_AFTER and len(self.index) >= PACK_FROM:
            self._save_later()

    async def _reread(self) -> None:
        try:
            await self._catch_up()
        except NoSuchMailbox:
            self.stop()
            self._lost(self.index)
        except Refusal:
            # Stays behind; the next change or poll asks again.
            _log.warn("Rows of a mailbox could not be re-read")
        except Exception:
            _log.failure("Re-reading a mailbox failed")
        finally:
            self._rereading = False

    def _tree_changed(self, change: Change) -> None:
        if isinstance(change, MailboxDeleted) and change.mailbox == self.index.mailbox:
            self.stop()
            self._lost(self.index)

    # Packing ---------------------------------------------------------------------------

    def idle(self) -> None:
        """Nobody uses the index now."""
        index = self.index
        if index.recent_uid > index.recent_saved:
            index.recent_saved = index.recent_uid
            self._in_background(
                self._db.write(
                    set_recent, index.account, index.mailbox, index.recent_uid, account=index.account
                )
            )
        if index.unsaved >= SAVE_AFTER // 4 and len(index) >= PACK_FROM:
            self._save_later()

    def _save_later(self) -> None:
        if not self._saving:
            self._in_background(ensureDeferred(self.save()))

    def _in_background(self, work: Deferred[Any]) -> None:
        # A cache that cannot be written (disk full, shutdown) is only a slower start.
        def failed(failure: Failure) -> None:
            if not isinstance(failure.value, Refusal):
                _log.failure("Work on a mailbox index failed", failure)

        work.addErrback(failed)

    async def save(self) -> None:
        index = self.index
        if self._saving or index.gone:
            return
        self._saving = True
        try:
            key = (index.account, index.mailbox)
            complete = index.modseq
            index.unsaved = 0
            removed = sorted(index.removed_segments)
            index.removed_segments.clear()
            if self._stale:
                await self._db.write(drop_pack, *key, account=index.account)
                self._stale = False
            dirty = [segment for segment in index.segments if segment.dirty]
            for at in range(0, len(dirty), _SEGMENTS_A_WRITE):
                packed = []
                for segment in dirty[at : at + _SEGMENTS_A_WRITE]:
                    if segment.uids:
                        packed.append((segment.number, segment.pack()))
                        segment.dirty = False
                await self._db.write(_write_segments, *key, packed, account=index.account)
            await self._db.write(_write_pack, *key, complete, removed, account=index.account)
        finally:
            self._saving = False


# Functions over transactions -------------------------------------------------------------


def _headers(tx: Transaction, account: AccountId, mailbox: MailboxId) -> tuple[mailboxes.Mailbox, int | None]:
    row = mailboxes.get_by_id(tx, account, mailbox)
    packed = tx.one(_PACK, a=account, m=mailbox)
    usable = packed is not None and packed[1] == FORMAT and packed[0] <= row.highestmodseq
    return row, packed[0] if usable and packed is not None else None


def _small(
    tx: Transaction, account: AccountId, mailbox: MailboxId
) -> tuple[mailboxes.Mailbox, list[str], list[tuple[Any, ...]]]:
    return (
        mailboxes.get_by_id(tx, account, mailbox),
        keywords.names(tx, account, mailbox),
        messages.after_uid(tx, account, mailbox, 0, SIZE + 1),
    )


def _segments(tx: Transaction, account: AccountId, mailbox: MailboxId, first: int) -> list[Segment]:
    rows = tx.all(_SEGMENTS, a=account, m=mailbox, first=first, most=_SEGMENTS_A_READ)
    return [Segment.unpack(number, data) for number, data in rows]


def _row_segment(tx: Transaction, account: AccountId, mailbox: MailboxId, after: int, number: int) -> Segment:
    return Segment.of_rows(number, messages.after_uid(tx, account, mailbox, after, SIZE))


def _since(
    tx: Transaction, account: AccountId, mailbox: MailboxId, modseq: int, readers: tuple[AccountId, ...]
) -> tuple[int, int, list[IndexRow], list[Any], list[str], dict[AccountId, uidsets.Ranges]]:
    row = mailboxes.get_by_id(tx, account, mailbox)
    return (
        row.highestmodseq,
        row.uidnext,
        messages.changed_since(tx, account, mailbox, modseq),
        list(messages.vanished_since(tx, account, mailbox, modseq)),
        keywords.names(tx, account, mailbox),
        {reader: seen.ranges(tx, account, mailbox, reader) for reader in readers},
    )


def _write_segments(
    unit: Unit, account: AccountId, mailbox: MailboxId, packed: list[tuple[int, bytes]]
) -> None:
    for number, data in packed:
        unit.run(_DROP_SEGMENT, a=account, m=mailbox, number=number)
        unit.run(_ADD_SEGMENT, account=account, mailbox=mailbox, number=number, data=data)


def _write_pack(unit: Unit, account: AccountId, mailbox: MailboxId, modseq: int, removed: list[int]) -> None:
    for number in removed:
        unit.run(_DROP_SEGMENT, a=account, m=mailbox, number=number)
    unit.run(_DROP_PACK, a=account, m=mailbox)
    unit.run(_ADD_PACK, account=account, mailbox=mailbox, modseq=modseq, format=FORMAT)


def drop_pack(unit: Unit, account: AccountId, mailbox: MailboxId) -> None:
    """Forget the cached index of a mailbox that is going away."""
    unit.run(_DROP_PACK, a=account, m=mailbox)
    unit.run(_DROP_SEGMENTS, a=account, m=mailbox)


def set_recent(unit: Unit, account: AccountId, mailbox: MailboxId, upto: int) -> None:
    """Messages up to this UID are not \\Recent to anybody any more (RFC 3501 2.3.2)."""
    unit.run(_SET_RECENT, a=account, m=mailbox, upto=upto)
