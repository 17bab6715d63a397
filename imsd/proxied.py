"""Connections that come through a load balancer: its PROXY header says who is at the far end.

1. Only hosts of `admission.proxies` are believed, and theirs must begin with a header: to guess would
   let clients say who they are (proxy-protocol.txt 5).
2. The header comes before everything, a TLS handshake too. Until it is whole there is no session;
   it must be whole within PATIENCE seconds. Gates, limits, logs and Received then see the far end.
3. A far end on the proxy's own machine is nobody on ours: it stays the proxy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from protocols.errors import BadSyntax
from protocols.lines import NEED_DATA
from protocols.proxied import Ends, parse
from protocols.security import is_loopback

PATIENCE: Final = 10.0
"""Seconds."""


class ProxiedFactory(ServerFactory):
    """Stands before the factory of a listener. trusted: whether an address is a proxy's."""

    noisy = False

    def __init__(self, inner: IProtocolFactory, trusted: Callable[[str], bool], clock: IReactorTime) -> None:
        self._inner: Any = inner
        self._trusted = trusted
        self._clock = clock

    def doStart(self) -> None:
        super().doStart()  # type: ignore[no-untyped-call]
        self._inner.doStart()

    def doStop(self) -> None:
        self._inner.doStop()
        super().doStop()  # type: ignore[no-untyped-call]

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if self._trusted(str(getattr(addr, "host", ""))):
            return _Announced(self._inner, self._clock)
        return self._inner.buildProtocol(addr)


class _Announced(Protocol):
    """Reads the header, then hands the transport on, which from there on has the announced ends."""

    log = Logger()
    transport: Any = None

    def __init__(self, inner: Any, clock: IReactorTime) -> None:
        self._inner = inner
        self._clock = clock
        self._data = bytearray()
        self._timer: Any = None

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(PATIENCE, self._refuse, "no PROXY header in time")

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        try:
            found = parse(self._data)
        except BadSyntax as error:
            self._refuse(error.what)
            return
        if found is NEED_DATA:
            return
        self._stop()
        ends, length = found
        self._hand_on(ends, bytes(self._data[length:]))

    def _hand_on(self, ends: Ends, rest: bytes) -> None:
        transport = self.transport
        if ends.source and not is_loopback(ends.source):
            peer, host = _address(ends.source, ends.source_port), _address(ends.target, ends.target_port)
            transport.getPeer = lambda: peer
            transport.getHost = lambda: host
        protocol = self._inner.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.loseConnection()
            return
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def _refuse(self, why: str) -> None:
        self._stop()
        self.log.warn("proxy {peer}: {why}", peer=self.transport.getPeer(), why=why)
        self.transport.abortConnection()

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop()


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
