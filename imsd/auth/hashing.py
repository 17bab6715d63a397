"""Slow hashing in threads of its own, bounded in queue and memory (rule 17)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imsd.errors import TryLater
from imsd.settings.logins import Logins

T = TypeVar("T")
Job = tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]

_MOST_THREADS = 64


class Hashing:
    """At most `hash_threads` at work and `hash_queue` waiting; who is too many is refused.

    A job whose Deferred is cancelled while it waits is dropped; one at work is finished, and its
    place is taken until then.
    """

    def __init__(self, reactor: Any, settings: Callable[[], Logins]) -> None:
        self._reactor = reactor
        self._settings = settings
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="hash")
        self._waiting: deque[Job] = deque()
        self._working = 0

    def do(self, fn: Callable[..., T], *args: Any) -> Deferred[T]:
        """The result of fn(*args), made in a thread. Refuses with TryLater."""
        done: Deferred[T] = Deferred(self._cancelled)
        job = fn, args, done
        if self._working < self._settings().hash_threads:
            self._start(job)
        elif len(self._waiting) >= self._settings().hash_queue:
            done.errback(TryLater("Too many logins at once"))
        else:
            self._waiting.append(job)
        return done

    def stop(self) -> None:
        """Refuse whoever waits; what is at work is finished in its thread."""
        waiting, self._waiting = self._waiting, deque()
        for _, _, done in waiting:
            done.errback(TryLater())
        self._threads.shutdown(wait=False)

    def _start(self, job: Job) -> None:
        self._working += 1
        self._threads.submit(self._work, job)

    def _work(self, job: Job) -> None:
        fn, args, done = job
        result: Any
        try:
            result = fn(*args)
        except Exception:
            # Handed on as it is, to whoever waits on the reactor.
            result = Failure()
        self._reactor.callFromThread(self._finished, done, result)

    def _finished(self, done: Deferred[Any], result: Any) -> None:
        self._working -= 1
        while self._waiting and self._working < self._settings().hash_threads:
            self._start(self._waiting.popleft())
        if not done.called:
            done.callback(result)

    def _cancelled(self, done: Deferred[Any]) -> None:
        self._waiting = deque(job for job in self._waiting if job[2] is not done)
