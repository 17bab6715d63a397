"""Content synchronization (RFC 4533) and persistent searches (draft-ietf-ldapext-psearch-03).

The state of a client's copy is a number of the directory's change feed: every entry bears the number
of its last change. So nothing is kept for a client, a cookie survives a restart, and none is
ever too old:

1. A refresh gives the entries whose number is above the cookie's, and the UUIDs of all others that
   are still there (a present phase); what is in neither is gone. The number is read first, so
   what changes meanwhile is given twice rather than never.
2. A cookie is the number in the form of a CSN, as replicas that keep nothing else expect it. Its
   last part is a mark of the store's incarnation, the search and the viewer's rights. With
   another mark the copy is of something else: the client is told to refresh, or given everything
   if that is its wish (`reloadHint`).
3. A name may change with an entry above it: an entry counts as changed if one above it has. The
   store touches the topmost entry when an inner one is renamed, and those that refer to a
   renamed one (`entry_changes.replace`).
4. What follows from other entries (memberOf, numSubordinates) or from logins is in no copy: it changes
   while the entry has its number. A filter that asks for it gives everything anew with each refresh, and
   cannot persist.
5. While it persists, a search looks again at whatever the feed names; an answer that is the same as
   the last is not given. What the feed missed, for other nodes did it, is found by its numbers. A
   change of the topmost entry, and more changes at once than a slow client takes, end it with
   e-syncRefreshRequired and a cookie.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from twisted.internet.defer import Deferred

from imsd.directory.cache import Cache
from imsd.directory.entry import Entry
from imsd.directory.view import View
from imsd.errors import NoSuchEntry
from imsd.store import entries
from imsd.store.changes import DIRECTORY, Change, EntriesChanged
from imsd.store.database import Database
from imsd.store.ids import EntryId
from protocols.ldap import syncing
from protocols.ldap.controls import Controls
from protocols.ldap.messages import Control
from protocols.ldap.responses import encode_entry
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.syncing import PERSISTING, Answer, State

UUIDS: Final = 250
"""Of one syncIdSet."""
BEHIND: Final = 10_000
"""Entries that wait to be looked at again; a client that is further behind refreshes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# Cookies --------------------------------------------------------------------------------


def cookie(number: int, mark: str) -> bytes:
    """A number of the change feed as a CSN: a time that grows with it."""
    moment = _EPOCH + timedelta(microseconds=number)
    return f"rid=000,csn={moment:%Y%m%d%H%M%S}.{moment.microsecond:06}Z#000000#000#{mark}".encode()


def number_of(text: bytes, mark: str) -> int | None:
    """The number of a cookie, None if it is not one of ours with this mark."""
    for part in text.decode("ascii", "replace").split(","):
        key, _, value = part.partition("=")
        if key == "csn":
            time, _, rest = value.partition("#")
            if rest != f"000000#000#{mark}":
                return None
            try:
                moment = datetime.strptime(time, "%Y%m%d%H%M%S.%fZ").replace(tzinfo=UTC)
            except ValueError:
                return None
            return round((moment - _EPOCH) / timedelta(microseconds=1))
    return None


def mark_of(*parts: object) -> str:
    """24 bits of what a copy is of."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:6]


# The content ----------------------------------------------------------------------------


@dataclass(slots=True)
class Held:
    """An entry of the client's copy. seen: a hash of what it was given, 0 if it was not."""

    uuid: bytes
    seen: int
    dn: bytes = b""


@dataclass(frozen=True, slots=True)
class Content:
    """What is synchronized: `Search` answers these.

    matching: everything, in batches. show: an entry, encoded. again: entries by id, as far as they
    are in the content now. numbered: an entry comes into the content, and leaves it, by changes of its own.
    """

    mark: str
    matching: Callable[[], AsyncGenerator[list[View], None]]
    show: Callable[[View], Awaitable[bytes]]
    again: Callable[[list[EntryId]], Awaitable[list[View]]]
    base: Callable[[], Awaitable[None]]
    """Raises NoSuchEntry once the base is gone."""
    numbered: bool = True


