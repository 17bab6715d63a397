"""Delivery status notifications (RFC 3464, multipart/report of RFC 6522; RFC 3461 decides when).

`report` writes one; it knows nothing of queues. `wanted` says whether a recipient's fate is
reported: failures unless NOTIFY says otherwise, delays unless it says otherwise, success only
when asked. Nothing is ever reported to the null reverse-path (RFC 3464 2).

The part for people has the layout of ims_spec 6 in the words of `explaining`: what happened, the
message, each recipient with reason, advice and what the other server said, then the product's line.
The part for programs has that line as X-Exch-Diagnostic (an extension field, RFC 3464 2.4).

Addresses beyond ASCII (RFC 6533): where the message needed SMTPUTF8 they stand in
message/global-delivery-status as they are, else in utf-8-addr-xtext. Whether who gets the report has a
server that takes SMTPUTF8 nobody knows, so what is beyond ASCII is encoded for him (4.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from imsd.mail.explaining import ENGLISH, Words
from imsd.mail.reasons import product_line, reason_of
from imsd.mail.requiring import FIELD, OPTIONAL
from imsd.store.spool import Queued, QueuedRecipient
from protocols.message import compose, dates, headers
from protocols.smtp.parameters import utf8_xtext


class Action(Enum):
    """What the report says (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


LAST: Final = "X-Last-Report"
"""The field of a report that is followed by none, whatever becomes of it."""
MOST_WORD = 240
MOST_RECIPIENTS = 1_000
MOST_LINES = 20
"""Lines of what another server said that people are shown."""

_KEYWORD = {Action.FAILED: "FAILURE", Action.DELAYED: "DELAY"}


def wanted(notify: str, action: Action) -> bool:
    """Whether NOTIFY (joined with commas, empty when not given) asks for this (RFC 3461 4.1)."""
    if not notify:
        return action in (Action.FAILED, Action.DELAYED)
    return _KEYWORD.get(action, "SUCCESS") in notify.split(",")


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to be said of one recipient. status: RFC 3463; text: for people; peer: who said so."""

    recipient: QueuedRecipient
    action: Action
    status: str
    text: str = ""
    peer: str = ""
    diagnostic: str = ""
    will_retry_until: int = 0

    @property
    def product(self) -> str:
        """Code and text of the product's line."""
        return product_line(self.status, self.text, self.diagnostic)


@dataclass(frozen=True, slots=True)
class Original:
    """What is returned of the message: its header, or all of it. subject: as text."""

    octets: bytes
    complete: bool
    subject: str = ""
    message_id: bytes = b""


@dataclass(frozen=True, slots=True)
class Frame:
    """What all reports of a server share, and one's own token (random, for ids and boundary).

    place: "Organization:Site:SERVER" of the product's line. most: recipients that are named.
    """

    hostname: str
    token: str
    seconds: float
    place: str = ""
    most: int = MOST_RECIPIENTS
    words: Words = ENGLISH
    name: str = "Mail Delivery System"


def report(
    message: Queued,
    fates: list[Fate],
    original: Original,
    frame: Frame,
    *,
    sender: str,
    to: str,
    note: str = "",
    utf8: bool = True,
    last: bool = False,
) -> bytes:
    """The whole message. fates: not empty, all of one action. note: said before everything. utf8: who gets
    it takes UTF-8 header fields within it as they are. last: see LAST."""
    action = fates[0].action
    named = fates[: frame.most]
    more = len(fates) - len(named)
    parts = [
        compose.text(explained(message, named, original, frame, note, more)),
        _entity("message/delivery-status", _status(message, named, frame), utf8),
        returned(original, utf8),
    ]
    subject = frame.words.subjects[action.value]
    fields = [
        compose.raw_field("From", compose.mailbox(sender, frame.name)),
        compose.raw_field("To", compose.mailbox(to)),
        compose.field("Subject", f"{subject}: {original.subject}" if original.subject else subject),
        compose.raw_field("Date", dates.format(frame.seconds)),
        compose.raw_field("Message-ID", compose.message_id(frame.hostname, frame.token)),
        compose.raw_field("Auto-Submitted", b"auto-replied"),
    ]
    if last:
        fields.append(compose.raw_field(LAST, b"yes"))
    if message.tls == OPTIONAL:
        fields.append(compose.raw_field(FIELD, b"No"))  # RFC 8689 6
    if original.message_id:
        fields.append(compose.raw_field("References", original.message_id))
    kind = compose.parameter("report-type", "delivery-status")
    body = compose.multipart("report", parts, compose.boundary_for(parts, frame.token), parameters=kind)
    return compose.message(fields, body)


# For people --------------------------------------------------------------------------------


def explained(
    message: Queued, fates: list[Fate], original: Original, frame: Frame, note: str = "", more: int = 0
) -> str:
    """The part for people. more: recipients that are not named."""
    words, action = frame.words, fates[0].action
    lines = [note, ""] if note else []
    lines += [words.opening[action.value], ""]
    width = max(len(words.subject), len(words.sent))
    if original.subject:
        lines.append(f"      {words.subject:<{width}} {original.subject}")
    lines += [
        f"      {words.sent:<{width}} {_date(message.arrived / 1e6)}",
        "",
        words.listing[action.value],
        "",
    ]
    for fate in fates:
        lines += [*_one(fate, frame), ""]
    if more:
        lines += ["      " + words.more.format(more), ""]
    return "\n".join(lines)


def _one(fate: Fate, frame: Frame) -> Iterator[str]:
    words = frame.words
    yield f"      <{fate.recipient.address}> {words.on} {_date(frame.seconds)}"
    if fate.action not in (Action.FAILED, Action.DELAYED):
        return
    inner = " " * 12
    for sentence in words.reasons[reason_of(fate.status, fate.text)]:
        yield inner + sentence
    origin = f"{fate.peer} {words.said} " if fate.peer else ""
    for line in fate.text.split("\n")[:MOST_LINES]:
        yield f"{inner}{origin}{line}"
    if fate.will_retry_until:
        yield inner + words.until.format(_date(fate.will_retry_until / 1e6))
    if fate.action is Action.FAILED:
        # A name of the product's own line may hold what is in no address.
        yield f"{inner}MSEXCH:IMS:{frame.place} " + " ".join(fate.product.split())


def _date(seconds: float) -> str:
    return dates.format(seconds).decode("ascii")


# For programs ------------------------------------------------------------------------------


_GLOBAL: Final = {
    "message/delivery-status": "message/global-delivery-status",
    "message/rfc822": "message/global",
    "text/rfc822-headers": "message/global-headers",
}
"""What stands for a type where header fields are in UTF-8 (RFC 6533 4)."""


def _entity(kind: str, octets: bytes, utf8: bool, header: bytes | None = None) -> bytes:
    """A part of that type, or of the one that is for UTF-8. header: what decides, all of it if None."""
    if not (octets if header is None else header).isascii():
        kind = _GLOBAL[kind]
        if not utf8:
            # RFC 6533 4.4, 4.5: these types, unlike message/rfc822, may be encoded.
            fields = (b"Content-Transfer-Encoding: quoted-printable\r\n",)
            return compose.entity(kind, compose.quoted_printable(octets), fields=fields)
    eight = () if octets.isascii() else (b"Content-Transfer-Encoding: 8bit\r\n",)
    return compose.entity(kind, octets, fields=eight)


def _status(message: Queued, fates: list[Fate], frame: Frame) -> bytes:
    """Per-message fields, then a group for each recipient (RFC 3464 2.2, 2.3)."""
    lines = [f"Reporting-MTA: dns; {frame.hostname}"]
    if message.envid:
        lines.append(f"Original-Envelope-Id: {message.envid}")
    lines.append(f"Arrival-Date: {_date(message.arrived / 1e6)}")
    if message.by_mode:
        lines.append(f"Deliver-By-Date: {_date(message.deliver_by / 1e6)}")  # RFC 2852 5
    if message.future:
        lines.append(f"Future-Release-Request: {message.future}")  # RFC 4865 5.1.2
    for fate in fates:
        lines += ["", *_group(message, fate, frame)]
    fields: list[bytes] = []
    for line in lines:
        name, colon, value = line.partition(": ")
        if not colon:
            fields.append(b"\r\n")
        else:
            words = _words(value) if name in ("Diagnostic-Code", "X-Exch-Diagnostic") else value.split()
            fields.append(compose.raw_field(name, " ".join(words).encode("utf-8", "replace")))
    text = b"".join(fields)
    return text if message.smtputf8 else text.decode("utf-8").encode("ascii", "replace")


def _group(message: Queued, fate: Fate, frame: Frame) -> Iterator[str]:
    recipient = fate.recipient
    if recipient.orcpt:
        kind = recipient.orcpt_type or "rfc822"
        yield f"Original-Recipient: {_typed(kind, recipient.orcpt, message.smtputf8)}"
    kind = "rfc822" if recipient.address.isascii() else "utf-8"
    yield f"Final-Recipient: {_typed(kind, recipient.address, message.smtputf8)}"
    yield f"Action: {fate.action.value}"
    yield f"Status: {fate.status}"
    if fate.peer:
        yield f"Remote-MTA: dns; {fate.peer.partition('[')[0] or fate.peer}"
    if fate.diagnostic:
        yield f"Diagnostic-Code: {fate.diagnostic}"
    if fate.action in (Action.FAILED, Action.DELAYED):
        yield f"Last-Attempt-Date: {_date(frame.seconds)}"
    if fate.will_retry_until:
        yield f"Will-Retry-Until: {_date(fate.will_retry_until / 1e6)}"
    if fate.action is Action.FAILED:
        yield f"X-Exch-Diagnostic: MSEXCH:IMS:{frame.place} {fate.product}"


def _typed(kind: str, address: str, utf8: bool) -> str:
    """address-type ";" address, in ASCII where that is all that may stand there."""
    if not utf8 and not address.isascii():
        return f"utf-8; {utf8_xtext(address).decode('ascii')}"
    return f"{kind}; {address}"


def _words(value: str) -> Iterator[str]:
    """The words of a value, cut where folding could not keep a line under 998 octets (RFC 5322 2.1.1):
    what other servers say may be one word of thousands."""
    for word in value.split():
        for start in range(0, len(word), MOST_WORD):
            yield word[start : start + MOST_WORD]


def returned(original: Original, utf8: bool = True) -> bytes:
    """The message, or its header, as the last part (RFC 6522 3, RFC 6533 4)."""
    octets = original.octets
    if original.complete:
        return _entity("message/rfc822", octets, utf8, octets.partition(b"\r\n\r\n")[0])
    if headers.fields(octets) and not octets.endswith(b"\r\n\r\n"):
        octets = octets.rstrip(b"\r\n") + b"\r\n"
    return _entity("text/rfc822-headers", octets, utf8)
