"""Mail that leaves: connections, and what is returned of it."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Queue(Page):
    """The queue of mail that leaves or waits."""

    section = "queue"

    paused: bool = Field(False, description="Keep everything in the queue where it is; nothing is tried")
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
