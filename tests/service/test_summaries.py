"""Content is described by a process beside the server, and by the server where that cannot."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from imsd import summaries, summarizer
from imsd.store.blobs import NewBlob, new_blob
from imsd.summaries import MOST, PATIENCE, REST, SLOW, Summaries
from imsd.summarizer import ANSWER, HELLO, PACKET, REFUSED, answer, read
from protocols.message.summary import summarize

LETTER = (
    b"From: a@example.org\r\nSubject: =?utf-8?q?f=C3=BCr?= you\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0100\r\n\r\nText.\r\n"
)
PARTS = (
    b"From: B <b@example.org>\r\nTo: c@example.test\r\nReferences: <1@x> <2@x>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
    b"Content-Type: image/png\r\nContent-Disposition: attachment\r\n\r\n\xff\xfe\r\n--b--\r\n"
)


def described(data: bytes) -> NewBlob:
    return new_blob(data, summarize(data))


# What the process says ---------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\r\n", LETTER, PARTS, b"no header at all", b"\0\xff" * 1000])
def test_an_answer_is_what_would_be_computed_here(data: bytes) -> None:
    said = read(memoryview(answer(data)))
    assert said is not None
    assert NewBlob(len(data), said[1], data, "", said[2]) == described(data)


@given(st.binary(max_size=300))
def test_whatever_the_content_is(data: bytes) -> None:
    assert read(memoryview(answer(data, lambda: 5.0))) == (5.0, described(data).sha256, summarize(data))


def test_an_answer_that_does_not_fit_is_none() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n\r\n" * 8000
    assert len(data) < PACKET and len(summarize(data).packed) > ANSWER
    assert answer(data) == REFUSED
    assert read(memoryview(REFUSED)) is None


def test_an_error_is_left_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarizer, "summarize", lambda data: 1 / 0)
    assert answer(LETTER) == REFUSED


# What the server makes of it ---------------------------------------------------------------


class Process:
    """Stands for the process: our end of the socket, and what was done to it."""

    def __init__(self, protocol: Any, descriptor: int) -> None:
        self.protocol = protocol
        self.killed = False
        self.socket = socket.socket(fileno=os.dup(descriptor))
        self.socket.setblocking(False)

    def signalProcess(self, name: str) -> None:
        assert name == "KILL"
        self.killed = True

    def end(self, status: int | None = None) -> None:
        self.socket.close()
        reason: Any = ProcessDone(0) if status == 0 else ProcessTerminated(status)
        self.protocol.processEnded(Failure(reason))

    def says(self, packet: bytes) -> None:
        self.socket.send(packet)
        self.protocol.doRead()

    def answers(self, data: bytes | None = None) -> None:
        """The next question, or this one, at once."""
        self.says(answer(self.asked() if data is None else data, self.protocol._reactor.seconds))

    def asked(self) -> bytes:
        return self.socket.recv(PACKET)


class Reactor(Clock):
    """Time, one reader, and processes that are played."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.readers: set[Any] = set()
        self.no_process = False

    def spawnProcess(self, protocol: Any, _program: str, _args: Any, env: Any, childFDs: Any) -> None:
        if self.no_process:
            raise OSError("no more processes")
        process = Process(protocol, childFDs[0])
        protocol.transport = process
        self.processes.append(process)

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    for process in reactor.processes:
        process.socket.close()


@pytest.fixture
def made(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Summaries]:
    monkeypatch.setattr(summaries, "processors", lambda: 2)
    made = Summaries(reactor)
    made.start()
    yield made
    stopping = Deferred.fromCoroutine(made.stop())
    if not stopping.called:
        reactor.processes[-1].end(0)
    assert stopping.called
    assert not reactor.readers
    assert not reactor.getDelayedCalls()


def ask(made: Summaries, data: bytes) -> list[NewBlob]:
    """What is given, once it is."""
    got: list[NewBlob] = []
    Deferred.fromCoroutine(made.describe(data)).addCallback(got.append)
    return got


def test_the_process_answers_in_the_order_of_the_questions(made: Summaries, reactor: Reactor) -> None:
    process = reactor.processes[0]
    process.says(HELLO)
    first, second = ask(made, LETTER), ask(made, PARTS)
    assert not first and not second
    for got, data in ((first, LETTER), (second, PARTS)):
        asked = process.asked()
        assert asked == data
        process.answers(asked)
        assert got == [described(data)]


