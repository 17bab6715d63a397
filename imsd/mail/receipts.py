"""Delivery receipts for Return-Receipt-To, where the site gives them (`ims.suppress_dr`, ims_spec 6).

The field asks for what NOTIFY=SUCCESS asks for (RFC 3461 4.1), so it is taken as that. It names an
address, which anybody may write: it counts only where it names the sender himself, so that nobody can
have receipts sent to others.
"""

from __future__ import annotations

from dataclasses import replace

from imsd.mail.envelope import Addressee
from protocols.message import addresses, headers

ALL = ("SUCCESS", "FAILURE", "DELAY")


def asked(header: bytes, reverse_path: str) -> bool:
    """Does the sender ask for a receipt?"""
    text = headers.get(header, b"return-receipt-to") if reverse_path else None
    if text is None:
        return False
    wanted = {entry.spec.decode("utf-8", "replace").lower() for entry in addresses.mailboxes(text)}
    return reverse_path.lower() in wanted


def with_receipts(given: list[Addressee]) -> list[Addressee]:
    """The addressees here report their success; those who say themselves what they want keep that."""
    return [replace(each, notify=ALL) if each.recipient and not each.notify else each for each in given]
