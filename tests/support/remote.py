"""A mail server elsewhere: real sockets, in threads, that says what a test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as it was given to us."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    encrypted: bool
    mail: str = ""


class Remote:
    """Listens on 127.0.0.1; `rcpt` and `end` are its replies to RCPT and to the final dot,
    `offered` its extensions.

    pair: a PEM file with key and certificate; with it, STARTTLS is offered.
    """

    def __init__(self, pair: Path | None = None) -> None:
        self.rcpt = "250 2.1.5 fine"
        self.end = "250 2.0.0 taken"
        self.offered = ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 50000000"]
        self.taken: list[Taken] = []
        self.connections = 0
        self._tls: ssl.SSLContext | None = None
        if pair is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(pair)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: Any) -> None:
        peer.settimeout(60)
        try:
            _Session(self, peer).run()
        except OSError:
            pass
        finally:
            peer.close()


class _Session:
    """One connection, from the greeting to QUIT."""

    def __init__(self, remote: Remote, peer: Any) -> None:
        self._remote, self._peer = remote, peer
        self._file = peer.makefile("rb")
        self._encrypted = False
        self._sender, self._recipients = "", []  # type: str, list[str]
        self._mail = ""

    def _say(self, line: str) -> None:
        self._peer.sendall(line.encode() + b"\r\n")

    def run(self) -> None:
        self._say("220 remote.example.net ESMTP")
        while line := self._file.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            match verb.upper():
                case "EHLO":
                    offered = list(self._remote.offered)
                    if self._remote._tls is not None and not self._encrypted:
                        offered.append("STARTTLS")
                    for word in ["remote.example.net", *offered]:
                        self._say(f"250-{word}")
                    self._say("250 ENHANCEDSTATUSCODES")
                case "STARTTLS":
                    assert self._remote._tls is not None
                    self._say("220 2.0.0 go ahead")
                    self._peer = self._remote._tls.wrap_socket(self._peer, server_side=True)
                    self._file = self._peer.makefile("rb")
                    self._encrypted = True
                case "MAIL":
                    self._sender, self._recipients, self._mail = _path(rest), [], rest
                    self._say("250 2.1.0 ok")
                case "RCPT":
                    if self._remote.rcpt.startswith("2"):
                        self._recipients.append(_path(rest))
                    self._say(self._remote.rcpt)
                case "DATA":
                    self._data()
                case "QUIT":
                    self._say("221 2.0.0 bye")
                    return
                case _:
                    self._say("250 2.0.0 ok")

    def _data(self) -> None:
        if not self._recipients:
            self._say("554 5.5.1 no recipients")
            return
        self._say("354 go on")
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line[1:] if line.startswith(b".") else line)
        if self._remote.end.startswith("2"):
            self._remote.taken.append(
                Taken(self._sender, tuple(self._recipients), b"".join(lines), self._encrypted, self._mail)
            )
        if not self._remote.end:
            self._file.readline()  # Silence, until whoever sends goes away.
            return
        self._say(self._remote.end)


def _path(argument: str) -> str:
    """The address in "FROM:<a@b> ..."."""
    return argument.partition("<")[2].partition(">")[0]
