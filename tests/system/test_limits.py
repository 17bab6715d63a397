"""Nothing that a peer sends grows memory past its bound or hurts another session."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import imap, poll
from tests.support.servers import PASSWORD, RunningServer, need

pytestmark = pytest.mark.system

CONNECTIONS = 64
SECONDS = 6.0


def resident(pid: int) -> int:
    """Octets of resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def target(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    yield one
    one.stop()


GARBAGE = {
    "letters": lambda: b"x" * 65536,
    "random": lambda: os.urandom(65536),
    "lines": lambda: b"x" * 70 + b"\r\n",
    "zeros": lambda: bytes(65536),
}


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("listener", ["smtp", "pop3", "imap", "ldap"])
def test_endless_garbage_costs_no_memory_and_no_service(
    target: RunningServer, listener: str, kind: str
) -> None:
    assert target.process is not None
    make = GARBAGE[kind]
    give_up = time.monotonic() + SECONDS / 4

    def pour() -> None:
        while time.monotonic() < give_up:
            try:
                with socket.create_connection(("127.0.0.1", target.port(listener)), timeout=2) as peer:
                    while time.monotonic() < give_up:
                        peer.sendall(make())
            except OSError:
                time.sleep(0.01)

    before = resident(target.process.pid)
    peers = [threading.Thread(target=pour) for _ in range(CONNECTIONS)]
    for peer in peers:
        peer.start()
    most = before
    while any(peer.is_alive() for peer in peers):
        most = max(most, resident(target.process.pid))
        time.sleep(0.02)
    assert most - before < 100 << 20
    with socket.create_connection(("127.0.0.1", target.port("pop3")), timeout=10) as other:
        wire = other.makefile("rwb", buffering=0)
        assert wire.readline().startswith(b"+OK")
        wire.write(f"USER {target.address('alice')}\r\nPASS {PASSWORD}\r\nSTAT\r\n".encode())
        assert [wire.readline()[:3] for _ in range(3)] == [b"+OK"] * 3
    assert "Traceback" not in target.log, target.log[-3000:]


def test_connections_never_take_every_descriptor(make_server: Callable[..., RunningServer]) -> None:
    """Strangers who connect keep nobody from large content, which is in files."""
    server = make_server(start=False)
    server.prefix = (need("prlimit"), "--nofile=200:200")
    server.start()
    server.add_user("alice")
    client = imap(server, "alice")
    held = [socket.create_connection(("127.0.0.1", server.port("imap")), timeout=20) for _ in range(150)]
    greetings = [one.recv(100)[:6] for one in held]
    # (200 - 200 / 4) / 2, one of which is the client's.
    assert greetings.count(b"* OK [") == 74
    assert greetings.count(b"* BYE ") == 76
    large = b"Subject: large\r\n\r\n" + b"x" * 400_000
    assert client.append("INBOX", "", "", large)[0] == "OK"
    assert client.fetch("1", "(BODY.PEEK[])")[1][0][1] == large
    assert "connections are turned away: 75 are open" in server.log
    for one in held:
        one.close()
    poll(lambda: server.ask("status")["connections"]["imap"] == 0)
    server.deliver(large, [server.address("alice")])
    assert server.stop() == 0
