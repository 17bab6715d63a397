"""Mail that leaves: connections, retries, time-outs, notices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from imsd.settings.page import Page

PROFILES: dict[str, tuple[float, ...]] = {
    # Waits in hours before the 1st, 2nd, ... retry; the last repeats until the message expires.
    "prompt": (5 / 60, 15 / 60, 30 / 60, 1.0, 2.0, 4.0),
    "exchange55": (0.25, 0.5, 1.0, 4.0),
    "chapter22": tuple(round(1.5**number, 4) for number in range(8)),
}


class Queue(Page):
    """The queue of mail that leaves or waits."""

    section = "queue"

    paused: bool = Field(False, description="Keep everything in the queue where it is; nothing is tried")
    profile: Literal["prompt", "exchange55", "chapter22", "custom"] = Field(
        "prompt",
        description="When to try again: prompt (5, 15, 30 min, 1, 2, 4 h, then every 4 h), exchange55 "
        "(15, 30 min, 1, 4 h, then every 4 h), chapter22 (1 h, then 1.5 times as long each time), custom",
    )
    retry_hours: tuple[float, ...] = Field(
        (0.25, 0.5, 1.0, 4.0),
        description="For profile custom: hours before the 1st, 2nd, ... retry; the last one repeats",
        min_length=1,
        max_length=50,
    )
    connections: int = Field(20, ge=1, le=1_000, description="Outbound connections at once")
    connections_per_host: int = Field(
        10, ge=1, le=1_000, description="Outbound connections at once to one host"
    )
    messages_per_connection: int = Field(
        8, ge=1, le=10_000, description="Messages sent in one connection before it is closed"
    )
    recipients_per_message: int = Field(
        100, ge=1, le=10_000, description="Recipients named in one transaction (RFC 5321 4.5.3.1.8)"
    )
    connect_seconds: int = Field(30, ge=1, le=300, description="Time for a connection to be made")
    notice_hours_urgent: float = Field(
        4,
        ge=0,
        le=720,
        description="Hours after which the sender of urgent mail is told of a delay; 0: never",
    )
    notice_hours: float = Field(
        12, ge=0, le=720, description="Hours after which the sender is told of a delay; 0: never"
    )
    notice_hours_nonurgent: float = Field(
        24,
        ge=0,
        le=720,
        description="Hours after which the sender of non-urgent mail is told of a delay; 0: never",
    )
    return_kb: int = Field(
        1_024,
        ge=0,
        le=10_240,
        description="Largest message returned in full where the sender asked for it; else its header is",
    )
    postmaster: str = Field(
        "",
        description="Who gets reports that cannot be delivered; empty: ims.admin_mailbox, else postmaster of "
        "our first domain",
    )

    @field_validator("retry_hours")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < hours <= 720 for hours in value):
            raise ValueError("hours must be above 0 and at most 720")
        return value

    @property
    def waits(self) -> tuple[float, ...]:
        """Hours before each retry."""
        return self.retry_hours if self.profile == "custom" else PROFILES[self.profile]

    def notice_after(self, priority: int) -> float:
        """Hours after which a delay is told; 0: never. priority: 1 urgent, 0 normal, -1 non-urgent."""
        if priority == 0:
            return self.notice_hours
        return self.notice_hours_urgent if priority > 0 else self.notice_hours_nonurgent
