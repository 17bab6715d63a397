"""Which names and addresses are this server's own, so that no mail is sent in a circle (RFC 5321 5.1).

1. Names: the hostname, and those of `ims.delivery.own`.
2. Addresses: those of `imsd.toml`, of the machine's interfaces, of `ims.delivery.own` (where a router
   translates addresses, nothing else tells), and the loopback, where DNS has no business to point.
3. `ims.delivery.loopback_check` off: no address counts but those of `ims.delivery.own`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Iterator
from ipaddress import ip_address
from pathlib import Path

KEPT = 60.0
"""Seconds for which the addresses of interfaces are believed."""


class Ourselves:
    """named: names and addresses of ours by the settings. ports: on which we take mail."""

    def __init__(
        self,
        hostname: str,
        addresses: Collection[str] = (),
        *,
        named: Callable[[], Collection[str]] = tuple,
        check: Callable[[], bool] = lambda: True,
        ports: Collection[int] = (),
        interfaces: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._hostname = _plain(hostname)
        self._addresses = frozenset(addresses)
        self._named = named
        self._check = check
        self._ports = frozenset(ports)
        self._interfaces = interfaces
        self._seen: tuple[float, frozenset[str]] = (-KEPT, frozenset())

    def is_name(self, host: str) -> bool:
        host = _plain(host)
        return host == self._hostname or host in map(_plain, self._named())

    def is_address(self, address: str) -> bool:
        parsed = ip_address(address)
        # ::ffff:127.0.0.1 is reached over IPv4.
        mapped = getattr(parsed, "ipv4_mapped", None)
        parsed = mapped if mapped is not None else parsed
        text = str(parsed)
        if text in self._named():
            return True
        if not self._check():
            return False
        if parsed.is_loopback or parsed.is_unspecified:
            return True
        return text in self._addresses or text in self._of_interfaces()

    def is_listener(self, address: str, port: int) -> bool:
        """Whether who connects there talks to us, though an administrator named it."""
        return port in self._ports and self.is_address(address)

    def _of_interfaces(self) -> frozenset[str]:
        when, found = self._seen
        now = time.monotonic()
        if now - when >= KEPT:
            found = frozenset(self._interfaces())
            self._seen = (now, found)
        return found


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def addresses_of_interfaces() -> set[str]:
    """What the kernel says (Linux), or else what our name stands for."""
    try:
        return {
            *_ipv4(Path("/proc/net/fib_trie").read_text()),
            *_ipv6(Path("/proc/net/if_inet6").read_text()),
        }
    except (OSError, ValueError):
        try:
            found = socket.getaddrinfo(socket.gethostname(), None)
        except OSError:
            return set()
        return {str(each[4][0]).partition("%")[0] for each in found}


def _ipv4(trie: str) -> Iterator[str]:
    """Leaves `|-- 192.0.2.1` that are followed by `/32 host LOCAL`."""
    leaf = ""
    for line in trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"] and leaf:
            yield leaf


def _ipv6(table: str) -> Iterator[str]:
    for line in table.splitlines():
        digits = line.split()[0]
        yield str(ip_address(bytes.fromhex(digits)))
