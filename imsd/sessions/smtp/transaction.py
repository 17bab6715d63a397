"""One message on its way in by SMTP: recipients, the header block as it is to be stored, delivery."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zope.interface import implementer

from imsd.auth.account import Account
from imsd.directory.membership import Writes
from imsd.errors import (
    Filtered,
    LoopDetected,
    MalformedMessage,
    NoSuchRecipient,
    Refusal,
    RelayDenied,
    SenderNotPermitted,
)
from imsd.mail import priorities, receipts, received, requiring, submission
from imsd.mail.envelope import Addressee, Envelope, Origin, timing_of
from imsd.mail.filtering import Screening
from imsd.mail.intake import Intake
from imsd.mail.policy import Submitter
from imsd.mail.priorities import granted
from imsd.mail.resolving import resolved
from imsd.settings.connectors import Ims
from imsd.settings.routing import Rerouting
from imsd.settings.smtp import Smtp
from imsd.store.tables import now
from protocols.smtp.grammar import Path
from protocols.smtp.interfaces import Client, ITransaction, Role
from protocols.smtp.parameters import BINARY, EIGHT_BIT, SEVEN_BIT, MailParameters, RcptParameters
from protocols.smtp.solicitation import in_header, refusal, together, unwanted

if TYPE_CHECKING:
    from imsd.sessions.smtp.session import Session
    from imsd.store.blobs import NewBlob


BATCH = 50
"""Refusals written together, and recipients of one refused message that are named."""


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
        # Whose mail it is: a relay server brings that of others, logged in or not (ims_spec 3.4.4).
        self._author = None if session.relays else session.account
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
            if session.plugged.on:
                await session.plugged.recipient(self._client, account, self._reverse_path, addressee.address)
        except Refusal as refusal:
            self._session.refused(self._reverse_path, str(forward_path), refusal)
            if meter is not None and isinstance(refusal, NoSuchRecipient | RelayDenied):
                await meter.unknown()
            raise
        self._addressees.append(addressee)

    # Content -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        trace = self._session.trace
        if trace is not None:
            trace.content(data)
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
        if self._session.trace is not None:
            self._session.trace.header(header)
        if self._parameters.body == BINARY and not received.has_whole_lines(header):
            raise MalformedMessage("Header has bare CR or LF")
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
        if self._author is not None:
            header = await self._submitted(header, self._author, seconds)
        routing = door.settings[Rerouting]
        if routing.resolve_headers and (self._author is not None or routing.resolve_for == "all"):
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
            self._client,
            door.hostname,
            self._word,
            self._queue_id,
            only,
            seconds,
            name,
            self._mt_priority,
            self._solicit,
        )
        return line + header

    def _noted(self, header: bytes, names: list[bytes]) -> bytes:
        """What fields say that mean something here; the header block without those that go no further."""
        if b"solicitation" in names:
            refused, said = self._session.door.settings[Smtp].no_soliciting, in_header(header)
            # Where there is a field, what is said to the next server is the field's (RFC 3865 2.3).
            self._solicit = together(said or self._parameters.solicit)
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
        return header if self._author is not None else submission.without_return_path(header)

    async def _submitted(self, header: bytes, account: Account, seconds: float) -> bytes:
        """Every author, sender and resender that is named is the account, or has let it write in his name
        (RFC 6409 6.1, 8). On behalf of an author alone: the message then says who sent it."""
        door = self._session.door
        if b"\0" in header:
            raise MalformedMessage("Header has NUL")  # Who leaves it out sees other fields than we do.
        message = submission.Submitted(header)
        behalf = False
        for address in message.authors:
            writes = await door.policy.check_sender(account, address, door.role.submission)
            behalf = behalf or writes is Writes.ON_BEHALF
        for address in (*message.senders, *message.resenders):
            if await door.policy.check_sender(account, address, door.role.submission) is not Writes.AS:
                raise SenderNotPermitted
        if not account.address and (behalf or not message.authors):
            raise SenderNotPermitted
        if message.unread or (not message.authors and message.has_from):
            raise SenderNotPermitted
        return message.complete(account.address, door.hostname, self._queue_id, seconds, behalf)

    async def _completed(self) -> tuple[Envelope, NewBlob]:
        """The content has come: what was agreed about it, and what is to be stored."""
        parameters = self._parameters
        intake = self._content()
        try:
            ours = any(each.recipient is not None for each in self._addressees)
            content = await (intake.kept(self._session.door.blobs) if ours else intake.finish())
            if self._author is not None:
                await self._session.door.policy.room.may_send(self._author.id, content.size)
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
            self._author.id if self._author is not None else None,
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
