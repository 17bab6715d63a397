"""When mail that waits is tried again, given up, and told of (ims_spec 3.4.5, 15-A1 to A3)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from imsd.settings.page import Page

PROFILES: dict[str, tuple[float, ...]] = {
    # Waits in hours before the 1st, 2nd, ... retry; the last repeats until the message expires.
    "prompt": (5 / 60, 15 / 60, 30 / 60, 1.0, 2.0, 4.0),
    "exchange55": (0.25, 0.5, 1.0, 4.0),
    "chapter22": tuple(round(1.5**number, 4) for number in range(8)),
}


def _listed(value: Any) -> Any:
    """A list of hours as people write it: ".25,.5,1,4"."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    return (value,) if isinstance(value, int | float) else value


class Retry(Page):
    """Retry interval: when what could not be sent is tried again."""

    section = "ims.retry"

    profile: Literal["chapter22", "exchange55", "prompt", "intervals", "growing"] = Field(
        "chapter22",
        description="chapter22 (after 1 h, then 1.5 times as long each time, eight times), exchange55 (after "
        "15, 30 min, 1, 4 h, then every 4 h), prompt (5, 15, 30 min, 1, 2, 4 h, then every 4 h: for hosts "
        "that want to be asked twice), intervals (the list of that name) or growing (first, factor, count)",
    )
    intervals: Annotated[tuple[float, ...], BeforeValidator(_listed)] = Field(
        (0.25, 0.5, 1.0, 4.0),
        min_length=1,
        max_length=50,
        description="For profile intervals: hours before the 1st, 2nd, ... retry; the last one repeats until "
        "the time-out; 0: no retry",
    )
    first: float = Field(1.0, gt=0, le=720, description="For profile growing: hours before the 1st retry")
    factor: float = Field(
        1.5, ge=1, le=100, description="For profile growing: each wait is so many times the one before"
    )
    count: int = Field(
        8,
        ge=0,
        le=50,
        description="For profile growing: so many waits; the last repeats until the time-out; 0: no retry",
    )

    @field_validator("intervals")
    @classmethod
    def _hours(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= hours <= 720 for hours in value):
            raise ValueError("hours must be from 0 to 720")
        if 0 in value[:-1]:
            raise ValueError("0 means that there is no further retry: nothing can follow it")
        return value

    @property
    def waits(self) -> tuple[float, ...]:
        """Hours before each retry; a last 0: there is none after the others."""
        if self.profile == "intervals":
            return self.intervals
        if self.profile == "growing":
            waits = (self.first * self.factor**number for number in range(self.count))
            return tuple(min(wait, 720.0) for wait in waits) or (0.0,)
        return PROFILES[self.profile]


class Timeout(Page):
    """Message time-outs: hours after which a message that could not be sent is returned."""

    section = "ims.timeout"

    urgent: float = Field(24, gt=0, le=8_760, description="Hours until urgent mail is returned")
    normal: float = Field(
        0,
        ge=0,
        le=8_760,
        description="Hours until mail is returned; 0: 72 with the retry profile chapter22, else 48",
    )
    nonurgent: float = Field(72, gt=0, le=8_760, description="Hours until non-urgent mail is returned")

    def hours(self, priority: int, retry: Retry) -> float:
        """priority: 1 urgent, 0 normal, -1 non-urgent."""
        if priority:
            return self.urgent if priority > 0 else self.nonurgent
        return self.normal or (72 if retry.profile == "chapter22" else 48)


class DelayNotice(Page):
    """Send notification to originator after so many hours, if the message has not been sent by then."""

    section = "ims.delay_notice"

    urgent: float = Field(
        4,
        ge=0,
        le=720,
        description="Hours until the sender of urgent mail is told of a delay; 0: never",
    )
    normal: float = Field(
        12, ge=0, le=720, description="Hours after which the sender is told of a delay; 0: never"
    )
    nonurgent: float = Field(
        24,
        ge=0,
        le=720,
        description="Hours after which the sender of non-urgent mail is told of a delay; 0: never",
    )

    def hours(self, priority: int) -> float:
        """0: never. priority: 1 urgent, 0 normal, -1 non-urgent."""
        if priority == 0:
            return self.normal
        return self.urgent if priority > 0 else self.nonurgent


class TransferTime(Page):
    """Maximum transfer times (ims_spec 3.5, 15-A10)."""

    section = "ims.transfer_time"

    urgent_min: float = Field(
        10,
        gt=0,
        le=1_440,
        description="Minutes for the transfer of one urgent message; then it waits",
    )
    normal_min: float = Field(20, gt=0, le=1_440, description="Minutes for the transfer of one message")
    nonurgent_min: float = Field(
        30, gt=0, le=1_440, description="Minutes for the transfer of one non-urgent message"
    )

    def seconds(self, priority: int) -> float:
        """priority: 1 urgent, 0 normal, -1 non-urgent."""
        if priority == 0:
            return self.normal_min * 60
        return (self.urgent_min if priority > 0 else self.nonurgent_min) * 60


class Flow(Page):
    """Message parameters of the Advanced page (ims_spec 3.5)."""

    section = "ims.flow"

    unread_limit: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Recipients that may wait to leave; when there are so many, what is submitted after is "
        "accepted and kept back for backoff_min; 0: any number",
    )
    backoff_min: float = Field(
        0,
        ge=0,
        le=10_080,
        description="Minutes for which mail is kept back before there is another look; at least one",
    )
    max_unread_min: float = Field(
        0,
        ge=0,
        le=525_600,
        description="Minutes after which mail that was kept back all the time is returned; 0: never, it "
        "expires as other mail",
    )
    transfer_quota_kb: int = Field(
        0,
        ge=0,
        le=9_999_999,
        description="Largest message transferred to other hosts, in kilobytes; 0: as ims.size_limit_out says",
    )