def test_until_it_says_hello_nothing_is_asked(made: Summaries, reactor: Reactor) -> None:
    assert ask(made, LETTER) == [described(LETTER)]
    with pytest.raises(BlockingIOError):
        reactor.processes[0].asked()


def test_what_it_refuses_is_done_here(made: Summaries, reactor: Reactor) -> None:
    process = reactor.processes[0]
    process.says(HELLO)
    got = ask(made, LETTER)
    process.says(REFUSED)
    assert got == [described(LETTER)]


def test_what_is_too_large_for_a_packet_is_done_here(made: Summaries, reactor: Reactor) -> None:
    reactor.processes[0].says(HELLO)
    large = LETTER + b"x" * (8 * PACKET)
    assert ask(made, large) == [described(large)]


def test_no_more_questions_wait_than_may(made: Summaries, reactor: Reactor) -> None:
    reactor.processes[0].says(HELLO)
    waiting = [ask(made, LETTER) for _ in range(MOST)]
    assert ask(made, LETTER) == [described(LETTER)]
    assert not any(waiting)


def test_who_waits_when_it_dies_is_served_and_it_is_started_again(made: Summaries, reactor: Reactor) -> None:
    reactor.processes[0].says(HELLO)
    got = ask(made, LETTER)
    reactor.processes[0].end(9)
    assert got == [described(LETTER)]
    assert ask(made, PARTS) == [described(PARTS)]
    reactor.advance(2)
    reactor.processes[1].says(HELLO)
    again = ask(made, LETTER)
    reactor.processes[1].answers()
    assert again == [described(LETTER)]


def test_a_closed_socket_is_the_end(made: Summaries, reactor: Reactor) -> None:
    process = reactor.processes[0]
    process.says(HELLO)
    got = ask(made, LETTER)
    process.socket.close()
    process.protocol.doRead()
    assert process.killed and got == [described(LETTER)]
    process.end(9)


def test_one_that_hangs_is_killed(made: Summaries, reactor: Reactor) -> None:
    process = reactor.processes[0]
    process.says(HELLO)
    reactor.advance(PATIENCE)
    assert not process.killed, "it has nothing to do"
    got = ask(made, LETTER)
    reactor.advance(PATIENCE)
    assert process.killed and got == [described(LETTER)]
    process.end(9)


def test_one_that_is_slow_rests(made: Summaries, reactor: Reactor) -> None:
    process = reactor.processes[0]
    process.says(HELLO)

    def asked_and_answered(seconds: float) -> bool:
        got = ask(made, LETTER)
        if got:
            return False
        reactor.advance(seconds)
        process.answers()
        # However late the reactor hears of it.
        reactor.advance(10 * SLOW)
        return True

    assert all(asked_and_answered(SLOW / 2) for _ in range(50))
    count = 0
    while asked_and_answered(5 * SLOW):
        count += 1
        assert count < 10
    reactor.advance(REST)
    assert asked_and_answered(SLOW / 2)


def test_one_that_fails_at_once_is_started_later_and_later(made: Summaries, reactor: Reactor) -> None:
    for count, seconds in enumerate((2, 4, 8), 1):
        reactor.processes[-1].end(1)
        reactor.advance(seconds - 0.1)
        assert len(reactor.processes) == count
        reactor.advance(0.1)
        assert len(reactor.processes) == count + 1


def test_where_no_process_can_be_had_it_is_done_here(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "processors", lambda: 2)
    reactor.no_process = True
    made = Summaries(reactor)
    made.start()
    assert ask(made, LETTER) == [described(LETTER)]
    assert not reactor.readers
    Deferred.fromCoroutine(made.stop())
    assert not reactor.getDelayedCalls()


def test_one_processor_has_no_room_for_it(reactor: Reactor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "processors", lambda: 1)
    made = Summaries(reactor)
    made.start()
    assert ask(made, LETTER) == [described(LETTER)]
    assert not reactor.processes


def test_a_connection_that_is_lost_meanwhile_waits_no_more(made: Summaries, reactor: Reactor) -> None:
    process = reactor.processes[0]
    process.says(HELLO)
    waiting = Deferred.fromCoroutine(made.describe(LETTER))
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    got = ask(made, PARTS)
    for data in (LETTER, PARTS):
        process.answers(data)
    assert got == [described(PARTS)]
