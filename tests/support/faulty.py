"""A mail server elsewhere that does what a test says, wrong or right: real sockets, in threads."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESET, CLOSE, HANG = "<reset>", "<close>", "<hang>"
"""In place of a reply: end the connection with RST or with FIN, or say nothing."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that was acknowledged. mail, rcpt: the arguments as sent; data: raw, with dots stuffed."""

    mail: str
    rcpt: tuple[str, ...]
    data: bytes
    encrypted: bool
    user: str = ""


@dataclass(slots=True, eq=False)
class Faulty:
    """One server.

    replies: by verb ("" the greeting, "." the end of the content, "RCPT b@x" one recipient): a reply or
    one of RESET, CLOSE, HANG; a list is used up one by one, its last item stays. after: what follows an
    acknowledged message. most: recipients of one transaction. once: 503 to every MAIL but the first.
    gullible: 354 to DATA without recipients. offered: None answers EHLO by 502. trust: who signs
    client certificates.
    """

    address: str = "127.0.0.1"
    port: int = 0
    pair: Path | None = None
    trust: Path | None = None
    replies: dict[str, str | list[str]] = field(default_factory=dict)
    offered: list[str] | None = field(default_factory=lambda: ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"])
    after: str = ""
    most: int = 0
    once: bool = False
    gullible: bool = False
    delay: float = 0.0
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    sni: list[str] = field(default_factory=list)
    login: Callable[[str], bool] = lambda _: True
    _listener: Any = None
    _tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if self.pair is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(self.pair)
            self._tls.sni_callback = lambda _s, name, _c: self.sni.append(name or "")
            if self.trust is not None:
                self._tls.load_verify_locations(self.trust)
                self._tls.verify_mode = ssl.CERT_OPTIONAL
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, self.port), family=family)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def verbs(self) -> list[str]:
        return [line.split()[0].upper() for line in self.commands]

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
        session = _Session(self, peer)
        try:
            session.run()
        except (OSError, _Over):
            pass
        finally:
            session.peer.close()

    def took(self, taken: Taken) -> None:
        self.taken.append(taken)

    def reply(self, key: str, otherwise: str) -> str:
        found = self.replies.get(key, otherwise)
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


class _Over(Exception):
    pass


class _Session:
    def __init__(self, server: Faulty, peer: Any) -> None:
        self.server, self.peer = server, peer
        self._file = peer.makefile("rb")
        self._encrypted = False
        self._user = ""
        self._mails = 0
        self._begun = False
        self._mail, self._rcpt = "", []  # type: str, list[str]
        self._chunks = b""

    def _say(self, text: str) -> None:
        time.sleep(self.server.delay)
        if text == HANG:
            while self._file.readline():
                pass
            raise _Over
        if text == RESET:
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if text in (RESET, CLOSE):
            # The file holds the socket open, too.
            self._file.close()
            raise _Over
        self.peer.sendall(text.encode() + b"\r\n")

    def run(self) -> None:
        server = self.server
        self._say(server.reply("", "220 faulty.example.net ESMTP"))
        while line := self._file.readline():
            text = line.decode().strip()
            server.commands.append(text)
            verb, _, rest = text.partition(" ")
            verb = verb.upper()
            match verb:
                case "EHLO" if server.offered is not None and "EHLO" not in server.replies:
                    words = ["faulty.example.net", *server.offered]
                    if server._tls is not None and not self._encrypted:
                        words.append("STARTTLS")
                    for word in words:
                        self.peer.sendall(f"250-{word}\r\n".encode())
                    self._say("250 ENHANCEDSTATUSCODES")
                case "EHLO":
                    self._say(server.reply("EHLO", "502 5.5.1 what?"))
                case "STARTTLS":
                    self._starttls()
                case "AUTH":
                    self._user = rest
                    fine = server.login(rest)
                    self._say(server.reply("AUTH", "235 2.7.0 hello" if fine else "535 5.7.8 who?"))
                case "MAIL":
                    self._mails += 1
                    self._mail, self._rcpt, self._chunks = rest, [], b""
                    twice = server.once and self._mails > 1
                    reply = (
                        "503 5.5.1 Sender already specified"
                        if twice
                        else server.reply("MAIL", "250 2.1.0 ok")
                    )
                    self._begun = reply.startswith("2")
                    self._say(reply)
                case "RCPT" if not self._begun:
                    self._say("503 5.5.1 MAIL first")
                case "RCPT":
                    self._recipient(rest)
                case "DATA" if not self._rcpt and not server.gullible:
                    self._say("554 5.5.1 no valid recipients")
                case "DATA":
                    self._data()
                case "RSET":
                    self._begun, self._rcpt = False, []
                    self._say("250 2.0.0 ok")
                case "BDAT":
                    size, _, last = rest.partition(" ")
                    self._chunks += self._file.read(int(size))
                    if last:
                        self._end(self._chunks)
                    else:
                        self._say("250 2.0.0 more")
                case "QUIT":
                    self._say(server.reply("QUIT", "221 2.0.0 bye"))
                    return
                case _:
                    self._say(server.reply(verb, "250 2.0.0 ok"))

    def _starttls(self) -> None:
        reply = self.server.reply("STARTTLS", "220 2.0.0 go ahead")
        self._say(reply)
        if reply.startswith("220"):
            assert self.server._tls is not None
            self.peer = self.server._tls.wrap_socket(self.peer, server_side=True)
            self._file = self.peer.makefile("rb")
            self._encrypted = True

    def _recipient(self, rest: str) -> None:
        server = self.server
        address = rest.partition("<")[2].partition(">")[0]
        reply = server.reply(f"RCPT {address}", server.reply("RCPT", "250 2.1.5 fine"))
        if server.most and len(self._rcpt) >= server.most:
            reply = "452 4.5.3 too many recipients"
        if reply.startswith("2"):
            self._rcpt.append(rest[3:])
        self._say(reply)

    def _data(self) -> None:
        reply = self.server.reply("DATA", "354 go on")
        self._say(reply)
        if not reply.startswith("354"):
            return
        if self.server.replies.get("content") == RESET:
            self._file.readline()
            self._say(RESET)
        lines = []
        while (line := self._file.readline()) != b".\r\n":
            if not line:
                raise _Over
            lines.append(line)
        self._end(b"".join(lines))

    def _end(self, data: bytes) -> None:
        server = self.server
        reply = server.reply(".", "250 2.0.0 taken")
        if reply.startswith("2"):
            server.took(Taken(self._mail, tuple(self._rcpt), data, self._encrypted, self._user))
        self._begun = False
        self._say(reply)
        if server.after:
            self._say(server.after)
