"""The Twisted protocol under SMTP, POP3, IMAP4 and LDAP: output, TLS, time-outs, admission.

1. Output is gathered by `send` and handed to the transport by `flush`, once for all that a
   burst of commands answered.
2. `congested` is true while the transport holds more than it wants to; `await drained()`
   waits for it to empty. Who writes a lot looks at it between pieces. A peer that reads
   nothing for `stall_time_out` seconds is cut off.
3. One timer per connection checks a deadline that is moved by assignment, so that a command
   costs no timer operations.
4. `security` says what the transport protects: it is asked again after STARTTLS.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from typing import Protocol as Typed

from twisted.internet import tcp
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime, ISSLTransport
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from protocols.security import Security, address_text, is_loopback

STALL_TIME_OUT: Final = 300.0
NEVER: Final = 10 * 365 * 86_400.0
"""A time-out for those who set none: ten years, in seconds."""
LINGER: Final = 15.0
"""Seconds a peer has to take the last bytes before the connection is aborted."""

PARTING: Final = 5.0
"""Seconds that who is turned away has to take the reason, a TLS handshake included."""
MOST_PARTING: Final = 100
"""Who are told the reason at once, on one listener; others are cut off without it."""

FLUSH_AT: Final = 64 * 1024


class Disconnected(CancelledError):
    """The peer is gone, or was sent away; whoever waits for input or output ends."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener admits.

    connections: at once; per_address: at once from one address (IPv6: one /64);
    rate: new connections per address and minute. 0 means no limit. loopback_exempt: those
    from this machine are not counted.
    """

    connections: int = 10_000
    per_address: int = 100
    rate: int = 600
    loopback_exempt: bool = False


class Admission:
    """Counts the connections of a listener and turns away what is too much."""

    def __init__(self, clock: IReactorTime, limits: Callable[[], Limits]) -> None:
        self.clock = clock
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._recent: Counter[str] = Counter()
        self._minute = 0
        self.count = 0

    def admit(self, address: str) -> str | None:
        """A ticket to give back to `leave`, or None when there is no room."""
        limits = self._limits()
        if limits.loopback_exempt and is_loopback(address):
            return ""
        ticket = network_of(address)
        minute = int(self.clock.seconds() // 60)
        if minute != self._minute:
            self._minute = minute
            self._recent.clear()
        self._recent[ticket] += 1
        if (
            (limits.connections and self.count >= limits.connections)
            or (limits.per_address and self._open[ticket] >= limits.per_address)
            or (limits.rate and self._recent[ticket] > limits.rate)
        ):
            return None
        self._open[ticket] += 1
        self.count += 1
        return ticket

    def leave(self, ticket: str) -> None:
        if not ticket:
            return
        self.count -= 1
        self._open[ticket] -= 1
        if not self._open[ticket]:
            del self._open[ticket]


def network_of(address: str) -> str:
    """What counts as one peer: an IPv4 address, an IPv6 /64, anything else as it is."""
    address = address_text(address)
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address


@implementer(IPushProducer)
class _Valve:
    """Tells a connection when its transport is full and when it has drained."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pauseProducing(self) -> None:
        self._connection._full()

    def resumeProducing(self) -> None:
        self._connection._drained()

    def stopProducing(self) -> None:
        pass


class _Doing:
    """What some connection did last, for whoever asks why the reactor was busy.

    An object of its own: to set an attribute of a class makes the interpreter forget all that it
    has learnt of the class, which would slow every command down.
    """

    __slots__ = ("verb",)

    def __init__(self) -> None:
        self.verb = "nothing"


