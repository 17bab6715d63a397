"""What is returned of a message in reports about it: its header, or all of it."""

from __future__ import annotations

from imsd.mail.bounce import Original
from imsd.store.blobs import Blobs
from imsd.store.spool import Queued
from protocols.message import headers
from protocols.message.words import decode

MOST_HEADER = 64 * 1024
MOST_SUBJECT = 200


async def original(blobs: Blobs, message: Queued, complete: bool, most: int) -> Original:
    """complete: all of it, unless that is more than `most` octets or cannot stand in a report."""
    complete = complete and message.body != "BINARYMIME" and message.size <= most
    summary = await blobs.summary(message.blob)
    length = None if complete else min(MOST_HEADER, summary.header_size if summary else MOST_HEADER)
    octets = message.prefix + await blobs.read(message.blob, 0, length)
    if b"\0" in octets:
        # A report is for a mailbox, and what a mailbox has can be fetched (`imsd.mail.nul`).
        complete = False
        octets = octets.partition(b"\r\n\r\n")[0].replace(b"\0", b"") + b"\r\n"
    if summary is None:
        header, _, _ = octets.partition(b"\r\n\r\n")
        octets = octets if complete else header + b"\r\n"
        subject, identity = headers.get(header, b"subject"), headers.get(header, b"message-id")
        return Original(octets, complete, decode(subject or b"")[:MOST_SUBJECT], identity or b"")
    return Original(octets, complete, summary.subject[:MOST_SUBJECT], summary.message_id)
