"""Durable 4 KiB messages through the real SMTP server: messages/s and CPU per message.

    python -m benchmarks.smtp [--connections 10] [--messages 20] [--seconds 5] [--size 4096]

A child process serves a temporary home with a directory of a few people; this process sends.
Each connection sends `messages` messages, each MAIL, RCPT, DATA in turn (or all at once with
--pipelining), says QUIT and connects again, until the time is over. A message counts when its
250 came, so it is durable and in the mailbox. CPU is the server's, all threads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import selectors
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

PEOPLE = 50


# The server --------------------------------------------------------------------------------


def serve(home: str, ready: Any) -> None:
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    Deferred.fromCoroutine(_start(home, ready, reactor)).addErrback(
        lambda f: (f.printTraceback(), reactor.stop())
    )
    reactor.run()  # type: ignore[attr-defined]


async def _start(home: str, ready: Any, reactor: Any) -> None:
    from imsd.mail.delivery import Delivery
    from imsd.mail.policy import Policy
    from imsd.sessions.smtp import Door
    from imsd.settings import PAGES, LiveSettings
    from imsd.store import mailboxes
    from imsd.store.blobs import Blobs
    from imsd.store.database import Database
    from imsd.store.tables import now
    from protocols.connection import Admission, ConnectionFactory, Limits
    from protocols.smtp.interfaces import Role
    from protocols.smtp.server import Server
    from tests.mail.fakes import FakeDirectory

    db = await Database.open("sqlite", Path(home), reactor)
    directory: Any = FakeDirectory()
    for number in range(PEOPLE):
        await db.write(mailboxes.create_account_mailboxes, directory.add(f"user{number}"), now())
    settings = LiveSettings(PAGES)
    door = Door(
        Role.MX,
        "mx.example.test",
        policy=Policy(directory, settings),
        delivery=Delivery(db, directory, settings),
        authenticator=_Nobody(),  # type: ignore[arg-type]
        blobs=Blobs(db),
        settings=settings,
        clock=reactor,
        tls=lambda: None,
    )
    admission = Admission(reactor, lambda: Limits(0, 0, 0))
    port = reactor.listenTCP(
        0, ConnectionFactory(lambda: Server(door, reactor), admission), interface="127.0.0.1"
    )
    ticks = _Ticks(reactor)

    async def report() -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        ready.send((usage.ru_utime + usage.ru_stime, ticks.worst))
        ticks.worst = 0.0

    ready.send(port.getHost().port)
    reactor.addReader(_Asked(ready, report, reactor, db))


class _Nobody:
    def mechanisms(self, security: Any) -> list[str]:
        return []


class _Ticks:
    """The longest tick of the reactor."""

    def __init__(self, reactor: Any) -> None:
        self.worst = 0.0
        self._reactor = reactor
        self._beat(time.monotonic())

    def _beat(self, expected: float) -> None:
        late = time.monotonic() - expected
        self.worst = max(self.worst, late)
        self._reactor.callLater(0.01, self._beat, time.monotonic() + 0.01)


class _Asked:
    """The parent's questions: "cpu", or the end."""

    def __init__(self, pipe: Any, report: Any, reactor: Any, db: Any) -> None:
        self._pipe, self._report, self._reactor, self._db = pipe, report, reactor, db

    def fileno(self) -> int:
        return int(self._pipe.fileno())

    def logPrefix(self) -> str:
        return "benchmark"

    def connectionLost(self, reason: object) -> None:
        pass

    def doRead(self) -> None:
        from twisted.internet.defer import Deferred

        try:
            self._pipe.recv()
        except EOFError:
            self._reactor.removeReader(self)
            Deferred.fromCoroutine(self._db.close()).addBoth(lambda _: self._reactor.stop())
            return
        Deferred.fromCoroutine(self._report())


# The load ----------------------------------------------------------------------------------


class Sender:
    """One connection after the other, driven by replies."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(self.load.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0
        self.steps = [b"EHLO client.example\r\n"]
        self.expect = 1
        self.buffer = b""
        self.load.selector.register(self.socket, selectors.EVENT_READ, self)

    def readable(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("closed by the server")
        self.buffer += data
        while True:
            end = self.buffer.find(b"\n")
            if end < 0:
                return
            line, self.buffer = self.buffer[: end + 1], self.buffer[end + 1 :]
            if line[3:4] == b"-":
                continue
            if line[:1] not in b"23":
                raise RuntimeError(line)
            self.expect -= 1
            if not self.expect:
                self.next()

    def next(self) -> None:
        if self.steps:
            step = self.steps.pop(0)
            self.expect = step.count(b"\r\n") if step.startswith(b"MAIL") else 1
            self.socket.sendall(step)
            return
        if self.sent:
            self.load.done += 1
        if self.sent == self.load.messages or time.monotonic() > self.load.end:
            self.load.selector.unregister(self.socket)
            self.socket.sendall(b"QUIT\r\n")
            self.socket.close()
            if time.monotonic() < self.load.end:
                self.connect()
            return
        self.sent += 1
        rcpt = b"RCPT TO:<user%d@example.test>\r\n" % ((self.number * 7 + self.sent) % PEOPLE)
        content = self.load.content(self.number, self.load.done)
        mail = b"MAIL FROM:<sender@example.org> SIZE=%d\r\n" % len(content)
        if self.load.pipelining:
            self.steps = [mail + rcpt + b"DATA\r\n", content + b".\r\n"]
        else:
            self.steps = [mail, rcpt, b"DATA\r\n", content + b".\r\n"]
        self.next()


class Load:
    def __init__(self, port: int, options: argparse.Namespace) -> None:
        self.address = ("127.0.0.1", port)
        self.messages = options.messages
        self.pipelining = options.pipelining
        self.selector = selectors.DefaultSelector()
        self.done = 0
        line = b"The quick brown fox jumps over the lazy dog, again and again, %07d times.\r\n"
        self._body = b"".join(line % number for number in range(options.size // (len(line) + 4) + 1))
        self._size = options.size
        self.end = time.monotonic() + options.seconds
        self.senders = [Sender(self, number) for number in range(options.connections)]

    def content(self, number: int, count: int) -> bytes:
        header = (
            b"From: Sender <sender@example.org>\r\nTo: User <user@example.test>\r\nSubject: number %d\r\n"
            b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d.%d@example.org>\r\n"
            b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        ) % (count, number, count)
        return header + self._body[: self._size - len(header) - 2] + b"\r\n"

    def run(self) -> None:
        while self.selector.get_map():
            for key, _ in self.selector.select(5):
                key.data.readable()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--pipelining", action="store_true")
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="imsd-benchmark-")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(home, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        port = ours.recv()
        ours.send("cpu")
        before, _ = ours.recv()
        started = time.monotonic()
        own = time.process_time()
        load = Load(port, options)
        load.run()
        took = time.monotonic() - started
        own = time.process_time() - own
        ours.send("cpu")
        after, worst = ours.recv()
        rate, cpu, client = (load.done / took, (after - before) / load.done, own / load.done)
        print(f"{rate:,.0f} messages/s of {options.size} octets", end="")
        print(f" over {options.connections} connections x {options.messages};", end="")
        print(f" CPU per message: server {cpu * 1e6:,.0f} us, load {client * 1e6:,.0f} us;", end="")
        print(f" longest tick {worst * 1000:.1f} ms")
    finally:
        ours.close()
        child.join(10)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
