"""Copies of the settings' entries that clients keep (RFC 4533, draft-ietf-ldapext-psearch-03).

There are a few dozen entries, and none has a number of its last change. A cookie says which state of
the content the client was given: the number of the last change of settings, and a mark of the search
and of everything that it found. While both are the same, all is present; else everything is given again,
and what is not among it is gone. So every cookie of ours can be answered, after a restart, too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Final
from uuid import UUID

from twisted.internet.defer import Deferred

from imsd.directory import matched
from imsd.directory.configuration import Configuration, Node
from imsd.directory.synchronizing import UUIDS, cookie, mark_of, number_of
from imsd.store import counters
from imsd.store.changes import SETTINGS
from imsd.store.database import Database
from protocols.ldap import syncing
from protocols.ldap.controls import Controls
from protocols.ldap.messages import Control, Deref, SearchRequest
from protocols.ldap.responses import encode_entry
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.syncing import PERSISTING, Answer, State

_COOKIE: Final = re.compile(rb"rid=\d+,csn=\d{14}\.\d{6}Z#000000#000#([0-9a-f]{6})")

Shown = dict[str, tuple[Node, bytes]]
"""What a search finds by normal name, and as it is written."""


class SettingCopies:
    """One search with a sync request or a persistent search control."""

    def __init__(
        self,
        db: Database,
        found: Configuration,
        request: SearchRequest,
        controls: Controls,
        note: Callable[[Control], None],
    ) -> None:
        self._db = db
        self._found = found
        self._request = request
        self._sync = controls.sync
        self._psearch = controls.persistent
        self._note = note
        asked = controls.matched_values
        self._shown = None if asked is None else matched.Matched(asked)
        self._of = (replace(request, size_limit=0, time_limit=0), asked)
        self._changed = False
        self._waiting: Deferred[None] | None = None

    def _look(self) -> Shown:
        """Raises NoSuchEntry once the base is gone."""
        request = self._request
        return {
            node.name.normal: (node, node.encoded(request.attributes, request.types_only, self._shown))
            for node in self._found.matching(request)
        }

    def _mark(self, shown: Shown) -> str:
        return mark_of(self._of, sorted(shown), [encoded for _, encoded in shown.values()])

    async def _number(self) -> int:
        number: int = await self._db.read_few(counters.read, SETTINGS)
        return number

    # Changes -----------------------------------------------------------------------------

    def _told(self) -> None:
        self._changed = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def _change(self) -> None:
        if not self._changed:
            self._waiting = Deferred()
            try:
                await self._waiting
            finally:
                self._waiting = None
        self._changed = False

    # Stages ------------------------------------------------------------------------------

    async def run(self) -> AsyncGenerator[bytes | Answer, None]:
        if self._request.deref in (Deref.SEARCHING, Deref.ALWAYS):
            raise Failed(ResultCode.PROTOCOL_ERROR, "Aliases are not followed (RFC 4533 3.5.2)")
        persists = self._psearch is not None or (self._sync is not None and self._sync.persist)
        unwatch = self._found.settings.on_change(self._told) if persists else None
        try:
            number = await self._number()
            held = self._look()
            at = cookie(number, self._mark(held))
            for answer in self._refresh(held, number):
                yield answer
                yield b""
            if not persists:
                self._note(syncing.done_control(at))
                return
            yield PERSISTING
            if self._sync is not None:
                yield syncing.refreshed(at)
            while True:
                yield b""
                await self._change()
                number = await self._number()
                now = self._look()
                for answer in self._differences(held, now, cookie(number, self._mark(now))):
                    yield answer
                held = now
        finally:
            if unwatch is not None:
                unwatch()

    def _refresh(self, shown: Shown, number: int) -> list[bytes | Answer]:
        asked = self._sync
        if asked is None:
            silent = self._psearch is not None and self._psearch.changes_only
            return [] if silent else [encoded for _, encoded in shown.values()]
        if asked.cookie:
            if not _COOKIE.fullmatch(asked.cookie) and not asked.reload:
                raise Failed(ResultCode.SYNC_REFRESH_REQUIRED, "The cookie is of another copy")
            if number_of(asked.cookie, self._mark(shown)) == number:
                uuids = [_uuid(node) for node, _ in shown.values()]
                return [syncing.present(uuids[at : at + UUIDS]) for at in range(0, len(uuids), UUIDS)]
        return [
            Answer(encoded, (syncing.state_control(State.ADD, _uuid(node)),))
            for node, encoded in shown.values()
        ]

    def _differences(self, held: Shown, now: Shown, at: bytes) -> list[bytes | Answer]:
        made: list[tuple[State, Node, bytes]] = []
        for name, (node, encoded) in now.items():
            if name not in held:
                made.append((State.ADD, node, encoded))
            elif held[name][1] != encoded:
                made.append((State.MODIFY, node, encoded))
        for name, (node, _) in held.items():
            if name not in now:
                made.append((State.DELETE, node, encode_entry(node.dn.encode(), b"")))
        if self._psearch is not None:
            told = (syncing.notification(self._psearch, state, entry, b"") for state, _, entry in made)
            return [each for each in told if each is not None]
        return [
            Answer(entry, (syncing.state_control(state, _uuid(node), at if last == len(made) else None),))
            for last, (state, node, entry) in enumerate(made, 1)
        ]


def _uuid(node: Node) -> bytes:
    return UUID(node.values_by_key["entryuuid"][0].decode()).bytes
