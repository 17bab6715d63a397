"""How much one host, network or account may ask of us at once and in a time (ims_spec 3.4.2).

1. Connections are counted by `Arrivals`, before there is a session: what is too much hears 421 4.3.2.
2. Messages, recipients and recipients that are nobody here are counted by address (IPv6: by /64, for
   whoever has one has all its addresses). What is too much is refused for now. Who guesses at recipients is
   answered late, then sent away.
3. This machine (`admission.loopback_exempt`), relay servers (`ims.accept.hosts`) and who has logged in
   are not counted by address; who has logged in is counted by account.
4. Counters are this process's own and bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from imsd.errors import SentAway, TooFast
from imsd.mail.counters import Counters
from imsd.mail.pace import Pace
from imsd.settings.accept import Accept
from imsd.settings.listeners import Admission as AdmissionPage
from imsd.settings.networks import address as parsed
from imsd.settings.outbound import ConnectionLimits
from protocols.connection import Admission, Limits, network_of
from protocols.security import is_loopback

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

MINUTE: Final = 60.0
HOUR: Final = 3600.0


def prefix_of(peer: str) -> str:
    """The network that a neighbourhood is: IPv4 /24, IPv6 /64."""
    found = parsed(peer)
    if found is None:
        return peer
    return network_of(str(found)) if found.version == 6 else str(found).rpartition(".")[0] + ".0/24"


class InboundLimits:
    """The counters of one server."""

    def __init__(self, settings: LiveSettings, clock: Any) -> None:
        self._settings = settings
        self.clock = clock
        self.inbound = 0
        self.addresses: Counter[str] = Counter()
        self.networks: Counter[str] = Counter()
        self.accounts: Counter[int] = Counter()
        self.arrivals = Pace(MINUTE)
        self.messages = Pace(MINUTE)
        self.recipients = Pace(MINUTE)
        self.unknown = Pace(HOUR)
        self.counters = Counters(clock.seconds)

    @property
    def page(self) -> ConnectionLimits:
        return self._settings[ConnectionLimits]

    def exempt(self, peer: str) -> bool:
        if self._settings[AdmissionPage].loopback_exempt and is_loopback(peer):
            return True
        accept = self._settings[Accept]
        return bool(accept.hosts) and accept.row_of(peer).relay_server

    def meter(self, peer: str) -> Meter | None:
        """What counts for one connection; None for a peer that is not counted."""
        return None if self.exempt(peer) else Meter(self, network_of(peer))

    # Accounts ----------------------------------------------------------------------------

    def enter(self, account: int) -> None:
        self.accounts[account] += 1

    def leave(self, account: int) -> None:
        self.accounts[account] -= 1
        if self.accounts[account] <= 0:
            del self.accounts[account]

    def check_account(self, account: int) -> None:
        """Raises SentAway."""
        most = self.page.per_account
        if most and self.accounts[account] > most:
            raise SentAway("Too many connections of this account")

    # For the administrator -----------------------------------------------------------------

    def limited(self) -> list[dict[str, Any]]:
        """Who is at a limit now, or was refused within its window."""
        page, now = self.page, self.clock.seconds()
        rows = [
            {"limit": name, "who": who, "used": count, "allowed": most}
            for name, most, counter in (
                ("per_address", page.per_address, self.addresses),
                ("per_network", page.per_network, self.networks),
                ("per_account", page.per_account, self.accounts),
            )
            if most
            for who, count in counter.most_common(100)
            if count >= most
        ]
        if page.inbound and self.inbound >= page.inbound:
            rows.append({"limit": "inbound", "who": "all", "used": self.inbound, "allowed": page.inbound})
        for name, most, pace in self._paces():
            if most:
                rows += [
                    {
                        "limit": name,
                        "who": each.key,
                        "used": each.used,
                        "allowed": most,
                        "refused": each.refused,
                    }
                    for each in pace.over(most, now)
                ]
        return rows

    def _paces(self) -> tuple[tuple[str, int, Pace], ...]:
        page = self.page
        return (
            ("connections_per_minute", page.connections_per_minute, self.arrivals),
            ("messages_per_minute", page.messages_per_minute, self.messages),
            ("recipients_per_minute", page.recipients_per_minute, self.recipients),
            ("unknown_per_hour", page.unknown_per_hour, self.unknown),
        )

    def forget(self, who: str) -> bool:
        """Let an address begin anew; whether it was known."""
        known = [pace.forget(network_of(who)) for _, _, pace in self._paces()]
        return any(known)


class Meter:
    """The counters of one peer."""

    __slots__ = ("_key", "_limits")

    def __init__(self, limits: InboundLimits, key: str) -> None:
        self._limits = limits
        self._key = key

    def message(self) -> None:
        """MAIL. Raises SentAway, TooFast."""
        limits = self._limits
        page, now = limits.page, limits.clock.seconds()
        if page.unknown_per_hour and limits.unknown.used(self._key, now) >= page.unknown_per_hour:
            raise SentAway("Too many unknown recipients from your address")
        most = page.messages_per_minute
        if most and not limits.messages.take(self._key, 1, most, now):
            raise TooFast("Too many messages from your address")

    def recipient(self) -> None:
        """RCPT. Raises TooFast."""
        limits = self._limits
        most = limits.page.recipients_per_minute
        if most and not limits.recipients.take(self._key, 1, most, limits.clock.seconds()):
            raise TooFast("Too many recipients from your address")

    async def unknown(self) -> None:
        """A recipient was nobody: count it, and come back late. Raises SentAway."""
        limits = self._limits
        page = limits.page
        if not page.unknown_per_hour and not page.tarpit_seconds:
            return
        used = limits.unknown.add(self._key, 1, limits.clock.seconds())
        if used > page.tarpit_after and page.tarpit_seconds:
            await self._wait(page.tarpit_seconds)
        if page.unknown_per_hour and used > page.unknown_per_hour:
            raise SentAway("Too many unknown recipients from your address")

    async def _wait(self, seconds: float) -> None:
        # A peer that hangs up cancels it.
        late: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer = self._limits.clock.callLater(seconds, late.callback, None)
        await late


class Arrivals(Admission):
    """Admission to port 25: what every listener admits, and the limits of the service."""

    def __init__(self, clock: Any, limits: Callable[[], Limits], inbound: InboundLimits) -> None:
        super().__init__(clock, limits)
        self._inbound = inbound

    def admit(self, address: str) -> str | None:
        ticket = self._ticket(address)
        if ticket is not None:  # "" is this machine's.
            self._inbound.counters.count("connections_in")
        else:
            self._inbound.counters.connections_rejected += 1
        return ticket

    def _ticket(self, address: str) -> str | None:
        ticket = super().admit(address)
        counts = self._inbound
        if not ticket or counts.exempt(address):
            return ticket
        page = counts.page
        network = prefix_of(address)
        rate = page.connections_per_minute
        now = counts.clock.seconds()
        if (
            (page.inbound and counts.inbound >= page.inbound)
            or (page.per_address and counts.addresses[address] >= page.per_address)
            or (page.per_network and counts.networks[network] >= page.per_network)
            or (rate and not counts.arrivals.take(network_of(address), 1, rate, now))
        ):
            super().leave(ticket)
            return None
        counts.inbound += 1
        counts.addresses[address] += 1
        counts.networks[network] += 1
        return f"{ticket} {address}"

    def leave(self, ticket: str) -> None:
        base, counted, address = ticket.partition(" ")
        super().leave(base)
        if not counted:
            return
        counts = self._inbound
        counts.inbound -= 1
        for counter, key in ((counts.addresses, address), (counts.networks, prefix_of(address))):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]
