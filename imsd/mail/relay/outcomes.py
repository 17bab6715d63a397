"""What is carried, and what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from imsd.mail.relay.reached import Reached
from imsd.store.spool import Queued, QueuedRecipient, State
from protocols.smtp.responses import Reply


class LeaseLost(Exception):
    """The claim is somebody else's: nothing more may be sent under it (rule 24)."""


class Insecure(Exception):
    """The protection that is wanted cannot be had from a target. kind: RFC 8460 4.3.

    status: of what it is for a message; 5.x.x where nobody waits for it to get better (RFC 8689 4.2.1).
    wanted: as in `Reached`, where that is more than the settings say. base: the TLSA base domain whose
    records could not be looked up (RFC 7672 2.2.3)."""

    wanted = ""
    base = ""

    def __init__(self, status: str, kind: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient.

    state: RELAYED, FAILED, or WAITING for "not now". status: RFC 3463. text: the other server's
    words, or ours. peer: who said it, "" if nobody was reached. reported: the other server
    promised to report (it offers DSN). traced: the deadline asks for a report of this hop (RFC 2852).
    reached: the protection that was wanted and what was reached, None where nobody was asked.
    """

    state: State
    status: str
    text: str
    peer: str = ""
    reported: bool = False
    traced: bool = False
    reached: Reached | None = None

    @property
    def diagnostic(self) -> str:
        """Diagnostic-Code of RFC 3464 2.3.6, empty when no server said anything."""
        return f"smtp; {self.text}" if self.peer else ""

    @property
    def tls(self) -> str:
        """The protection, in words."""
        reached = self.reached
        if reached is None:
            return ""
        return f"{reached.wanted}: {reached.words}" if reached.words else reached.wanted


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some recipients of one message, all at one destination.

    content: opens the octets; True asks for lines without 8-bit characters. utf8: addresses
    or header need SMTPUTF8.
    """

    message: Queued
    recipients: tuple[QueuedRecipient, ...]
    content: Callable[[bool], AsyncIterator[bytes]]
    utf8: bool = False


def outcome_of(reply: Reply, peer: str, reported: bool = False) -> Outcome:
    """What a reply means."""
    if reply.positive:
        return Outcome(State.RELAYED, reply.enhanced or "2.0.0", str(reply), peer, reported)
    if reply.permanent:
        return Outcome(State.FAILED, reply.enhanced or _status(reply), str(reply), peer)
    return Outcome(State.WAITING, reply.enhanced or _status(reply), str(reply), peer)


_STATUS = {
    421: "4.3.2", 450: "4.2.0", 451: "4.3.0", 452: "4.3.1",
    550: "5.1.1", 551: "5.1.6", 552: "5.2.2", 553: "5.1.3", 554: "5.0.0",
}  # fmt: skip


def _status(reply: Reply) -> str:
    """An enhanced code where the server gave none."""
    return _STATUS.get(reply.code, f"{reply.code // 100}.0.0")
