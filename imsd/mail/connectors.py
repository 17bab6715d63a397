"""The way out of a recipient: which connector, under which address, bound for where.

1. A connector whose scope leaves the originator out, or that does not accept from him, is passed
   over. When no other is left he is refused (ims_spec 3.7); when none fits, there is no route.
2. Out of scope is who is known to the directory and has no mailbox here: mail of other sites, which
   may not use a route of this site (3.2). Who is unknown came in by the Internet and may.
3. A route with a routing address, an address of another type and one of a connected site are
   encapsulated for the host that is named there (3.3, 4.4), and stay with their connector.
4. A connector that could not reach its smart hosts is in trouble for a while; others that fit as
   well go before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from imsd.directory.imcea import Foreign, encode, site_of
from imsd.directory.values import Contact, Local, Recipient
from imsd.errors import NoRoute, NoSuchRecipient, PolicyRejected
from imsd.mail.destinations import Destination
from imsd.mail.selection import Candidate, Condition, candidates, choose
from imsd.settings.connectors import (
    AddressSpace,
    Connector,
    Delivery,
    DeliveryRestrictions,
    DomainRow,
    Ims,
    connectors,
)

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.ids import EntryId

TROUBLE = 300_000_000
"""Microseconds for which a connector that could not reach its hosts comes after others."""

Tell = Callable[[str], None]


def silent(_: str) -> None:
    """Nobody wants to know why."""


@dataclass(frozen=True, slots=True)
class Originator:
    """Who sends. account: of the login, None without one. address: the reverse-path. system: the server
    itself does. peer: the IP address of the host that brings it."""

    account: int | None = None
    address: str = ""
    system: bool = False
    peer: str = ""


NOTHING_NEW: Final = "takes nothing new (transfer mode)"
"""Why mail waits that came in mode none; what came before leaves (ims_spec 15-A4)."""


@dataclass(frozen=True, slots=True)
class Out:
    """A way out. address: as it goes on the wire. parked: why it waits, "" if it need not."""

    connector: Connector
    address: str
    destination: Destination
    parked: str = ""


class Connectors:
    """Every connector as the settings have it now."""

    def __init__(self, settings: LiveSettings, directory: Directory) -> None:
        self._settings = settings
        self._directory = directory
        self._made: tuple[tuple[Ims, Delivery, DeliveryRestrictions], tuple[Connector, ...]] | None = None
        self._trouble: dict[str, int] = {}
        self.up: set[str] = set()
        """Links that are up (imsd.mail.links), in lower case."""

    # What there is -------------------------------------------------------------------------

    @property
    def all(self) -> tuple[Connector, ...]:
        settings = self._settings
        pages = (settings[Ims], settings[Delivery], settings[DeliveryRestrictions])
        if self._made is None or any(a is not b for a, b in zip(self._made[0], pages, strict=True)):
            self._made = (pages, connectors(*pages))
        return self._made[1]

    def named(self, name: str) -> Connector:
        """The connector of that name, the first one if it is gone."""
        return next((one for one in self.all if one.name == name), self.all[0])

    def domain_row(self, domain: str) -> DomainRow | None:
        """The row of Specify by e-mail domain for a domain."""
        return self._settings[Ims].rows.find(domain)

    def parked(self, connector: Connector, destination: Destination, new: bool = False) -> str:
        """Why mail for a destination waits until somebody asks for it, "" if it does not. new: it comes only
        now, or is parked already; else it is being sent."""
        row = None if destination.host else self.domain_row(destination.domain)
        if row is not None and row.held:
            return row.held
        if not connector.sends:
            return f"Connector {connector.name} sends nothing (transfer mode)"
        if new and not connector.takes:
            return f"Connector {connector.name} {NOTHING_NEW}"
        return self.waits_for(connector.delivery.link)

    def waits_for(self, link: str) -> str:
        """Why mail waits for a link, "" if it need not."""
        return f"Waits for link {link.lower()}" if link and link.lower() not in self.up else ""

    @property
    def parks(self) -> bool:
        """Whether any domain's mail waits to be asked for."""
        held = any(row.held for row in self._settings[Ims].domains)
        return held or any(self.waits_for(each.delivery.link) for each in self.all)

    def failed(self, connector: str, now: int) -> None:
        """The connector could not reach any of its hosts."""
        self._trouble[connector] = now + TROUBLE

    def condition(self, attempts: int, now: int, peer: str = "") -> Condition:
        self._trouble = {name: until for name, until in self._trouble.items() if until > now}
        closed = frozenset(each.name for each in self.all if self.waits_for(each.delivery.link))
        only = self._settings[Ims].lowest_cost_only
        came_by = frozenset(each.name for each in self.all if peer and each.brings(peer))
        return Condition(frozenset(self._trouble), attempts, only, closed, came_by)

    # Choosing ------------------------------------------------------------------------------

    async def out(
        self,
        address: str,
        originator: Originator,
        *,
        attempts: int = 0,
        now: int = 0,
        tell: Tell = silent,
    ) -> Out:
        """The way of an Internet address. Raises NoRoute, PolicyRejected."""
        found = candidates(self.all, "SMTP", address)
        chosen = await self._chosen(
            found,
            f"SMTP:{address}",
            originator,
            lambda: self.condition(attempts, now, originator.peer),
            tell,
        )
        if chosen.space.via:
            return self._encapsulated(chosen, Foreign("SMTP", address), tell, bool(originator.address))
        destination = Destination(address.rpartition("@")[2].lower())
        # Reports go out with what they report on, whatever is kept.
        parked = self.parked(chosen.connector, destination, bool(originator.address))
        return Out(chosen.connector, address, destination, parked)

    async def out_foreign(self, to: Foreign, originator: Originator, tell: Tell = silent) -> Out:
        """The way of an address of another type. Raises NoRoute, PolicyRejected."""
        found = self._sites(to) if to.type == "EX" else candidates(self.all, to.type, to.value)
        found = [each for each in found if each.space.via]
        chosen = await self._chosen(
            found,
            str(to),
            originator,
            lambda: self.condition(0, 0, originator.peer) if originator.peer else Condition(),
            tell,
        )
        return self._encapsulated(chosen, to, tell, bool(originator.address))

    async def out_contact(self, contact: Contact, originator: Originator, tell: Tell = silent) -> Out:
        """The way of a custom recipient of another type."""
        to = Foreign(contact.kind, contact.target)
        direct = self._settings[Ims].sites_direct and to.type == "EX" and "@" in contact.address
        if direct and not self._directory.serves(contact.address.rpartition("@")[2]):
            tell(f"ims.sites_direct: {contact.address} in place of {to}")
            return await self.out(contact.address, originator, tell=tell)
        return await self.out_foreign(to, originator, tell)

    def _sites(self, to: Foreign) -> list[Candidate]:
        """Connected sites that hold a name of the directory."""
        where, found = site_of(to.value), []
        if where is None:
            return []
        organization, site = where
        for place, connector in enumerate(self.all):
            for row in connector.connected_sites:
                if row.site.lower() == site and row.organization.lower() in ("", organization):
                    space = AddressSpace(type="EX", pattern="", cost=row.cost, via=row.address)
                    found.append(Candidate(connector, space, (1, 0), place, row.site))
        return found

    def _encapsulated(self, chosen: Candidate, to: Foreign, tell: Tell, new: bool) -> Out:
        via, connector = chosen.space.via, chosen.connector
        address = f"{encode(to)}@{via}"
        tell(f"{to} is encapsulated: {address}")
        destination = Destination(via, connector=connector.name)
        return Out(connector, address, destination, self.parked(connector, destination, new))

    async def _chosen(
        self,
        found: list[Candidate],
        what: str,
        originator: Originator,
        condition: Callable[[], Condition],
        tell: Tell,
    ) -> Candidate:
        if not found:
            tell(f"no address space fits {what}")
            raise NoRoute
        if len(found) == 1 and not found[0].connector.restrict and found[0].space.scope == "organization":
            if tell is not silent:
                tell(f"{found[0]}: the only one that fits")
            return found[0]
        usable, refusal = [], ""
        for each in found:
            why = await self._why_not(each, originator)
            if why:
                refusal = refusal or why
                tell(f"{each}: not used, {why}")
            else:
                usable.append(each)
        if not usable:
            raise PolicyRejected(f"Not accepted for delivery: {refusal}")
        choice = choose(usable, condition())
        for each, why in choice.lost:
            tell(f"{each}: not used, {why}")
        tell(f"{choice.chosen}: used")
        return choice.chosen

    # Who may -------------------------------------------------------------------------------

    async def _why_not(self, candidate: Candidate, originator: Originator) -> str:
        space, connector = candidate.space, candidate.connector
        if space.scope != "organization":
            known = await self._known(originator)
            if known is not None and not isinstance(known, Local):
                return "its scope is this site, and the originator's mailbox is elsewhere"
            here = self._settings[Ims].location.lower()
            if space.scope == "location" and connector.location.lower() not in ("", here):
                return "its scope is another server location"
        restrict = connector.restrict
        if restrict:
            entry = self._authenticated(originator)
            if restrict.reject_from and entry in await self._directory.entries_of(restrict.reject_from):
                return "the originator is rejected there"
            if restrict.accept_from and entry not in await self._directory.entries_of(restrict.accept_from):
                return "the originator is not among those it accepts from"
        return ""

    @staticmethod
    def _authenticated(originator: Originator) -> EntryId | None:
        """Who did not log in is nobody of the lists (ims_spec 3.7)."""
        return originator.account  # type: ignore[return-value]

    async def _known(self, originator: Originator) -> Recipient | None:
        if originator.account is not None or not originator.address:
            return None  # Here, or nobody.
        try:
            return await self._directory.resolve(originator.address)
        except NoSuchRecipient:
            return None
