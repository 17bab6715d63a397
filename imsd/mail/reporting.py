"""Who is told what became of a message, and the report's own way through `Delivery.accept`.

The null reverse-path is never told anything (RFC 3464 2). A failure that nobody can be told of
(of a report, or of mail whose sender is unknown here) goes to the postmaster; what cannot be
told him either is only tracked.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.mail.bounce import Action, Fate, Original, report
from imsd.mail.envelope import Addressee, Envelope
from imsd.settings.queue import Queue
from imsd.store.blobs import Blobs, new_blob
from imsd.store.spool import Queued
from protocols.message import headers
from protocols.message.summary import Summary, summarize
from protocols.message.words import decode

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings

MOST_HEADER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Told:
    """Who was told and under which queue id; both empty when nobody could be."""

    to: str = ""
    queue_id: str = ""

    def __str__(self) -> str:
        return f"{self.to} was told by {self.queue_id}" if self.to else "nobody could be told"


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

    async def tell(self, message: Queued, fates: list[Fate], seconds: float) -> Told:
        """Report to the sender, or to the postmaster what the sender cannot be told.

        Raises temporary refusals: the caller tries again.
        """
        to = message.reverse_path
        if to:
            try:
                return await self._send(message, fates, seconds, await self._addressee(to))
            except Refusal as refusal:
                if refusal.temporary:
                    raise
                self.log.info("report to {to} was refused: {why}", to=to, why=refusal.text)
        if fates[0].action is not Action.FAILED:
            return Told()
        return await self._tell_postmaster(message, fates, seconds)

    async def _tell_postmaster(self, message: Queued, fates: list[Fate], seconds: float) -> Told:
        failed = {fate.recipient.address.lower() for fate in fates}
        note = "The sender of this message cannot be told, so the postmaster is."
        for address in self._postmasters():
            if address.lower() in failed:
                continue
            try:
                addressee = await self._addressee(address)
                return await self._send(message, fates, seconds, addressee, note)
            except Refusal as refusal:
                if refusal.temporary:
                    raise
                self.log.info("report to {to} was refused: {why}", to=address, why=refusal.text)
        return Told()

    def _postmasters(self) -> list[str]:
        chosen = self._settings[Queue].postmaster
        if chosen:
            return [chosen]
        return [f"postmaster@{domain}" for domain in self._directory.domains.served[:1]]

    async def _addressee(self, address: str) -> Addressee:
        if self._directory.serves(address.rpartition("@")[2]):
            return Addressee(address, await self._directory.resolve(address))
        return Addressee(address)

    async def _send(
        self, message: Queued, fates: list[Fate], seconds: float, to: Addressee, note: str = ""
    ) -> Told:
        original = await self._original(message, fates[0].action)
        domain = to.address.rpartition("@")[2]
        sender = f"postmaster@{domain if self._directory.serves(domain) else self._hostname}"
        data = report(
            message,
            fates,
            original,
            sender=sender,
            to=to.address,
            hostname=self._hostname,
            token=secrets.token_hex(12),
            seconds=seconds,
            note=note,
        )
        summary = summarize(data)
        envelope = Envelope(
            "",
            (to,),
            body="7BIT" if data.isascii() else "8BITMIME",
            smtputf8=summary.raw or not to.address.isascii(),
        )
        accepted = await self._delivery.accept(envelope, new_blob(data, summary))
        return Told(to.address, accepted.queue_id)

    async def _original(self, message: Queued, action: Action) -> Original:
        """All of the message where RET asks for it and a failure is reported (RFC 3461 4.3)."""
        summary: Summary | None = await self._blobs.summary(message.blob)
        complete = (
            message.ret == "FULL"
            and action is Action.FAILED
            and message.body != "BINARYMIME"
            and message.size <= self._settings[Queue].return_kb * 1024
        )
        length = None if complete else min(MOST_HEADER, summary.header_size if summary else MOST_HEADER)
        octets = message.prefix + await self._blobs.read(message.blob, 0, length)
        if summary is None:
            header, _, _ = octets.partition(b"\r\n\r\n")
            octets = octets if complete else header + b"\r\n"
            subject, identity = headers.get(header, b"subject"), headers.get(header, b"message-id")
            return Original(octets, complete, decode(subject or b""), identity or b"")
        return Original(octets, complete, summary.subject[:200], summary.message_id)
