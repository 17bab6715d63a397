"""Clients of a running server that several tests of tests/system use."""

from __future__ import annotations

import imaplib
import socket
import time
from collections.abc import Callable

from tests.support.servers import PASSWORD, RunningServer


def poll(condition: Callable[[], object], patience: float = 20) -> None:
    """Wait until the condition holds; fail when it does not within `patience` seconds."""
    give_up = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.05)


def imap(server: RunningServer, alias: str = "alice") -> imaplib.IMAP4_SSL:
    """Logged in, with INBOX selected."""
    client = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.tls(), timeout=20)
    client.login(server.address(alias), PASSWORD)
    client.select("INBOX")
    return client


def texts(server: RunningServer, alias: str = "alice") -> list[bytes]:
    """Every message of the INBOX."""
    client = imap(server, alias)
    _, rows = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
    client.logout()
    return [row[1] for row in rows if isinstance(row, tuple)]


def subjects(server: RunningServer, alias: str = "alice") -> list[str]:
    """The subjects in the INBOX, in order."""
    client = imap(server, alias)
    _, rows = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    return [row[1].decode().strip().removeprefix("Subject: ") for row in rows if isinstance(row, tuple)]


class Idler:
    """A connection that has selected INBOX and idles."""

    def __init__(self, server: RunningServer, alias: str = "alice") -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port("imap")), timeout=20)
        self._file = self._socket.makefile("rb")
        self.exists = 0
        self.wait_for(b"* OK")
        self._say(b"a LOGIN %s %s" % (server.address(alias).encode(), PASSWORD.encode()), b"a OK")
        self._say(b"b SELECT INBOX", b"b OK")
        self._say(b"c IDLE", b"+")

    def _say(self, line: bytes, until: bytes) -> None:
        self._socket.sendall(line + b"\r\n")
        self.wait_for(until)

    def wait_for(self, mark: bytes) -> None:
        """Read until a line that begins with `mark`."""
        while True:
            line = self._file.readline()
            assert line, "the server closed the connection"
            if line.startswith(b"* ") and line.endswith(b" EXISTS\r\n"):
                self.exists = int(line.split()[1])
            if line.startswith(mark):
                return

    def close(self) -> None:
        self._say(b"DONE", b"c OK")
        self._file.close()
        self._socket.close()
