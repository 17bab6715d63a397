"""Delivery status notifications (RFC 3464, multipart/report of RFC 6522; RFC 3461 decides when).

`report` writes one; it knows nothing of queues. `wanted` says whether a recipient's fate is
reported: failures unless NOTIFY says otherwise, delays unless it says otherwise, success only
when asked. Nothing is ever reported to the null reverse-path (RFC 3464 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from imsd.store.spool import Queued, QueuedRecipient
from protocols.message import compose, dates, headers


class Action(Enum):
    """What the report says (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


MOST_WORD = 240

_KEYWORD = {
    Action.FAILED: "FAILURE",
    Action.DELAYED: "DELAY",
    Action.DELIVERED: "SUCCESS",
    Action.RELAYED: "SUCCESS",
}


def wanted(notify: str, action: Action) -> bool:
    """Whether NOTIFY (joined with commas, empty when not given) asks for this (RFC 3461 4.1)."""
    if not notify:
        return action in (Action.FAILED, Action.DELAYED)
    return _KEYWORD[action] in notify.split(",")


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


@dataclass(frozen=True, slots=True)
class Original:
    """What is returned of the message: its header, or all of it. subject: as text."""

    octets: bytes
    complete: bool
    subject: str = ""
    message_id: bytes = b""


_SUBJECTS = {
    Action.FAILED: "Not delivered",
    Action.DELAYED: "Delayed",
    Action.DELIVERED: "Delivered",
    Action.RELAYED: "Relayed",
}
_SENTENCES = {
    Action.FAILED: "This message could not be delivered to the following recipients.\n"
    "It will not be tried again.",
    Action.DELAYED: "This message has not been delivered to the following recipients yet.\n"
    "It is being tried again; you need not do anything.",
    Action.DELIVERED: "This message was delivered to the following recipients.",
    Action.RELAYED: "This message was handed to a server that will not tell\n"
    "whether it was delivered to the following recipients.",
}


def report(
    message: Queued,
    fates: list[Fate],
    original: Original,
    *,
    sender: str,
    to: str,
    hostname: str,
    token: str,
    seconds: float,
    note: str = "",
) -> bytes:
    """The whole message. fates: not empty, all of one action. token: random, for ids and boundary."""
    action = fates[0].action
    parts = [
        compose.text(_explained(fates, hostname, note)),
        compose.entity(_status_type(message), _status(message, fates, hostname, seconds)),
        _returned(original),
    ]
    subject = f"{_SUBJECTS[action]}: {original.subject}" if original.subject else _SUBJECTS[action]
    fields = [
        compose.raw_field("From", compose.mailbox(sender, "Mail Delivery System")),
        compose.raw_field("To", compose.mailbox(to)),
        compose.field("Subject", subject),
        compose.raw_field("Date", dates.format(seconds)),
        compose.raw_field("Message-ID", compose.message_id(hostname, token)),
        compose.raw_field("Auto-Submitted", b"auto-replied"),
    ]
    if original.message_id:
        fields.append(compose.raw_field("References", original.message_id))
    kind = compose.parameter("report-type", "delivery-status")
    body = compose.multipart("report", parts, compose.boundary_for(parts, token), parameters=kind)
    return compose.message(fields, body)


def _explained(fates: list[Fate], hostname: str, note: str) -> str:
    lines = [f"This is the mail system at {hostname}.", ""]
    if note:
        lines += [note, ""]
    lines += [_SENTENCES[fates[0].action], ""]
    for fate in fates:
        lines.append(f"<{_shown(fate.recipient)}>")
        if fate.text:
            origin = f"{fate.peer} said: " if fate.peer else ""
            lines += [f"    {origin}{line}" for line in fate.text.split("\n")[:20]]
        if fate.will_retry_until:
            until = dates.format(fate.will_retry_until / 1e6).decode("ascii")
            lines.append(f"    It is tried again until {until}.")
        lines.append("")
    return "\n".join(lines)


def _shown(recipient: QueuedRecipient) -> str:
    return recipient.address


def _status_type(message: Queued) -> str:
    # RFC 6533 3: UTF-8 addresses need the internationalized form.
    return "message/global-delivery-status" if message.smtputf8 else "message/delivery-status"


def _status(message: Queued, fates: list[Fate], hostname: str, seconds: float) -> bytes:
    """Per-message fields, then a group for each recipient (RFC 3464 2.2, 2.3)."""
    lines = [f"Reporting-MTA: dns; {hostname}"]
    if message.envid:
        lines.append(f"Original-Envelope-Id: {message.envid}")
    lines.append(f"Arrival-Date: {dates.format(message.arrived / 1e6).decode('ascii')}")
    for fate in fates:
        recipient = fate.recipient
        lines.append("")
        if recipient.orcpt:
            lines.append(f"Original-Recipient: {recipient.orcpt_type or 'rfc822'}; {recipient.orcpt}")
        kind = "rfc822" if recipient.address.isascii() else "utf-8"
        lines.append(f"Final-Recipient: {kind}; {recipient.address}")
        lines.append(f"Action: {fate.action.value}")
        lines.append(f"Status: {fate.status}")
        if fate.peer:
            lines.append(f"Remote-MTA: dns; {fate.peer.partition('[')[0] or fate.peer}")
        if fate.diagnostic:
            lines.append(f"Diagnostic-Code: {fate.diagnostic}")
        if fate.action in (Action.FAILED, Action.DELAYED):
            lines.append(f"Last-Attempt-Date: {dates.format(seconds).decode('ascii')}")
        if fate.will_retry_until:
            until = dates.format(fate.will_retry_until / 1e6).decode("ascii")
            lines.append(f"Will-Retry-Until: {until}")
    fields: list[bytes] = []
    for line in lines:
        name, colon, value = line.partition(": ")
        if not colon:
            fields.append(b"\r\n")
        else:
            words = _words(value) if name == "Diagnostic-Code" else value.split()
            fields.append(compose.raw_field(name, " ".join(words).encode("utf-8", "replace")))
    text = b"".join(fields)
    return text if message.smtputf8 else text.decode("utf-8").encode("ascii", "replace")


def _words(value: str) -> Iterator[str]:
    """The words of a value, cut where folding could not keep a line under 998 octets (RFC 5322 2.1.1):
    what other servers say may be one word of thousands."""
    for word in value.split():
        for start in range(0, len(word), MOST_WORD):
            yield word[start : start + MOST_WORD]


def _returned(original: Original) -> bytes:
    ascii_only = original.octets.isascii()
    encoding = () if ascii_only else (b"Content-Transfer-Encoding: 8bit\r\n",)
    if original.complete:
        return compose.entity("message/rfc822", original.octets, fields=encoding)
    kind = "text/rfc822-headers" if ascii_only else "message/global-headers"
    block = original.octets
    if headers.fields(block) and not block.endswith(b"\r\n\r\n"):
        block = block.rstrip(b"\r\n") + b"\r\n"
    return compose.entity(kind, block, fields=encoding)
