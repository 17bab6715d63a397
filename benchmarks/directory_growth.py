"""A directory that grows: what the server takes to hold many entries, and whether its answers become slower.

    python -m benchmarks.directory_growth [--few 20000] [--many 1000000] [--requests 200] [--folder /tmp]

Contacts come in by `imsctl directory import`, first the few, then the rest, while the server's resident
memory is read. Behind each a client asks by one connection, each request another one: a uid, part of a
uid, a name in five attributes as mail clients ask for what somebody has typed, and changes of a title.
With a million the folder takes 3 GB for a while.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.directory import imsctl
from benchmarks.imap import cpu, resident
from benchmarks.ldap import connect, receive
from protocols.ldap import client, filters
from protocols.ldap.messages import (
    Attribute,
    Change,
    ChangeKind,
    Deref,
    ModifyRequest,
    ModifyResponse,
    Scope,
    SearchRequest,
    SearchResultDone,
)
from protocols.ldap.reader import Reader
from tests.support.servers import DOMAIN, PASSWORD, RunningServer, free_offset

SUFFIX = "dc=" + ",dc=".join(DOMAIN.split("."))
GIVEN = ("Anna", "Bernd", "Carla", "David", "Eva", "Frank", "Greta", "Hans", "Ines", "Jan")
NAMES = ("cn", "sn", "givenName", "mail", "uid")


def write(path: Path, first: int, stop: int, base: str) -> None:
    with path.open("w") as file:
        file.write("version: 1\n\n")
        for at in range(first, stop):
            given, surname = GIVEN[at % 10], f"Name{at * 7919 % 1_000_003:07d}"
            file.write(
                f"dn: cn=p{at:07d},{base}\nobjectClass: Remote-Address\nobjectClass: inetOrgPerson\n"
                f"cn: {given} {surname}\nsn: {surname}\ngivenName: {given}\nuid: p{at:07d}\n"
                f"mail: p{at:07d}@{DOMAIN}\ntarget-address: SMTP:p{at:07d}@far.test\n\n"
            )


def search(wanted: filters.Filter) -> bytes:
    return client.write(7, SearchRequest(SUFFIX, Scope.SUBTREE, Deref.NEVER, 0, 0, False, wanted))


def equality(at: int, base: str) -> bytes:
    return search(filters.Equal("uid", b"p%07d" % at))


def part(at: int, base: str) -> bytes:
    """In the midst: one uid with seven digits has all of them."""
    return search(filters.Substrings("uid", any=(b"%07d" % at,)))


def names(at: int, base: str) -> bytes:
    typed = b"name%07d" % (at * 7919 % 1_000_003)
    return search(filters.Or(tuple(filters.Substrings(name, initial=typed) for name in NAMES)))


def modify(at: int, base: str) -> bytes:
    change = Change(ChangeKind.REPLACE, Attribute("title", (b"Engineer %d" % at,)))
    return client.write(7, ModifyRequest(f"cn=p{at:07d},{base}", (change,)))


REQUESTS: dict[str, Callable[[int, str], bytes]] = {
    "equality": equality,
    "part of a uid": part,
    "prefix of a name": names,
    "modify": modify,
}


def answers(server: RunningServer, base: str, count: int, requests: int) -> None:
    """Print how long the server takes for requests about entries all over the directory."""
    assert server.process is not None
    pid = server.process.pid
    peer = connect(server.port("ldap"), f"alice@{DOMAIN}", PASSWORD)
    admin = connect(server.port("ldap"), f"administrator@{DOMAIN}", PASSWORD)
    for words, make in REQUESTS.items():
        waits, used = [], cpu(pid)
        for number in range(requests):
            at = number * 7_368_787 % count
            door = admin if make is modify else peer
            data, reader = make(at, base), Reader(1 << 20)
            start = time.perf_counter()
            door.sendall(data)
            found = 0
            while True:
                operation = client.read(receive(door, reader)).operation
                if isinstance(operation, ModifyResponse | SearchResultDone):
                    break
                found += 1
            waits.append((time.perf_counter() - start) * 1e3)
            if operation.result.code or (make is not modify and found < 1):
                raise SystemExit(f"{words} {at}: {operation.result}, {found} found")
        each = (cpu(pid) - used) / requests * 1e6
        middle, worst = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
        print(f"  {words}: median {middle:.2f} ms, p99 {worst:.2f} ms, {each:.0f} us CPU", flush=True)


class Watch(threading.Thread):
    """The most memory a process had, once a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._pid = pid
        self._stop_now = threading.Event()

    def run(self) -> None:
        while not self._stop_now.wait(1):
            self.most = max(self.most, resident(self._pid))

    def stop(self) -> int:
        self._stop_now.set()
        self.join()
        return max(self.most, resident(self._pid)) >> 20


def measure(server: RunningServer, folder: Path, steps: Iterator[tuple[int, int]], requests: int) -> None:
    server.add_user("alice")
    found = re.search(r"^dn: (cn=Recipients,.*)$", imsctl(server, "directory", "export"), re.MULTILINE)
    assert found is not None and server.process is not None
    base, pid = found[1], server.process.pid
    for first, stop in steps:
        file = folder / "in.ldif"
        write(file, first, stop, base)
        watch = Watch(pid)
        watch.start()
        used, start = cpu(pid), time.monotonic()
        said = imsctl(server, "directory", "import", str(file)).strip().splitlines()[-1]
        seconds = time.monotonic() - start
        each = (cpu(pid) - used) / (stop - first) * 1e6
        print(
            f"{stop} entries ({said}): {seconds:.1f} s, {each:.0f} us CPU each; "
            f"{watch.stop()} MiB at most, {resident(pid) >> 20} MiB behind it",
            flush=True,
        )
        file.unlink()
        answers(server, base, stop, requests)
        print(f"  {resident(pid) >> 20} MiB behind the requests", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imsd-benchmark-", dir=options.folder) as folder:
        offset = free_offset()
        server = RunningServer(Path(folder) / "home", offset)
        server.home.mkdir()
        server.imsctl(
            *("setup", "--yes", "--domain", DOMAIN, "--listen", "127.0.0.1", "--hostname", "localhost"),
            *("--port-offset", str(offset), "--admin-password", PASSWORD),
        )
        server.start()
        try:
            steps = iter([(0, options.few), (options.few, options.many)])
            measure(server, Path(folder), steps, options.requests)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
