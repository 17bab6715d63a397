"""Where mail for a domain goes (RFC 5321 5, RFC 7505).

1. The list of domains says first (ims_spec 3.4.3), the most specific entry: a host or several, the
   smart hosts, or the domain name system. Without an entry it is as the connector delivers.
2. A host that is named is one to hand everything to: a name stands for its MX records, or for
   its addresses where it has none; a name in brackets for its addresses. Several are tried in order.
3. An address literal is its own destination.
4. Else the domain's MX records: lower preference first, equal ones shuffled. A null MX accepts
   no mail. Without any MX record the domain itself is the host.
5. An MX that is ourselves (imsd.mail.ourselves), and every one that is not preferred to it, is left
   out; when none is left the mail would loop.

The name system is asked by `Names`; what it says is kept as long as its TTL allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from itertools import zip_longest

from imsd.errors import Refusal
from imsd.mail.destinations import Destination
from imsd.mail.names import LookupFailed, Names
from imsd.mail.ourselves import Ourselves
from imsd.settings.connectors import Connector, DomainRow, host_and_port
from protocols.message.domains import to_ascii

MOST_HOSTS = 10
MOST_ADDRESSES = 4


class Unroutable(Refusal):
    """No way to the domain. status: its enhanced code (RFC 3463); temporary by its class."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.temporary = status.startswith("4")


