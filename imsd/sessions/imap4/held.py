"""What all IMAP sessions of the process share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger

from imsd.auth.throttle import Throttle
from imsd.directory.values import Person
from imsd.errors import AccountDisabled, Refusal
from imsd.sessions.imap4.access import Access
from imsd.sessions.imap4.arranged import Arranged
from imsd.sessions.imap4.remembered import Remembered, SortKeys
from imsd.sessions.imap4.trees import Trees
from imsd.settings import LiveSettings
from imsd.settings.logins import Logins
from imsd.slices import SLICE
from imsd.store import jobs
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import AccountId, EntryId, MailboxId
from imsd.store.index import MailboxIndexes
from imsd.store.search.index import SearchIndex
from protocols.turns import another_turn

_log = Logger()


class AccountEnded(AccountDisabled):
    """The account of a session under way was disabled, deleted or given another password."""

    default = "The account was changed; log in again"


class PeopleDirectory(Protocol):
    """The part of the directory that names other people's mailboxes."""

    async def person_by_login(self, name: str) -> Person | None: ...

    async def person(self, account: AccountId) -> Person | None: ...

    async def change(self, who: str, attributes: Mapping[str, Sequence[str]]) -> Any: ...

    @property
    def contact(self) -> str: ...

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]: ...

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]: ...

    async def delegators(self, ids: Collection[EntryId]) -> list[AccountId]: ...

    async def grantee(self, identifier: str) -> EntryId: ...

    async def identifier(self, grantee: EntryId) -> str: ...


class Bell:
    """Calls views back that have news, in slices: one change may concern thousands (rule 20)."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: deque[Callable[[], object]] = deque()
        self._serving = False

    def ring(self, callback: Callable[[], object]) -> None:
        """Call back in a turn of the reactor soon."""
        self._waiting.append(callback)
        if not self._serving:
            self._serving = True
            self._reactor.callLater(0, self._serve)

    def _serve(self) -> None:
        started = time.perf_counter()
        while self._waiting:
            if time.perf_counter() - started > SLICE:
                self._reactor.callLater(0, self._serve)
                return
            try:
                self._waiting.popleft()()
            except Exception:
                _log.failure("A session failed to hear of changes")
        self._serving = False


@dataclass(slots=True)
class Mailstore:
    """The store and the directory as sessions hold them."""

    db: Database
    blobs: Blobs
    indexes: MailboxIndexes
    directory: PeopleDirectory
    settings: LiveSettings
    reactor: Any
    bell: Bell = field(init=False)
    access: Access = field(init=False)
    # Which messages may hold a text; without it, all are read.
    search: SearchIndex | None = field(default=None, init=False)
    # What searches have learned of content.
    remembered: Remembered = field(default_factory=Remembered, init=False)
    # What SORT asks of content, by blob (`arranging`).
    sort_keys: SortKeys = field(default_factory=SortKeys, init=False)
    # Orders and answers of SORT and THREAD (`arranged`).
    arranged: Arranged = field(init=False)
    trees: Trees = field(init=False)
    # URLs with a token that was wrong, as failed logins are counted (`sharing`).
    wrong_urls: Throttle = field(init=False)
    # Views by mailbox, of those that SELECT made.
    selected: dict[tuple[AccountId, MailboxId], set[Any]] = field(default_factory=dict, init=False)
    _purging: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.wrong_urls = Throttle(lambda: self.settings[Logins], self.reactor.seconds)
        self.bell = Bell(self.reactor)
        self.arranged = Arranged()
        self.trees = Trees(self.db, background)
        self.access = Access(self.db, self.reactor, self.bell)

    def now(self) -> int:
        """Microseconds since the epoch, UTC, by the reactor's clock."""
        return int(self.reactor.seconds() * 1_000_000)

    def breath(self) -> Deferred[None]:
        """Let the reactor serve others; awaited between slices of long work."""
        return another_turn(self.reactor)

    def purge_soon(self) -> None:
        """Remove what deleted mailboxes held, in the background."""
        if not self._purging:
            self._purging = True
            background(self._purge)

    async def _purge(self) -> None:
        try:
            await jobs.purge(self.db)
        finally:
            self._purging = False


def background(work: Callable[[], Awaitable[Any]]) -> None:
    """Run work that nobody waits for. A refusal is left to the next time it is due."""

    async def run() -> None:
        try:
            await work()
        except Refusal:
            pass
        except Exception:
            _log.failure("Background work of a session failed")

    ensureDeferred(run())
