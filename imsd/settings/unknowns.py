"""What hosts that nobody knows have to go through: greylisting, and lists of hosts (DNSBL)."""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from imsd.settings.domains import normal_domain, once_each
from imsd.settings.networks import Networks, NetworkText
from imsd.settings.page import Page


class Greylisting(Page):
    """Greylisting (RFC 6647): who is not known is asked to come again."""

    section = "ims.greylist"

    enabled: bool = Field(False, description="Ask hosts that are not known to come again (451 4.7.1)")
    delay_seconds: int = Field(300, ge=1, le=86_400, description="Seconds before a second try is taken")
    window_hours: int = Field(
        24,
        ge=1,
        le=240,
        description="Hours within which the second try has to come; after that it is a first",
    )
    keep_days: int = Field(
        36, ge=1, le=400, description="Days for which who came again is known, from his last message"
    )
    network_passes: int = Field(
        5,
        ge=0,
        le=1_000,
        description="Second tries after which the whole network (IPv4 /24, IPv6 /64) is known; 0: never",
    )
    exempt: tuple[NetworkText, ...] = Field(
        (), max_length=10_000, description="Hosts (CIDR) that are never asked to come again"
    )

    @cached_property
    def exempted(self) -> Networks[bool]:
        return Networks((network, True) for network in self.exempt)


def _answer(text: str) -> str:
    parts = text.strip().split(".")
    if (
        len(parts) != 4
        or parts[0] != "127"
        or not all(part == "*" or (part.isascii() and part.isdigit() and int(part) < 256) for part in parts)
    ):
        raise ValueError(f"{text}: 127.0.0.N expected, * for any number")
    return ".".join(parts)


class HostList(BaseModel):
    """One list. answers: those that count, all of 127.0.0.0/8 if there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: Annotated[str, AfterValidator(normal_domain)]
    weight: int = Field(1, ge=-1_000, le=1_000)
    answers: tuple[Annotated[str, AfterValidator(_answer)], ...] = ()

    def counts(self, answer: str) -> bool:
        """Whether an answer means that the host is listed. 127.255.255.0/24 says that the list does not
        answer us."""
        if not answer.startswith("127.") or answer.startswith("127.255.255."):
            return False
        parts = answer.split(".")
        return not self.answers or any(
            all(mine in ("*", theirs) for mine, theirs in zip(row.split("."), parts, strict=True))
            for row in self.answers
        )


class Dnsbl(Page):
    """Lists of hosts in the name system (RFC 5782)."""

    section = "ims.dnsbl"

    lists: tuple[HostList, ...] = Field(
        (),
        max_length=20,
        description="Rows {zone, weight, answers}: lists that are asked about each host, what it counts to "
        "be on one (below 0: it is a good sign), which answers count (127.0.0.2, 127.0.0.*)",
    )
    threshold: int = Field(1, ge=1, le=10_000, description="Sum of weights from which the action is taken")
    action: Literal["reject", "tag"] = Field(
        "reject",
        description="What becomes of mail of a listed host: reject (550 5.7.1, except for postmaster), tag "
        "(X-Listed in the header)",
    )
    seconds: float = Field(
        2, gt=0, le=5, description="Seconds for an answer; what is not answered does not count"
    )
    exempt: tuple[NetworkText, ...] = Field(
        (), max_length=10_000, description="Hosts (CIDR) that no list is asked about"
    )

    @field_validator("lists")
    @classmethod
    def _lists(cls, value: tuple[HostList, ...]) -> tuple[HostList, ...]:
        once_each(row.zone for row in value)
        return value

    @cached_property
    def exempted(self) -> Networks[bool]:
        return Networks((network, True) for network in self.exempt)


def question(peer: str, zone: str) -> str:
    """The name to ask for (RFC 5782 2.1, 2.4). Raises ValueError for what is no address."""
    pointer = ip_address(peer.partition("%")[0]).reverse_pointer
    return f"{pointer.rsplit('.', 2)[0]}.{zone}"
