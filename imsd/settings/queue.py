"""Mail that leaves: connections, retries, time-outs, notices, routes."""

from __future__ import annotations

from ipaddress import ip_address
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
        "", description="Who gets reports that cannot be delivered; empty: postmaster of our first domain"
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


class Routes(Page):
    """Where mail for other domains goes."""

    section = "routes"

    smart_host: str = Field(
        "", description="Forward all messages to this host[:port]; empty: use the domain name system"
    )
    domains: dict[str, str] = Field(
        {},
        description="Domain to host[:port]: forward all messages for this domain and its subdomains there; "
        '"dns" instead of a host: use the domain name system in spite of the smart host',
    )
    port: int = Field(25, ge=1, le=65_535, description="Port of mail exchangers found by DNS")
    nameservers: tuple[str, ...] = Field(
        (), description="Addresses of the name servers to ask; empty: those of the operating system"
    )

    @field_validator("smart_host")
    @classmethod
    def _smart_host(cls, value: str) -> str:
        if value:
            host_and_port(value)
        return value

    @field_validator("domains")
    @classmethod
    def _domains(cls, value: dict[str, str]) -> dict[str, str]:
        for target in value.values():
            if target != "dns":
                host_and_port(target)
        return {domain.lower().strip("."): target for domain, target in value.items()}

    @field_validator("nameservers")
    @classmethod
    def _nameservers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ip_address(address)
        return value


def host_and_port(text: str, port: int = 25) -> tuple[str, int]:
    """Take apart "host", "host:port", "[address]" or "[address]:port". Raises ValueError."""
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text}: host or host:port expected")
        host = host.removeprefix("IPv6:")
        ip_address(host)
        digits = rest[1:]
    else:
        host, _, digits = text.partition(":")
    if not host or (digits and not digits.isdigit()) or (digits and not 0 < int(digits) < 65_536):
        raise ValueError(f"{text}: host or host:port expected")
    return host, int(digits) if digits else port
