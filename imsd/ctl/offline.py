"""Runs an operation in this process, on a store that no server has open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from twisted.internet import reactor as the_reactor
from twisted.internet import threads
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from imsd.admin.operations import call
from imsd.config import Config
from imsd.core import Core

reactor: Any = the_reactor

Answer = TypeVar("Answer")


def call_offline(config: Config, name: str, arguments: dict[str, Any]) -> Any:
    """The answer of an operation. Raises refusals, and HomeInUse."""
    return with_core(config, lambda core: call(core, name, arguments))


def converse(config: Config, work: Callable[[Callable[..., Any]], Answer]) -> Answer:
    """Run `work` in a thread with what asks for operations on this store."""

    def in_thread(core: Core) -> Deferred[Answer]:
        def ask(operation: str, **arguments: Any) -> Any:
            run = partial(Deferred.fromCoroutine, call(core, operation, arguments))
            return threads.blockingCallFromThread(reactor, run)

        return threads.deferToThread(work, ask)

    answer: Answer = with_core(config, in_thread)
    return answer


def with_core(config: Config, work: Callable[[Core], Awaitable[Any]]) -> Any:
    """Open the core, await `work(core)`, close it; its answer. May be used once in a process."""

    async def run() -> Any:
        core = await Core.open(config, reactor)
        try:
            return await work(core)
        finally:
            await core.close()

    outcome: list[Any] = []

    def start() -> None:
        running = Deferred.fromCoroutine(run())
        running.addBoth(outcome.append)
        running.addBoth(lambda _: stop())

    def stop() -> None:
        reactor.stop()

    reactor.callWhenRunning(start)
    reactor.run(installSignalHandlers=True)
    if not outcome:
        raise KeyboardInterrupt
    result = outcome[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
