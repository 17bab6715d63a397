"""Messages that the server itself writes: welcome letters, warnings, announcements."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable

from imsd.directory.directory import Directory
from imsd.mail.delivery import Accepted, Delivery
from imsd.mail.envelope import Addressee, Envelope
from imsd.store.blobs import new_blob
from protocols.message import compose, dates
from protocols.message.summary import summarize


async def post(
    delivery: Delivery, directory: Directory, sender: str, to: Iterable[str], subject: str, text: str
) -> Accepted:
    """Send a plain text from one of our addresses to recipients of ours.

    Nobody is told when it cannot be delivered: the reverse-path is null. Raises what
    `Directory.resolve` and `Delivery.accept` raise.
    """
    addressees = tuple([Addressee(address, await directory.resolve(address)) for address in to])
    fields = [
        compose.raw_field("From", compose.mailbox(sender)),
        compose.raw_field("To", b", ".join(compose.mailbox(one.address) for one in addressees)),
        compose.field("Subject", subject),
        compose.raw_field("Date", dates.format(time.time())),
        compose.raw_field("Message-ID", compose.message_id(sender.partition("@")[2], secrets.token_hex(12))),
        compose.raw_field("Auto-Submitted", b"auto-generated"),
    ]
    data = compose.message(fields, compose.text(text))
    return await delivery.accept(Envelope("", addressees), new_blob(data, summarize(data)))
