"""Python functions that an administrator names in a setting, called beside the server's own work.

1. `module.function` is imported from HOME/plugins, else from what is installed. It is imported at start
   and when the setting changes, not at a message's expense.
2. It runs in a thread of its own pool, never on the reactor. A call that takes too long is given up; its
   thread is left to itself, and when all `THREADS` hang every call fails at once, until one comes back.
3. Whatever it raises becomes `PluginFailed`. Nothing it does can end a session, nor keep the server from
   stopping: the threads are daemons.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

THREADS: Final = 4

LONGEST: Final = 300
"""Characters of an error that are told."""


class PluginFailed(Exception):
    """It is not there, took too long, or raised; the text says which."""


class _Call:
    """One call. began: a thread has it. given_up: nobody waits for it any more. hangs: it is counted among
    those whose thread does not come back."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.done: Deferred[Any] = Deferred()
        self.began = self.given_up = self.hangs = False


class Plugin:
    """One function. reactor: calls from threads, and time. folder: where modules are looked for first.
    what: the setting that names it."""

    log = Logger()

    def __init__(self, reactor: Any, folder: Path, what: str) -> None:
        self._reactor = reactor
        self._folder = folder
        self._what = what
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads = 0
        self._hanging = 0
        self._function: Callable[..., Any] | None = None
        self.name = ""
        self.problem = ""
        """Why it cannot be called, "" if it can."""

    def __bool__(self) -> bool:
        return bool(self.name)

    def use(self, name: str) -> None:
        """Import what a setting names now; "": nothing."""
        if name == self.name:
            return
        self.name, self._function, self.problem = name, None, ""
        if not name:
            return
        try:
            self._function = load(name, self._folder)
            self.log.info("{what} is {name}", what=self._what, name=name)
        except PluginFailed as failed:
            self.problem = str(failed)
            self.log.error("{what}: {why}", what=self._what, why=self.problem, event_id=20_020)

    async def call(self, seconds: float, *arguments: Any) -> Any:
        """Its answer. Raises PluginFailed."""
        if self._function is None:
            raise PluginFailed(self.problem or "no function is named")
        if self._hanging >= THREADS:
            raise PluginFailed(f"{self.name} hangs")
        if self._threads < THREADS:
            self._threads += 1
            Thread(target=self._work, name=f"imsd {self._what}", daemon=True).start()
        call = _Call(self._function, arguments)
        timer = self._reactor.callLater(seconds, self._too_long, call, seconds)
        self._calls.put(call)
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
        call.done.errback(PluginFailed(f"{self.name} took longer than {seconds:g} s"))

    def _work(self) -> None:
        """A thread."""
        while (call := self._calls.get()) is not None:
            if call.given_up:
                continue
            call.began = True
            try:
                answer = call.function(*call.arguments)
            except BaseException as error:  # SystemExit, too, is no more than a failure.
                text = f"{type(error).__name__}: {error}"[:LONGEST]
                answer = PluginFailed(f"{self.name} raised {text}")
            self._reactor.callFromThread(self._answered, call, answer)

    def _answered(self, call: _Call, answer: Any) -> None:
        if call.given_up:
            self._hanging -= call.hangs
        elif isinstance(answer, PluginFailed):
            call.done.errback(answer)
        else:
            call.done.callback(answer)

    def stop(self) -> None:
        """Let the threads go."""
        for _ in range(self._threads):
            self._calls.put(None)
        self._threads = 0


def load(name: str, folder: Path) -> Callable[..., Any]:
    """The function of a dotted name; its module is read anew. Raises PluginFailed."""
    module_name, _, function_name = name.rpartition(".")
    place = str(folder)
    if folder.is_dir() and place not in sys.path:
        sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        known = sys.modules.get(module_name)
        own = known is not None and str(getattr(known, "__file__", "") or "").startswith(place)
        module = (
            importlib.reload(known) if known is not None and own else importlib.import_module(module_name)
        )
        function = getattr(module, function_name)
    except (Exception, SystemExit) as error:
        raise PluginFailed(f"{name} cannot be imported: {type(error).__name__}: {error}"[:LONGEST]) from error
    if not callable(function):
        raise PluginFailed(f"{name} is no function")
    return function  # type: ignore[no-any-return]
