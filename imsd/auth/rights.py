"""Telling sessions that their account ended or changed (rule 18).

A session of a deleted, disabled or password-changed account hears of it as soon as the
change is published; so does one whose rights moved. Who opened another's mailbox is there
for as long as its list, his groups or the owner's delegation let him.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imsd.auth.account import Account
from imsd.auth.interfaces import LoginDirectory
from imsd.auth.realm import Realm, account_of
from imsd.auth.standing import may_open
from imsd.errors import Refusal
from imsd.store import credentials
from imsd.store.changes import AccountScope, Change, Missed, RightsChanged
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId, EntryId

Callback = Callable[[Account | None], None]
"""Called with None when the session must end, else with the account as it now is."""

SLICE = 50
"""Accounts looked at in one turn of the reactor."""
AGAIN = 0.5
"""Seconds until the next look when the store could not be read."""


class RightsWatch:
    """A registration; stop() ends it and may be called twice."""

    __slots__ = ("_rights", "account", "callback", "lists")

    def __init__(self, rights: Rights, account: Account, callback: Callback) -> None:
        self._rights = rights
        self.account = account
        self.callback = callback
        # Of the feed, for one who is in another's mailbox.
        self.lists: Any = None

    def stop(self) -> None:
        self._rights._forget(self)


class Rights:
    log = Logger()

    def __init__(self, db: Database, directory: LoginDirectory, realm: Realm, clock: IReactorTime) -> None:
        self._db = db
        self._directory = directory
        self._realm = realm
        self._clock = clock
        self._watches: dict[AccountId, set[RightsWatch]] = {}
        self._restricted: set[RightsWatch] = set()
        self._due: dict[AccountId, None] = {}
        self._running = False

    def watch(self, account: Account, callback: Callback) -> RightsWatch:
        """Call back on the reactor when this account's session must end or its rights moved.

        Who came without a name has no entry that could change.
        """
        watch = RightsWatch(self, account, callback)
        if account.anonymous:
            return watch
        for concerned in {account.id, account.actor}:
            self._watches.setdefault(concerned, set()).add(watch)
        if account.restricted:
            self._restricted.add(watch)
            watch.lists = self._db.feed.watch(
                AccountScope(account.id), lambda change: self._listed(account.id, change)
            )
        if account.restricted or not self._realm.current(account):
            # It may have changed between the login and now.
            self._look_at([account.id])
        return watch

    def changed(self, ids: tuple[EntryId, ...] | None) -> None:
        """These entries changed; None: any may have."""
        if ids is None:
            self._look_at(self._watches)
            return
        # What changed may be a group that somebody is in another's mailbox by.
        self._look_at([*map(AccountId, ids), *(watch.account.id for watch in self._restricted)])

    def _listed(self, account: AccountId, change: Change) -> None:
        """The lists of somebody's mailboxes may be others."""
        if isinstance(change, Missed) or (isinstance(change, RightsChanged) and change.mailbox == INBOX):
            self._look_at([account])

    def _look_at(self, concerned: Iterable[AccountId]) -> None:
        self._due.update((account, None) for account in concerned if account in self._watches)
        if self._due and not self._running:
            self._running = True
            # In a turn of its own: other watchers of the feed (the directory's cache) come first.
            self._clock.callLater(0, self._look)

    def _look(self) -> None:
        Deferred.fromCoroutine(self._look_at_some()).addErrback(self._failed)

    async def _look_at_some(self) -> None:
        for _ in range(SLICE):
            if not self._due:
                self._running = False
                return
            account = next(iter(self._due))
            del self._due[account]
            for watch in tuple(self._watches.get(account, ())):
                try:
                    now = await self._now(watch.account)
                except Refusal:
                    self._due[account] = None
                    self._clock.callLater(AGAIN, self._look)
                    return
                self._tell(watch, now)
        self._clock.callLater(0, self._look)

    async def _now(self, account: Account) -> Account | None:
        """The account as it is now; None if its sessions must end."""
        person = await self._directory.person(account.id)
        actor = person if account.actor == account.id else await self._directory.person(account.actor)
        if person is None or actor is None or person.disabled or actor.disabled:
            return None
        generation = await self._db.read_few(credentials.generation, actor.entry)
        if generation != account.generation:
            return None
        if account.actor == account.id:
            return account_of(person, generation, account.app, account.must_change)
        now = replace(
            account_of(person, generation, account.app),
            is_admin=False, actor=account.actor, restricted=account.restricted,
        )  # fmt: skip
        if account.restricted:
            acting = account_of(actor, generation)
            return now if await may_open(self._db, self._directory, acting, account.id) else None
        return now if actor.is_admin else None

    def _tell(self, watch: RightsWatch, now: Account | None) -> None:
        if now == watch.account or watch not in self._watches.get(watch.account.id, ()):
            return
        if now is None:
            watch.stop()
        else:
            watch.account = now
        try:
            watch.callback(now)
        except Exception:
            # One session's trouble must not keep the others from being told.
            self.log.failure("a session failed to hear of its account's change")

    def _failed(self, failure: Any) -> None:
        self.log.failure("looking at changed accounts failed", failure)
        self._running = False

    def _forget(self, watch: RightsWatch) -> None:
        self._restricted.discard(watch)
        if watch.lists is not None:
            watch.lists.stop()
            watch.lists = None
        for concerned in {watch.account.id, watch.account.actor}:
            watches = self._watches.get(concerned)
            if watches is not None:
                watches.discard(watch)
                if not watches:
                    del self._watches[concerned]
