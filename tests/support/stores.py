"""An open store for tests, without a running reactor.

    def test_it(database):
        assert run(database.write(some_unit_function, 1)) == 2

`run(awaitable)` turns the test's thread into the reactor until the awaitable is done. Time is
`database.reactor`'s, a Twisted Clock: it moves only by `advance`. The fixture `database` runs
each test once per database; `sqlite_database` once, for what only that one has.
`IMSD_TEST_DELAYS=seed` makes results of threads come after a random number of turns (rule 6).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from imsd.store.database import Database, _found
from tests.support.postgres import empty_database

T = TypeVar("T")
PATIENCE = 30.0
"""Real seconds that `run` waits for threads before the test fails."""
SILENCE = 0.5


class StoreReactor(Clock):
    """A Clock that also takes calls from threads; they run while `run` waits.

    Where threads have been silent for `SILENCE`, so do those that are due without time passing: the
    next slice of what took longer than one, which is what the test waits for then.
    """

    def __init__(self) -> None:
        super().__init__()
        delays = os.environ.get("IMSD_TEST_DELAYS")
        self._late = random.Random(delays) if delays else None
        self._calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def callFromThread(self, fn: Callable[..., Any], *args: Any) -> None:
        self._calls.put((fn, args))

    def run(self, awaitable: Awaitable[T]) -> T:
        done: list[Any] = []
        waiting = awaitable if isinstance(awaitable, Deferred) else ensureDeferred(_awaited(awaitable))

        def fired(result: Any) -> Any:
            done.append(result)
            return None if isinstance(result, Failure) else result

        waiting.addBoth(fired)
        limit = time.monotonic() + PATIENCE
        while not done:
            due = bool(self.calls) and self.calls[0].getTime() <= self.seconds()
            try:
                fn, args = self._calls.get(timeout=SILENCE if due else max(0.0, limit - time.monotonic()))
            except Empty:
                if not due:
                    raise TimeoutError("Nothing fired") from None
                self.advance(0)
                continue
            if self._late is not None and fn is _found and self._late.random() < 0.6:
                # Changes keep their order; what was read may come later than it was asked for.
                self._calls.put((fn, args))
                continue
            fn(*args)
        result = done[0]
        if isinstance(result, Failure):
            result.raiseException()
        return result  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Run what threads have asked for so far."""
        while True:
            try:
                fn, args = self._calls.get_nowait()
            except Empty:
                return
            fn(*args)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


_reactor = StoreReactor()


def run(awaitable: Awaitable[T]) -> T:
    """Be the reactor until the awaitable is done; its result or its exception."""
    return _reactor.run(awaitable)


def open_store(home: Path, url: str = "sqlite") -> Database:
    """Open the store of a home on the tests' reactor."""
    return run(Database.open(url, home, _reactor))


@pytest.fixture
def store_reactor() -> StoreReactor:
    """The reactor of this test; made anew for each."""
    global _reactor
    _reactor = StoreReactor()
    return _reactor


@pytest.fixture
def sqlite_database(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Database]:
    database = open_store(tmp_path / "home")
    yield database
    run(database.close())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A store's URL with nothing in it, once for each database."""
    return "sqlite" if request.param == "sqlite" else empty_database()


@pytest.fixture
def postgresql_url() -> str:
    """An empty database on PostgreSQL; mark the test `postgres`."""
    return empty_database()


@pytest.fixture
def database(database_url: str, tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Database]:
    database = open_store(tmp_path / "home", database_url)
    yield database
    run(database.close())
