"""The CPU that each stage of an LDAP operation takes, without sockets: steadier than a server.

    python -m benchmarks.ldap_stages [--rounds 15]

The operations of `benchmarks.compare`, of a directory that holds user0 to user49. "talk" is the way of a
request to its answer on a transport in memory, of a modification without its unit; "unit" is that unit in
groups of sixteen, COMMIT apart. Each figure is of the quickest rounds, by the clock of the thread.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ldap_requests import REQUESTS
from imsd.directory.conditions import Changed
from imsd.sessions.ldap import Door
from imsd.store.ids import EntryId
from imsd.store.sqlite import WriteConnection
from imsd.store.writer import Job, Transactions
from protocols.ldap import client
from protocols.ldap.messages import BindRequest, Simple
from protocols.ldap.server import LdapConnection
from tests.directory.support import open_directory
from tests.sessions.test_ldap import Logins
from tests.smtp.fakes import Transport
from tests.support import stores

PEOPLE = 50
TURNS = 100
GROUP = 16
BASE = "dc=example,dc=test"


class Authenticator(Logins):
    """Sessions are told of nothing."""

    def watch_rights(self, account: object, moved: object) -> Any:
        return self

    def stop(self) -> None:
        pass


class Stages:
    def __init__(self, folder: Path, rounds: int) -> None:
        stores._reactor = stores.StoreReactor()
        self.rounds = rounds
        self.database = stores.open_store(folder, "sqlite")
        self.directory = open_directory(self.database)
        for number in range(PEOPLE):
            stores.run(self.directory.add_user(f"user{number}@example.test", password="secret"))
        authenticator: Any = Authenticator(self.directory)
        self.door = Door(self.directory, self.directory.settings, authenticator)
        self.units: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def best(self, name: str, run: Callable[[], object]) -> None:
        taken = []
        for _ in range(self.rounds):
            before = time.thread_time()
            run()
            taken.append((time.thread_time() - before) / TURNS * 1e6)
        print(f"{name:20} {min(taken):6.1f} us")

    def connect(self, who: str) -> tuple[LdapConnection, Transport]:
        transport = Transport("127.0.0.1")
        server = LdapConnection(self.database.reactor, self.door)
        server.makeConnection(transport)  # type: ignore[no-untyped-call]
        server.dataReceived(client.write(1, BindRequest(3, who, Simple(b"secret"))))
        return server, transport

    def _settle(self, server: LdapConnection) -> None:
        """Until what takes threads has been answered."""
        while server.operations:
            time.sleep(0.001)
            stores._reactor.settle()

    def measure(self) -> None:
        for name in ("equality", "substrings", "names"):
            self._search(name)
        self._modify()

    def _requests(self, operation: str) -> Sequence[bytes]:
        return REQUESTS[operation](BASE, f"cn=Recipients,ou=Main,{BASE}")

    def _search(self, operation: str) -> None:
        server, transport = self.connect("user7@example.test")
        (request,) = self._requests(operation)
        server.dataReceived(request)
        self._settle(server)
        transport.clear()

        def run() -> None:
            for _ in range(TURNS):
                server.dataReceived(request)

        server.dataReceived(request)
        expected = transport.value()
        self.best(f"talk, {operation}", run)
        assert transport.value().count(expected) >= self.rounds * TURNS, transport.value()[:500]

    def _modify(self) -> None:
        server, transport = self.connect("administrator@example.test")
        requests = itertools.cycle(self._requests("modify"))
        write = self.database.write
        feed = self.database.feed
        connection = WriteConnection(self.database.home / "data/imsd.db")
        transactions = Transactions(connection)
        taken: list[Job] = []

        async def written(fn: Any, *arguments: Any, **_: Any) -> Any:
            taken.append(Job(fn, arguments, None))
            return Changed(EntryId(1))

        def unit(jobs: list[Job]) -> tuple[float, float, list[Any]]:
            start = time.thread_time()
            transactions.begin()
            outcomes = [transactions.unguarded(job) for job in jobs]
            middle = time.thread_time()
            transactions.commit(outcomes)
            stop = time.thread_time()
            return (middle - start) / len(jobs) * 1e6, (stop - middle) / len(jobs) * 1e6, outcomes

        server.dataReceived(next(requests))
        self._settle(server)
        database: Any = self.database
        database.write = written
        talks, units, commits = [], [], []
        outcomes: list[Any] = []
        for _ in range(self.rounds * TURNS // GROUP):
            spent = 0.0
            for number in range(GROUP):
                before = time.thread_time()
                server.dataReceived(next(requests))
                # Each finds that there was a change since the one before it.
                for change in outcomes[number].changes if outcomes else ():
                    feed.publish(change)
                spent += time.thread_time() - before
                self._settle(server)
            talks.append(spent / GROUP * 1e6)
            took, committed, outcomes = unit(taken)
            taken.clear()
            units.append(took)
            commits.append(committed)
        database.write = write
        connection.close()
        assert b"\x67\x07\x0a\x01\x00" in transport.value()
        for name, figures in (("talk, modify", talks), ("unit, modify", units), ("commit, modify", commits)):
            print(f"{name:20} {sorted(figures)[len(figures) // 8]:6.1f} us")

    def stop(self) -> None:
        self.directory.stop()
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
