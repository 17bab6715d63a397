"""SMTP meets the mail system: the door of a listener, a connection's session, its transactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from imsd.auth.account import Account
from imsd.errors import (
    AmbiguousRecipient,
    Filtered,
    HostListed,
    LoopDetected,
    NoSuchRecipient,
    NotPermitted,
    Refusal,
    RelayDenied,
    SenderNotPermitted,
)
from imsd.mail import asking, priorities, receipts, received, requiring, submission
from imsd.mail.envelope import Addressee, Envelope, Origin, timing_of
from imsd.mail.filtering import MessageFilter, Screening
from imsd.mail.greylisting import Greylist
from imsd.mail.intake import Intake
from imsd.mail.limits import InboundLimits
from imsd.mail.listed import asked, listed
from imsd.mail.lookups import Lookups, host_name
from imsd.mail.peers import Facts
from imsd.mail.policy import Policy, Submitter
from imsd.mail.priorities import granted
from imsd.mail.resolving import resolved
from imsd.sessions import refusals
from imsd.settings.connectors import Ims
from imsd.settings.routing import Rerouting
from imsd.settings.smtp import Smtp
from imsd.settings.unknowns import Dnsbl
from imsd.store.tables import now
from imsd.store.tracking import Event
from protocols.connection import Connection
from protocols.sasl import IAuthenticator
from protocols.security import Security
from protocols.smtp.grammar import Path
from protocols.smtp.interfaces import Client, IDoor, ISession, ITransaction, Limits, Role, TurnRefused
from protocols.smtp.parameters import EIGHT_BIT, SEVEN_BIT, MailParameters, RcptParameters
from protocols.smtp.responses import Reply
from protocols.smtp.server import Server
from protocols.smtp.solicitation import in_header, refusal, together, unwanted
from protocols.smtp.turning import Use

if TYPE_CHECKING:
    from imsd.auth import Authenticator
    from imsd.core import Core
    from imsd.mail.delivery import Delivery
    from imsd.mail.handover import Handovers
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs, NewBlob
    from imsd.summaries import Summaries


BATCH = 50
"""Refusals written together, and recipients of one refused message that are named."""


EVENTS: Final[dict[type[Exception], int]] = {
    SenderNotPermitted: 4151,
    LoopDetected: 4098,
    AmbiguousRecipient: 10_000,
}
"""Refusals that are events of the log, too."""


@implementer(IDoor)
class Door:
    """What all connections of one listener share.

    tls: gives the context factory for STARTTLS, None when there is no certificate.
    """

    def __init__(
        self,
        role: Role,
        hostname: str,
        *,
        policy: Policy,
        delivery: Delivery,
        authenticator: Authenticator,
        blobs: Blobs,
        summaries: Summaries,
        settings: LiveSettings,
        clock: IReactorTime,
        tls: Callable[[], Any],
        inbound: InboundLimits | None = None,
        lookups: Lookups | None = None,
        greylist: Greylist | None = None,
        handovers: Handovers | None = None,
    ) -> None:
        self.role = role
        self.handovers = handovers
        self.hostname = hostname
        self.policy = policy
        self.delivery = delivery
        self.authenticator = authenticator
        self.blobs = blobs
        self.summaries = summaries
        self.settings = settings
        self.clock = clock
        self.inbound = inbound or InboundLimits(settings, clock)
        self.filter = MessageFilter(settings, blobs, delivery)
        self.lookups = lookups
        self.greylist = greylist
        self._tls = tls
        self._limits: tuple[Smtp | None, Ims | None, Limits] = (None, None, Limits())

    def limits(self) -> Limits:
        page, ims = self.settings[Smtp], self.settings[Ims]
        if self._limits[0] is not page or self._limits[1] is not ims:
            limits = Limits(
                message=ims.inbound_limit,
                recipients=page.recipients,
                refused=page.refused_recipients,
                bad_commands=page.bad_commands,
                transactions=page.transactions,
                idle=page.idle_seconds,
                content=page.content_seconds,
                etrn=page.etrn,
                deliver_by=page.deliver_by_seconds if page.deliver_by else None,
                hold=page.hold_hours * 3600,
                domains=page.recipient_domains,
                banner=page.banner,
                esmtp=not page.disable_esmtp,
                auth=not page.disable_auth,
                lenient=page.lenient_addresses,
                vrfy=page.vrfy,
                expn=page.expn,
                no_soliciting=page.no_soliciting,
                atrn=page.atrn and self.handovers is not None,
                requiretls=page.requiretls,
                turn=page.atrn and ims.turn == "atrn" and self.handovers is not None,
            )
            self._limits = (page, ims, limits)
        return self._limits[2]

    def tls(self) -> Any:
        return self._tls()

    def session(self, security: Security) -> Session:
        return Session(self, security)

    def explain(self, error: Exception) -> Reply | None:
        return refusals.smtp(error)


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
        mx = door.role is Role.MX
        self.meter = door.inbound.meter(security.peer) if mx else None
        """What counts for the peer while nobody has logged in; None for one that is trusted."""
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
        if not exempt:
            await policy.check_home(account, address)
        if account is not None:
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

    def closed(self) -> None:
        self.forget()
        for facts in (self.facts, self.lists):
            if facts is not None:
                facts.forget()
        self.track()


@implementer(ITransaction)
class Transaction:
    """One message on its way in."""

    def __init__(
        self,
        session: Session,
        client: Client,
        reverse_path: str,
        parameters: MailParameters,
        screening: Screening | None,
        trusted: bool,
    ) -> None:
        self._session = session
        self._screening = screening
        self._client = client
        self._reverse_path = reverse_path
        self._parameters = parameters
        self._account = session.account
        self._addressees: list[Addressee] = []
        self._intake: Intake | None = None
        self._queue_id = ""
        self._word = received.protocol_word(client, parameters.smtputf8)
        self._priority = 0
        self._trusted = trusted
        self._mt_priority = granted(parameters.mt_priority, trusted)
        self._timing = timing_of(parameters, now())
        self._tls = requiring.REQUIRED if parameters.requiretls else ""
        self._solicit = together(parameters.solicit) if parameters.solicit else ()

    @property
    def lowered(self) -> int | None:
        asked = self._parameters.mt_priority
        return None if asked is None or asked == self._mt_priority else self._mt_priority

    async def add(self, forward_path: Path, parameters: RcptParameters) -> None:
        security, account = self._session.security, self._account
        session = self._session
        policy, meter = session.door.policy, session.meter
        lmtp = self._session.door.role is Role.LMTP
        by = Submitter(
            security.peer,
            security.local,
            account.id if account is not None else None,
            self._reverse_path,
            lmtp and self._session.door.settings[Smtp].lmtp_relay,
        )
        try:
            if meter is not None:
                meter.recipient()
            addressee = await policy.addressee(forward_path, parameters, by)
            if lmtp and addressee.recipient is None and account is None and not by.trusted:
                # Whoever else may relay from here does so by SMTP (RFC 2033 5).
                raise RelayDenied
            await policy.may_post(addressee.recipient, by)
            await policy.room.may_receive(addressee.recipient, self._parameters.size or 0)
            if account is None and (session.lists is not None or session.greylist is not None):
                await session.check_unknown(self._reverse_path, addressee)
        except Refusal as refusal:
            self._session.refused(self._reverse_path, str(forward_path), refusal)
            if meter is not None and isinstance(refusal, NoSuchRecipient | RelayDenied):
                await meter.unknown()
            raise
        self._addressees.append(addressee)

    # Content -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._content().write(data)

    def _content(self) -> Intake:
        if self._intake is None:
            door = self._session.door
            self._queue_id = door.delivery.new_id()
            self._intake = Intake(door.blobs, self._header, door.summaries, door.clock)
        return self._intake

    async def drained(self) -> None:
        if self._intake is not None:
            await self._intake.drained()

    async def _header(self, header: bytes) -> bytes:
        """The header block to store: trace line first, then what came (RFC 5321 4.4)."""
        door = self._session.door
        page = door.settings[Smtp]
        noted = received.noted(header)
        if len(noted) > page.hops and noted.count(b"received") > page.hops:
            door.delivery.counters.loops += 1
            raise LoopDetected
        if self._screening is not None:
            self._screening.look(header)
        if noted:
            header = self._noted(header, noted)
        elif self._mt_priority is not None:
            self._priority = priorities.class_of(self._mt_priority)
        seconds = door.clock.seconds()
        if self._account is not None:
            header = await self._submitted(header, self._account, seconds)
        routing = door.settings[Rerouting]
        if routing.resolve_headers and (self._account is not None or routing.resolve_for == "all"):
            header = await resolved(header, routing.resolve_headers, door.policy.directory)
        facts = self._session.facts
        if facts is not None:
            await facts.known()
        only = self._addressees[0].address if len(self._addressees) == 1 else ""
        name = facts.name if facts is not None else ""
        listed_in = self._session.lists
        if listed_in is not None and listed_in.name and self._account is None:
            # Known since the first recipient; a sender's own line of this name is no news of ours.
            header = b"X-Listed: %b\r\n" % listed_in.name.encode() + submission.without(header, {b"x-listed"})
        line = received.received_line(
            self._client, door.hostname, self._word, self._queue_id, only, seconds, name
        )
        return line + header

    def _noted(self, header: bytes, names: list[bytes]) -> bytes:
        """What fields say that mean something here; the header block without those that go no further."""
        if b"solicitation" in names:
            refused, said = self._session.door.settings[Smtp].no_soliciting, in_header(header)
            self._solicit = together((*self._parameters.solicit, *said))
            if refused and self._account is None and (found := unwanted(said, refused)):
                raise Filtered(refusal(found))
        if b"tls-required" in names:
            self._tls = requiring.tag(header, self._parameters.requiretls)
        tunnelled, header = priorities.tunnelled(header)
        if self._trusted and self._parameters.mt_priority is None:
            self._mt_priority = tunnelled
        self._priority = (
            received.priority(header) if self._mt_priority is None else priorities.class_of(self._mt_priority)
        )
        suppressed = self._session.door.settings[Ims].suppress_dr
        if not suppressed and receipts.asked(header, self._reverse_path):
            self._addressees = receipts.with_receipts(self._addressees)
        return header if self._account is not None else submission.without_return_path(header)

    async def _submitted(self, header: bytes, account: Account, seconds: float) -> bytes:
        """Every author, sender and resender that is named is the account (RFC 6409 6.1, 8)."""
        door = self._session.door
        message = submission.Submitted(header)
        for address in (*message.authors, *message.senders, *message.resenders):
            await door.policy.check_sender(account, address, door.role.submission)
        if not message.authors and (message.has_from or not account.address):
            raise SenderNotPermitted
        return message.complete(account.address, door.hostname, self._queue_id, seconds)

    async def _completed(self) -> tuple[Envelope, NewBlob]:
        """The content has come: what was agreed about it, and what is to be stored."""
        parameters = self._parameters
        intake = self._content()
        try:
            ours = any(each.recipient is not None for each in self._addressees)
            content = await (intake.kept(self._session.door.blobs) if ours else intake.finish())
            if self._account is not None:
                await self._session.door.policy.room.may_send(self._account.id, content.size)
        except BaseException as error:
            intake.abandon()
            if isinstance(error, Refusal):
                self.refused(error)
            raise
        client, facts = self._client, self._session.facts
        body = parameters.body
        if body == SEVEN_BIT and intake.eight_bit:
            # What was not announced is relayed as what it is (RFC 6152 3).
            body = EIGHT_BIT
        envelope = Envelope(
            self._reverse_path,
            tuple(self._addressees),
            body,
            parameters.smtputf8,
            parameters.ret,
            parameters.envid,
            self._account.id if self._account is not None else None,
            Origin(self._word, client.peer, client.hello, facts.name if facts is not None else ""),
            self._priority,
            self._mt_priority,
            self._timing,
            self._tls,
            self._solicit,
        )
        return envelope, content

    async def commit(self) -> str:
        envelope, content = await self._completed()
        door = self._session.door
        try:
            if self._screening is not None and self._screening.row:
                await door.filter.dispose(self._screening.row, envelope, content, self._queue_id)
                return self._queue_id
            accepted = await door.delivery.accept(envelope, content, self._queue_id)
        except Refusal as refusal:
            self.refused(refusal)
            # The content has no owner now.
            await door.blobs.discard(content)
            raise
        return accepted.queue_id

    async def commit_each(self) -> list[str | Exception]:
        """LMTP: each recipient has it, or does not, by himself (RFC 2033 4.2)."""
        envelope, content = await self._completed()
        door = self._session.door
        outcomes: list[str | Exception] = []
        if self._screening is not None and self._screening.row:
            try:
                await door.filter.dispose(self._screening.row, envelope, content, self._queue_id)
            except Refusal:
                await door.blobs.discard(content)
                raise
            return [self._queue_id] * len(self._addressees)
        for addressee in self._addressees:
            queue_id = door.delivery.new_id() if outcomes else self._queue_id
            own = replace(envelope, addressees=(addressee,))
            try:
                await door.delivery.accept(own, content, queue_id)
                outcomes.append(queue_id)
            except Refusal as refusal:
                self._session.refused(self._reverse_path, addressee.address, refusal, queue_id)
                outcomes.append(refusal)
        if all(isinstance(outcome, Exception) for outcome in outcomes):
            await door.blobs.discard(content)
        self._session.track()
        return outcomes

    def refused(self, error: Exception) -> None:
        for addressee in self._addressees[:BATCH]:
            self._session.refused(self._reverse_path, addressee.address, error, self._queue_id)
        self._session.track()

    def abandon(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.abandon()


def make_smtp(core: Core, contexts: Any, role: Role) -> Callable[[], Connection]:
    """What builds the connections of one listener. contexts: the server side of STARTTLS."""
    door = Door(
        role,
        core.config.server.hostname,
        policy=core.policy,
        delivery=core.delivery,
        authenticator=core.authenticator,
        blobs=core.blobs,
        summaries=core.summaries,
        settings=core.settings,
        clock=core.reactor,
        tls=lambda: contexts,
        inbound=core.limits,
        lookups=core.lookups,
        greylist=core.greylist,
    )
    return lambda: Server(door, core.reactor)
