"""Who is told what became of a message, and the report's own way through `Delivery.accept`.

1. The null reverse-path is never told anything (RFC 3464 2): there is no report about a report.
2. A failure that nobody can be told of (of a report, or of mail whose sender is unknown here) goes to
   the postmaster, once; what cannot be told him either is only tracked. What was told him says so in its
   header (LAST), and so does whatever is reported of that: his mailbox may be a contact, or a list, and
   what fails there later comes back here as a report that failed.
3. What senders elsewhere are told is the site's choice (`ims.ndr.external`, ims_spec 6).
4. A report comes from postmaster of the domain that the message was for, if that is ours, else of
   the site's; in the language of the sender where we know it.
5. RET decides how much is returned of what failed (RFC 3461 4.3). Where it is not given, people here
   get all of it, to send it again, and others the header.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from twisted.logger import Logger

from imsd.directory.values import Local
from imsd.errors import Refusal
from imsd.mail.bounce import LAST, Action, Fate, Frame, Original, report
from imsd.mail.envelope import Addressee, Envelope
from imsd.mail.explaining import ENGLISH, Words, words_for
from imsd.mail.notifying import Notifier
from imsd.mail.requiring import REQUIRED
from imsd.mail.returning import original
from imsd.settings.connectors import Ims
from imsd.settings.queue import Queue
from imsd.settings.reports import Ndr
from imsd.store.blobs import Blobs, new_blob
from imsd.store.spool import Queued
from protocols.message import headers
from protocols.message.summary import summarize

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings


Note = Callable[[Words], str]
"""What is said first, in a language."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who was told and under which queue id; both empty when nobody could be, or was to be.

    word: how that is tracked. "reported": to the sender; "redirected": to the postmaster in his place;
    "absorbed": it was a report itself; "unreported".
    """

    to: str = ""
    queue_id: str = ""
    word: str = "unreported"
    why: str = "nobody could be told"

    def __str__(self) -> str:
        return f"{self.to} was told by {self.queue_id}" if self.to else self.why


class Reporter:
    """Writes reports and has them delivered."""

    log = Logger()

    def __init__(
        self, delivery: Delivery, directory: Directory, settings: LiveSettings, blobs: Blobs, hostname: str
    ) -> None:
        self._delivery = delivery
        self._directory = directory
        self._settings = settings
        self._blobs = blobs
        self._hostname = hostname
        self._diagnosis = delivery.diagnosis
        self._notifier = Notifier(delivery, directory, settings, blobs, hostname)

    async def tell(self, message: Queued, fates: list[Fate], seconds: float) -> Told:
        """Report to the sender, or to the postmaster what the sender cannot be told.

        fates: all of one action. Raises temporary refusals: the caller tries again.
        """
        failed = fates[0].action is Action.FAILED
        held = await self._delivery.srs.back(message.reverse_path)
        if held:
            # What we sent on with a reverse-path of ours is told to whom that holds.
            message = replace(message, reverse_path=held)
        if not message.reverse_path:
            return await self._absorb(message, fates, seconds) if failed else Told()
        told = await self._tell_sender(message, fates, seconds)
        if self._diagnosis is not None and told.word == "unreported":
            self._diagnosis.tell(
                4123,
                "nobody gets a report on {queue_id} of {sender}, {action}: {why}",
                queue_id=message.queue_id,
                sender=message.reverse_path,
                action=fates[0].action.value,
                why=told.why,
            )
        if failed and told.word == "reported":
            await self._notifier.notify(message, fates, await self._frame(seconds))
        return told

    async def _tell_sender(self, message: Queued, fates: list[Fate], seconds: float) -> Told:
        to, action = message.reverse_path, fates[0].action
        failed = action is Action.FAILED
        if action in (Action.FAILED, Action.DELAYED) and self._is_external(message):
            external = self._settings[Ndr].external
            if failed and external == "admin_only":
                return await self._tell_postmaster(message, fates, seconds, lambda words: words.instead)
            if external != "send":
                return Told(why=f"senders elsewhere are not told (ims.ndr.external is {external})")
        try:
            return await self._send(message, fates, seconds, await self._addressee(to))
        except Refusal as refusal:
            if refusal.temporary:
                raise
            self.log.info("report to {to} was refused: {why}", to=to, why=refusal.text)
        if not failed:
            return Told()
        return await self._tell_postmaster(message, fates, seconds, lambda words: words.untold)

    async def _absorb(self, message: Queued, fates: list[Fate], seconds: float) -> Told:
        """A report could not be delivered (ims_spec 6, SMTP Report Absorbed)."""
        told = await self._tell_postmaster(message, fates, seconds, lambda words: words.untold)
        recipients = [fate.recipient.address for fate in fates[:10]]
        self.log.warn(
            "{id}, a report or other mail without a sender, could not be delivered to {recipients}: {told}",
            id=message.queue_id,
            recipients=recipients,
            told=str(told),
            event_id=1018,
        )
        return Told(told.to, told.queue_id, "absorbed")

    async def _tell_postmaster(self, message: Queued, fates: list[Fate], seconds: float, note: Note) -> Told:
        if _is_last(await self._original(message, Action.DELAYED)):
            return Told(why="the postmaster was told already")
        failed = {fate.recipient.address.lower() for fate in fates}
        for address in self._postmasters():
            if address.lower() in failed:
                continue
            try:
                addressee = await self._addressee(address)
                told = await self._send(message, fates, seconds, addressee, note, last=True)
                return Told(told.to, told.queue_id, "redirected")
            except Refusal as refusal:
                if refusal.temporary:
                    raise
                self.log.info("report to {to} was refused: {why}", to=address, why=refusal.text)
        return Told()

    def _is_external(self, message: Queued) -> bool:
        domain = message.reverse_path.rpartition("@")[2]
        return message.account is None and not self._directory.serves(domain)

    def _postmasters(self) -> list[str]:
        chosen = self._settings[Queue].postmaster
        if chosen:
            return [chosen]
        found = [f"postmaster@{domain}" for domain in self._directory.domains.served[:1]]
        administrator = self._settings[Ims].admin_mailbox
        return [administrator, *found] if administrator else found

    async def _addressee(self, address: str) -> Addressee:
        if self._directory.serves(address.rpartition("@")[2]):
            return Addressee(address, await self._directory.resolve(address))
        return Addressee(address)

    # Writing -----------------------------------------------------------------------------------

    async def _send(
        self,
        message: Queued,
        fates: list[Fate],
        seconds: float,
        to: Addressee,
        note: Note | None = None,
        last: bool = False,
    ) -> Told:
        if fates[0].action is Action.FAILED:
            self._delivery.counters.reported(message.account is not None)
        content = await self._original(message, fates[0].action)
        words = await self._words(to, content)
        data = report(
            message,
            fates,
            content,
            await self._frame(seconds, words),
            sender=f"postmaster@{self._domain_of(fates)}",
            to=to.address,
            note=note(words) if note is not None else "",
            # Who is here reads it as it is; and so does, by his address alone, who takes SMTPUTF8.
            utf8=isinstance(to.recipient, Local) or not to.address.isascii(),
            last=last or _is_last(content),
        )
        summary = summarize(data)
        envelope = Envelope(
            "",
            (to,),
            body="7BIT" if data.isascii() else "8BITMIME",
            smtputf8=not data.isascii() and (summary.raw or not to.address.isascii()),
            # RFC 6710 4.6: as urgent as what it is about.
            priority=message.priority,
            mt_priority=message.mt_priority,
            tls=message.tls,
        )
        accepted = await self._delivery.accept(envelope, new_blob(data, summary))
        return Told(to.address, accepted.queue_id, "reported")

    async def _frame(self, seconds: float, words: Words = ENGLISH) -> Frame:
        organization, site = await self._directory.place()
        server = self._hostname.partition(".")[0].upper()
        return Frame(
            self._hostname,
            secrets.token_hex(12),
            seconds,
            f"{organization}:{site}:{server}",
            self._settings[Ndr].recipients,
            words,
        )

    def _domain_of(self, fates: list[Fate]) -> str:
        """The domain that the message was for, where that is ours (ims_spec 6)."""
        for fate in fates:
            recipient = fate.recipient
            original = recipient.orcpt if recipient.orcpt_type.lower() in ("rfc822", "utf-8") else ""
            for address in (original, recipient.address):
                domain = address.rpartition("@")[2].lower()
                if domain and self._directory.serves(domain):
                    return domain
        served = self._directory.domains.served
        return self._settings[Ims].site_domain or (served[0] if served else self._hostname)

    async def _words(self, to: Addressee, content: Original) -> Words:
        """In the language of whoever reads it."""
        if isinstance(to.recipient, Local):
            return words_for(await self._directory.language(to.recipient.account))
        # What mail programs add for this (RFC 4021 2.1.34).
        return words_for((headers.get(content.octets, b"accept-language") or b"").decode("ascii", "replace"))

    async def _original(self, message: Queued, action: Action) -> Original:
        page = self._settings[Queue]
        # Of a report that nobody gets the postmaster has all: what it says is known to nobody else.
        ours = message.account is not None or not message.reverse_path
        complete = message.ret == "FULL" or (not message.ret and ours)
        # RFC 8689 5: what requires TLS is returned as if RET=HDRS had been said.
        complete = complete and message.tls != REQUIRED
        return await original(
            self._blobs, message, complete and action is Action.FAILED, page.return_kb * 1024
        )


def _is_last(content: Original) -> bool:
    header, _, _ = content.octets.partition(b"\r\n\r\n")
    return headers.get(header, LAST.lower().encode()) is not None
