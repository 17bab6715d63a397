"""Programs that the server runs for an administrator: with a time limit, without a shell."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol

MOST: Final = 4_096
"""Octets of output that are kept for the log."""


class CommandFailed(Exception):
    """It cannot be run, ended with another status than 0, or took too long; the text says which."""


class _Run(ProcessProtocol):
    def __init__(self) -> None:
        self.output = b""
        self.ended: Deferred[int | None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self.output = (self.output + data)[-MOST:]

    def processExited(self, reason: Any) -> None:
        # Not when its output ends too: what it leaves running, as a dialler does, has that still.
        if not self.ended.called:
            self.ended.callback(getattr(reason.value, "exitCode", None))


async def run(
    reactor: Any, command: Sequence[str], seconds: float, more: Mapping[str, str] | None = None
) -> str:
    """Run a program with its arguments to its end; the end of its output.

    It is killed after that many seconds, and when the wait for it is cancelled. more: variables beside
    those of the server's environment.
    Raises CommandFailed.
    """
    protocol = _Run()
    try:
        process = reactor.spawnProcess(protocol, command[0], list(command), {**os.environ, **(more or {})})
    except OSError as error:
        raise CommandFailed(f"{command[0]}: {error}") from error
    late = False

    def kill() -> None:
        nonlocal late
        late = True
        process.signalProcess("KILL")

    timer = reactor.callLater(seconds, kill)
    try:
        status = await protocol.ended
    except CancelledError:
        with suppress(ProcessExitedAlready):
            process.signalProcess("KILL")
        raise
    finally:
        if timer.active():
            timer.cancel()
    said = " ".join(protocol.output.decode("utf-8", "replace").split())[-200:]
    if late:
        raise CommandFailed(f"{command[0]} took longer than {seconds:g} s: {said}")
    if status != 0:
        raise CommandFailed(f"{command[0]} ended with {'a signal' if status is None else status}: {said}")
    return said
