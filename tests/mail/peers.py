"""SMTP servers that exist only in memory, and a reactor that connects to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.python.failure import Failure

from imsd.mail.names import Answer, LookupFailed
from tests.support.stores import StoreReactor


@dataclass(slots=True)
class Got:
    """One message as a server took it."""

    mail: str
    rcpt: list[str]
    data: bytes


@dataclass(slots=True)
class Peer:
    """What a server says. refuse: RCPT replies by address; drop: the verb at which it hangs up."""

    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10000000", "DSN", "SMTPUTF8")
    greeting: str = "220 peer ESMTP"
    refuse: dict[str, str] = field(default_factory=dict)
    mail: str = "250 2.1.0 ok"
    end: str = "250 2.0.0 taken"
    drop: str = ""
    drops: int = 10**9
    got: list[Got] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    on_end: Any = None
    stall: bool = False
    # With a context STARTTLS is offered; broken: the handshake fails.
    tls: SSL.Context | None = None
    broken: bool = False
    encrypted: int = 0
    name: str = ""

    def verbs(self) -> list[str]:
        return [command.split()[0] for command in self.commands]


class Connection:
    """The server's side of one connection, and the client's transport."""

    disconnecting = False

    def __init__(self, reactor: MailReactor, peer: Peer, protocol: Any) -> None:
        self._reactor, self._peer, self._protocol = reactor, peer, protocol
        self._buffer = b""
        self._data: bytes | None = None
        self._now: Got | None = None
        self._lost = self._failing = False
        self._ours: SSL.Connection | None = None
        self._theirs: SSL.Connection | None = None
        peer.connections += 1
        peer.open += 1
        peer.most_open = max(peer.most_open, peer.open)

    # The client's transport ----------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._lost or self._failing:
            return
        if self._theirs is not None and self._ours is not None:
            self._theirs.sendall(data)
            _pass(self._theirs, self._ours)
            data = self._ours.recv(1 << 20)
        self._buffer += data
        self._reactor.callFromThread(self._work)

    def startTLS(self, creator: Any) -> None:
        """A handshake through memory: `theirs` is the client's end."""
        if self._peer.broken:
            self._failing = True
            self._reactor.callFromThread(self._end)
            return
        self._theirs, self._ours = creator.clientConnectionForTLS(None), SSL.Connection(self._peer.tls, None)
        self._theirs.set_connect_state()
        self._ours.set_accept_state()
        for _ in range(4):
            for end, other in ((self._theirs, self._ours), (self._ours, self._theirs)):
                try:
                    end.do_handshake()
                except SSL.WantReadError:
                    pass
                _pass(end, other)
        self._peer.encrypted += 1
        self._peer.name = (self._ours.get_servername() or b"").decode()

    def getHandle(self) -> Any:
        return self._theirs

    def loseConnection(self) -> None:
        self._end()

    def abortConnection(self) -> None:
        self._end()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 25)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.99", 40_000)

    def _end(self) -> None:
        if not self._lost:
            self._lost = True
            self._peer.open -= 1
            self._protocol.connectionLost(Failure(ConnectionDone()))

    # The server ----------------------------------------------------------------------------

    def greet(self) -> None:
        self._say(self._peer.greeting)

    def _say(self, *lines: str) -> None:
        data = "".join(f"{line}\r\n" for line in lines).encode()
        if self._theirs is not None and self._ours is not None:
            self._ours.sendall(data)
            _pass(self._ours, self._theirs)
            data = self._theirs.recv(1 << 20)
        if not self._lost:
            self._protocol.dataReceived(data)

    def _work(self) -> None:
        while not self._lost:
            if self._data is not None:
                end = self._buffer.find(b"\r\n.\r\n")
                if end < 0:
                    return
                content = self._buffer[: end + 2].replace(b"\r\n..", b"\r\n.")
                self._buffer = self._buffer[end + 5 :]
                self._data = None
                self._finish(content)
                continue
            line, newline, rest = self._buffer.partition(b"\r\n")
            if not newline:
                return
            self._buffer = rest
            self._command(line.decode())

    def _finish(self, content: bytes) -> None:
        peer = self._peer
        if self._drops(".") or peer.stall:
            return
        assert self._now is not None
        if peer.end.startswith("2"):
            peer.got.append(Got(self._now.mail, self._now.rcpt, content))
        if peer.on_end is not None:
            peer.on_end()
        if self._drops("after"):
            return
        self._say(peer.end)

    def _drops(self, where: str) -> bool:
        if self._peer.drop == where and self._peer.drops > 0:
            self._peer.drops -= 1
            self._end()
            return True
        return False

    def _command(self, line: str) -> None:
        peer = self._peer
        peer.commands.append(line)
        verb = line.split(" ")[0].upper()
        if self._drops(verb):
            return
        if verb == "EHLO":
            if not peer.extensions:
                self._say("502 5.5.1 no EHLO here")
                return
            offered = ("STARTTLS",) if peer.tls is not None and self._ours is None else ()
            lines = ["peer", *peer.extensions, *offered]
            self._say(*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}")
        elif verb == "MAIL":
            self._now = Got(line[10:], [], b"") if peer.mail.startswith("2") else None
            self._say(peer.mail)
        elif verb == "RCPT" and self._now is None:
            self._say("503 5.5.1 MAIL first")
        elif verb == "RCPT":
            assert self._now is not None
            address = line[9:].partition(">")[0]
            reply = peer.refuse.get(address, "250 2.1.5 ok")
            if reply.startswith("2"):
                self._now.rcpt.append(line[8:])
            self._say(reply)
        elif verb == "DATA" and (self._now is None or not self._now.rcpt):
            self._say("503 5.5.1 no valid recipients")
        elif verb == "DATA":
            self._data = b""
            # So that a message without lines ends too.
            self._say("354 go on")
        elif verb == "STARTTLS":
            self._say("220 go on" if peer.tls is not None else "454 4.7.0 not now")
        elif verb == "QUIT":
            self._say("221 bye")
            self._end()
        else:
            self._say("250 2.0.0 ok")


