"""Connection limits of port 25 (ims_spec 3.4.2), and how much one host or account may ask for."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Inbound(Page):
    """Limits on who brings mail. Relay servers (ims.accept.hosts) are not held to them."""

    section = "ims.limits"

    inbound: int = Field(
        1_000, ge=0, le=100_000, description="Connections to port 25 at once, from all hosts; 0: no limit"
    )
    per_address: int = Field(
        50, ge=0, le=100_000, description="Connections to port 25 at once from one address; 0: any number"
    )
    per_network: int = Field(
        100,
        ge=0,
        le=100_000,
        description="Connections to port 25 at once from one network (IPv4 /24, IPv6 /64); 0: any number",
    )
    connections_per_minute: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="New connections to port 25 a minute from one address; 0: any number",
    )
    messages_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="Messages a minute from one address; 0: any number"
    )
    recipients_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="Recipients a minute from one address; 0: any number"
    )
    unknown_per_hour: int = Field(
        200,
        ge=0,
        le=1_000_000,
        description="Unknown recipients an hour after which an address is sent away (421); 0: any number",
    )
    tarpit_after: int = Field(
        20,
        ge=0,
        le=1_000_000,
        description="Unknown recipients an hour after which the answer to each further one is late",
    )
    tarpit_seconds: float = Field(
        3, ge=0, le=30, description="Seconds by which the answer to an unknown recipient is late; 0: never"
    )
    per_account: int = Field(
        100, ge=0, le=100_000, description="SMTP connections at once of one account; 0: any number"
    )