class Connection(Protocol):
    """One peer. Subclasses implement `opened`, `received`, `lost` and `timed_out`."""

    log = Logger()
    doing: ClassVar = _Doing()

    transport: Any = None  # Twisted's interface for it lacks what every transport has
    factory: ConnectionFactory | None = None
    stall_time_out = STALL_TIME_OUT

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.security = Security()
        self.closing = False
        self.congested = False
        self._out: list[bytes] = []
        self._out_size = 0
        self._pack: Callable[[bytes], bytes] | None = None
        self._alive = False
        self._direct = False
        self._deadline = 0.0
        self._timer: Any = None
        self._waiters: list[Deferred[None]] = []
        self._ticket: str | None = None

    # What a subclass gives -------------------------------------------------------------

    def opened(self) -> None:
        """The connection is up; `security` is known."""

    def received(self, data: bytes) -> None:
        """Bytes came in."""

    def lost(self) -> None:
        """The connection is gone."""

    def timed_out(self) -> None:
        """The deadline passed; say goodbye and `close`."""
        self.close()

    def retimed(self) -> None:
        """Time-outs may have changed: they go for who waits already, too."""

    def goodbye(self) -> None:
        """The server stops or the session ends by the server's will; say so and `close`."""
        self.close()

    # Output ----------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Gather output; it goes out with the next `flush`."""
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._out_size = 0
            if self._alive:
                self._write(data if self._pack is None else self._pack(data))

    def _write(self, data: bytes) -> None:
        """Write, at once where the socket takes it: through the reactor every answer would cost two
        calls of epoll_ctl and a turn more."""
        transport = self.transport
        if (
            self._direct
            and not transport._tempDataLen
            and not transport.dataBuffer
            and not transport.disconnecting
        ):
            try:
                sent = transport.socket.send(data)
            except OSError:
                sent = 0  # It is full; or gone, of which the reactor hears.
            if sent == len(data):
                return
            if sent:
                data = data[sent:]
        transport.write(data)

    async def drained(self) -> None:
        """Wait until the transport has room. Raises Disconnected."""
        self.flush()
        while self.congested:
            waiter: Deferred[None] = Deferred()
            self._waiters.append(waiter)
            await waiter
        if not self._alive:
            raise Disconnected

    def _full(self) -> None:
        self.congested = True
        self.extend(self.stall_time_out)

    def _drained(self) -> None:
        self.congested = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)

    # Ending ----------------------------------------------------------------------------

    def close(self) -> None:
        """Send what is gathered, then close; abort if the peer does not take it."""
        if self.closing or not self._alive:
            return
        self.flush()
        self.closing = True
        self._unplug()
        self.transport.loseConnection()
        self.extend(LINGER)

    def abort(self) -> None:
        """Close at once, dropping what was not sent."""
        self.closing = True
        if self._alive:
            self._unplug()
            self.transport.abortConnection()

    def _unplug(self) -> None:
        self.transport.unregisterProducer()
        self._drained()

    # TLS -------------------------------------------------------------------------------

    def start_tls(self, context_factory: Any) -> None:
        """Begin the handshake; the caller has answered and thrown away its input."""
        self.flush()
        self._direct = False
        self.transport.startTLS(context_factory)
        self.security = Security.of(self.transport, ISSLTransport.providedBy(self.transport))

    # Time-outs -------------------------------------------------------------------------

    def extend(self, seconds: float) -> None:
        """Move the deadline to `seconds` from now."""
        deadline = self.clock.seconds() + seconds
        earlier = deadline < self._deadline
        self._deadline = deadline
        if self._timer is None or earlier:
            self._arm(seconds)

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.clock.callLater(seconds, self._check) if self._alive else None

    def _check(self) -> None:
        self._timer = None
        left = self._deadline - self.clock.seconds()
        if left > 0:
            self._arm(left)
        elif self.closing or self.congested:
            self.abort()
        else:
            self.timed_out()

    # Twisted's side --------------------------------------------------------------------

    def connectionMade(self) -> None:
        self._alive = True
        self._direct = type(self.transport) is tcp.Server and hasattr(self.transport, "_tempDataLen")
        self.security = Security.of(self.transport, ISSLTransport.providedBy(self.transport))
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None and not self.security.local_socket:
            set_no_delay(True)
        self.transport.registerProducer(_Valve(self), True)
        if self.factory is not None:
            self.factory.connections.add(self)
        self.opened()

    def dataReceived(self, data: bytes) -> None:
        if not self.closing:
            self.received(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._alive = False
        self.closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.factory is not None:
            self.factory.gone(self)
        self.congested = False
        self.lost()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.errback(Disconnected())


class _TurnedAway(Protocol):
    """Says that there is no room, and closes. Such connections are in no limit, and so do not stay."""

    transport: Any = None

    def __init__(self, notice: bytes, clock: IReactorTime, parting: set[Protocol]) -> None:
        self._notice = notice
        self._clock = clock
        self._parting = parting
        self._timer: Any = None

    def connectionMade(self) -> None:
        if len(self._parting) >= MOST_PARTING:
            self.transport.abortConnection()
            return
        self._parting.add(self)
        # Under TLS the end waits for the peer's part of the handshake.
        self._timer = self._clock.callLater(PARTING, self._cut)
        self.transport.write(self._notice)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._parting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self._timer = None
        self.transport.abortConnection()


class Builds(Typed):
    """Makes the protocol of one connection."""

    def __call__(self) -> Connection: ...


class ConnectionFactory(ServerFactory):
    """Builds connections within the limits of a listener, and knows those that are open.

    full: what a peer is told when there is no room (bytes on the wire, may be empty). refused: the
    same for an address that may not connect at all; None for one that may. room: whether the process
    can take a connection more.
    """

    noisy = False

    def __init__(
        self,
        build: Builds,
        admission: Admission,
        full: bytes = b"",
        refused: Callable[[str], bytes | None] | None = None,
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._build = build
        self._room = room
        self._admission = admission
        self._full = full
        self._refused = refused
        self._idle: list[Deferred[None]] = []
        self._parting: set[Protocol] = set()
        self.connections: set[Connection] = set()
        self.stopping = False

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        peer = address_text(getattr(addr, "host", "local"))
        if self._refused is not None:
            notice = self._refused(peer)
            if notice is not None:
                return self._turned_away(notice)
        ticket = self._admission.admit(peer)
        if ticket is None or self.stopping or not self._room():
            if ticket is not None:
                self._admission.leave(ticket)
            return self._turned_away(self._full)
        connection = self._build()
        connection.factory = self
        connection._ticket = ticket
        return connection

    def _turned_away(self, notice: bytes) -> Protocol:
        return _TurnedAway(notice, self._admission.clock, self._parting)

    def gone(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection._ticket is not None:
            self._admission.leave(connection._ticket)
            connection._ticket = None
        if not self.connections:
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def stop(self) -> Deferred[None]:
        """Ask every connection to end between commands; fires when the last is gone."""
        self.stopping = True
        done: Deferred[None] = Deferred()
        if not self.connections:
            done.callback(None)
            return done
        self._idle.append(done)
        for connection in list(self.connections):
            connection.goodbye()
        return done

    def abort(self) -> None:
        """Cut off whoever is left."""
        for connection in list(self.connections):
            connection.abort()
