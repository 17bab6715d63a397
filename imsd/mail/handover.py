"""Mail that a domain's host fetches on its own connection: ATRN (RFC 2645).

Rows of `ims.domains` with route atrn name the logins that may ask; mail for those domains is parked,
and never tried elsewhere. Who asks gets what is parked for the domains he names, or for all of his, in
the order in which it came, each recipient once: what he does not take now is parked again. Claims,
leases and results are those of the queue runner, so a connection that is lost loses nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from imsd.mail.claiming import LEASE, Claiming
from imsd.mail.connectors import Connectors
from imsd.mail.relay import Courier, Outcome, Transport
from imsd.mail.relay.connecting import Session
from imsd.mail.relay.reached import Reached
from imsd.mail.requiring import REQUIRED
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted
from imsd.mail.slots import Slots
from imsd.mail.work import Active, Work
from imsd.settings.connectors import Ims
from imsd.settings.queue import Queue
from imsd.store import claims
from imsd.store.spool import QueuedRecipient, State
from protocols.smtp import client as smtp
from protocols.smtp import turning
from protocols.smtp.interfaces import TurnRefused

if TYPE_CHECKING:
    from imsd.auth.account import Account
    from imsd.settings import LiveSettings
    from imsd.store.database import Database

CLAIM = 20
"""Recipients claimed together: they wait for nobody else meanwhile."""

Do = Callable[[str, Work, Courier], Awaitable[None]]


class Handovers:
    """do: carries one piece of work and settles it. now: microseconds."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        settings: LiveSettings,
        connectors: Connectors,
        claiming: Claiming,
        do: Do,
        transport: Transport,
        node: int,
        now: Callable[[], int],
    ) -> None:
        self._db = db
        self._settings = settings
        self._connectors = connectors
        self._claiming = claiming
        self._do = do
        self._transport = transport
        self._node = node
        self._now = now

    async def begin(self, account: Account, domains: tuple[str, ...]) -> turning.Use:
        """What is to be done with the connection. Raises TurnRefused: 450 for a domain that is not the
        account's, 451 while nothing is sent, 453 where there is nothing."""
        mine = set(account.addresses)
        if not (all(self._is_theirs(each, mine) for each in domains) if domains else self._any_of(mine)):
            raise TurnRefused(450, "4.7.0", "ATRN request refused")
        if self._settings[Queue].paused or not self._connectors.all[0].sends:
            raise TurnRefused(451, "4.3.2", "Unable to process ATRN request now: nothing is sent at present")
        places = [
            place
            for place in await self._db.read(claims.parked_places)
            if self._is_theirs(name := place.rpartition(">")[2], mine) and _is_asked(name, domains)
        ]
        if not places:
            raise TurnRefused(453, "4.3.0", "You have no mail")

        async def use(wire: Any, encrypted: bool, peer: str) -> None:
            await self._hand_over(places, wire, encrypted, peer)

        return use

    def _is_theirs(self, domain: str, addresses: set[str]) -> bool:
        row = self._connectors.domain_row(domain)
        return row is not None and bool(addresses & set(row.logins))

    def _any_of(self, addresses: set[str]) -> bool:
        return any(addresses & set(row.logins) for row in self._settings[Ims].domains)

    async def _hand_over(self, places: list[str], wire: Any, encrypted: bool, peer: str) -> None:
        try:
            client = await turning.client_on(wire, encrypted)
            await client.hello(self._transport.hostname)
        except smtp.ClientError as error:
            self.log.info("{peer} asked for mail and does not take it: {why}", peer=peer, why=str(error))
            return
        courier = _Courier(client, peer, encrypted, self._transport)
        after = 0
        try:
            while client.usable and not self._claiming.stopping:
                found, after = await self._db.write(
                    claims.claim_parked, places, after, self._now(), CLAIM, LEASE, self._node
                )
                if not found:
                    break
                for claim in found:
                    active = Active(claim, {each.id for each in claim.recipients}, claim.lease)
                    self._claiming.held[claim.key] = active
                    route = Route("atrn", claim.recipients[0].domain, why="the domain's host asked for it")
                    work = Work(active, claim.recipients, route, "Held until the domain's host asks by ATRN")
                    await self._do("atrn", work, courier)
            await courier.close()
        finally:
            courier.abort()


def _is_asked(domain: str, asked: tuple[str, ...]) -> bool:
    """One of these, or below one; no domains: any."""
    return not asked or any(domain == each or domain.endswith(f".{each}") for each in asked)


class _Courier(Courier):
    """Has its one connection, and makes no other."""

    moves = False

    def __init__(self, client: smtp.Client, peer: str, encrypted: bool, transport: Transport) -> None:
        super().__init__(transport, Slots())
        where = Target(peer, peer, 0)
        self._given = client
        reached = Reached("encrypted", "TLS") if encrypted else Reached("in clear")
        reached = replace(reached, wanted="may")
        # Who asks has logged in: nobody else needs to vouch for him (RFC 8689 4.2.1).
        asks = REQUIRED if encrypted and "REQUIRETLS" in client.extensions else ""
        self._session = Session(client, where, Wanted(why="its own connection", asks=asks), reached)
        self._peer = str(where)

    def _usable(self, route: Route, wants: Wanted) -> bool:
        return self._session is not None and self._given.usable

    async def _connect(
        self, route: Route, wants: Wanted, recipients: tuple[QueuedRecipient, ...], tried: Collection[str]
    ) -> dict[int, Outcome]:
        gone = Outcome(State.WAITING, "4.4.2", "The connection on which it was asked for is gone", self._peer)
        return dict.fromkeys((each.id for each in recipients), gone)
