"""Notifications of non-delivery to the administrator's mailbox (ims_spec 3.1.1).

They are sent beside the report to the sender, for every one or for those of chosen kinds. They have
the null reverse-path and NOTIFY=NEVER and say that they are automatic, so nothing bounces or
answers them. One that cannot be delivered is logged and gone: the report itself was not.

The mailbox may be a list or a contact, and what it leads to elsewhere gets them, too: unlike the
product, which dropped notifications that would leave (event 4123), because its administrator could not
know; here it is who was chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.mail.bounce import Fate, Frame, Original, explained, returned
from imsd.mail.destinations import Destination
from imsd.mail.envelope import Addressee, Envelope
from imsd.mail.plan import LOCAL
from imsd.mail.reasons import kind_of
from imsd.mail.requiring import REQUIRED
from imsd.mail.returning import original
from imsd.settings.connectors import Ims
from imsd.settings.queue import Queue
from imsd.settings.reports import Kind, Notifications
from imsd.store.blobs import Blobs, new_blob
from imsd.store.spool import Queued
from protocols.message import compose, dates
from protocols.message.summary import summarize

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings

REASONS: Final[dict[Kind | None, str]] = {
    "address-not-found": "The e-mail address could not be found.",
    "multiple-matches": "Multiple matches for an e-mail address occurred.",
    "conversion-failed": "The message conversion failed.",
    "host-not-found": "The destination host could not be found.",
    "protocol-error": "A protocol error occurred.",
    "timeout": "The message time-out was exceeded.",
    None: "The message could not be processed.",
}


class Notifier:
    """Writes notifications and has them delivered."""

    log = Logger()

    def __init__(
        self, delivery: Delivery, directory: Directory, settings: LiveSettings, blobs: Blobs, hostname: str
    ) -> None:
        self._delivery = delivery
        self._directory = directory
        self._settings = settings
        self._blobs = blobs
        self._hostname = hostname

    async def notify(self, message: Queued, fates: list[Fate], frame: Frame) -> bool:
        """Tell the administrator of failures, those that he is to be told of; whether he was.

        Raises nothing of ours: whoever reports to the sender has done that already.
        """
        page = self._settings[Notifications]
        told = [
            fate
            for fate in fates
            if page.mode == "always" or kind_of(fate.status, fate.diagnostic) in page.kinds
        ]
        if not told:
            return False
        try:
            return await self._send(message, told, frame, page.headers_only)
        except Refusal as refusal:
            self.log.warn("the administrator could not be notified: {why}", why=refusal.text)
            return False

    async def _send(self, message: Queued, fates: list[Fate], frame: Frame, headers_only: bool) -> bool:
        to = await self._administrator()
        if to is None:
            return False
        limit = self._settings[Queue].return_kb * 1024
        complete = not headers_only and message.tls != REQUIRED
        content = await original(self._blobs, message, complete, limit)
        served = self._directory.domains.served
        domain = self._settings[Ims].site_domain or (served[0] if served else self._hostname)
        parts = [compose.text(_text(message, fates, content, frame)), returned(content)]
        subject = "Notification: Inbound Mail Failure"
        if not self._inbound(fates[0]):
            reason = REASONS[kind_of(fates[0].status, fates[0].diagnostic)]
            subject = f"Notification: Outbound Mail Failure - {reason}"
        fields = [
            compose.raw_field("From", compose.mailbox(f"postmaster@{domain}", "System Administrator")),
            compose.raw_field("To", compose.mailbox(to.address)),
            compose.field("Subject", subject),
            compose.raw_field("Date", dates.format(frame.seconds)),
            compose.raw_field("Message-ID", compose.message_id(self._hostname, frame.token + ".n")),
            compose.raw_field("Auto-Submitted", b"auto-generated"),
        ]
        body = compose.multipart("mixed", parts, compose.boundary_for(parts, frame.token))
        data = compose.message(fields, body)
        summary = summarize(data)
        kind = "7BIT" if data.isascii() else "8BITMIME"
        envelope = Envelope("", (to,), body=kind, smtputf8=summary.raw, tls=message.tls)
        await self._delivery.accept(envelope, new_blob(data, summary))
        return True

    def _inbound(self, fate: Fate) -> bool:
        """Was it for somebody here?"""
        domain = Destination.parse(fate.recipient.domain).domain
        return fate.recipient.domain == LOCAL or bool(domain and self._directory.serves(domain))

    async def _administrator(self) -> Addressee | None:
        served = self._directory.domains.served
        for address in (self._settings[Ims].admin_mailbox, *(f"postmaster@{each}" for each in served[:1])):
            if not address:
                continue
            try:
                return Addressee(address, await self._directory.resolve(address), ("NEVER",))
            except Refusal as refusal:
                if refusal.temporary:
                    raise
        return None


def _text(message: Queued, fates: list[Fate], content: Original, frame: Frame) -> str:
    """Each recipient with reason and diagnostic line, as the sender reads it, and whose message it was."""
    sender = f"<{message.reverse_path}>" if message.reverse_path else "the null reverse-path"
    note = (
        f"The attached message from {sender} ({message.queue_id}) could not be delivered to all of its "
        "recipients. Its sender was told what follows."
    )
    more = len(fates) - frame.most
    return explained(message, fates[: frame.most], content, frame, note, max(0, more))
