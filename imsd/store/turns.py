"""Group commit for SQLite: units run in turns of the reactor, a thread makes them durable.

A writer thread that is busy with Python gives the interpreter lock up at each statement and has
to get it back from a reactor that is busy, too: a delivery of 55 microseconds took 200. Here the
units run between the reactor's other work, and what takes real time, the COMMIT with its sync,
runs in a thread that needs the lock for nothing else.

1. What is submitted until the reactor has nobody to serve, or until `ENOUGH` wait, or for `GATHER`
   seconds, and what was while a COMMIT was under way, is one group. It runs in one turn, for `seconds`
   at most. A larger group is cheaper for each, and loses no time: the reactor is busy with those who
   bring more. Where one client waits alone, that is the next turn.
2. A kind of unit proves itself quick in the thread before it may run on the reactor, and goes
   back when its moving cost is over the limit (as reads do, rule 12). Order is kept. Those of known kinds
   that wait one behind the other are a group in the thread, too, of what takes `TOGETHER` seconds.
3. Units run without savepoints. When one raises, the group is rolled back and run again with them,
   so that it alone fails.
4. A transaction that was lost is run again in the thread, one unit at a time (rule 1).
5. A run of jobs that are arrivals (imsd.store.arrivals) is a group of its own, which the thread writes by one
   statement. What that leaves out waits again, first, for its unit to run.
6. The thread hands back what it was given: freed there, with the interpreter's lock held, the values of
   a group would cost the reactor as much time, and more, for they are in the other processor's caches.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import Deferred

from imsd.errors import TryLater
from imsd.polling import idle
from imsd.store import arrivals
from imsd.store.arrivals import Arrivals
from imsd.store.readers import Latency
from imsd.store.writer import Connection, Deliver, Job, Lost, Outcome, Transactions

LIMIT = Latency.LIMIT
"""Seconds that a unit on the reactor may take on average."""

ENOUGH = 16
"""Units that wait for no more of them."""
GATHER = 0.002
"""Seconds that they wait at most."""
TOGETHER = 0.02
"""Seconds that units of a group in the thread are expected to take in all."""

How = Callable[[list[Job], list[Outcome]], list[Outcome] | None]


class Group:
    """What the thread brings to its end. how: makes outcomes of the jobs and the outcomes so far; None of
    arrivals that are written, until the reactor has asked which."""

    __slots__ = ("how", "jobs", "outcomes")

    def __init__(self, how: How, jobs: list[Job], outcomes: list[Outcome]) -> None:
        self.how = how
        self.jobs = jobs
        self.outcomes: list[Outcome] | None = outcomes


class TurnWriter:
    """Owns SQLite's write connection. All methods but the thread's are the reactor's."""

    def __init__(
        self,
        connection: Connection,
        deliver: Deliver,
        reactor: Any,
        arrivals: Arrivals | None = None,
        *,
        units: int = 256,
        seconds: float = 0.004,
    ) -> None:
        self._transactions = Transactions(connection)
        self._deliver = deliver
        self._reactor = reactor
        self._arrivals = arrivals
        self._units = units
        self._seconds = seconds
        self._waiting: deque[Job] = deque()
        self._scheduled = False
        self._begins_by = 0.0
        self._busy = False
        self._costs: dict[Any, Latency] = {}
        self._idle: list[Deferred[None]] = []
        self._work: SimpleQueue[Group | None] = SimpleQueue()
        self._finished: deque[Group] = deque()
        self._thread = threading.Thread(target=self._serve, name="imsd-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._waiting.append(job)
        self._schedule()

    def waiting(self) -> int:
        """How many units wait."""
        return len(self._waiting)

    async def drained(self) -> None:
        """Wait until everything submitted has been written."""
        while self._busy or self._waiting:
            done: Deferred[None] = Deferred()
            self._idle.append(done)
            await done

    def stop(self) -> None:
        """End the thread; `drained` has returned."""
        self._work.put(None)

    def join(self) -> None:
        self._thread.join()

    # On the reactor ----------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._scheduled and not self._busy:
            self._scheduled = True
            self._begins_by = time.perf_counter() + GATHER
            self._reactor.callFromThread(self._turn)

    def _turn(self) -> None:
        if not idle(self._reactor) and len(self._waiting) < ENOUGH and time.perf_counter() < self._begins_by:
            self._reactor.callFromThread(self._turn)
            return
        self._scheduled = False
        if self._busy or not self._waiting:
            return
        self._busy = True
        if self._arrivals is not None and self._waiting[0].arrival is not None:
            self._work.put(Group(self._arrive, self._run_of_arrivals(), []))
            return
        if not self._quick(self._waiting[0]):
            self._work.put(Group(self._measured, self._run_of_slow_ones(), []))
            return
        taken: list[Job] = []
        outcomes: list[Outcome] = []
        try:
            self._run_some(taken, outcomes)
        except Lost:
            self._work.put(Group(self._again, taken, []))
        else:
            self._work.put(Group(self._commit, taken, outcomes))

    def _run_of_arrivals(self) -> list[Job]:
        taken: list[Job] = []
        waiting = self._waiting
        while waiting and waiting[0].arrival is not None and len(taken) < arrivals.MOST:
            taken.append(waiting.popleft())
        return taken

    def _run_of_slow_ones(self) -> list[Job]:
        """The next unit, and those of known kinds behind it that belong in the thread."""
        waiting = self._waiting
        taken = [waiting.popleft()]
        cost = self._costs.get(_kind(taken[0]))
        left = TOGETHER - cost.mean if cost is not None else 0.0
        while left > 0 and waiting and waiting[0].arrival is None and len(taken) < self._units:
            cost = self._costs.get(_kind(waiting[0]))
            if cost is None or cost.quick():
                break
            left -= cost.mean
            taken.append(waiting.popleft())
        return taken

    def _run_some(self, taken: list[Job], outcomes: list[Outcome]) -> None:
        """Begin a transaction and run units in it; raises Lost."""
        try:
            self._run_each(taken, outcomes, self._transactions.unguarded)
        except Lost:
            raise
        except Exception:
            # That one alone is to fail: all of them again, each in a savepoint.
            self._transactions.connection.rollback()
            self._waiting.extendleft(reversed(taken))
            taken.clear()
            outcomes.clear()
            self._run_each(taken, outcomes, self._transactions.run)

    def _run_each(self, taken: list[Job], outcomes: list[Outcome], run: Callable[[Job], Outcome]) -> None:
        waiting = self._waiting
        self._transactions.begin()
        before = time.perf_counter()
        stop_at = before + self._seconds
        while waiting and len(taken) < self._units and before < stop_at and self._quick(waiting[0]):
            job = waiting.popleft()
            taken.append(job)
            outcomes.append(run(job))
            after = time.perf_counter()
            self._costs[_kind(job)].took(after - before)
            before = after

    def _quick(self, job: Job) -> bool:
        cost = self._costs.get(_kind(job))
        return cost is not None and cost.quick()

    def _done(self) -> None:
        """What the thread has brought to its end."""
        self._busy = False
        group = self._finished.popleft()
        self._deliver(self._arrived(group.jobs) if group.outcomes is None else group.outcomes)
        if self._waiting:
            self._schedule()
        elif self._idle:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _arrived(self, taken: list[Job]) -> list[Outcome]:
        """What became of arrivals that the thread has written."""
        assert self._arrivals is not None
        try:
            numbers = {row[0]: row[1:] for row in self._arrivals.written()}
        except Exception:
            # They are written; without memory it cannot be said under which numbers.
            return [Outcome(job.done, None, TryLater()) for job in taken]
        outcomes: list[Outcome] = []
        left: list[Job] = []
        for place, job in enumerate(taken):
            arrival, found = job.arrival, numbers.get(place)
            assert arrival is not None
            if found is None:
                job.arrival = None
                left.append(job)
            else:
                outcomes.append(Outcome(job.done, arrival.result, None, (arrival.change(*found),)))
        self._waiting.extendleft(reversed(left))
        return outcomes

    # In the thread -----------------------------------------------------------------------

    def _serve(self) -> None:
        while (group := self._work.get()) is not None:
            group.outcomes = group.how(group.jobs, group.outcomes or [])
            self._finished.append(group)
            del group
            self._reactor.callFromThread(self._done)
        self._transactions.connection.close()

    def _arrive(self, taken: list[Job], _: list[Outcome]) -> list[Outcome] | None:
        assert self._arrivals is not None
        try:
            return self._transactions.arrive(self._arrivals, taken)
        except Lost:
            return self._again(taken, [])

    def _commit(self, taken: list[Job], outcomes: list[Outcome]) -> list[Outcome]:
        try:
            return self._transactions.commit(outcomes)
        except Lost:
            return self._again(taken, [])

    def _again(self, taken: list[Job], _: list[Outcome]) -> list[Outcome]:
        return [self._transactions.alone(job) for job in taken]

    def _measured(self, taken: list[Job], _: list[Outcome]) -> list[Outcome]:
        """Units whose kind is new or slow. The reactor waits for it with its costs."""
        outcomes: list[Outcome] = []
        took: list[float] = []
        try:
            self._transactions.begin()
            before = time.perf_counter()
            for job in taken:
                outcomes.append(self._transactions.run(job))
                after = time.perf_counter()
                took.append(after - before)
                before = after
            outcomes = self._transactions.commit(outcomes)
        except Lost:
            return self._again(taken, [])
        for job, seconds in zip(taken, took, strict=True):
            kind = _kind(job)
            if kind in self._costs:
                self._costs[kind].took(seconds)
            else:
                first = self._costs[kind] = Latency()
                first.mean = seconds
        return outcomes


def _kind(job: Job) -> Any:
    """By its code: a function made for each call is still one kind of unit."""
    return getattr(job.fn, "__code__", type(job.fn))
