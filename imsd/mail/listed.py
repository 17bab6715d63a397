"""Lists of hosts in the name system: is a peer on some, and what does that weigh (RFC 5782)?

Asked when a connection begins, needed when its first recipient comes. What is not answered in time
does not count: a list that is dead lets mail in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredList

from imsd.mail.lookups import Lookups
from imsd.mail.names import LookupFailed
from imsd.settings.unknowns import Dnsbl, HostList, question

if TYPE_CHECKING:
    from imsd.settings import LiveSettings


def asked(settings: LiveSettings, peer: str) -> bool:
    """Whether the lists are to be asked about a peer."""
    page = settings[Dnsbl]
    return bool(page.lists) and not page.exempted.find(peer, False)


async def listed(lookups: Lookups, page: Dnsbl, peer: str) -> str:
    """The zones a peer is on, "" if they do not weigh enough."""
    asking = [Deferred.fromCoroutine(_weight(lookups, row, peer, page.seconds)) for row in page.lists]
    outcomes = await DeferredList(asking, consumeErrors=True)
    weights = [int(value) if ok else 0 for ok, value in outcomes]
    if sum(weights) < page.threshold:
        return ""
    return ", ".join(row.zone for row, weight in zip(page.lists, weights, strict=True) if weight > 0)


async def _weight(lookups: Lookups, row: HostList, peer: str, seconds: float) -> int:
    try:
        answers = await lookups.ask(question(peer, row.zone), "A", seconds)
    except LookupFailed:
        return 0
    return row.weight if any(map(row.counts, answers)) else 0
