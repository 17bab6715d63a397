"""The domain name system, asked off the reactor, answers kept while their TTL lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from twisted.internet.interfaces import IReactorTime

from imsd.settings.connectors import nameserver

T = TypeVar("T")
InThread = Callable[..., Awaitable[Any]]

SECONDS = 15.0
SHORTEST, LONGEST, WITHOUT = 10, 86_400, 60
"""Bounds of how long answers are kept, and how long the absence of one is."""
MOST_KEPT = 10_000


class LookupFailed(Exception):
    """No answer now; another time there may be one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """records: (preference, host) for MX, (0, address) for addresses. missing: no such domain."""

    records: tuple[tuple[int, str], ...] = ()
    ttl: int = WITHOUT
    missing: bool = False


class Names:
    """Asks and remembers. lookup: blocking, run by in_thread; tests put their own in its place."""

    def __init__(
        self, clock: IReactorTime, in_thread: InThread, lookup: Callable[[str, str], Answer] | None = None
    ) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._lookup = lookup or Dns().lookup
        self._kept: dict[tuple[str, str], tuple[float, Answer]] = {}

    async def exchangers(self, domain: str) -> Answer:
        """MX records. Raises LookupFailed."""
        return await self._ask(domain, "MX")

    async def addresses(self, host: str) -> list[str]:
        """A, then AAAA records; empty when there are none. Raises LookupFailed."""
        found: list[str] = []
        failure: LookupFailed | None = None
        for kind in ("A", "AAAA"):
            try:
                answer = await self._ask(host, kind)
            except LookupFailed as error:
                failure = error
                continue
            found += [address for _, address in answer.records]
        if not found and failure is not None:
            raise failure
        return found

    async def _ask(self, name: str, kind: str) -> Answer:
        key = (name, kind)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock.seconds():
            return kept[1]
        answer: Answer = await self._in_thread(self._lookup, name, kind)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        ttl = min(max(answer.ttl, SHORTEST), LONGEST)
        self._kept[key] = (self._clock.seconds() + ttl, answer)
        return answer

    def forget(self) -> None:
        """Drop everything that is kept."""
        self._kept.clear()


class Dns:
    """dnspython. nameservers: () for those of the operating system."""

    def __init__(self, nameservers: Callable[[], tuple[str, ...]] = tuple) -> None:
        self._nameservers = nameservers
        self._resolver: dns.resolver.Resolver | None = None
        self._made_for: tuple[str, ...] | None = None

    def lookup(self, name: str, kind: str) -> Answer:
        """Blocking. Raises LookupFailed."""
        try:
            resolver = self._current()
            found = resolver.resolve(name, kind, search=False, raise_on_no_answer=False, lifetime=SECONDS)
        except dns.resolver.NXDOMAIN:
            return Answer(missing=True)
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape):
            return Answer(missing=True)
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(f"{name} {kind}: {type(error).__name__}") from error
        if found.rrset is None:
            return Answer()
        if kind == "MX":
            records = tuple((item.preference, item.exchange.to_text(True)) for item in found.rrset)
            records = tuple((level, "" if host in (".", "@") else host) for level, host in records)
        else:
            records = tuple((0, item.address) for item in found.rrset)
        return Answer(records, int(found.rrset.ttl))

    def _current(self) -> dns.resolver.Resolver:
        wanted = self._nameservers()
        if self._resolver is None or wanted != self._made_for:
            resolver = dns.resolver.Resolver(configure=not wanted)
            if wanted:
                servers = [nameserver(text) for text in wanted]
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in servers]
            self._resolver, self._made_for = resolver, wanted
        return self._resolver
