"""The one door to the database (rules 1, 2, 3, 6, 7, 11 and 12 of the design).

    db = await Database.open("sqlite", home, reactor)
    rows = await db.read(fn, *args)          fn(tx, *args) in a reader thread, one snapshot
    row = await db.read_few(fn, *args)       the same for a bounded few rows: inline while quick
    result = await db.write(fn, *args)       fn(unit, *args); fires after COMMIT
    watch = db.feed.watch(scope, callback)   changes, in commit order, before the write fires

1. Functions handed in are plain: no Twisted, no effect outside their transaction. A unit
   function may run more than once.
2. A write is submitted when `write` is called. Cancelling its Deferred stops the waiting, never
   the writing; cancelling a read that did not start yet drops it.
3. A write's Deferred fires after its COMMIT, and after the feed told every watcher of its
   changes. It may fail with the refusal its function raised, with StoreFull, with
   StoreUnavailable (nothing was written), or with TryLater (too busy, or nobody knows whether
   COMMIT succeeded: each kind of unit must stand a repeat).
4. Everything a caller awaits fires on the reactor.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imsd.errors import TryLater
from imsd.store import failpoints, readers
from imsd.store.arrivals import Arrival
from imsd.store.changes import Scope
from imsd.store.feed import Feed as Feed
from imsd.store.feed import Watch as Watch
from imsd.store.lock import HomeInUse as HomeInUse
from imsd.store.lock import HomeLock
from imsd.store.readers import Latency, Readers
from imsd.store.transaction import Transaction as Transaction
from imsd.store.transaction import Unit as Unit
from imsd.store.turns import TurnWriter
from imsd.store.workers import Workers
from imsd.store.writer import Job, Outcome, Writer
from protocols.turns import hand_over

T = TypeVar("T")
_log = Logger()

MAX_WAITING = 20_000
"""Units (and reads) that may wait; one more is refused with TryLater."""
READERS = 3
POLL_SECONDS = 2.0
"""How often counters are compared where nodes share a database, hints apart."""


class Database:
    """An open store. Make one with `open`."""

    def __init__(self, reactor: Any, home: Path, lock: HomeLock, engine: Any) -> None:
        self.reactor = reactor
        self.home = home
        self.feed = Feed(_report)
        self._lock = lock
        self._engine = engine
        self._latencies: dict[Any, Latency] = {}
        self._inline: readers.Connection | None = engine.inline_reader()
        self._readers = Readers(engine.readers(READERS), self._deliver_job)
        self._files = Workers(self._deliver)
        self._writers: list[Writer] | list[TurnWriter] = engine.writers(
            reactor, self._written, self._deliver_written
        )
        for writer in self._writers:
            writer.start()
        self._closed = False
        self._comparing = False
        self._heard: set[Scope] | None = set()
        self._poll: LoopingCall | None = None
        if engine.connect_nodes(self._hear):
            self._poll = LoopingCall(self._compare_all)
            self._poll.clock = reactor
            self._poll.start(POLL_SECONDS, now=False)

    @classmethod
    async def open(cls, url: str, home: Path, reactor: Any) -> Database:
        """Open (and create or migrate) the store of a home.

        url: "sqlite" for HOME/data/imsd.db, or "postgresql://...". Refuses with HomeInUse when
        another process has the home open.
        """
        failpoints.arm(os.environ.get("IMSD_FAILPOINT"))
        # A busy Python thread must not keep the reactor from the lock for 5 ms (rule 12): each call
        # of the system, such as `send`, gives the lock away.
        sys.setswitchinterval(0.0001)
        lock = HomeLock(home)
        try:
            engine = await in_thread(reactor, _prepare, url, home)
            return cls(reactor, home, lock, engine)
        except BaseException:
            lock.release()
            raise

    @property
    def dialect(self) -> int:
        """imsd.store.sql.SQLITE or POSTGRESQL."""
        dialect: int = self._engine.dialect
        return dialect

    @property
    def node(self) -> int:
        """This home's number among the nodes that share a database; 0 where there is one."""
        node: int = self._engine.node
        return node

    # Reading ---------------------------------------------------------------------------

    def read(self, fn: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run fn(tx, *args) in a reader thread, in one snapshot."""
        return self._read(fn, args, None, few=False)

    async def read_few(self, fn: Callable[..., T], *args: Any) -> T:
        """Run fn(tx, *args), which touches a bounded few rows: inline while that is quick."""
        if self._inline is None:
            return await self._read(fn, args, None, few=True)
        # By its code: a function made for each call is still one kind of read.
        kind = getattr(fn, "__code__", type(fn))
        latency = self._latencies.get(kind)
        if latency is None:
            latency = self._latencies[kind] = Latency()
        if not latency.quick():
            return await self._read(fn, args, latency, few=True)
        started = time.perf_counter()
        result: T = readers.run(self._inline, fn, args)
        latency.took(time.perf_counter() - started)
        return result

    def _read(
        self, fn: Callable[..., T], args: tuple[Any, ...], latency: Latency | None, few: bool
    ) -> Deferred[T]:
        job = readers.Job(fn, args, latency, few)
        done: Deferred[T] = Deferred(lambda _: setattr(job, "cancelled", True))
        job.done = done
        if self._closed or self._readers.waiting() > MAX_WAITING:
            done.errback(TryLater())
        else:
            self._readers.submit(job)
        return done

    def _deliver_job(self, job: readers.Job, result: Any, error: Exception | None) -> None:
        self._deliver(job.done, result, error)

    def _deliver(self, done: Any, result: Any, error: Exception | None) -> None:
        """In a thread: whoever waits has it when it is his turn, so that twenty results that come at
        once do not keep the reactor for twenty slices of what is then done with them."""
        self.reactor.callFromThread(_found, self.reactor, done, result, error)

    # Writing ---------------------------------------------------------------------------

    def write(
        self, fn: Callable[..., T], *args: Any, account: int = 0, arrival: Arrival | None = None
    ) -> Deferred[T]:
        """Run fn(unit, *args) wholly or not at all; fires after COMMIT.

        account: whose rows it mostly writes; with several writers, they are shared out by it. arrival: all
        that it would write, for a writer that writes several at once in place of it.
        """
        done: Deferred[T] = Deferred()
        writers = self._writers
        writer = writers[0] if len(writers) == 1 else writers[hash(account) % len(writers)]
        if self._closed or writer.waiting() > MAX_WAITING:
            done.errback(TryLater())
        else:
            writer.submit(Job(fn, args, done, arrival))
        return done

    def _deliver_written(self, outcomes: list[Outcome]) -> None:
        self.reactor.callFromThread(self._written, outcomes)
        if self._poll is not None:
            scopes = {change.scope for outcome in outcomes for change in outcome.changes}
            if scopes:
                self._engine.tell_nodes(scopes)

    def _written(self, outcomes: list[Outcome]) -> None:
        publish = self.feed.publish
        for outcome in outcomes:
            for change in outcome.changes:
                publish(change)
        for outcome in outcomes:
            _fire(outcome.done, outcome.result, outcome.error)

    @property
    def shared(self) -> bool:
        """Other nodes may write here too."""
        return self._poll is not None

    def waiting(self) -> int:
        """Units that wait to be written; for metrics and for admission."""
        return sum(writer.waiting() for writer in self._writers)

    # Other nodes -----------------------------------------------------------------------

    def _hear(self, scopes: list[Scope] | None) -> None:
        """In a thread: another node changed these scopes, or None: any."""
        self.reactor.callFromThread(self._compare, scopes)

    def _compare_all(self) -> None:
        self._compare(None)

    def _compare(self, scopes: list[Scope] | None) -> None:
        """Compare the counters of watched scopes; one reading at a time, the rest together."""
        if scopes != []:
            self.feed.doubt(scopes)
        if scopes is None or self._heard is None:
            self._heard = None
        else:
            self._heard |= set(scopes)
        if self._comparing or self._closed:
            return
        watched = self.feed.scopes()
        heard, self._heard = self._heard, set()
        asked = watched if heard is None else [scope for scope in watched if scope in heard]
        if asked:
            self._comparing = True
            self.read(_numbers, asked).addCallbacks(self.feed.now_at, lambda _: None).addBoth(self._compared)

    def _compared(self, _: object) -> None:
        self._comparing = False
        if self._heard is None or self._heard:
            self._compare([])

    # The rest --------------------------------------------------------------------------

    def in_thread(self, fn: Callable[..., T], *args: Any) -> Deferred[T]:
        """Run fn(*args), which blocks on a file, away from the reactor; never withdrawn."""
        done: Deferred[T] = Deferred()
        self._files.submit(fn, args, done)
        return done

    async def close(self) -> None:
        """Write what was submitted, then close; the home may be opened again after."""
        if not self._closed:
            self._closed = True
            if self._poll is not None:
                self._poll.stop()
            for writer in self._writers:
                await writer.drained()
            await in_thread(self.reactor, self._shut)

    def _shut(self) -> None:
        for writer in self._writers:
            writer.stop()
        self._readers.stop()
        self._files.stop()
        if self._inline is not None:
            self._inline.close()
        for writer in self._writers:
            writer.join()
        self._engine.close()
        self._lock.release()


def _prepare(url: str, home: Path) -> Any:
    from imsd.store import engines

    return engines.prepare(url, home)


def in_thread(reactor: Any, fn: Callable[..., T], *args: Any) -> Deferred[T]:
    """Run fn(*args) in a thread of its own."""
    done: Deferred[T] = Deferred()

    def work() -> None:
        try:
            result, failure = fn(*args), None
        except Exception as error:
            result, failure = None, error
        reactor.callFromThread(_fire, done, result, failure)

    threading.Thread(target=work, name="imsd-store", daemon=True).start()
    return done


def _numbers(tx: Transaction, scopes: list[Scope]) -> list[tuple[Scope, int]]:
    return [(scope, tx.counter(scope)) for scope in scopes]


def forked(deferred: Deferred[Any]) -> Deferred[None]:
    """Another Deferred that fires, with None, when this one has."""
    other: Deferred[None] = Deferred()

    def fire(result: Any) -> Any:
        if not other.called:
            other.callback(None)
        return result

    deferred.addBoth(fire)
    return other


def _found(reactor: Any, done: Deferred[Any], result: Any, error: Exception | None) -> None:
    hand_over(reactor, done, result if error is None else Failure(error))


def _fire(done: Deferred[Any], result: Any, error: Exception | None) -> None:
    if done.called:
        return  # Cancelled while it was under way.
    if error is None:
        done.callback(result)
    else:
        done.errback(error)


def _report(scope: Scope) -> None:
    _log.failure("A watcher of {scope} failed", scope=scope)
