"""Group commit: one connection, many units, one COMMIT.

1. The writer takes whatever waits, up to `units` units or `seconds` of work, and runs each in
   a savepoint of one transaction, or without one until a unit raises. `Writer` does so in a
   thread; `imsd.store.turns` on the reactor, where statements are quick.
2. A unit that raises is rolled back alone, and its caller gets what it raised.
3. An error that costs the whole transaction (SQLITE_FULL may, PostgreSQL's 40001 does) makes
   the group run again, one unit in one transaction each; only the unit that fails alone fails.
4. Nothing is delivered before COMMIT succeeded. When nobody knows whether COMMIT succeeded,
   every caller of the group gets TryLater.
5. A group's outcomes are delivered at once, by one call into the reactor: first the changes,
   in commit order, then the results.
"""

from __future__ import annotations

import enum
import random
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from imsd.errors import StoreFull, StoreUnavailable, TryLater
from imsd.store.arrivals import Arrival, Arrivals
from imsd.store.changes import Change
from imsd.store.failpoints import reached
from imsd.store.transaction import Unit


class Fault(enum.Enum):
    """What a driver's error means for the transaction it happened in."""

    FULL = enum.auto()
    """No space: the unit does not fit."""
    AGAIN = enum.auto()
    """The transaction lost a race: run it again."""
    TAKEN = enum.auto()
    """A unique value was taken: by another writer just now, or the unit is wrong."""
    BROKEN = enum.auto()
    """The database failed; this unit may be repeated later."""
    BUSY = enum.auto()
    """It took too long."""


_REPEAT = (Fault.AGAIN, Fault.TAKEN)


class Connection(Protocol):
    """The writer's view of a driver connection; postgresql and sqlite implement it."""

    def unit(self) -> Unit: ...
    def begin(self) -> None: ...
    def savepoint(self) -> None: ...
    def release(self) -> None: ...
    def rollback_to(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None:
        """Never raises; leaves a connection that can begin."""

    def in_transaction(self) -> bool: ...
    def fault(self, error: Exception) -> Fault | None:
        """None when the error is not the database's but the unit's own."""

    def commit_undone(self, error: Exception) -> bool:
        """Whether this failure of COMMIT surely left nothing behind."""

    def close(self) -> None: ...


class Job:
    """A unit function waiting for its turn; `done` is opaque here. arrival: what it would write, where that
    can be written together with others'."""

    __slots__ = ("args", "arrival", "done", "fn")

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], done: Any, arrival: Arrival | None = None
    ) -> None:
        self.fn = fn
        self.args = args
        self.done = done
        self.arrival = arrival


class Outcome:
    """What became of a job: a result with its changes, or an error."""

    __slots__ = ("changes", "done", "error", "result")

    def __init__(
        self, done: Any, result: Any, error: Exception | None, changes: Sequence[Change] = ()
    ) -> None:
        self.done = done
        self.result = result
        self.error = error
        self.changes = changes


Deliver = Callable[[list[Outcome]], None]