@dataclass(frozen=True, slots=True)
class Target:
    """One address to connect to. host: its name, for TLS and for reports.

    secure: DNSSEC vouches for the way here; canonical: what the name is an alias of, else itself.
    """

    host: str
    address: str
    port: int
    secure: bool = field(default=False, compare=False)
    canonical: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a destination: hosts to hand over to, or () for the domain's own exchangers.

    port: of what DNS finds. why: which rule said so.
    """

    connector: str
    domain: str
    hosts: tuple[str, ...] = ()
    port: int = 25
    why: str = ""

    @property
    def key(self) -> str:
        """What shares connections."""
        return _key(self)


@lru_cache(4_096)
def _key(route: Route) -> str:
    return f"{route.connector}>" + (",".join(route.hosts) or f"{route.domain}:{route.port}")


def route(connector: Connector, row: DomainRow | None, destination: Destination) -> Route:
    """The route of a destination by a connector; row: what the list of domains says of it."""
    name, domain, way = connector.name, destination.domain, connector.delivery
    if destination.host:
        return Route(name, domain, (destination.host,), why="handed to that host")
    port = way.port
    if row is not None:
        port = row.port or port
        if row.hosts:
            hosts = tuple(_with_port(host, row.port) for host in row.hosts)
            return Route(name, domain, hosts, port, f"ims.domains, {row.domain}: {row.route}")
        if row.route == "dns" or not way.smart_hosts:
            return Route(name, domain, (), port, f"ims.domains, {row.domain}: {row.route}")
        if row.route == "smarthost":
            return Route(name, domain, way.smart_hosts, port, f"ims.domains, {row.domain}: smarthost")
    if way.mode == "smarthost":
        return Route(name, domain, way.smart_hosts, port, f"smart host of connector {name}")
    return Route(name, domain, (), port, f"domain name system, connector {name}")


def _with_port(host: str, port: int | None) -> str:
    _, given = host_and_port(host, 0)
    return host if given or port is None else f"{host}:{port}"


class Routing:
    """Finds targets. first: the family of addresses that is tried first."""

    def __init__(
        self,
        names: Names,
        ourselves: Ourselves,
        shuffle: random.Random | None = None,
        first: Callable[[], str] = lambda: "ipv6",
    ) -> None:
        self._names = names
        self._ourselves = ourselves
        self._first = first
        self._random = shuffle or random.SystemRandom()

    async def targets(self, route: Route) -> list[Target]:
        """Addresses to try in order, at least one. Raises Unroutable."""
        domain = route.domain
        try:
            if route.hosts:
                return await self._handed(route)
            if domain.startswith("["):
                return [self._literal(domain, route.port)]
            name = to_ascii(domain.encode("utf-8"))
            if not name:
                raise Unroutable("5.1.2", f"{domain} is no domain name")
            return await self._exchangers(name.decode("ascii").rstrip("."), route.port)
        except LookupFailed as error:
            raise Unroutable("4.4.3", f"Name service: {error}") from error

    async def _handed(self, route: Route) -> list[Target]:
        """The hosts of a route. One that cannot be found is passed over while there are others."""
        targets: list[Target] = []
        failed: LookupFailed | None = None
        for text in route.hosts:
            host, port = host_and_port(text)
            try:
                targets += await self._host(host, port)
            except LookupFailed as error:
                failed = error
        if not targets and failed is not None:
            raise failed
        others = [each for each in targets if not self._ourselves.is_listener(each.address, each.port)]
        if targets and not others:
            raise Unroutable("5.4.6", f"{', '.join(route.hosts)} is this server")
        return self._some(others, "5.4.4", f"{', '.join(route.hosts)} has no address")

    async def _host(self, host: str, port: int) -> list[Target]:
        if host.startswith("["):
            return await self._addresses(host[1:-1], port)
        if _is_address(host):
            return await self._addresses(host, port)
        answer = await self._names.exchangers(host.rstrip(".").lower())
        found = sorted((level, self._random.random(), name) for level, name in answer.records if name)
        targets: list[Target] = []
        for _, _, name in found[:MOST_HOSTS]:
            targets += await self._addresses(name.lower().rstrip("."), port, answer.secure)
        return targets or await self._addresses(host, port)

    def _literal(self, domain: str, port: int) -> Target:
        text = domain[1:-1]
        if text[:5].lower() == "ipv6:":
            text = text[5:]
        try:
            ip_address(text)
        except ValueError:
            raise Unroutable("5.1.2", f"{domain} is no address literal") from None
        if self._ourselves.is_address(text):
            raise Unroutable("5.4.6", f"{domain} is this server")
        return Target(domain, text, port)

    async def _exchangers(self, domain: str, port: int) -> list[Target]:
        answer = await self._names.exchangers(domain)
        if answer.missing:
            raise Unroutable("5.1.2", f"Domain {domain} does not exist")
        found = sorted(
            (
                (preference, self._random.random(), host.lower().rstrip("."))
                for preference, host in answer.records
            )
        )
        if not found:
            # RFC 5321 5.1: the domain is treated as its own MX of preference 0.
            here = await self._addresses(domain, port)
            if any(self._ourselves.is_address(target.address) for target in here):
                raise Unroutable("5.4.6", f"Mail for {domain} loops back to this server")
            return self._some(here, "5.1.2", f"Domain {domain} has neither MX nor address")
        if any(not host for _, _, host in found):
            # RFC 7505 3: a null MX, "0 ."
            raise Unroutable("5.1.10", f"Domain {domain} does not accept mail")
        targets: list[Target] = []
        failed: LookupFailed | None = None
        limit: int | None = None
        for preference, _, host in found[:MOST_HOSTS]:
            if limit is not None and preference >= limit:
                break
            try:
                addresses = await self._addresses(host, port, answer.secure)
            except LookupFailed as error:
                failed = error
                continue
            if self._ourselves.is_name(host) or any(
                self._ourselves.is_address(each.address) for each in addresses
            ):
                limit = preference
                # An equal one that the shuffle put before us goes too (RFC 5321 5.1).
                kept = {name for level, _, name in found if level < preference}
                targets = [target for target in targets if target.host in kept]
                continue
            targets += addresses
        if targets:
            return targets
        if failed is not None:
            raise failed
        if limit is not None:
            raise Unroutable("5.4.6", f"Mail for {domain} loops back to this server")
        raise Unroutable("5.4.4", f"No mail exchanger of {domain} has an address")

    async def _addresses(self, host: str, port: int, secure: bool = True) -> list[Target]:
        """secure: whether the name itself is known for sure."""
        if _is_address(host):
            return [Target(host, host, port)]
        found = await self._names.host(host)
        secure &= found.secure
        return [
            Target(host, address, port, secure, found.canonical)
            for address in self._in_turn(found.addresses)[:MOST_ADDRESSES]
        ]

    def _in_turn(self, addresses: Sequence[str]) -> list[str]:
        """Both families in turn, so that one that does not work keeps nobody from the other (RFC 8305 4)."""
        six = [each for each in addresses if ":" in each]
        four = [each for each in addresses if ":" not in each]
        pairs = zip_longest(six, four) if self._first() == "ipv6" else zip_longest(four, six)
        return [each for pair in pairs for each in pair if each is not None]

    @staticmethod
    def _some(targets: list[Target], status: str, text: str) -> list[Target]:
        if not targets:
            raise Unroutable(status, text)
        return targets


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