def _pass(end: SSL.Connection, other: SSL.Connection) -> None:
    """What one end has to send, given to the other."""
    try:
        while True:
            other.bio_write(end.bio_read(1 << 20))
    except SSL.WantReadError:
        pass


class MailReactor(StoreReactor):
    """Connects by address to peers; what has none refuses the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: dict[str, Peer] = {}

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        factory.doStart()
        self.callFromThread(self._connect, host, factory)
        return _Connector()

    def _connect(self, host: str, factory: Any) -> None:
        peer = self.peers.get(host)
        if peer is None:
            factory.clientConnectionFailed(_Connector(), Failure(ConnectionRefusedError()))
            return
        protocol = factory.buildProtocol(IPv4Address("TCP", host, 25))
        connection = Connection(self, peer, protocol)
        protocol.makeConnection(connection)
        self.callFromThread(connection.greet)


class _Connector:
    def stopConnecting(self) -> None:
        pass


class Zone:
    """The domain name system of a test. failing: names without an answer. secure: DNSSEC vouches for all."""

    def __init__(self) -> None:
        self.mx: dict[str, list[tuple[int, str]]] = {}
        self.a: dict[str, list[str]] = {}
        self.txt: dict[str, list[str]] = {}
        self.failing: set[str] = set()
        self.secure = False
        self.asked: list[tuple[str, str]] = []
        self.ttl = 300

    def add(self, domain: str, *hosts: tuple[int, str, str]) -> None:
        self.mx[domain] = [(level, host) for level, host, _ in hosts]
        for _, host, address in hosts:
            self.a[host] = [address]

    def lookup(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        if name in self.failing:
            raise LookupFailed(f"{name} {kind}: Timeout")
        if kind == "MX":
            known = name in self.mx or name in self.a
            return Answer(tuple(self.mx.get(name, ())), self.ttl, missing=not known, secure=self.secure)
        if kind == "TXT":
            return Answer(tuple((0, text) for text in self.txt.get(name, ())), self.ttl)
        wanted = ":" if kind == "AAAA" else "."
        found = tuple((0, each) for each in self.a.get(name, ()) if wanted in each)
        return Answer(found, self.ttl, missing=name not in self.a and name not in self.mx, secure=self.secure)
