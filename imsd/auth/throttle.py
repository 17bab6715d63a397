"""Growing delays after failed logins, per account and per address.

1. An attempt is counted before its password is looked at (`admit`), so that a thousand
   attempts at once are a thousand attempts; a success takes its count back.
2. Below the allowed number of failures nothing is delayed. From there on, each failure doubles
   the time for which further attempts are refused, and one attempt at a time is let through.
3. An address (IPv6: its /64) that logged in to an account before is a friend of it: neither
   the strangers who guess at the account nor the neighbours behind the same address can lock
   it out. What friends get wrong is counted for themselves.
4. Every table is bounded; the least recently used goes first. Time is given by the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from imsd.errors import Throttled
from imsd.settings.logins import Logins
from protocols.connection import network_of


@dataclass(slots=True)
class Failures:
    """count: failures. pending: attempts not decided yet. last: when the last one failed."""

    count: int = 0
    pending: int = 0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What `admit` counted; give it back to `succeeded`, `failed` or `undecided`."""

    keys: tuple[str, ...]
    pair: str


class Throttle:
    def __init__(self, settings: Callable[[], Logins], clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._failures: OrderedDict[str, Failures] = OrderedDict()
        self._friends: OrderedDict[str, None] = OrderedDict()

    def check(self, name: str, peer: str) -> None:
        """Raises Throttled if an attempt now would be refused; counts nothing."""
        if self._failures:
            for key, allowed in self._limits(name, peer):
                self._check(key, allowed)

    def admit(self, name: str, peer: str) -> Attempt:
        """Count an attempt about to be made. Raises Throttled.

        name: the account, in whatever form it is known. peer: an address, "" for none.
        """
        limits = self._limits(name, peer)
        for key, allowed in limits:
            self._check(key, allowed)
        for key, _ in limits:
            self._of(key).pending += 1
        return Attempt(tuple(key for key, _ in limits), _pair(name, peer))

    def succeeded(self, attempt: Attempt) -> None:
        self.undecided(attempt)
        self._failures.pop(attempt.pair, None)
        self._friends[attempt.pair] = None
        self._friends.move_to_end(attempt.pair)
        if len(self._friends) > self._settings().throttle_entries:
            self._friends.popitem(last=False)

    def failed(self, attempt: Attempt) -> None:
        now = self._clock()
        for key in attempt.keys:
            failures = self._of(key)
            failures.pending = max(0, failures.pending - 1)
            failures.count += 1
            failures.last = now

    def undecided(self, attempt: Attempt) -> None:
        """The attempt came to nothing (the store was away): it was none."""
        for key in attempt.keys:
            failures = self._failures.get(key)
            if failures is None:
                continue
            failures.pending = max(0, failures.pending - 1)
            if not failures.count and not failures.pending:
                del self._failures[key]

    def _limits(self, name: str, peer: str) -> list[tuple[str, int]]:
        """The counters of an attempt, each with the failures it allows."""
        settings = self._settings()
        pair = _pair(name, peer)
        if pair in self._friends:
            return [(pair, settings.account_failures)]
        limits = [(f"name {name}", settings.account_failures)]
        if peer and not _loopback(peer):  # a web mail server beside us is many people
            limits.append((f"peer {_network(peer)}", settings.address_failures))
        return limits

    def _check(self, key: str, allowed: int) -> None:
        failures = self._failures.get(key)
        if failures is None:
            return
        settings = self._settings()
        since = self._clock() - failures.last
        if since > settings.forget_after and not failures.pending:
            del self._failures[key]
            return
        if failures.count + failures.pending < allowed:
            return
        excess = failures.count - allowed
        delay = min(settings.longest_delay, settings.first_delay * 2.0 ** min(excess, 60))
        if failures.pending or (excess >= 0 and since < delay):
            raise Throttled

    def _of(self, key: str) -> Failures:
        failures = self._failures.get(key)
        if failures is None:
            failures = self._failures[key] = Failures()
            if len(self._failures) > self._settings().throttle_entries:
                self._failures.popitem(last=False)
        else:
            self._failures.move_to_end(key)
        return failures


@lru_cache(4096)
def _network(peer: str) -> str:
    return network_of(peer)


@lru_cache(4096)
def _loopback(peer: str) -> bool:
    try:
        return ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _pair(name: str, peer: str) -> str:
    return f"pair {_network(peer)} {name}"
