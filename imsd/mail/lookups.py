"""Questions to the name system about who connects: asked without threads, within a time, and bounded.

Whoever wants an answer gets one in `seconds`, or LookupFailed: nobody is kept waiting by a name
server that is dead, and a failure is remembered for a minute. At most MOST_ASKED questions are
under way; who asks beyond that has no answer. The same question is asked once at a time.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet import udp
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.names import client, dns, error
from twisted.python import log
from twisted.python.failure import Failure

from imsd.mail.names import LONGEST, MOST_KEPT, SHORTEST, WITHOUT, LookupFailed
from imsd.settings.connectors import nameserver

MOST_ASKED: Final = 500
MOST_RECORDS: Final = 50
SECONDS: Final = 2.0
"""How long a question may take (ims_spec 5.1)."""

_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?")
_KINDS: Final = {"A": dns.A, "AAAA": dns.AAAA, "PTR": dns.PTR, "TXT": dns.TXT}


class _Quiet:
    """In place of the log of twisted.internet.udp: each question has a port of its own (RFC 5452 9.2), and
    four lines of each host that connects would hide what an administrator looks for."""

    err = staticmethod(log.err)

    @staticmethod
    def msg(*_: object, **__: object) -> None:
        """Nothing of ports."""


vars(udp)["log"] = _Quiet()
dns.DNSDatagramProtocol.noisy = False

Kept = tuple[float, tuple[str, ...] | None]


class Lookups:
    """nameservers: () for those of the operating system."""

    def __init__(self, reactor: Any, nameservers: Callable[[], tuple[str, ...]] = tuple) -> None:
        self._reactor = reactor
        self._nameservers = nameservers
        self._resolver: Any = None
        self._made_for: tuple[str, ...] | None = None
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._asked: dict[tuple[str, str], list[Deferred[None]]] = {}

    async def ask(self, name: str, kind: str, seconds: float = SECONDS) -> tuple[str, ...]:
        """The texts of the records, none if there are none. Raises LookupFailed."""
        key = (name, kind)
        kept = self._kept.get(key)
        if kept is None or kept[0] <= self._reactor.seconds():
            if key not in self._asked:
                if len(self._asked) >= MOST_ASKED:
                    raise LookupFailed(f"{name} {kind}: too many questions at once")
                self._begin(key, seconds)
            waiter: Deferred[None] = Deferred()
            waiters = self._asked.get(key)
            if waiters is not None:
                waiters.append(waiter)
                await waiter
            kept = self._kept[key]
        if kept[1] is None:
            raise LookupFailed(f"{name} {kind}: no answer")
        return kept[1]

    def _begin(self, key: tuple[str, str], seconds: float) -> None:
        self._asked[key] = []
        try:
            query = dns.Query(key[0].encode("idna"), _KINDS[key[1]], dns.IN)
            asking: Deferred[Any] = self._current().query(query, timeout=[seconds])
        except (OSError, ConnectError, UnicodeError):
            asking = Deferred()
            asking.errback(Failure(LookupFailed()))
        asking.addTimeout(seconds, self._reactor)
        asking.addBoth(self._answered, key)

    def _answered(self, result: Any, key: tuple[str, str]) -> None:
        ttl, found = WITHOUT, None
        if not isinstance(result, Failure):
            wanted = _KINDS[key[1]]
            records = [record for record in result[0] if record.type == wanted][:MOST_RECORDS]
            found = tuple(_text(record.payload) for record in records)
            ttl = min((record.ttl for record in records), default=WITHOUT)
        elif result.check(error.DNSNameError):
            found = ()
        until = self._reactor.seconds() + min(max(ttl, SHORTEST), LONGEST)
        while len(self._kept) >= MOST_KEPT:
            self._kept.popitem(last=False)
        self._kept[key] = (until, found)
        for waiter in self._asked.pop(key):
            if not waiter.called:
                waiter.callback(None)

    def _current(self) -> Any:
        wanted = self._nameservers()
        if self._resolver is None or wanted != self._made_for:
            servers = [nameserver(text) for text in wanted] or None
            resolv = None if servers else "/etc/resolv.conf"
            make: Any = client.Resolver
            self._resolver = make(resolv, servers, timeout=(1,), reactor=self._reactor)
            self._made_for = wanted
            self._kept.clear()
        return self._resolver


def _text(payload: Any) -> str:
    if isinstance(payload, dns.Record_A | dns.Record_AAAA):
        packed: Any = payload.address
        return str(ip_address(packed))
    if isinstance(payload, dns.Record_TXT):
        return b"".join(payload.data).decode("utf-8", "replace")[:500]
    name: bytes = payload.name.name
    return name.decode("ascii", "replace").rstrip(".").lower()[:255]


async def host_name(lookups: Lookups, peer: str) -> str:
    """The name of an address that has the address; "" where there is none. Raises LookupFailed.

    Labels may be any octets (RFC 2181 11), also such as end a line. Who owns a network says what its
    addresses are called, so what is no name of a host is none: it will stand in Received.
    """
    address = ip_address(peer.partition("%")[0])
    kind = "A" if address.version == 4 else "AAAA"
    for name in (await lookups.ask(address.reverse_pointer, "PTR"))[:3]:
        if _HOST.fullmatch(name) and str(address) in await lookups.ask(name, kind):
            return name
    return ""
