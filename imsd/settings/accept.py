"""Accept connections (ims_spec 3.4.4): who may bring mail to port 25, and how much he has to prove."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from imsd.settings.networks import Networks, NetworkText
from imsd.settings.page import Page

Security = Literal["any", "auth", "tls", "auth+tls"]


class AcceptHost(BaseModel):
    """One row of Specify by host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: NetworkText
    action: Literal["accept", "reject"] = "accept"
    require: Literal["", "any", "auth", "tls", "auth+tls"] = ""
    relay_server: bool = False

    @property
    def rejects(self) -> bool:
        return self.action == "reject"


UNNAMED = AcceptHost(network="0.0.0.0/0")
"""What holds for a host that is in no row."""


class Accept(Page):
    """Accept connections."""

    section = "ims.accept"

    policy: Security = Field(
        "any",
        description="What a host has to use before it may bring mail: any, auth (authentication), tls "
        "(encryption), auth+tls",
    )
    hosts: tuple[AcceptHost, ...] = Field(
        (),
        max_length=10_000,
        description="Rows {network, action: accept or reject, require: any, auth, tls or auth+tls in place "
        "of the policy, relay_server: not held to the policy and to what clients are held to}; the "
        "smallest network decides, who is in none is accepted",
    )
    refuse_at: Literal["connect", "mail"] = Field(
        "connect",
        description="When a rejected host is told: connect (in place of the greeting, then the connection "
        "is closed) or mail (each message is refused)",
    )
    refuse_with: Literal["521", "554"] = Field(
        "521", description="The code that a rejected host gets in place of the greeting"
    )
    require_home: bool = Field(
        False,
        description="Clients can only submit if homed on this server: MAIL needs a login, and a sender who "
        "has a mailbox here",
    )
    match_sender: Literal["always", "submission", "never"] = Field(
        "always",
        description="Clients can only submit if the authentication account matches the submission address "
        "(reverse-path, From, Sender): always, on the submission ports alone, or never",
    )

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, value: tuple[AcceptHost, ...]) -> tuple[AcceptHost, ...]:
        seen: set[str] = set()
        for row in value:
            if row.network in seen:
                raise ValueError(f"{row.network} is there twice")
            seen.add(row.network)
        return value

    @cached_property
    def _rows(self) -> Networks[AcceptHost]:
        return Networks((row.network, row) for row in self.hosts)

    def row_of(self, peer: str) -> AcceptHost:
        """The row that decides about a peer."""
        return self._rows.find(peer, UNNAMED) if self.hosts else UNNAMED

    def required(self, row: AcceptHost) -> str:
        """What a host of this row has to use."""
        return "any" if row.relay_server and not row.require else row.require or self.policy
