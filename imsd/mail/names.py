"""The domain name system, asked off the reactor, answers kept while their TTL lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar

import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from twisted.internet.interfaces import IReactorTime

from imsd.settings.connectors import nameserver
from imsd.trust.tlsa import Tlsa

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
    """records: (preference, host) for MX, (0, address) for addresses, (0, text) for TXT.

    missing: no such domain. secure: a name server that is trusted says that DNSSEC vouches for it.
    canonical: the name that the records belong to, where the one that was asked for is an alias.
    """

    records: tuple[tuple[int, str], ...] = ()
    ttl: int = WITHOUT
    missing: bool = False
    secure: bool = False
    canonical: str = ""
    tlsa: tuple[Tlsa, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """The addresses of a host, A before AAAA."""

    addresses: tuple[str, ...]
    secure: bool = False
    canonical: str = ""


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
        return list((await self.host(host)).addresses)

    async def texts(self, name: str) -> list[str]:
        """TXT records, the strings of each put together. Raises LookupFailed."""
        return [text for _, text in (await self._ask(name, "TXT")).records]

    async def tlsa(self, name: str) -> Answer:
        """TLSA records. Raises LookupFailed."""
        return await self._ask(name, "TLSA")

    async def host(self, host: str) -> Host:
        """A, then AAAA records, and what DNSSEC says of them. Raises LookupFailed."""
        found: list[str] = []
        secure, canonical = True, ""
        failure: LookupFailed | None = None
        for kind in ("A", "AAAA"):
            try:
                answer = await self._ask(host, kind)
            except LookupFailed as error:
                failure = error
                continue
            if answer.records:
                secure, canonical = secure and answer.secure, answer.canonical
                found += [address for _, address in answer.records]
        if not found and failure is not None:
            raise failure
        return Host(tuple(found), secure and bool(found), canonical)

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

    def forget(self, name: str = "") -> None:
        """Drop what is kept of a name, or everything."""
        for key in [key for key in self._kept if not name or key[0] == name]:
            del self._kept[key]


class Dns:
    """dnspython. nameservers: () for those of the operating system. trusted: whether a name server is
    believed that says that it has validated (RFC 4035 4.9.3); the loopback always is."""

    def __init__(
        self,
        nameservers: Callable[[], tuple[str, ...]] = tuple,
        trusted: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self._nameservers = nameservers
        self._trusted = trusted
        self._resolver: dns.resolver.Resolver | None = None
        self._made_for: tuple[str, ...] | None = None

    def lookup(self, name: str, kind: str) -> Answer:
        """Blocking. Raises LookupFailed."""
        try:
            resolver = self._current()
            found = resolver.resolve(name, kind, search=False, raise_on_no_answer=False, lifetime=SECONDS)
        except dns.resolver.NXDOMAIN:
            return Answer(missing=True)
        except dns.resolver.NoNameservers as error:
            # SERVFAIL: also what a validating name server says of what does not validate.
            raise LookupFailed(f"{name} {kind}: {_said(error)}") from error
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape):
            return Answer(missing=True)
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(f"{name} {kind}: {type(error).__name__}") from error
        if found.rrset is None:
            return Answer()
        secure = bool(found.response.flags & dns.flags.AD) and self._believed(found.nameserver or "")
        canonical = found.canonical_name.to_text(True).lower()
        ttl = int(found.rrset.ttl)
        if kind == "MX":
            records = tuple((item.preference, item.exchange.to_text(True)) for item in found.rrset)
            records = tuple((level, "" if host in (".", "@") else host) for level, host in records)
        elif kind == "TXT":
            records = tuple((0, b"".join(item.strings).decode("utf-8", "replace")) for item in found.rrset)
        elif kind == "TLSA":
            tlsa = tuple(Tlsa(item.usage, item.selector, item.mtype, item.cert) for item in found.rrset)
            return Answer((), ttl, secure=secure, canonical=canonical, tlsa=tlsa)
        else:
            records = tuple((0, item.address) for item in found.rrset)
        return Answer(records, ttl, secure=secure, canonical=canonical)

    def validates(self) -> bool | None:
        """Whether the name servers validate by DNSSEC, and are believed. None: they do not answer.

        Blocking. The root has been signed since 2010; who validates says so of it.
        """
        try:
            found = self._current().resolve(".", "SOA", search=False, lifetime=5)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return False
        except (dns.exception.DNSException, OSError):
            return None
        return bool(found.response.flags & dns.flags.AD) and self._believed(found.nameserver or "")

    def _believed(self, address: str) -> bool:
        try:
            return ip_address(address).is_loopback or self._trusted(address)
        except ValueError:
            return False

    def _current(self) -> dns.resolver.Resolver:
        wanted = self._nameservers()
        if self._resolver is None or wanted != self._made_for:
            resolver = dns.resolver.Resolver(configure=not wanted)
            if wanted:
                servers = [nameserver(text) for text in wanted]
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in servers]
            # AD in a question asks for AD in the answer (RFC 6840 5.7).
            resolver.set_flags(dns.flags.RD | dns.flags.AD)
            resolver.use_edns(0, 0, 1_232)
            self._resolver, self._made_for = resolver, wanted
        return self._resolver


def _said(error: dns.resolver.NoNameservers) -> str:
    """The last word of the name servers."""
    errors = error.kwargs.get("errors") or []
    return str(errors[-1][3]) if errors else "no name server answers"
