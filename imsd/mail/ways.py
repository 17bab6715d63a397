"""Which way each recipient of a claim goes at this try: by a route, here, or nowhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imsd.errors import Refusal
from imsd.mail.connectors import Connectors, Originator
from imsd.mail.delivery import LOCAL
from imsd.mail.destinations import Destination
from imsd.mail.routing import Route, route
from imsd.mail.work import Active, Work
from imsd.settings.connectors import Connector, DomainRow, Ims
from imsd.settings.scheduling import Flow
from imsd.store.spool import Queued, QueuedRecipient

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings

REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a recipient goes: by a route, here (None), or nowhere."""

    route: Route | None = None
    parks: str = ""
    refusal: Refusal | None = None

    @property
    def key(self) -> str:
        return LOCAL if self.route is None else self.route.key


class Expired(Refusal):
    """Nobody asked for the message in time."""

    temporary = True


class TooLargeToLeave(Refusal):
    """The message is larger than what may leave (ims_spec 3.6)."""

    text = "Message exceeds size limit"


class NotSending(Refusal):
    """The connector sends nothing now."""

    temporary = True


class NotAsked(Refusal):
    """It can only be fetched."""

    temporary = True


class Ways:
    """Finds ways; remembers which destinations share connections. now: microseconds."""

    def __init__(
        self,
        connectors: Connectors,
        directory: Directory,
        settings: LiveSettings,
        now: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._connectors = connectors
        self._directory = directory
        self._now = now
        self._keys: OrderedDict[str, str] = OrderedDict()
        self._routes: dict[tuple[str, str], tuple[Connector, DomainRow | None, Route]] = {}

    def forget(self) -> None:
        """Settings have changed."""
        self._keys.clear()
        self._routes.clear()

    async def divide(self, active: Active, most: int) -> list[tuple[str, Work]]:
        """A claim as pieces of work, `most` recipients each, with what their connections go by."""
        claim = active.claim
        found: dict[tuple[str, str, str], tuple[Routed, list[QueuedRecipient]]] = {}
        for each in claim.recipients:
            routed = await self.routed(claim.message, each)
            self._remember(each.domain, routed.key)
            refused = routed.refusal.text if routed.refusal is not None else ""
            found.setdefault((routed.key, routed.parks, refused), (routed, []))[1].append(each)
        return [
            (
                routed.key,
                Work(active, tuple(some[at : at + most]), routed.route, routed.parks, routed.refusal),
            )
            for routed, some in found.values()
            for at in range(0, len(some), most)
        ]

    async def routed(self, message: Queued, each: QueuedRecipient) -> Routed:
        """Where a recipient goes at this try, by which connector."""
        if message.by_mode.startswith("R") and message.deliver_by <= self._now():
            return Routed(refusal=Expired("The time by which it was to be delivered is over"))
        to, connectors = Destination.parse(each.domain), self._connectors
        if not to.host and (to.domain == LOCAL or self._directory.serves(to.domain)):
            return Routed()
        if to.connector or to.host:
            connector = connectors.named(to.connector)
        else:
            originator = Originator(message.account, message.reverse_path, peer=message.peer)
            try:
                out = await connectors.out(each.address, originator, attempts=each.attempts, now=self._now())
            except Refusal as refusal:
                return Routed(refusal=refusal)
            connector = out.connector
        parks = connectors.parked(connector, to)
        if parks and message.expires <= self._now() and not connector.frozen:
            return Routed(refusal=Expired(parks))
        if not connector.sends:
            return Routed(parks=parks, refusal=NotSending(parks))
        if to.domain not in self._settings[Ims].site_hosts and self._too_large(message):
            # Connected sites are held to no size (ims_spec 3.3).
            return Routed(refusal=TooLargeToLeave())
        row = None if to.host else connectors.domain_row(to.domain)
        if parks and row is not None and row.logins:
            # There is no host to try: only who asks can have it.
            return Routed(parks=parks, refusal=NotAsked(parks))
        return Routed(self._route(connector, row, to, each.domain), parks)

    def _route(self, connector: Connector, row: DomainRow | None, to: Destination, text: str) -> Route:
        """The route of a destination, which is the same one while the settings are."""
        known = self._routes.get((connector.name, text))
        if known is not None and known[0] is connector and known[1] is row:
            return known[2]
        made = route(connector, row, to)
        if len(self._routes) >= REMEMBERED:
            self._routes.clear()
        self._routes[connector.name, text] = (connector, row, made)
        return made

    def _too_large(self, message: Queued) -> bool:
        quota = self._settings[Flow].transfer_quota_kb * 1024
        limits = [limit for limit in (self._settings[Ims].outbound_limit, quota) if limit]
        return bool(limits) and message.size > min(limits)

    # What is known before it is claimed ------------------------------------------------------

    def guess(self, destination: str) -> str | None:
        """What connections to a destination go by, None where the address decides."""
        known = self._keys.get(destination)
        if known is not None:
            return known
        to, connectors = Destination.parse(destination), self._connectors
        if not to.host and (to.domain == LOCAL or self._directory.serves(to.domain)):
            return LOCAL
        if to.connector or to.host:
            connector = connectors.named(to.connector)
        elif len(connectors.all) == 1:
            connector = connectors.all[0]
        else:
            return None
        return route(connector, None if to.host else connectors.domain_row(to.domain), to).key

    def _remember(self, destination: str, key: str) -> None:
        self._keys[destination] = key
        self._keys.move_to_end(destination)
        if len(self._keys) > REMEMBERED:
            self._keys.popitem(last=False)
