"""What is added to and removed from a submitted message (RFC 6409 8).

Added where they are missing: From, Date, Message-ID, and Sender when several people wrote it, or somebody
on behalf of another. Removed:
Bcc and Resent-Bcc (RFC 5322 3.6.3), Return-Path (RFC 5321 4.4). Nothing else is touched, so that
signatures over the rest stay valid.

Resent-From and Resent-Sender say who brought the message in again (RFC 5322 3.6.6). That is as
much an identity as From is, and readers show it, so they must be the submitter's own too
(RFC 6409 6.1); in every block, for which of them is the latest is only a convention. They do not
stand in for From: who could write any From by adding a Resent-From of his own would be bound by
nothing. So somebody else's message is passed on attached or forwarded, not resent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from protocols.message import addresses, dates, headers
from protocols.message.headers import Field

REMOVED = frozenset((b"bcc", b"resent-bcc", b"return-path"))
_HAS_REMOVED = re.compile(rb"^(?:(?:resent-)?bcc|return-path)[ \t]*:", re.IGNORECASE | re.MULTILINE)


def without(header: bytes, names: Collection[bytes]) -> bytes:
    """The header block without these fields (lower-case names)."""
    parts: list[bytes] = []
    kept = 0
    for field in headers.fields(header):
        if field.name.lower() in names:
            parts.append(header[kept : field.start])
            kept = field.stop
    parts.append(header[kept:])
    return b"".join(parts)


LOOKED_AT = 4_000
"""Octets of a field that names authors or senders at most: less than the parser would leave unread."""

_OF_SOMEBODY = frozenset((b"from", b"sender", b"resent-from", b"resent-sender"))
_HAS_RETURN_PATH = re.compile(rb"^return-path[ \t]*:", re.IGNORECASE | re.MULTILINE)


def without_return_path(header: bytes) -> bytes:
    """Final delivery writes its own (RFC 5321 4.4)."""
    return without(header, {b"return-path"}) if _HAS_RETURN_PATH.search(header) else header


def _specs(fields: Iterable[Field], name: bytes) -> list[str]:
    found = []
    for field in fields:
        if field.name.lower() == name:
            for entry in addresses.mailboxes(field.text):
                found.append(entry.spec.decode("utf-8", "replace"))
    return found


class Submitted:
    """The header block of a submitted message, taken apart once."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._fields = headers.fields(header)
        self._names = {field.name.lower() for field in self._fields}
        self.authors = _specs(self._fields, b"from")
        self.senders = _specs(self._fields, b"sender")
        self.resenders = _specs(self._fields, b"resent-from") + _specs(self._fields, b"resent-sender")

    @property
    def unread(self) -> bool:
        """Whether who is named may not be all: so many are named by those alone who hide one behind them."""
        return any(
            field.stop - field.start > LOOKED_AT and field.name.lower() in _OF_SOMEBODY
            for field in self._fields
        )

    @property
    def has_from(self) -> bool:
        return b"from" in self._names

    def complete(
        self, address: str, hostname: str, identifier: str, seconds: float, behalf: bool = False
    ) -> bytes:
        """The header block as it is to be stored. address: the submitter's own. behalf: an author is
        somebody else, who lets him write on his behalf."""
        header = self._header
        if _HAS_REMOVED.search(header):
            header = without(header, REMOVED)
        names = self._names
        added: list[bytes] = []
        if b"from" not in names:
            added.append(b"From: <%b>\r\n" % address.encode("utf-8"))
        if (len(self.authors) > 1 or behalf) and not self.senders:
            # RFC 5322 3.6.2: several authors need one sender, and so has an author who did not send.
            if b"sender" in names:
                header = without(
                    header, {b"sender"}
                )  # It names nobody, and a reader may take it for the one.
            added.append(b"Sender: <%b>\r\n" % address.encode("utf-8"))
        if b"date" not in names:
            added.append(b"Date: %b\r\n" % dates.format(seconds))
        if b"message-id" not in names:
            added.append(f"Message-ID: <{identifier}@{hostname}>\r\n".encode("ascii", "replace"))
        return b"".join(added) + header
