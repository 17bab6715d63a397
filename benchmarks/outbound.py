"""Queued 4 KiB messages from `twistd imsd` to a sink: messages/s and CPU per message.

    python -m benchmarks.outbound [--messages 2000] [--size 4096] [--connections 20] [--chunking]

Messages are queued while `queue.paused` is on, then let go. The sink is this process: it takes what
comes and offers PIPELINING (and CHUNKING). The time ends when the queue is empty: every result is
written and tracked. CPU is the server's, all threads.
"""

from __future__ import annotations

import argparse
import json
import selectors
import smtplib
import socket
import time
from typing import Any

from benchmarks import smtp

PORT_OFFSET = 29_000  # below the ports that the system gives to clients


class Sink:
    """Takes everything on 127.0.0.1."""

    def __init__(self, chunking: bool) -> None:
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.port: int = self.listener.getsockname()[1]
        offered = [b"PIPELINING", b"8BITMIME", b"SIZE", b"DSN", *([b"CHUNKING"] if chunking else [])]
        self.hello = b"".join(b"250-%b\r\n" % word for word in [b"sink.test", *offered])
        self.hello += b"250 ENHANCEDSTATUSCODES\r\n"
        self.taken = 0

    def work(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            if key.fileobj is self.listener:
                peer, _address = self.listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(peer, selectors.EVENT_READ, Taker(self, peer))
                peer.sendall(b"220 sink.test ESMTP\r\n")
            else:
                key.data.readable()


class Taker:
    def __init__(self, sink: Sink, peer: socket.socket) -> None:
        self.sink, self.peer, self.buffer, self.content = sink, peer, b"", False

    def readable(self) -> None:
        try:
            data = self.peer.recv(1 << 20)
        except ConnectionResetError:
            data = b""  # It said QUIT and did not wait.
        if not data:
            self.sink.selector.unregister(self.peer)
            self.peer.close()
            return
        self.buffer += data
        said: list[bytes] = []
        while self.step(said):
            pass
        if said:
            self.peer.sendall(b"".join(said))

    def step(self, said: list[bytes]) -> bool:
        end = self.buffer.find(b"\r\n.\r\n" if self.content else b"\r\n")
        if end < 0:
            return False
        if self.content:
            self.buffer, self.content = self.buffer[end + 5 :], False
            self.took(said)
            return True
        line, rest = self.buffer[:end], self.buffer[end + 2 :]
        verb = line[:4].upper()
        if verb == b"BDAT":
            size = int(line.split()[1])
            if len(rest) < size:
                return False
            self.buffer = rest[size:]
            if line.upper().endswith(b"LAST"):
                self.took(said)
            else:
                said.append(b"250 2.0.0 ok\r\n")
            return True
        self.buffer = rest
        self.content = verb == b"DATA"
        replies = {b"EHLO": self.sink.hello, b"DATA": b"354 go on\r\n", b"QUIT": b"221 2.0.0 bye\r\n"}
        said.append(replies.get(verb, b"250 2.0.0 ok\r\n"))
        return True

    def took(self, said: list[bytes]) -> None:
        self.sink.taken += 1
        said.append(b"250 2.0.0 taken\r\n")


def fill(server: smtp.Server, options: argparse.Namespace) -> None:
    """Put the messages into the queue, to a hundred domains or fewer."""
    line = "The quick brown fox jumps over the lazy dog.\r\n"
    text = "From: a@example.test\r\nSubject: x\r\n\r\n" + line * (options.size // len(line) + 1)
    with smtplib.SMTP("127.0.0.1", server.port, timeout=60) as client:
        for number in range(options.messages):
            if number % 500 == 499:
                client.quit()
                client.connect("127.0.0.1", server.port)
            client.sendmail("a@example.test", [f"b@d{number % options.domains}.test"], text[: options.size])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=4_096)
    parser.add_argument("--domains", type=int, default=10)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--per-connection", type=int, default=100)
    parser.add_argument("--chunking", action="store_true")
    options = parser.parse_args()
    smtp.OFFSET = PORT_OFFSET
    server, sink = smtp.Server(), Sink(options.chunking)

    def set_(key: str, value: Any) -> None:
        server.ask("settings.set", key=key, value=json.dumps(value))

    try:
        set_("queue.paused", True)
        set_("routing.restrictions.allow", ["127.0.0.1"])
        for key in ("per_account", "per_address", "per_network", "inbound", "messages_per_minute"):
            set_(f"ims.limits.{key}", 0)
        set_("ims.limits.outbound", options.connections)
        set_("ims.limits.per_host", options.connections)
        set_("ims.limits.messages_per_connection", options.per_connection)
        set_("ims.delivery.smart_hosts", [f"127.0.0.1:{sink.port}"])
        set_("ims.delivery.mode", "smarthost")
        fill(server, options)
        before, began = server.cpu(), time.monotonic()
        set_("queue.paused", False)
        while sink.taken < options.messages and time.monotonic() - began < 120:
            sink.work(1)
        sent = time.monotonic() - began
        while server.ask("queue.list") and time.monotonic() - began < 120:
            sink.work(0.2)
        took, cpu = time.monotonic() - began, server.cpu() - before
        print(
            f"{sink.taken:,} messages of {options.size} octets: {sink.taken / sent:,.0f} messages/s sent, "
            f"{sink.taken / took:,.0f}/s settled; CPU per message: server {cpu / sink.taken * 1e6:,.0f} us"
        )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
