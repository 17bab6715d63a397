"""Who holds which POP3 maildrop (RFC 1939 4).

On SQLite one process has the store, and a set in memory is the lock, free again after any
crash. On PostgreSQL a row with a lease keeps the other nodes out; a holder whose lease was
lost (the node slept, the database was away) has to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_bytes
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from imsd.errors import MailboxInUse, Refusal
from imsd.store import maildrops
from imsd.store.database import Database
from imsd.store.ids import AccountId
from imsd.store.sql import POSTGRESQL
from imsd.store.tables import now

LEASE = 120
RENEWED = 30
"""Seconds."""


class Maildrops:
    log = Logger()

    def __init__(self, db: Database, clock: IReactorTime) -> None:
        self._db = db
        self._clock = clock
        self._shared = db.dialect == POSTGRESQL
        self._token = token_bytes(16)
        self._held: dict[AccountId, Callable[[], None]] = {}
        self._timer: Any = None

    async def take(self, account: AccountId, lost: Callable[[], None]) -> None:
        """Lock a maildrop. lost: called when the lock was. Raises MailboxInUse, TryLater."""
        if account in self._held:
            raise MailboxInUse
        self._held[account] = lost
        if not self._shared:
            return
        try:
            taken = await self._db.write(
                maildrops.take, account, self._token, now(), LEASE * 1_000_000, account=account
            )
        except BaseException:
            # The write may still happen: what it takes is given back after it.
            self.free(account)
            raise
        if not taken:
            del self._held[account]
            raise MailboxInUse
        if self._timer is None:
            self._timer = self._clock.callLater(RENEWED, self._renew)

    def free(self, account: AccountId) -> None:
        """Unlock; a write that follows for this account comes after it."""
        self._held.pop(account, None)
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shared:
            freeing = self._db.write(maildrops.free, account, self._token, account=account)
            freeing.addErrback(self._failed)

    def _renew(self) -> None:
        self._timer = self._clock.callLater(RENEWED, self._renew)
        Deferred.fromCoroutine(self._extend()).addErrback(self._failed)

    async def _extend(self) -> None:
        accounts = tuple(self._held)
        try:
            kept = await self._db.write(maildrops.extend, accounts, self._token, now(), LEASE * 1_000_000)
        except Refusal:
            return  # again in a while; three may fail before the lease is over
        for account in accounts:
            if account not in kept and account in self._held:
                self._held[account]()

    def _failed(self, failure: Any) -> None:
        # Nothing is lost: the lease ends by itself.
        if not failure.check(Refusal):
            self.log.failure("a maildrop's lock could not be written", failure)
