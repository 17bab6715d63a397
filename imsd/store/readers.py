"""Readers: a few threads, each with its own connection, each job one snapshot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
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
    """A read waiting for a thread."""

    __slots__ = ("args", "cancelled", "done", "fn", "latency")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], latency: Latency | None) -> None:
        self.fn = fn
        self.args = args
        self.latency = latency
        self.cancelled = False
        self.done: Any = None


class Readers:
    """The threads; `deliver(job, result, error)` is called in them."""

    def __init__(
        self,
        connections: list[Connection],
        deliver: Callable[[Job, Any, Exception | None], None],
    ) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._deliver = deliver
        self._threads = [
            threading.Thread(target=self._serve, args=(each,), name="imsd-reader", daemon=True)
            for each in connections
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        self._jobs.put(job)

    def waiting(self) -> int:
        return self._jobs.qsize()

    def _serve(self, connection: Connection) -> None:
        while (job := self._jobs.get()) is not None:
            if job.cancelled:
                continue
            started = time.perf_counter()
            try:
                result = run(connection, job.fn, job.args)
            except Exception as error:
                self._deliver(job, None, error)
            else:
                if job.latency is not None:
                    job.latency.took(time.perf_counter() - started)
                self._deliver(job, result, None)
        connection.close()

    def stop(self) -> None:
        """Finish what waits, close the connections; blocks."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
