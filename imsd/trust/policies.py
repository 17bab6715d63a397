"""MTA-STS policies of other domains: looked up, fetched, kept, refreshed (RFC 8461 3.3, 5.1, 10.2).

1. A policy that was fetched holds until its max_age has passed, across restarts, whatever DNS and the
   policy host say meanwhile: who can suppress them must not be able to suppress the policy.
2. It is fetched when the id of the record is new, and again before it ends; never more than once in
   `AGAIN` seconds for a domain, and once for all who ask at the same time.
3. No redirects, a certificate for the policy host, text/plain, 64 KiB, a minute.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.mail.names import LookupFailed, Names
from imsd.store import sts_policies as rows
from imsd.store.sts_policies import Kept
from imsd.trust.sts import BadPolicy, Policy, parse_policy, record_id

if TYPE_CHECKING:
    from imsd.store.database import Database

AGAIN = 300_000_000
"""Microseconds before a policy that could not be had is asked for again (RFC 8461 3.3)."""
EARLY = 86_400_000_000
"""A policy is fetched again when it has less than that to live, or half of its life."""
MOST_FAILED = 10_000


class Unavailable(Exception):
    """The policy cannot be had now. kind: RFC 8460 4.3.2."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class IFetcher(Protocol):
    """Gets the text of a domain's policy. Raises Unavailable."""

    def __call__(self, domain: str) -> Awaitable[str]: ...


class Policies:
    """now: microseconds. on: whether MTA-STS is used at all."""

    log = Logger()

    def __init__(
        self, db: Database, names: Names, fetch: IFetcher, now: Callable[[], int], on: Callable[[], bool]
    ) -> None:
        self._db = db
        self._names = names
        self._fetch = fetch
        self._now = now
        self._on = on
        self._failed: dict[tuple[str, str], int] = {}
        self._faults: dict[str, Unavailable] = {}
        self._fetching: dict[str, list[Deferred[None]]] = {}

    async def of(self, domain: str) -> Policy | None:
        """The policy that holds for mail to a domain, None without one. Raises refusals of the store."""
        if not self._on():
            return None
        kept = await self._kept(domain)
        try:
            answer = await self._names.texts(f"_mta-sts.{domain}")
            record = record_id(answer)
        except LookupFailed:
            record = None
        if record is None:
            self._faults.pop(domain, None)
        if record is not None and (kept is None or kept.record != record or self._ends(kept)):
            await self._once(domain, record)
            kept = await self._kept(domain)
        return None if kept is None or kept.mode == "none" else _policy(kept)

    def fault(self, domain: str) -> Unavailable | None:
        """Why the policy that a domain publishes could not be had the last time."""
        return self._faults.get(domain) if self._on() else None

    async def refresh(self) -> None:
        """Fetch again what is about to end."""
        for kept in await self._db.read(rows.all_kept):
            if kept.expires > self._now() and self._ends(kept):
                try:
                    record = record_id(await self._names.texts(f"_mta-sts.{kept.domain}"))
                except LookupFailed:
                    continue
                if record is not None:
                    await self._once(kept.domain, record)
        await self._db.write(rows.forget, self._now())

    async def _kept(self, domain: str) -> Kept | None:
        kept = await self._db.read(rows.kept, domain)
        return kept if kept is not None and kept.expires > self._now() else None

    def _ends(self, kept: Kept) -> bool:
        left, life = kept.expires - self._now(), kept.expires - kept.fetched
        return left < min(EARLY, life // 2)

    async def _once(self, domain: str, record: str) -> None:
        """Fetch and keep the policy, if that may be tried now; who asks meanwhile waits for it."""
        if self._failed.get((domain, record), 0) > self._now():
            return
        waiting = self._fetching.get(domain)
        if waiting is not None:
            waiter: Deferred[None] = Deferred()
            waiting.append(waiter)
            await waiter
            return
        self._fetching[domain] = []
        try:
            await self._fetch_one(domain, record)
        finally:
            for each in self._fetching.pop(domain):
                if not each.called:
                    each.callback(None)

    async def _fetch_one(self, domain: str, record: str) -> None:
        try:
            policy = parse_policy(await self._fetch(domain))
        except (Unavailable, BadPolicy) as error:
            self.log.info("the MTA-STS policy of {domain}: {why}", domain=domain, why=str(error))
            if len(self._failed) >= MOST_FAILED:
                self._failed.clear()
                self._faults.clear()
            self._failed[domain, record] = self._now() + AGAIN
            if isinstance(error, BadPolicy):
                error = Unavailable("sts-policy-invalid", str(error))
            self._faults[domain] = error
            return
        self._failed.pop((domain, record), None)
        self._faults.pop(domain, None)
        now = self._now()
        kept = Kept(domain, record, policy.mode, "\n".join(policy.mx), now, now + policy.max_age * 1_000_000)
        await self._db.write(rows.keep, kept)


def _policy(kept: Kept) -> Policy:
    return Policy(kept.mode, tuple(kept.mx.split("\n")), (kept.expires - kept.fetched) // 1_000_000)
