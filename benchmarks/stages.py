"""The CPU that each stage of an accepted 4 KiB message takes, without sockets: steadier than a server.

    python -m benchmarks.stages [--rounds 15]

For comparing two builds on a machine that others use: each figure is the best of many rounds, by the
clock of the thread. "talk" is MAIL, RCPT, DATA, content and the 250 on a transport in memory, with
the content summarized and the delivery's unit left out; "unit" is that unit in groups of ten, "arrivals"
the statement that is in its place where it can be (imsd.store.arrivals), COMMIT included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.message import typical
from imsd.mail import units
from imsd.mail.plan import Accepted
from imsd.store.arrivals import Arrival
from imsd.store.sqlite import WriteConnection
from imsd.store.writer import Job, Transactions
from protocols.message.summary import summarize
from protocols.smtp.interfaces import Role
from protocols.smtp.server import Server
from tests.sessions.test_smtp import Site
from tests.smtp.fakes import Transport
from tests.support import stores

MESSAGES = 100
GROUP = 10
PEOPLE = 10


def letter(number: int) -> bytes:
    """What benchmarks.smtp sends."""
    header = (
        b"From: Sender <sender@example.org>\r\nTo: User <user@example.test>\r\nSubject: number %d\r\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ) % (number, number)
    line = b"The quick brown fox jumps over the lazy dog, again and again, %07d times.\r\n"
    body = b"".join(line % number for number in range(60))
    return header + body[: 4094 - len(header)] + b"\r\n"


class Stages:
    def __init__(self, folder: Path, rounds: int) -> None:
        stores._reactor = stores.StoreReactor()
        self.rounds = rounds
        self.database = stores.open_store(folder, "sqlite")
        self.site = Site(self.database)
        for number in range(PEOPLE):
            self.site.person(f"user{number}")
            # From here on it is known without a question to the store.
            stores.run(self.site.directory.resolve(f"user{number}@example.test"))
        self.accepted: list[tuple[Any, ...]] = []
        self.arrived: list[Arrival] = []

    def best(self, name: str, run: Callable[[int], object], count: int) -> None:
        taken = []
        for number in range(self.rounds):
            before = time.thread_time()
            run(number)
            taken.append((time.thread_time() - before) / count * 1e6)
        print(f"{name:20} {min(taken):6.0f} us")

    def measure(self) -> None:
        letters = [letter(number) for number in range(MESSAGES)]
        self.best("summarize, plain", lambda _: [summarize(each) for each in letters], MESSAGES)
        mixed = typical()
        self.best("summarize, mixed", lambda _: [summarize(mixed) for _ in letters], MESSAGES)
        self.best("talk", self._talk, MESSAGES)
        connection = WriteConnection(self.database.home / "data/imsd.db")
        # Half of them each: content that is stored already is no arrival.
        half = len(self.accepted) // 2
        self._unit(connection, self.accepted[:half])
        self._arrivals(connection, self.arrived[half:])
        connection.close()

    def _talk(self, first: int) -> None:
        """Keeps what would have been delivered for the other stage."""
        delivery: Any = self.site.delivery
        write = self.database.write

        async def written(fn: Any, *arguments: Any, account: int, arrival: Arrival) -> Accepted:
            self.accepted.append(arguments)
            self.arrived.append(arrival)
            return Accepted(arguments[3], 1, 0)

        delivery._db.write = written
        transport = Transport("127.0.0.1")
        server = Server(self.site.door(Role.MX), self.database.reactor)
        server.makeConnection(transport)  # type: ignore[no-untyped-call]
        server.dataReceived(b"EHLO client.example\r\n")
        for number in range(MESSAGES):
            server.dataReceived(b"MAIL FROM:<sender@example.org> SIZE=4096\r\n")
            server.dataReceived(b"RCPT TO:<user%d@example.test>\r\n" % (number % PEOPLE))
            server.dataReceived(b"DATA\r\n")
            server.dataReceived(letter(first * MESSAGES + number) + b".\r\n")
        assert transport.value().count(b"queued as") == MESSAGES, transport.value()[:500]
        delivery._db.write = write

    def _arrivals(self, connection: WriteConnection, arrived: list[Arrival]) -> None:
        taken = []
        for at in range(0, len(arrived), GROUP):
            some = arrived[at : at + GROUP]
            start = time.thread_time()
            connection.arrivals.write(some)
            written = connection.arrivals.written()
            taken.append((time.thread_time() - start) / len(some) * 1e6)
            assert len(written) == len(some)
        print(f"{'arrivals':20} {sorted(taken)[len(taken) // 4]:6.0f} us, in groups of {GROUP}")

    def _unit(self, connection: WriteConnection, accepted: list[tuple[Any, ...]]) -> None:
        transactions = Transactions(connection)
        units_taken, commits = [], []
        for at in range(0, len(accepted), GROUP):
            jobs = [Job(units.accept, each, None) for each in accepted[at : at + GROUP]]
            start = time.thread_time()
            transactions.begin()
            outcomes = [transactions.unguarded(job) for job in jobs]
            middle = time.thread_time()
            transactions.commit(outcomes)
            assert all(outcome.error is None for outcome in outcomes), outcomes[0].error
            units_taken.append((middle - start) / GROUP * 1e6)
            commits.append((time.thread_time() - middle) / GROUP * 1e6)
        # Not the best, for a tree grows now and then; not the mean, for others use the machine.
        print(f"{'unit':20} {sorted(units_taken)[len(units_taken) // 4]:6.0f} us")
        print(f"{'commit':20} {sorted(commits)[len(commits) // 4]:6.0f} us, in groups of {GROUP}")

    def stop(self) -> None:
        self.site.stop()
        stores.run(self.database.close())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages(Path(folder), options.rounds)
        try:
            stages.measure()
        finally:
            stages.stop()


if __name__ == "__main__":
    main()
