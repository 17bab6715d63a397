"""Mail that leaves: connections, and what is returned of it."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Queue(Page):
    """The queue of mail that leaves or waits."""

    section = "queue"

    paused: bool = Field(False, description="Keep everything in the queue where it is; nothing is tried")
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
