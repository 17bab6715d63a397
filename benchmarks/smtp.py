"""Durable 4 KiB messages through `twistd imsd`: messages/s and CPU per message.

    python -m benchmarks.smtp [--connections 10] [--messages 20] [--seconds 5] [--size 4096]

A child process serves a home of its own with a few people; this process sends. Each connection
sends `messages` messages, each MAIL, RCPT, DATA in turn (or all at once with --pipelining), says
QUIT and connects again, until the time is over. A message counts when its 250 came, so it is
durable and in the mailbox. CPU is the server's, all threads, and that of the process that describes
content for it.
"""

from __future__ import annotations

import argparse
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers import PASSWORD
from imsd.config import STANDARD_PORTS
from imsd.ctl import client

PEOPLE = 50
OFFSET = 31_000


class Server:
    """A home and the process that serves it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="imsd-benchmark-"))
        self._control("setup", "--yes", "--domain", "example.test", "--listen", "127.0.0.1",
                      "--port-offset", str(OFFSET), "--admin-password", PASSWORD)  # fmt: skip
        self.log = (self.home / "log.txt").open("wb")
        twistd = str(Path(sys.executable).with_name("twistd"))
        command = [twistd, "--nodaemon", "--pidfile=", "imsd", "--home", str(self.home)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=_environment())
        self._control("status", "--wait", "30")
        for number in range(PEOPLE):
            self.ask("user.add", address=f"user{number}@example.test", password=PASSWORD)

    def _control(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "imsd.ctl", "--home", str(self.home), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment())

    def ask(self, operation: str, **arguments: Any) -> Any:
        return client.call(self.home / "run/control.sock", operation, arguments)

    @property
    def port(self) -> int:
        return STANDARD_PORTS["smtp"] + OFFSET

    def cpu(self) -> float:
        """Seconds of all its threads and of its summarizer, in and out of the kernel."""
        return sum(map(_cpu, [str(self.process.pid), *self.children(b"imsd.summarizer")]))

    def children(self, module: bytes) -> list[str]:
        """Ids of the processes that the server has started to run a module."""
        pid = self.process.pid
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [one for one in found if module in Path(f"/proc/{one}/cmdline").read_bytes()]

    def long_ticks(self) -> int:
        """How often the watchdog found the reactor busy for over 50 ms."""
        return (self.home / "log.txt").read_text().count("the reactor was busy")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)


def _cpu(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}


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
    server = Server()
    try:
        before = server.cpu()
        started, own = time.monotonic(), time.process_time()
        load = Load(server.port, options)
        load.run()
        took, own = time.monotonic() - started, time.process_time() - own
        rate, cpu, client_cpu = load.done / took, (server.cpu() - before) / load.done, own / load.done
        print(f"{rate:,.0f} messages/s of {options.size} octets", end="")
        print(f" over {options.connections} connections x {options.messages};", end="")
        print(f" CPU per message: server {cpu * 1e6:,.0f} us, load {client_cpu * 1e6:,.0f} us;", end="")
        print(f" ticks over 50 ms: {server.long_ticks()}")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
