"""Connections that turn round: ETRN and ATRN as a client asks for them, and both sides of the turn.

After 250 to ATRN (RFC 2645 5.3) the one that connected greets and is the server. `serve` gives the rest
of a client's connection to a server; `Turned` is the transport of a client on a server's connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol

from protocols.connection import Connection
from protocols.smtp.client import Client
from protocols.smtp.responses import Reply
from protocols.smtp.wire import BadReply, MissingExtension, Rejected, Timeouts, Wire

NOTHING = 453
"""You have no mail (RFC 2645 7)."""
ASK = 120.0
"""Seconds for an answer."""
TURN = 600.0
"""Seconds for the answer to ATRN: the host looks through its queue first (RFC 2645 5.2.1)."""


async def etrn(client: Client, domains: Sequence[str]) -> tuple[str, ...]:
    """Ask for domains by ETRN; what was answered. Raises ClientError."""
    if "ETRN" not in client.extensions:
        raise MissingExtension("ETRN")
    return tuple([f"ETRN {each}: {await client.say(f'ETRN {each}', ASK)}" for each in domains])


async def ask(client: Client, verb: str, domains: Sequence[str]) -> str | None:
    """ATRN or TURN. None: the connection has turned round; else there is no mail. Raises ClientError."""
    if verb == "ATRN" and "ATRN" not in client.extensions:
        raise MissingExtension("ATRN")
    line = f"ATRN {','.join(domains)}" if verb == "ATRN" else "TURN"
    reply: Reply = await client.say(line, TURN)
    if reply.code == NOTHING:
        return str(reply)
    if reply.code != 250:
        raise Rejected(reply, verb)
    return None


async def serve(client: Client, server: Connection) -> None:
    """Be the server on a client's connection until that ends."""
    wire = client.release()
    ended: Deferred[None] = Deferred()
    relay = _Relay(server, ended)
    transport: Any = wire.transport
    transport.unregisterProducer()
    wire.give_to(relay)
    server.makeConnection(transport)  # type: ignore[no-untyped-call]
    try:
        await ended
    finally:
        server.abort()


class _Relay(Protocol):
    """Gives a server what comes in, and tells when it is over."""

    def __init__(self, server: Connection, ended: Deferred[None]) -> None:
        self._server = server
        self._ended = ended

    def dataReceived(self, data: bytes) -> None:
        self._server.dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        self._server.connectionLost(reason)
        if not self._ended.called:
            self._ended.callback(None)


class Turned:
    """The transport of a client on a server's connection: what it writes goes out there."""

    disconnecting = False

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        self._connection.send(data)
        self._connection.flush()

    def loseConnection(self) -> None:
        self._connection.close()

    def abortConnection(self) -> None:
        self._connection.abort()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Back-pressure is the connection's: see `Pressed`."""

    def unregisterProducer(self) -> None:
        pass

    def getPeer(self) -> Any:
        return self._connection.transport.getPeer()


class Pressed(Wire):
    """A wire over a server's connection, which knows when the transport is full."""

    def __init__(self, clock: Any, connection: Connection) -> None:
        super().__init__(clock)
        self._connection = connection
        self.makeConnection(Turned(connection))  # type: ignore[no-untyped-call]

    async def drained(self, seconds: float) -> None:
        if self.failure is not None:
            raise self.failure
        await self._connection.drained()


async def client_on(wire: Wire, encrypted: bool, timeouts: Timeouts | None = None) -> Client:
    """A client that has read the greeting of who was ours. Raises ClientError."""
    timeouts = timeouts or Timeouts()
    client = Client(wire, timeouts)
    client.encrypted = encrypted
    greeting = await wire.reply(timeouts.greeting)
    if greeting.code != 220:
        wire.fail(BadReply(str(greeting)))
        raise Rejected(greeting, "greeting")
    client.greeting = greeting
    return client


Use = Callable[[Wire, bool, str], Awaitable[None]]
"""What is done with a server's connection that has turned round: its wire, whether it is encrypted, and
who is there. Returns when it is over."""