class Lost(Exception):
    """The transaction is gone and nothing of it happened; fault says why."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault


class Transactions:
    """Runs units in transactions of one connection. Nothing here knows of threads."""

    ATTEMPTS = 8

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def alone(self, job: Job) -> Outcome:
        """One unit in its own transaction, again and again while it loses races."""
        fault: Fault | None = None
        for attempt in range(self.ATTEMPTS):
            try:
                self.begin()
                return self.commit([self.run(job)])[0]
            except Lost as lost:
                fault = lost.fault
                if fault is Fault.TAKEN and attempt > 1 and isinstance(lost.__cause__, Exception):
                    # Seen with the other's row in sight: it is the unit's own mistake.
                    return Outcome(job.done, None, lost.__cause__)
            if fault not in _REPEAT:
                break
            # Two writers that collide must not collide again in step.
            time.sleep(random.uniform(0, 0.002 * 2**attempt))
        return Outcome(job.done, None, _refusal(fault))

    def begin(self) -> None:
        try:
            self.connection.begin()
        except Exception as error:
            self.connection.rollback()
            raise Lost(self.connection.fault(error) or Fault.BROKEN) from error

    def unguarded(self, job: Job) -> Outcome:
        """Run a unit without a savepoint, which costs a tenth of a delivery. What it raises ends the
        whole transaction: the caller rolls it back, and begins again with `run`."""
        unit = self.connection.unit()
        return Outcome(job.done, job.fn(unit, *job.args), None, unit.changes)

    def run(self, job: Job) -> Outcome:
        connection = self.connection
        try:
            connection.savepoint()
            unit = connection.unit()
            result = job.fn(unit, *job.args)
            connection.release()
        except Exception as error:
            return Outcome(job.done, None, self._failed(error))
        return Outcome(job.done, result, None, unit.changes)

    def _failed(self, error: Exception) -> Exception:
        """Roll the unit back; what its caller gets. Raises Lost when the group is gone."""
        connection = self.connection
        fault = connection.fault(error)
        if fault in _REPEAT or not connection.in_transaction():
            connection.rollback()
            raise Lost(fault) from error
        try:
            connection.rollback_to()
        except Exception as again:
            connection.rollback()
            raise Lost(connection.fault(again) or Fault.BROKEN) from again
        return error if fault is None else _refusal(fault)

    def commit(self, outcomes: list[Outcome]) -> list[Outcome]:
        reached("writer.before-commit")
        try:
            self.connection.commit()
        except Exception as error:
            self._not_committed(error)
            return [o if o.error is not None else Outcome(o.done, None, TryLater()) for o in outcomes]
        reached("writer.after-commit")
        return outcomes

    def arrive(self, arrivals: Arrivals, jobs: Sequence[Job]) -> list[Outcome] | None:
        """Write all of these by one statement that commits itself, outside of any transaction; None when
        they are written, as far as they could be."""
        reached("writer.before-commit")
        try:
            arrivals.write([job.arrival for job in jobs if job.arrival is not None])
        except Exception as error:
            self._not_committed(error)
            return [Outcome(job.done, None, TryLater()) for job in jobs]
        reached("writer.after-commit")
        return None

    def _not_committed(self, error: Exception) -> None:
        """Raises Lost, unless it may have been committed all the same."""
        connection = self.connection
        undone, fault = connection.commit_undone(error), connection.fault(error)
        connection.rollback()
        if undone:
            raise Lost(fault) from error


class Writer(threading.Thread):
    """The thread that owns a write connection, for databases whose statements wait for a server."""

    def __init__(
        self, connection: Connection, deliver: Deliver, *, units: int = 256, seconds: float = 0.02
    ) -> None:
        super().__init__(name="imsd-writer", daemon=True)
        self._transactions = Transactions(connection)
        self._deliver = deliver
        self._units = units
        self._seconds = seconds
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()

    def submit(self, job: Job) -> None:
        self._waiting.put(job)

    def waiting(self) -> int:
        """About how many units wait."""
        return self._waiting.qsize()

    async def drained(self) -> None:
        """Nothing to wait for: `stop` ends after what was submitted."""

    def stop(self) -> None:
        """End after everything submitted before has been written."""
        self._waiting.put(None)

    def run(self) -> None:
        while (first := self._waiting.get()) is not None:
            self._serve(first)
        self._transactions.connection.close()

    def _serve(self, first: Job) -> None:
        """Write one group that starts with `first`."""
        taken: list[Job] = []
        try:
            self._deliver(self._group(first, taken))
        except Lost:
            for job in taken:
                self._deliver([self._transactions.alone(job)])

    def _group(self, first: Job, taken: list[Job]) -> list[Outcome]:
        """One transaction over what waits; `taken` tells the caller which jobs it held."""
        outcomes: list[Outcome] = []
        taken.append(first)
        self._transactions.begin()
        stop_at = time.monotonic() + self._seconds
        job: Job | None = first
        while job is not None:
            outcomes.append(self._transactions.run(job))
            if len(taken) >= self._units or time.monotonic() > stop_at:
                break
            try:
                job = self._waiting.get_nowait()
            except Empty:
                break
            if job is None:
                self._waiting.put(None)
                break
            taken.append(job)
        return self._transactions.commit(outcomes)


def _refusal(fault: Fault | None) -> Exception:
    if fault is Fault.FULL:
        return StoreFull()
    if fault is Fault.BROKEN:
        return StoreUnavailable()
    return TryLater()
