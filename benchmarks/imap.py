"""The real IMAP server: logins/s, FETCH of flags, latency of IDLE, memory of idle connections.

    python -m benchmarks.imap [--seconds 5] [--connections 8] [--messages 10000] [--idle 500]

`twistd imsd` serves a temporary home; this process is the client, with plain sockets. CPU and
resident memory are the server's, from /proc.
"""

from __future__ import annotations

import argparse
import os
import selectors
import smtplib
import socket
import tempfile
import time
from pathlib import Path

from tests.support.servers import DOMAIN, PASSWORD, RunningServer, free_offset


def steps(password: str) -> tuple[bytes, ...]:
    """What one session says."""
    login = f"a LOGIN alice@{DOMAIN} {password}\r\n".encode()
    return (login, b"b SELECT INBOX\r\n", b"c LOGOUT\r\n")


ENDS = (b"a OK", b"b OK", b"c OK")


def cpu(pid: int) -> float:
    """Seconds of CPU the process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Octets of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Session:
    """Greeting, LOGIN, SELECT, LOGOUT, each after the answer to the one before."""

    def __init__(self, port: int, said: tuple[bytes, ...]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.said = said
        self.step = -1
        self.heard = b""

    def proceed(self) -> bool:
        """Takes what came; whether the session is over."""
        data = self.socket.recv(65536)
        if not data:
            self.socket.close()
            return True
        self.heard += data
        wanted = b"* OK" if self.step < 0 else ENDS[self.step]
        if self.heard.endswith(b"\r\n") and wanted in self.heard and self.step < len(self.said) - 1:
            self.step += 1
            self.heard = b""
            self.socket.sendall(self.said[self.step])
        return False


def logins(port: int, connections: int, seconds: float, password: str = PASSWORD) -> int:
    selector, said = selectors.DefaultSelector(), steps(password)

    def start() -> None:
        session = Session(port, said)
        selector.register(session.socket, selectors.EVENT_READ, session)

    for _ in range(connections):
        start()
    done = failed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(1):
            if not key.data.proceed():
                continue
            selector.unregister(key.fileobj)
            whole = key.data.step == len(said) - 1
            done, failed = done + whole, failed + (not whole)
            start()
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    if failed > done / 100:
        raise SystemExit(f"{failed} sessions were cut off, {done} were not")
    return done


class Client:
    """One connection that waits for tagged answers."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.until(b"* OK")

    def until(self, wanted: bytes) -> bytes:
        heard = b""
        while not (heard.endswith(b"\r\n") and wanted in heard[-2000:]):
            data = self.socket.recv(1 << 20)
            assert data, heard[-500:]
            heard += data
        return heard

    def say(self, line: bytes, wanted: bytes = b"x OK") -> bytes:
        self.socket.sendall(b"x " + line + b"\r\n")
        return self.until(wanted)

    def login(self) -> Client:
        self.socket.sendall(steps(PASSWORD)[0])
        self.until(ENDS[0])
        return self


def fill(client: Client, count: int) -> None:
    """`count` small messages in INBOX, by APPEND and then by COPY of all there are."""
    client.say(b"APPEND INBOX {40+}\r\nSubject: one\r\n\r\n" + b"x" * 24)
    have = 1
    client.say(b"SELECT INBOX")
    while have < count:
        more = min(have, count - have)
        client.say(b"COPY 1:%d INBOX" % more)
        have += more


def timed(label: str, server: RunningServer, client: Client, line: bytes, times: int = 5) -> None:
    assert server.process is not None
    best = 1e9
    before = cpu(server.process.pid)
    for _ in range(times):
        started = time.perf_counter()
        client.say(line)
        best = min(best, time.perf_counter() - started)
    used = (cpu(server.process.pid) - before) / times
    print(f"{label}: {best * 1e3:.1f} ms, CPU {used * 1e3:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--idle", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        offset = free_offset()
        server = RunningServer(Path(folder) / "home", offset)
        server.home.mkdir()
        server.imsctl(
            *("setup", "--yes", "--domain", DOMAIN, "--listen", "127.0.0.1", "--hostname", "localhost"),
            *("--port-offset", str(offset), "--admin-password", PASSWORD),
        )
        server.start()
        try:
            server.add_user("alice")
            measure(server, options)
        finally:
            server.stop()


def measure(server: RunningServer, options: argparse.Namespace) -> None:
    assert server.process is not None
    pid, port = server.process.pid, server.port("imap")
    logins(port, options.connections, 0.5)
    before, started = cpu(pid), time.perf_counter()
    done = logins(port, options.connections, options.seconds)
    took, used = time.perf_counter() - started, cpu(pid) - before
    print(f"login+SELECT+LOGOUT: {done / took:.0f}/s, CPU {used / done * 1e3:.3f} ms each")

    client = Client(port).login()
    fill(client, options.messages)
    client.say(b"NOOP")
    count = b"%d" % options.messages
    timed(f"SELECT of {options.messages}", server, client, b"SELECT INBOX")
    timed("FETCH 1:* (FLAGS)", server, client, b"FETCH 1:* (FLAGS)")
    timed("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", server, client, b"FETCH 1:" + count + b" FAST")
    timed("FETCH 1:* ENVELOPE", server, client, b"FETCH 1:* ENVELOPE", 1)
    timed("FETCH 1:1000 BODY.PEEK[]", server, client, b"FETCH 1:1000 BODY.PEEK[]", 3)
    timed("SEARCH UNSEEN", server, client, b"SEARCH UNSEEN")
    timed("UID STORE 1:1000 +FLAGS", server, client, b"UID STORE 1:1000 +FLAGS.SILENT (\\Seen)", 1)

    client.say(b"IDLE", b"+ idling")
    waits = []
    with smtplib.SMTP("127.0.0.1", server.port("smtp")) as smtp:
        smtp.ehlo("client.example.org")
        for _ in range(20):
            smtp.mail("x@example.org")
            smtp.rcpt(server.address("alice"))
            smtp.putcmd("DATA")
            smtp.getreply()
            smtp.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            started = time.perf_counter()
            client.until(b"EXISTS")
            waits.append(time.perf_counter() - started)
            smtp.getreply()
    print(f"arrival by IDLE: median {sorted(waits)[10] * 1e3:.1f} ms, worst {max(waits) * 1e3:.1f}")

    before_memory = resident(pid)
    idle = []
    for _ in range(options.idle):
        one = Client(port).login()
        one.say(b"SELECT INBOX")
        one.say(b"IDLE", b"+ idling")
        idle.append(one)
    each = (resident(pid) - before_memory) / max(1, options.idle)
    print(f"memory of {options.idle} idle connections: {each / 1024:.1f} KiB each")


if __name__ == "__main__":
    main()
