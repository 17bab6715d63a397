"""The shorter turn serves whoever is ready, and nobody's mistake stops the others."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from imsd.polling import idle, shorten_turns


class Reader:
    """Reads what comes; then does something."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.socket, self.other = socket.socketpair()
        self.then = then
        self.read = b""
        self.lost = 0

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "reader"

    def doRead(self) -> object:
        self.read += self.socket.recv(100)
        return self.then()

    def connectionLost(self, reason: object) -> None:
        self.lost += 1

    def close(self) -> None:
        self.socket.close()
        self.other.close()


@pytest.fixture
def reactor() -> Iterator[Any]:
    reactor: Any = EPollReactor()
    assert shorten_turns(reactor)
    yield reactor
    for each in reactor.removeAll():
        each.close() if isinstance(each, Reader) else each.connectionLost(None)
    reactor._poller.close()


def ready(reactor: Any, *readers: Reader) -> None:
    for reader in readers:
        reactor.addReader(reader)
        reader.other.send(b"x")


def test_everybody_who_is_ready_is_served_in_one_turn(reactor: Any) -> None:
    readers = [Reader() for _ in range(20)]
    ready(reactor, *readers)
    reactor.doIteration(0)
    assert [reader.read for reader in readers] == [b"x"] * 20
    reactor.doIteration(0)
    assert [reader.read for reader in readers] == [b"x"] * 20


def test_it_is_idle_when_nobody_was_ready(reactor: Any) -> None:
    assert idle(reactor)
    ready(reactor, Reader())
    reactor.doIteration(0)
    assert not idle(reactor)
    reactor.doIteration(0)
    assert idle(reactor)


def test_an_error_loses_one_connection_alone(reactor: Any) -> None:
    def fail() -> None:
        raise ValueError

    logged: list[LogEvent] = []
    globalLogPublisher.addObserver(logged.append)
    bad, good = Reader(fail), Reader()
    ready(reactor, bad, good)
    try:
        reactor.doIteration(0)
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert (bad.lost, good.lost, good.read) == (1, 0, b"x")
    assert any(event.get("log_failure") for event in logged)
    bad.close()


def test_one_whose_end_cannot_be_told_keeps_nobody_from_his_turn(
    reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    bad, good = Reader(fail), Reader()
    monkeypatch.setattr(bad, "connectionLost", fail)
    ready(reactor, bad, good)
    reactor.doIteration(0)
    assert good.read == b"x"
    bad.close()


def test_who_was_closed_in_this_turn_is_not_served(reactor: Any) -> None:
    readers: list[Reader] = []

    def close_the_others() -> None:
        for other in readers:
            if not other.read:
                reactor.removeReader(other)
                other.close()

    readers += [Reader(close_the_others), Reader(close_the_others)]
    ready(reactor, *readers)
    reactor.doIteration(0)
    assert sorted(reader.read for reader in readers) == [b"", b"x"]


def test_a_call_from_a_thread_ends_the_sleep(reactor: Any) -> None:
    called: list[int] = []
    timer = threading.Timer(0.02, reactor.callFromThread, (called.append, 1))
    started = time.monotonic()
    timer.start()
    reactor.doIteration(30)
    reactor.runUntilCurrent()
    timer.join()
    assert called == [1]
    assert time.monotonic() - started < 20


def test_what_is_called_while_it_is_awake_costs_no_octet_and_keeps_it_from_sleeping(reactor: Any) -> None:
    called: list[int] = []
    for _ in range(2):
        reactor.callFromThread(called.append, len(called))
        with pytest.raises(BlockingIOError):
            os.read(reactor.waker.i, 1)
        started = time.monotonic()
        reactor.doIteration(30)
        assert time.monotonic() - started < 20
        reactor.runUntilCurrent()
    assert called == [0, 1]


def test_calls_of_many_threads_are_all_made(reactor: Any) -> None:
    """None of them may fall between the look at the queue and the sleep."""
    called: list[int] = []

    def call() -> None:
        for number in range(200):
            reactor.callFromThread(called.append, number)
            time.sleep(0)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while len(called) < 800 and time.monotonic() < until:
        reactor.doIteration(30)
        reactor.runUntilCurrent()
    for thread in threads:
        thread.join()
    assert len(called) == 800
    assert time.monotonic() < until


def test_another_reactor_stays_as_it_is() -> None:
    assert not shorten_turns(Clock())


def test_a_reactor_with_other_insides_stays_as_it_is(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsd.polling._USED", ("_something_else",))
    assert not shorten_turns(reactor)