class Synchronization:
    """One search with a sync request or a persistent search control."""

    def __init__(
        self,
        db: Database,
        cache: Cache,
        content: Content,
        controls: Controls,
        note: Callable[[Control], None],
    ) -> None:
        self._db = db
        self._cache = cache
        self._content = content
        self._sync = controls.sync
        self._psearch = controls.persistent
        self._note = note
        self._held: dict[EntryId, Held] = {}
        self._changed: dict[EntryId, None] = {}
        self._number = 0
        """Of the last change that is known of; `_given`: of the last that the client was told of."""
        self._given = 0
        self._top: EntryId = entries.ROOT
        self._lost = False
        self._missed = False
        self._waiting: Deferred[None] | None = None

    # The feed ----------------------------------------------------------------------------

    def _told(self, change: Change) -> None:
        if not isinstance(change, EntriesChanged):
            self._missed = True
        elif self._top in change.ids:
            self._lost = True
        else:
            self._changed.update(dict.fromkeys(change.ids))
            self._number = max(self._number, change.next)
            self._lost = self._lost or len(self._changed) > BEHIND
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def _change(self) -> None:
        if self._changed or self._lost or self._missed:
            return
        self._waiting = Deferred()
        try:
            await self._waiting
        finally:
            self._waiting = None

    async def _catch_up(self) -> None:
        """Other nodes have changed something: what, the rows say."""
        self._missed = False
        number, changed, every = await self._db.read(entries.changed_since, self._number)
        self._lost = self._lost or self._top in changed or len(changed) > BEHIND
        self._changed.update(dict.fromkeys(changed))
        self._changed.update(dict.fromkeys(self._held.keys() - set(every)))
        self._number = max(self._number, number)

    # Stages ------------------------------------------------------------------------------

    async def run(self) -> AsyncGenerator[bytes | Answer, None]:
        self._top = (await self._cache.the_tree()).root
        persists = self._psearch is not None or (self._sync is not None and self._sync.persist)
        watch: Any = self._db.feed.watch(DIRECTORY, self._told) if persists else None
        try:
            self._number, incarnation = await self._db.read_few(entries.standing)
            self._given = self._number
            mark = mark_of(incarnation, self._content.mark)
            refresh = self._refresh(mark)
            try:
                async for answer in refresh:
                    yield answer
            finally:
                await refresh.aclose()
            if not persists:
                self._note(syncing.done_control(cookie(self._given, mark)))
                return
            yield PERSISTING
            if self._sync is not None:
                yield syncing.refreshed(cookie(self._given, mark))
            while True:
                await self._change()
                if self._missed:
                    await self._catch_up()
                if self._lost:
                    self._refuse(mark)
                changed, self._changed = list(self._changed), {}
                number = self._number
                await self._content.base()
                for start in range(0, len(changed), UUIDS):
                    some = changed[start : start + UUIDS]
                    last = start + UUIDS >= len(changed)
                    for answer in await self._again(some, cookie(number, mark) if last else None):
                        yield answer
                    yield b""
                self._given = number
        finally:
            if watch is not None:
                watch.stop()

    def _refuse(self, mark: str) -> None:
        """The persist stage cannot go on (RFC 4533 3.8)."""
        if self._sync is None:
            raise Failed(ResultCode.BUSY, "Too much has changed: search again")
        self._note(syncing.done_control(cookie(self._given, mark)))
        raise Failed(ResultCode.SYNC_REFRESH_REQUIRED, "Refresh from here")

    async def _refresh(self, mark: str) -> AsyncGenerator[bytes | Answer, None]:
        """Everything, or what is not as the cookie says; and who is present."""
        known = 0
        asked = self._sync
        if asked is not None and asked.cookie:
            found = number_of(asked.cookie, mark)
            if found is None or found > self._given:
                if not asked.reload:
                    raise Failed(ResultCode.SYNC_REFRESH_REQUIRED, "The cookie is of another copy")
                found = 0
            known = found if self._content.numbered else 0
        persists = self._psearch is not None or (asked is not None and asked.persist)
        present: list[bytes] = []
        silent = self._psearch is not None and self._psearch.changes_only
        async for batch in self._content.matching():
            for view in batch:
                held = Held(view.entry.row.uuid, 0)
                if silent:
                    held.seen = hash(await self._content.show(view))
                elif known and not await self._is_newer(view.entry, known):
                    present.append(held.uuid)
                    if len(present) >= UUIDS:
                        yield syncing.present(present)
                        present = []
                else:
                    entry = await self._content.show(view)
                    held.seen = hash(entry)
                    yield Answer(entry, self._with(State.ADD, held.uuid))
                if persists:
                    if self._psearch is not None:
                        held.dn = await self._name(view)
                    self._held[view.entry.id] = held
            yield b""
        if present:
            yield syncing.present(present)

    def _with(self, state: State, uuid: bytes, at: bytes | None = None) -> tuple[Control, ...]:
        return () if self._sync is None else (syncing.state_control(state, uuid, at),)

    async def _is_newer(self, entry: Entry, known: int) -> bool:
        at = entry
        while at.row.version <= known:
            if not at.parent:
                return False
            at = await self._cache.entry(at.parent)
        return True

    async def _name(self, view: View) -> bytes:
        return (await self._cache.dn(view.entry.id, view.suffix)).encode()

    # Looking again -----------------------------------------------------------------------

    async def _again(self, ids: list[EntryId], at: bytes | None) -> list[bytes | Answer]:
        """What has become of entries. at: the cookie of having been told all this."""
        now = {view.entry.id: view for view in await self._content.again(ids)}
        made: list[tuple[State, Held, bytes, bytes]] = []
        for entry_id in ids:
            held, view = self._held.get(entry_id), now.get(entry_id)
            if view is None:
                if held is not None:
                    del self._held[entry_id]
                    made.append((State.DELETE, held, encode_entry(held.dn, b""), b""))
                continue
            try:
                entry = await self._content.show(view)
                dn = await self._name(view) if self._psearch is not None else b""
            except NoSuchEntry:
                continue  # gone meanwhile: the feed will say so
            if held is None:
                held = self._held[entry_id] = Held(view.entry.row.uuid, hash(entry), dn)
                made.append((State.ADD, held, entry, b""))
            elif hash(entry) != held.seen:
                before, held.seen, held.dn = held.dn, hash(entry), dn
                made.append((State.MODIFY, held, entry, before if before != dn else b""))
        if self._psearch is not None:
            return [
                answer
                for state, _, entry, before in made
                if (answer := syncing.notification(self._psearch, state, entry, before)) is not None
            ]
        return [
            Answer(entry, self._with(state, held.uuid, at if number == len(made) else None))
            for number, (state, held, entry, _) in enumerate(made, 1)
        ]
