"""SEARCH, SORT and THREAD over 10,000 messages: imsd and Dovecot, the same corpus, the same run.

    python -m benchmarks.search [--messages 10000] [--rounds 5] [--no-peer] [--size 4096]
    python -m benchmarks.search --delivery [--rounds 5] [--size 4096] [--seconds 5]

Both get the messages by APPEND. Each command is given `rounds` times, first to the one and then
to the other; printed are the medians in milliseconds, and how many messages were found, which
must be the same. Before that: how long the index took, and its size against that of the text.

--delivery: messages delivered by SMTP in a second (`benchmarks.smtp`), by turns with the process that
indexes them held up and at work all the time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import socket
import statistics
import time
from typing import Any

from benchmarks import peers, smtp
from imsd.config import STANDARD_PORTS

RARE = "zanzibarium"
"""In the body of 1 % of the messages."""
TOPIC = "quarterly"
"""In the subject of 1 % of the messages."""


def corpus(count: int, size: int) -> list[bytes]:
    """Messages of words that come as often as in a language: the n-th of a rank of 1/n."""
    chance = random.Random(20_000)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(20_000)]
    ranks = list(itertools.accumulate(1 / (n + 1) for n in range(len(words))))
    found = []
    for number in range(count):
        text = chance.choices(words, cum_weights=ranks, k=size // 7)
        subject = chance.choices(words, cum_weights=ranks, k=6)
        if number % 100 == 7:
            text[len(text) // 2] = RARE
        if number % 100 == 13:
            subject[3] = TOPIC
        lines = [" ".join(text[at : at + 11]) for at in range(0, len(text), 11)]
        answered = f"In-Reply-To: <m{number - 3}@bench.example>\r\n" if number % 4 == 3 else ""
        found.append(
            (
                f"Received: from mail.example (mail.example [192.0.2.1]) by bench.example; {number}\r\n"
                f"From: Person {number % 97} <person{number % 97}@bench.example>\r\n"
                f"To: user0@example.test\r\nSubject: {' '.join(subject)}\r\n"
                f"Message-ID: <m{number}@bench.example>\r\n{answered}"
                f"Date: {number % 28 + 1} Mar 2024 {number % 24:02}:{number % 60:02}:00 +0000\r\n"
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
                + "\r\n".join(lines)
                + "\r\n"
            ).encode()
        )
    return found


class Client:
    """An IMAP connection that measures."""

    def __init__(self, port: int, user: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._file.readline()
        self.run(f"LOGIN {user} {peers.PASSWORD}".encode())

    def run(self, command: bytes) -> bytes:
        """What was answered before the tagged OK."""
        self._number += 1
        tag = b"a%d " % self._number
        self._socket.sendall(tag + command + b"\r\n")
        lines = []
        while not (line := self._file.readline()).startswith(tag):
            if not line:
                raise SystemExit("closed")
            lines.append(line)
        if not line[len(tag) :].startswith(b"OK"):
            raise SystemExit(line.decode())
        return b"".join(lines)

    def fill(self, messages: list[bytes]) -> None:
        for at in range(0, len(messages), 50):
            some = b"".join(b" {%d+}\r\n%b" % (len(one), one) for one in messages[at : at + 50])
            self.run(b"APPEND INBOX" + some)

    def time(self, command: bytes) -> tuple[float, int]:
        """Milliseconds, and how many numbers came."""
        started = time.perf_counter()
        answer = self.run(command)
        took = (time.perf_counter() - started) * 1000
        return took, sum(c.isdigit() for c in answer.replace(b"(", b" ").replace(b")", b" ").split())


COMMANDS = (
    f"SEARCH BODY {RARE}",
    f"SEARCH SUBJECT {TOPIC}",
    f"SEARCH TEXT {RARE}",
    "SEARCH FROM person42",
    "SEARCH TO user0",
    "SEARCH HEADER Message-ID m4242@",
    "SEARCH SENTSINCE 20-Mar-2024",
    "SEARCH SINCE 1-Jan-2020 UNSEEN",
    f"SEARCH OR BODY {RARE} SUBJECT {TOPIC}",
    f"SEARCH NOT BODY {RARE}",
    "SORT (DATE) UTF-8 ALL",
    "SORT (SUBJECT) UTF-8 ALL",
    "SORT (REVERSE FROM DATE) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
)


def indexed(server: smtp.Server, count: int) -> dict[str, Any]:
    """Wait until the index has everything."""
    while True:
        state: dict[str, Any] = server.ask("search.status")
        if state["waiting"] == 0 and state["indexed"] >= count:
            return state
        time.sleep(0.2)


def delivery(options: argparse.Namespace) -> None:
    """What indexing takes from delivery."""
    load = argparse.Namespace(
        connections=10, messages=20, pipelining=False, size=options.size, seconds=options.seconds
    )
    server = smtp.Server()
    rates: dict[bool, list[float]] = {False: [], True: []}
    try:
        # A backlog, so that the process is there and does not run out of work.
        smtp.Load(server.port, load).run()
        for number in range(2 * options.rounds):
            at_work = bool(number % 2)
            for pid in server.children(b"imsd.indexer"):
                os.kill(int(pid), signal.SIGCONT if at_work else signal.SIGSTOP)
            started, before = time.monotonic(), server.ask("search.status")["indexed"]
            run = smtp.Load(server.port, load)
            run.run()
            took = time.monotonic() - started
            rates[at_work].append(run.done / took)
            indexed = (server.ask("search.status")["indexed"] - before) / took
            print(f"{run.done / took:8.0f} messages/s, {indexed:6.0f} indexed/s", flush=True)
        off, on = statistics.median(rates[False]), statistics.median(rates[True])
        print(f"medians: {off:.0f}/s without, {on:.0f}/s with the index: {1 - on / off:.0%} less")
    finally:
        for pid in server.children(b"imsd.indexer"):
            os.kill(int(pid), signal.SIGCONT)
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-index", action="store_true", help="ask before anything is indexed, too")
    parser.add_argument("--delivery", action="store_true", help="what it takes from delivery, alone")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round of --delivery")
    options = parser.parse_args()
    if options.delivery:
        delivery(options)
        return
    messages = corpus(options.messages, options.size)
    octets = sum(map(len, messages))
    server = smtp.Server()
    peer = None
    try:
        if not options.no_peer and peers.available("dovecot", "postfix"):
            peer = peers.Mail()
        clients = {"imsd": Client(STANDARD_PORTS["imap"] + smtp.OFFSET, "user0@example.test")}
        if peer is not None:
            clients["Dovecot"] = Client(peers.IMAP, "user0")
        for name, client in clients.items():
            started = time.perf_counter()
            client.fill(messages)
            print(f"{name}: {len(messages)} messages appended in {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        state = indexed(server, options.messages)
        print(
            f"index: {time.perf_counter() - started:.1f} s behind, {state['octets'] / octets:.2f} octets "
            "to one of content"
        )
        for client in clients.values():
            client.run(b"SELECT INBOX")
        print(f"{'':40}" + "".join(f"{name:>12}" for name in clients) + "       ratio")
        for command in COMMANDS:
            took: dict[str, list[float]] = {name: [] for name in clients}
            counts = set()
            for _ in range(options.rounds):
                for name, client in clients.items():
                    milliseconds, count = client.time(command.encode())
                    took[name].append(milliseconds)
                    counts.add(count)
            medians = [statistics.median(values) for values in took.values()]
            ratio = f"{medians[1] / medians[0]:12.1f}" if len(medians) > 1 else ""
            print(f"{command:40}" + "".join(f"{one:12.2f}" for one in medians) + ratio, sorted(counts))
        print(f"long turns of the reactor: {server.long_ticks()}")
    finally:
        server.stop()
        if peer is not None:
            peer.stop()


if __name__ == "__main__":
    main()
