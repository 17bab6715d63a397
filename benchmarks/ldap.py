"""Equality searches per second, and server CPU per search.

    python -m benchmarks.ldap --port 1389 --bind DN --password P --base DN --filter uid=alice
    python -m benchmarks.ldap --alone        the protocol by itself, over a directory in a dict

The client runs in a process of its own on raw sockets, with request bytes made beforehand; each
connection has one search in flight, and every answer is compared with the first. Server CPU is
read from /proc, of the process that listens.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from zope.interface import implementer

from protocols.ldap import client, filters
from protocols.ldap.interfaces import IDoor, IIdentity, Limits, SearchLimits, SpecialEntry
from protocols.ldap.messages import (
    BindRequest,
    BindResponse,
    Deref,
    ModifyResponse,
    Scope,
    SearchRequest,
    SearchResultDone,
    SearchResultEntry,
    Simple,
)
from protocols.ldap.reader import Reader
from protocols.ldap.responses import encode_attribute, encode_entry
from protocols.ldap.results import Result, ResultCode
from protocols.lines import NEED_DATA

CONNECTIONS = 16
SECONDS = 4.0


# Client --------------------------------------------------------------------------------


def receive(peer: socket.socket, reader: Reader) -> bytes:
    while (taken := reader.next()) is NEED_DATA:
        data = peer.recv(65536)
        if not data:
            raise SystemExit("the server closed the connection")
        reader.feed(data)
    return taken


def connect(port: int, bind: str, password: str) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if bind:
        peer.sendall(client.write(1, BindRequest(3, bind, Simple(password.encode()))))
        answer = client.read(receive(peer, Reader(1 << 20))).operation
        assert isinstance(answer, BindResponse), answer
        if answer.result.code is not ResultCode.SUCCESS:
            raise SystemExit(f"bind: {answer.result}")
    return peer


def search(base: str, wanted: str) -> bytes:
    """(&(objectClass=*)(wanted)), all user attributes."""
    attribute, _, value = wanted.partition("=")
    found = filters.And((filters.Present("objectClass"), filters.Equal(attribute, value.encode())))
    return client.write(7, SearchRequest(base, Scope.SUBTREE, Deref.NEVER, 0, 0, False, found))


def first_answer(peer: socket.socket, request: bytes) -> bytes:
    """The bytes of a whole answer, checked: success, after entries if it was a search."""
    peer.sendall(request)
    reader = Reader(1 << 20)
    whole = data = receive(peer, reader)
    operation = client.read(data).operation
    if not isinstance(operation, SearchResultEntry | ModifyResponse):
        raise SystemExit(f"no entry: {operation}")
    while isinstance(operation, SearchResultEntry):
        data = receive(peer, reader)
        whole += data
        operation = client.read(data).operation
    if not isinstance(operation, ModifyResponse | SearchResultDone) or operation.result.code:
        raise SystemExit(f"no success: {operation}")
    return whole


def load(port: int, bind: str, password: str, requests: Sequence[bytes], seconds: float) -> tuple[int, float]:
    """Requests answered, all alike, and how long that took. A connection sends each CONNECTIONS-th."""
    peers = [connect(port, bind, password) for _ in range(CONNECTIONS)]
    expected = first_answer(peers[0], requests[0])
    size = len(expected)
    poll = select.epoll()
    by_number = {peer.fileno(): peer for peer in peers}
    asked = {peer.fileno(): itertools.cycle(requests[at % len(requests) :: CONNECTIONS])
             for at, peer in enumerate(peers)}  # fmt: skip
    for peer in peers:
        poll.register(peer, select.EPOLLIN)
        peer.sendall(next(asked[peer.fileno()]))
    got: dict[int, bytes] = {}
    count = 0
    start = time.perf_counter()
    end = start + seconds
    while time.perf_counter() < end:
        for number, _ in poll.poll(1.0):
            peer = by_number[number]
            data = got.pop(number, b"") + peer.recv(65536)
            if len(data) < size:
                got[number] = data
                continue
            if data != expected:
                raise SystemExit("a different answer")
            count += 1
            peer.send(next(asked[number]))
    return count, time.perf_counter() - start


def _load(queue: Any, *arguments: Any) -> None:
    queue.put(load(*arguments))


# A server of its own -------------------------------------------------------------------

ENTRY = encode_entry(
    b"cn=alice,cn=Recipients,ou=Main,o=Example",
    b"".join(
        encode_attribute(name, values)
        for name, values in [
            (b"objectClass", [b"top", b"person", b"organizationalPerson", b"inetOrgPerson"]),
            (b"cn", [b"Alice Example", b"alice"]),
            (b"sn", [b"Example"]),
            (b"uid", [b"alice"]),
            (b"mail", [b"alice@example.test"]),
        ]
    ),
)


@implementer(IIdentity)
class Everyone:
    limits = SearchLimits()

    def who_am_i(self) -> str:
        return ""

    async def search(self, request: SearchRequest) -> AsyncGenerator[bytes, None]:
        yield ENTRY


@implementer(IDoor)
class Door:
    """Opens on one entry."""

    limits = Limits()
    authenticator = None
    _everyone = Everyone()
    _subschema = SpecialEntry("cn=Subschema")

    def root_dse(self) -> SpecialEntry:
        return SpecialEntry("")

    def subschema(self) -> SpecialEntry:
        return self._subschema

    def anonymous(self, security: object) -> Everyone:
        return self._everyone

    def explain(self, error: Exception) -> Result | None:
        return None


def serve(port: int) -> None:
    from twisted.internet import reactor
    from twisted.internet.protocol import Factory, Protocol

    from protocols.ldap.server import LdapConnection

    class Connections(Factory):
        def buildProtocol(self, addr: object) -> Protocol:
            return LdapConnection(reactor, Door())  # type: ignore[arg-type]

    where: Any = reactor
    where.listenTCP(port, Connections(), interface="127.0.0.1")
    where.callLater(SECONDS + 5, where.stop)
    where.run()


# Measuring -----------------------------------------------------------------------------


def cpu(pid: int) -> float:
    """Seconds of CPU a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listener(port: int) -> int:
    """The pid of the process that listens on a port of this machine."""
    wanted = f"{port:04X}"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[1].endswith(":" + wanted) and fields[3] == "0A":
                    inodes.add(f"socket:[{fields[9]}]")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{number}") in inodes:
                    return int(pid)
        except OSError:
            continue
    raise SystemExit(f"nobody listens on {port}")


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server did not start")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--alone", action="store_true")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--port", type=int, default=13899)
    options.add_argument("--bind", default="")
    options.add_argument("--password", default="")
    options.add_argument("--base", default="o=Example")
    options.add_argument("--filter", default="uid=alice")
    options.add_argument("--seconds", type=float, default=SECONDS)
    given = options.parse_args()
    if given.serve:
        serve(given.port)
        return
    server = None
    if given.alone:
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ldap", "--serve", "--port", str(given.port)]
        )
    try:
        wait_for(given.port)
        pid = listener(given.port)
        request = search(given.base, given.filter)
        queue: Any = multiprocessing.Queue()
        arguments = (queue, given.port, given.bind, given.password, [request], min(given.seconds, 10.0))
        loader = multiprocessing.Process(target=_load, args=arguments)
        before = cpu(pid)
        loader.start()
        count, seconds = queue.get(timeout=30)
        used = cpu(pid) - before
        loader.join()
    finally:
        if server is not None:
            server.terminate()
            server.wait()
    print(f"{count / seconds:,.0f} searches/s over {CONNECTIONS} connections")
    print(f"{used / count * 1e6:.0f} us of server CPU each")


if __name__ == "__main__":
    main()
