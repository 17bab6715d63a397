"""One SMTP connection: whom it may bring mail from, and its refusals to be found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger
from zope.interface import implementer

from imsd.auth.account import Account
from imsd.errors import (
    AmbiguousRecipient,
    HostListed,
    LoopDetected,
    NoSuchRecipient,
    NotPermitted,
    Refusal,
    SenderNotPermitted,
)
from imsd.mail import asking
from imsd.mail.envelope import Addressee
from imsd.mail.listed import asked, listed
from imsd.mail.lookups import host_name
from imsd.mail.peers import Facts
from imsd.sessions.smtp.plugged import Plugged
from imsd.sessions.smtp.transaction import BATCH, Transaction
from imsd.settings.smtp import Smtp
from imsd.settings.unknowns import Dnsbl
from imsd.store.tables import now
from imsd.store.tracking import Event
from protocols.sasl import IAuthenticator
from protocols.security import Security
from protocols.smtp.grammar import Path
from protocols.smtp.interfaces import Client, ISession, Role, TurnRefused
from protocols.smtp.parameters import MailParameters
from protocols.smtp.turning import Use

if TYPE_CHECKING:
    from imsd.sessions.smtp.door import Door

EVENTS: Final[dict[type[Exception], int]] = {
    SenderNotPermitted: 4151,
    LoopDetected: 4098,
    AmbiguousRecipient: 10_000,
}
"""Refusals that are events of the log, too."""


@implementer(ISession)
class Session:
    """One connection. account: who logged in, as it is now."""

    log = Logger()

    def __init__(self, door: Door, security: Security) -> None:
        self.door = door
        self.security = security
        self.account: Account | None = None
        self._watch: Any = None
        self._counted: int | None = None
        self._refused: list[Event] = []
        self.trace = door.diagnosis.accepted(security.peer) if door.diagnosis is not None else None
        mx = door.role is Role.MX
        self.meter = door.inbound.meter(security.peer) if mx else None
        """What counts for the peer while nobody has logged in; None for one that is trusted."""
        self.relays = False
        """Whether it brings mail of others, though it may have logged in (ims_spec 3.4.4)."""
        page = door.settings[Smtp]
        self.patience = page.greeting_delay if self.meter is not None else 0.0
        self.proxied = door.role is not Role.LMTP and page.may_announce(security.peer)
        self.vouches = self.proxied and page.xclient_logins
        self.strict = self.meter is not None and page.strict_pipelining
        self.facts: Facts | None = None
        lookups = door.lookups
        if mx and lookups is not None and page.reverse_dns and not security.loopback:
            self.facts = Facts(lambda: host_name(lookups, security.peer), door.clock)
        # For those alone who are not trusted, while nobody has logged in.
        self.lists: Facts | None = None
        if self.meter is not None and lookups is not None and asked(door.settings, security.peer):
            lists = door.settings[Dnsbl]
            self.lists = Facts(lambda: listed(lookups, lists, security.peer), door.clock, lists.seconds)
        self.plugged = Plugged(door.plugins, door.role, security)
        greylist = door.greylist if self.meter is not None else None
        self.greylist = greylist if greylist is not None and greylist.active(security.peer) else None

    @property
    def authenticator(self) -> IAuthenticator:
        return self.door.authenticator

    async def vouched(self, login: str) -> Account:
        """Who a proxy says has logged in there (XCLIENT LOGIN)."""
        return await self.door.authenticator.vouched(login)

    def logged_in(self, identity: Account, end: Callable[[], None]) -> None:
        self.account = identity
        self.meter = None
        self._counted = identity.id
        self.door.inbound.enter(identity.id)

        def changed(account: Account | None) -> None:
            self.account = account
            if account is None:
                end()

        self._watch = self.door.authenticator.watch_rights(identity, changed)

    async def begin(self, client: Client, reverse_path: Path, parameters: MailParameters) -> Transaction:
        address = str(reverse_path)
        screening = None
        try:
            self.door.policy.check_space()
            trusted = await self._admit(address)
            if self.account is None:
                if self.meter is not None:
                    self.meter.message()
                screening = self.door.filter.begin(address, self.security.peer)
            else:
                self.door.inbound.check_account(self.account.id)
                await self.door.policy.room.may_send(self.account.id, parameters.size or 0)
            if self.plugged.on:
                await self.plugged.mail(client, self.account, address, parameters.size or 0)
        except Refusal as refusal:
            self.refused(address, "", refusal)
            raise
        return Transaction(self, client, address, parameters, screening, trusted)

    async def _admit(self, address: str) -> bool:
        """May this host, and this originator, bring a message? (ims_spec 3.4.4) True: it is trusted."""
        policy, account, security = self.door.policy, self.account, self.security
        exempt = self.door.role is Role.LMTP
        if self.door.role is Role.MX:
            exempt = policy.check_host(security.peer, security.encrypted, account is not None)
        self.relays = exempt and self.door.role is Role.MX
        if not exempt:
            await policy.check_home(account, address)
        if account is not None and not self.relays:
            await policy.check_sender(account, address, self.door.role.submission)
        return exempt or account is not None

    async def check_unknown(self, sender: str, addressee: Addressee) -> None:
        """Is the host on a list, or has it to come again? Raises HostListed, Greylisted."""
        lists = self.lists
        if lists is not None:
            await lists.known()
            postmaster = addressee.address.lower().startswith("postmaster@")
            if lists.name and not postmaster and self.door.settings[Dnsbl].action == "reject":
                # Who is listed by mistake must be able to say so (RFC 5321 4.5.1).
                raise HostListed(f"Your address is on {lists.name}")
        if self.greylist is not None:
            await self.greylist.check(self.security.peer, sender, addressee.address)

    async def verify(self, text: str) -> str:
        """VRFY, where the site lets it tell."""
        policy = self.door.policy
        try:
            return await asking.verify(policy.directory, text, policy.first_domain)
        except NoSuchRecipient:
            await self._guessed()
            raise

    async def expand(self, text: str) -> list[str]:
        """EXPN, where the site lets it tell."""
        policy = self.door.policy
        try:
            return await asking.expand(policy.directory, text, policy.first_domain)
        except NoSuchRecipient:
            await self._guessed()
            raise

    async def _guessed(self) -> None:
        if self.meter is not None:
            await self.meter.unknown()

    async def start_held(self, domain: str, below: bool) -> int:
        """ETRN (RFC 1985)."""
        if not self.door.settings[Smtp].etrn:
            raise NotPermitted("ETRN is not offered")
        return await self.door.delivery.start_held(domain, below)

    async def turn(self, domains: tuple[str, ...]) -> Use:
        """ATRN (RFC 2645). Raises TurnRefused."""
        handovers, account = self.door.handovers, self.account
        if handovers is None or account is None:
            raise TurnRefused(450, "4.7.0", "ATRN request refused")
        return await handovers.begin(account, domains)

    def refused(self, sender: str, recipient: str, error: Exception, queue_id: str = "") -> None:
        """A decision to be found again (design, decision 12); rows are written in batches."""
        reply = self.door.explain(error) or error
        number = EVENTS.get(type(error))
        if number is not None:
            self.log.warn(
                "refused: {sender} to {recipient}, by {who} at {peer}: {reply}",
                sender=sender or "<>",
                recipient=recipient or "nobody yet",
                who=self.account.address if self.account is not None else "nobody who has logged in",
                peer=self.security.peer,
                reply=str(reply),
                event_id=number,
            )
        elif isinstance(error, NoSuchRecipient) and self.door.diagnosis is not None:
            self.door.diagnosis.tell(
                20_003,
                "nobody here is called {recipient}: {sender} at {peer} was refused",
                recipient=recipient,
                sender=sender or "<>",
                peer=self.security.peer or "here",
            )
        event = Event(now(), "refused", queue_id, b"", sender, recipient, str(reply), self.security.peer)
        self._refused.append(event)
        if len(self._refused) >= BATCH:
            self.track()

    def named(self, name: str) -> None:
        for facts in (self.facts, self.lists):
            if facts is not None:
                facts.forget()
        self.facts = Facts.of(name)

    def talked_early(self, early: bytes) -> None:
        said = early.decode("ascii", "replace")
        reason = f"did not wait for our answer, but said: {said!r}"
        self._refused.append(Event(now(), "refused", "", b"", "", "", reason, self.security.peer))

    def track(self) -> None:
        events, self._refused = self._refused, []
        if events:
            self.door.delivery.track(*events)

    def forget(self) -> None:
        self.account = None
        counted, self._counted = self._counted, None
        if counted is not None:
            self.door.inbound.leave(counted)
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def secured(self, security: Security) -> None:
        self.security = security

    def timed_out(self, message: bool) -> None:
        if self.door.diagnosis is not None:
            self.door.diagnosis.tell(
                4051,
                "a time-out while receiving from {peer}, waiting for {what}",
                peer=self.security.peer or "here",
                what="more of a message" if message else "a command",
            )

    def closed(self) -> None:
        if self.trace is not None:
            self.trace.note("The connection is over.")
        self.forget()
        for facts in (self.facts, self.lists):
            if facts is not None:
                facts.forget()
        self.plugged.forget()
        self.track()
