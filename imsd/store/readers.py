"""Readers: a few threads, each with its own connection, each job one snapshot.

What reads a few rows goes before what reads many, and one thread is always left for it: a session
that asks for one row does not wait until others have read ten thousand.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from imsd.errors import StoreUnavailable, TryLater
from imsd.store.transaction import Transaction
from imsd.store.writer import Fault


class Connection(Protocol):
    """A reader's view of a driver connection."""

    def begin(self) -> Transaction: ...
    def end(self) -> None: ...
    def fault(self, error: Exception) -> Fault | None: ...
    def close(self) -> None: ...


class Latency:
    """The moving cost of one kind of read, in seconds; decides whether it may run inline.

    A disk that turns slow sends the reads it slows to a thread, and brings them back once
    they are quick there again (rule 12).
    """

    __slots__ = ("mean",)
    LIMIT = 0.0005
    WEIGHT = 0.1

    def __init__(self) -> None:
        self.mean = 0.0

    def took(self, seconds: float) -> None:
        self.mean += self.WEIGHT * (seconds - self.mean)

    def quick(self) -> bool:
        return self.mean < self.LIMIT


def run(connection: Connection, fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Run a read function in one snapshot; a failing database becomes a refusal."""
    try:
        tx = connection.begin()
        try:
            return fn(tx, *args)
        finally:
            connection.end()
    except Exception as error:
        fault = connection.fault(error)
        if fault is None:
            raise
        raise (TryLater() if fault is not Fault.BROKEN else StoreUnavailable()) from error


class Job:
    """A read waiting for a thread. few: it touches a bounded few rows."""

    __slots__ = ("args", "cancelled", "done", "few", "fn", "latency")

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], latency: Latency | None, few: bool
    ) -> None:
        self.fn = fn
        self.args = args
        self.latency = latency
        self.few = few
        self.cancelled = False
        self.done: Any = None


class Readers:
    """The threads; `deliver(job, result, error)` is called in them."""

    def __init__(
        self,
        connections: list[Connection],
        deliver: Callable[[Job, Any, Exception | None], None],
    ) -> None:
        self._few: deque[Job] = deque()
        self._many: deque[Job] = deque()
        self._ready = threading.Condition()
        self._reading_many = 0
        self._most = max(1, len(connections) - 1)
        self._stopping = False
        self._deliver = deliver
        self._threads = [
            threading.Thread(target=self._serve, args=(each,), name="imsd-reader", daemon=True)
            for each in connections
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        with self._ready:
            (self._few if job.few else self._many).append(job)
            self._ready.notify()

    def waiting(self) -> int:
        return len(self._few) + len(self._many)

    def _take(self) -> Job | None:
        """The next job; None at the end, when nothing waits any more."""
        with self._ready:
            while True:
                if self._few:
                    return self._few.popleft()
                if self._many and self._reading_many < self._most:
                    self._reading_many += 1
                    return self._many.popleft()
                if self._stopping and not self._many:
                    return None
                self._ready.wait()

    def _serve(self, connection: Connection) -> None:
        while (job := self._take()) is not None:
            try:
                self._do(connection, job)
            finally:
                if not job.few:
                    with self._ready:
                        self._reading_many -= 1
        with self._ready:
            self._ready.notify_all()
        connection.close()

    def _do(self, connection: Connection, job: Job) -> None:
        if job.cancelled:
            return
        started = time.perf_counter()
        try:
            result = run(connection, job.fn, job.args)
        except Exception as error:
            self._deliver(job, None, error)
        else:
            if job.latency is not None:
                job.latency.took(time.perf_counter() - started)
            self._deliver(job, result, None)

    def stop(self) -> None:
        """Finish what waits, close the connections; blocks."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()
