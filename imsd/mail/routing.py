"""Where mail for a domain goes (RFC 5321 5, RFC 7505).

1. A route set for the domain, or for a domain it is below, wins; the most specific one.
2. Then the smart host, when one is set.
3. An address literal is its own destination.
4. Else the domain's MX records: lower preference first, equal ones shuffled. A null MX accepts
   no mail. Without any MX record the domain itself is the host.
5. An MX that is ourselves, and every one that is not preferred to it, is left out; when none is
   left the mail would loop.

The name system is asked by `Names`; what it says is kept as long as its TTL allows.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from imsd.errors import Refusal
from imsd.mail.names import LookupFailed, Names
from imsd.settings.queue import Routes, host_and_port
from protocols.message.domains import to_ascii

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

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
    """One address to connect to. host: its name, for TLS and for reports."""

    host: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}[{self.address}]:{self.port}"


class Routing:
    """Finds targets. hostname: our name; own: addresses that are ours."""

    def __init__(
        self,
        names: Names,
        settings: LiveSettings,
        hostname: str,
        own: Collection[str] = (),
        shuffle: random.Random | None = None,
    ) -> None:
        self._names = names
        self._settings = settings
        self._hostname = hostname.lower().rstrip(".")
        self._own = frozenset(own)
        self._random = shuffle or random.SystemRandom()

    def destination(self, domain: str) -> str:
        """What mail for this domain shares connections with: the set host, or the domain itself."""
        return self._set_route(domain) or domain.lower()

    async def targets(self, domain: str) -> list[Target]:
        """Addresses to try in order, at least one. Raises Unroutable."""
        try:
            route = self._set_route(domain)
            if route:
                host, port = host_and_port(route)
                return self._some(await self._addresses(host, port), "5.4.4", f"{host} has no address")
            if domain.startswith("["):
                return [self._literal(domain)]
            name = to_ascii(domain.encode("utf-8"))
            if not name:
                raise Unroutable("5.1.2", f"{domain} is no domain name")
            return await self._exchangers(name.decode("ascii").rstrip("."))
        except LookupFailed as error:
            raise Unroutable("4.4.3", f"Name service: {error}") from error

    def _set_route(self, domain: str) -> str:
        page = self._settings[Routes]
        name = domain.lower().rstrip(".")
        while name and page.domains:
            found = page.domains.get(name)
            if found is not None:
                return "" if found == "dns" else found
            name = name.partition(".")[2]
        return page.smart_host

    def _literal(self, domain: str) -> Target:
        text = domain[1:-1]
        if text[:5].lower() == "ipv6:":
            text = text[5:]
        try:
            ip_address(text)
        except ValueError:
            raise Unroutable("5.1.2", f"{domain} is no address literal") from None
        if self._is_ours(text):
            raise Unroutable("5.4.6", f"{domain} is this server")
        return Target(domain, text, self._settings[Routes].port)

    async def _exchangers(self, domain: str) -> list[Target]:
        port = self._settings[Routes].port
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
            if any(self._is_ours(target.address) for target in here):
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
                addresses = await self._addresses(host, port)
            except LookupFailed as error:
                failed = error
                continue
            if host == self._hostname or any(self._is_ours(each.address) for each in addresses):
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

    async def _addresses(self, host: str, port: int) -> list[Target]:
        try:
            ip_address(host)
        except ValueError:
            records = await self._names.addresses(host)
            return [Target(host, address, port) for address in records[:MOST_ADDRESSES]]
        return [Target(host, host, port)]

    @staticmethod
    def _some(targets: list[Target], status: str, text: str) -> list[Target]:
        if not targets:
            raise Unroutable(status, text)
        return targets

    def _is_ours(self, address: str) -> bool:
        parsed = ip_address(address)
        # ::ffff:127.0.0.1 is reached over IPv4.
        mapped = getattr(parsed, "ipv4_mapped", None)
        if mapped is not None:
            parsed, address = mapped, str(mapped)
        # A name that the DNS puts on the loopback would be delivered to ourselves as well.
        return address in self._own or parsed.is_loopback or parsed.is_unspecified
