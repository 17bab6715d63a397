"""Python functions of an administrator's, called in threads beside the server's own work.

1. A call runs in a thread of a pool of its own, never on the reactor. One that takes too long is given up;
   its thread is left to itself, and when all `THREADS` hang every call fails at once, until one comes back.
2. Whatever it raises becomes `PluginFailed`. Nothing it does can end a session, nor keep the server from
   stopping: the threads are daemons.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred

THREADS: Final = 4

LONGEST: Final = 300
"""Characters of an error that are told."""


class PluginFailed(Exception):
    """It is not there, took too long, or raised; the text says which."""


class _Call:
    """One call. began: a thread has it. given_up: nobody waits for it any more. hangs: it is counted among
    those whose thread does not come back."""

    def __init__(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.name = name
        self.function = function
        self.arguments = arguments
        self.done: Deferred[Any] = Deferred()
        self.began = self.given_up = self.hangs = False


class Threads:
    """reactor: calls from threads, and time. what: they are for, in their names."""

    def __init__(self, reactor: Any, what: str) -> None:
        self._reactor = reactor
        self._what = what
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads = 0
        self._hanging = 0
        self._stopped = False

    async def call(self, name: str, function: Callable[..., Any], seconds: float, *arguments: Any) -> Any:
        """Its answer. name: for errors. Raises PluginFailed."""
        if self._hanging >= THREADS:
            raise PluginFailed(f"{name} hangs")
        if self._threads < THREADS:
            self._threads += 1
            Thread(target=self._work, name=f"imsd {self._what}", daemon=True).start()
        call = _Call(name, function, arguments)
        timer = self._reactor.callLater(seconds, self._too_long, call, seconds)
        self._calls.put(call)
        if self._stopped:
            # Who was asked before it went still gets an answer, and the thread ends with it.
            self.stop()
        try:
            return await call.done
        except CancelledError:
            self._give_up(call)
            raise
        finally:
            if timer.active():
                timer.cancel()

    def _give_up(self, call: _Call) -> None:
        call.given_up = True
        if call.began:
            call.hangs = True
            self._hanging += 1

    def _too_long(self, call: _Call, seconds: float) -> None:
        self._give_up(call)
        call.done.errback(PluginFailed(f"{call.name} took longer than {seconds:g} s"))

    def _work(self) -> None:
        """A thread."""
        while (call := self._calls.get()) is not None:
            if call.given_up:
                continue
            call.began = True
            try:
                answer = call.function(*call.arguments)
            except BaseException as error:  # SystemExit, too, is no more than a failure.
                answer = PluginFailed(raised(call.name, error))
            self._reactor.callFromThread(self._answered, call, answer)

    def _answered(self, call: _Call, answer: Any) -> None:
        if call.given_up:
            self._hanging -= call.hangs
        elif isinstance(answer, PluginFailed):
            call.done.errback(answer)
        else:
            call.done.callback(answer)

    def stop(self) -> None:
        """Let the threads go, when they have answered what they were asked."""
        self._stopped = True
        for _ in range(self._threads):
            self._calls.put(None)
        self._threads = 0


def raised(name: str, error: BaseException) -> str:
    """What is told of an exception."""
    return f"{name} raised " + f"{type(error).__name__}: {error}"[:LONGEST]
