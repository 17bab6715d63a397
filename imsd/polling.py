"""The turn of Twisted's epoll reactor without what it does for its old log.

Twisted wraps each descriptor that is ready in a context which names it for messages of
`twisted.python.log`; that, and the tests around it, take 1.5 microseconds of each command, a tenth of
a small one. We log by `twisted.logger`, which knows who speaks without. What has only something to be read,
as nearly all have, is read without the tests for all else.

Twisted writes an octet to a pipe for each call from a thread, and for each that we leave ourselves for the
next turn, and reads it. That is needed only while the reactor sleeps; and a thread that wrote has to win the
interpreter's lock back from a busy reactor, only to go to sleep itself.
"""

from __future__ import annotations

import errno
from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger

_log = Logger()


def shorten_turns(reactor: Any) -> bool:
    """Give the reactor a shorter turn, where it is the epoll reactor as we know it."""
    if type(reactor) is not EPollReactor or not all(hasattr(reactor, each) for each in _USED):
        return False
    poll = reactor._poller.poll
    selectables = reactor._selectables
    do_read_or_write = reactor._doReadOrWrite
    disconnect = reactor._disconnectSelectable
    wake = reactor.wakeUp
    sleeps = False

    def wake_up() -> None:
        if sleeps:
            wake()

    def turn(timeout: float | None) -> None:
        nonlocal sleeps
        sleeps = True
        try:
            # Who calls adds to the queue, then looks whether we sleep; we do it the other way round.
            wait = 0 if reactor.threadCallQueue else -1 if timeout is None else timeout
            ready = poll(wait, len(selectables))
            reactor.imsd_ready = len(ready)  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        finally:
            sleeps = False
        for descriptor, event in ready:
            # One that was ready may have been closed by who had his turn before it.
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue
            try:
                if event == EPOLLIN:
                    why = read(selectable)
                    if why:
                        disconnect(selectable, why, True)  # type: ignore[no-untyped-call]
                else:
                    do_read_or_write(selectable, descriptor, event)  # type: ignore[no-untyped-call]
            except Exception:
                _log.failure("{selectable} could not be served", selectable=selectable)

    reactor.doIteration = turn  # type: ignore[method-assign]
    reactor.wakeUp = wake_up  # type: ignore[method-assign]
    return True


def idle(reactor: Any) -> bool:
    """Whether nobody was ready when it looked last; true where that is not known."""
    return not getattr(reactor, "imsd_ready", 0)


def read(selectable: Any) -> Any:
    """Let it read; why it is over, if it is."""
    try:
        return selectable.doRead()
    except Exception as error:
        _log.failure("{selectable} failed while it read", selectable=selectable)
        return error


_USED = ("_poller", "_selectables", "_doReadOrWrite", "_disconnectSelectable", "doIteration", "wakeUp")
