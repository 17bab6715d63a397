"""Performance counters of the Internet Mail Service: what went through it since its start (ims_spec 11).

Names are those of the object MSExchangeIMC; what each counts stands in `NAMES`. They are this process's
own, and begin at 0 with it. What is waiting now is no counter: `imsd.admin.stats` asks the queue for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from imsd.mail.pace import Pace
from imsd.store.spool import State

if TYPE_CHECKING:
    from imsd.mail.envelope import Envelope
    from imsd.mail.plan import Plan
    from imsd.mail.relay import Outcome
    from imsd.mail.work import Work

HOUR: Final = 3600.0

NAMES: Final[Mapping[str, str]] = {
    "Messages Entering MTS-IN": "delivered_here",
    "Messages Entering MTS-OUT": "queued_out",
    "Messages Leaving MTS-OUT": "messages_out",
    "Connections Total Inbound": "connections_in",
    "Connections Total Outbound": "connections_out",
    "Connections Total Rejected": "connections_rejected",
    "Connections Total Failed": "connections_failed",
    # Reports of mail that leaves, and of mail that came in: their names are as they were.
    "NDRs Total Inbound": "reports_of_outbound",
    "NDRs Total Outbound": "reports_of_inbound",
    "Inbound Messages Total": "messages_in",
    "Inbound Bytes Total": "bytes_in",
    "Total Inbound Recipients": "recipients_in",
    "Outbound Messages Total": "messages_out",
    "Outbound Bytes Total": "bytes_out",
    "Total Outbound Recipients": "recipients_out",
    "Total Successful Conversions": "converted",
    "Total Failed Conversions": "not_converted",
    "Total Loops Detected": "loops",
}
"""The counter's name to the field here."""

RATES: Final[Mapping[str, str]] = {
    "Inbound Messages/Hr": "messages_in",
    "Outbound Messages/Hr": "messages_out",
    "Inbound Connections/Hr": "connections_in",
    "Outbound Connections/Hr": "connections_out",
}

CONVERSION = "5.6.3"
LOOP = "5.4.6"


@dataclass(slots=True)
class Counters:
    """clock: seconds."""

    clock: Callable[[], float]
    delivered_here: int = 0
    queued_out: int = 0
    connections_in: int = 0
    connections_out: int = 0
    connections_rejected: int = 0
    connections_failed: int = 0
    reports_of_outbound: int = 0
    reports_of_inbound: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    recipients_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    recipients_out: int = 0
    converted: int = 0
    not_converted: int = 0
    loops: int = 0
    _hour: Pace = field(default_factory=lambda: Pace(HOUR))

    def count(self, name: str, amount: int = 1) -> None:
        """One of those that have a rate."""
        setattr(self, name, getattr(self, name) + amount)
        self._hour.add(name, amount, self.clock())

    def accepted(self, envelope: Envelope, plan: Plan) -> None:
        """A message is ours."""
        if envelope.origin.address and envelope.account is None:
            self.count("messages_in")
            self.bytes_in += plan.size
            self.recipients_in += len(envelope.addressees)
        self.delivered_here += bool(plan.local)
        self.queued_out += bool(plan.remote)

    def carried(self, work: Work, outcomes: Mapping[int, Outcome]) -> None:
        """One piece of work is done."""
        relayed = sum(one.state is State.RELAYED for one in outcomes.values())
        if relayed:
            self.count("messages_out")
            self.bytes_out += work.message.size
            self.recipients_out += relayed
        self.not_converted += any(one.status == CONVERSION for one in outcomes.values())
        self.loops += any(one.status == LOOP for one in outcomes.values())

    def conversion(self) -> None:
        """Content was converted for a server that does not take it as it is."""
        self.converted += 1

    def reported(self, outbound: bool) -> None:
        """A failure was reported to somebody. outbound: of mail that people here sent."""
        if outbound:
            self.reports_of_outbound += 1
        else:
            self.reports_of_inbound += 1

    def totals(self) -> dict[str, int]:
        """By the names of old."""
        found = {name: int(getattr(self, key)) for name, key in NAMES.items()}
        return found | {
            "Total Inbound Kilobytes": self.bytes_in // 1024,
            "Total Outbound Kilobytes": self.bytes_out // 1024,
        }

    def rates(self) -> dict[str, int]:
        """What the last hour had, by the names of old."""
        now = self.clock()
        return {name: round(self._hour.used(key, now)) for name, key in RATES.items()}
