"""Binds every port before privileges are dropped, and listens once the store is open."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from imsd.config import Config
from imsd.proxied import ProxiedFactory

BACKLOG = 1024
ACCEPTS = 8
"""Connections of one port that are taken in one turn of the reactor."""


class CannotListen(Exception):
    """A port cannot be had; the text says which, why, and what to do."""


class Listeners:
    """The sockets of a server, by listener name."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sockets: dict[str, list[socket.socket]] = {}
        self._ports: list[Any] = []

    def bind(self, names: Iterable[str]) -> None:
        """Bind all or none. Raises CannotListen."""
        try:
            for name in names:
                port = self._config.port(name)
                if port:
                    addresses = _addresses(name, self._config)
                    # "::" is every address of both families, unless IPv4 is named beside it.
                    both = all(":" in address for address in addresses)
                    self._sockets[name] = [_bound(name, address, port, both) for address in addresses]
        except BaseException:
            self.close()
            raise

    def listen(
        self,
        reactor: Any,
        factories: dict[str, IProtocolFactory],
        proxy: Callable[[str], bool] = lambda peer: False,
    ) -> None:
        """Hand the bound sockets to the reactor with their factories. proxy: whether an address is that
        of a load balancer (imsd.proxied)."""
        for name, sockets in self._sockets.items():
            for bound in sockets:
                bound.listen(BACKLOG)
                make: Any = _Port._fromListeningDescriptor
                factory = ProxiedFactory(factories[name], proxy, reactor)
                port = make(reactor, bound.fileno(), bound.family, factory)
                port.startListening()
                self._ports.append(port)
                bound.close()
        self._sockets = {}

    def stop(self) -> list[Any]:
        """Stop listening; the Deferreds that fire when the ports are closed."""
        ports, self._ports = self._ports, []
        return [port.stopListening() for port in ports]

    def close(self) -> None:
        """Give back sockets that were bound and never listened on."""
        for sockets in self._sockets.values():
            for bound in sockets:
                bound.close()
        self._sockets = {}

    def addresses(self) -> list[str]:
        """Where the server listens, as host:port."""
        found = []
        for port in self._ports:
            host = port.getHost()
            if isinstance(host, IPv6Address):
                found.append(f"[{host.host}]:{host.port}")
            elif isinstance(host, IPv4Address):
                found.append(f"{host.host}:{host.port}")
        return found


class _Port(tcp.Port):
    """Twisted's port takes up to a hundred connections, and more while they keep coming, in one turn
    of the reactor: a storm of them would keep everybody else waiting. The rest has the next turn."""

    @property
    def numberAccepts(self) -> int:
        return ACCEPTS

    @numberAccepts.setter
    def numberAccepts(self, number: int) -> None:
        pass


def _addresses(name: str, config: Config) -> tuple[str, ...]:
    """LMTP is this machine's own (RFC 2033 5)."""
    return ("127.0.0.1",) if name == "lmtp" else config.server.addresses or _everywhere()


def _everywhere() -> tuple[str, ...]:
    """One dual-stack socket, or IPv4 alone on a machine without IPv6."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ("0.0.0.0",)
    return ("::",)


def _bound(name: str, address: str, port: int, both: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address == "::" and both else 1)
        made.bind((address, port))
        # A second server must be refused here, not at its first connection.
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise CannotListen(
            f"{name}: cannot listen on {address} port {port}: {_advice(error, port)}"
        ) from None
    return made


def _advice(error: OSError, port: int) -> str:
    if isinstance(error, socket.gaierror):
        return "that is no address; server.addresses in imsd.toml takes IP addresses of this machine"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address; correct server.addresses in imsd.toml"
    if error.errno == errno.EADDRINUSE:
        return f"another program has it; find it with: ss -ltnp 'sport = :{port}'"
    if error.errno == errno.EACCES:
        return (
            "ports below 1024 need root (twistd drops it with --uid and --gid), "
            "or set port_offset in imsd.toml"
        )
    return os.strerror(error.errno or 0)


def listen_on_path(reactor: Any, path: Path, factory: IProtocolFactory, mode: int = 0o660) -> IListeningPort:
    """A local socket, by default one that the server's user and group may use."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The home is locked by now: a socket that is still here is of a server that was killed.
    path.unlink(missing_ok=True)
    port: IListeningPort = reactor.listenUNIX(str(path), factory, mode=mode, wantPID=False)
    return port
