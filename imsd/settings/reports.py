"""Reports to senders, and notifications to the administrator's mailbox (ims_spec 3.1.1, 6)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from imsd.settings.page import Page

Kind = Literal[
    "address-not-found",
    "multiple-matches",
    "conversion-failed",
    "host-not-found",
    "protocol-error",
    "timeout",
]
"""The kinds of the Notifications dialog."""


class Ndr(Page):
    """Non-delivery reports."""

    section = "ims.ndr"

    external: Literal["send", "suppress", "admin_only"] = Field(
        "send",
        description="What becomes of reports of failures and delays to senders elsewhere: send; suppress: "
        "they are told nothing; admin_only: failures go to the administrator's mailbox in their place",
    )
    recipients: int = Field(
        1_000,
        ge=1,
        le=10_000,
        description="Recipients named in one report; how many more there are is said as a number",
    )


class Notifications(Page):
    """What the administrator's mailbox is told of."""

    section = "ims.notifications"

    mode: Literal["always", "selected"] = Field(
        "selected",
        description="always: a notification for every non-delivery report; selected: for those of "
        "ims.notifications.kinds",
    )
    kinds: tuple[Kind, ...] = Field(
        ("multiple-matches",),
        max_length=6,
        description="address-not-found, multiple-matches (several recipients have the address), "
        "conversion-failed, host-not-found, protocol-error (another server refused for good), timeout "
        "(message time-out exceeded)",
    )
    headers_only: bool = Field(
        False, description="Attach the header of the message, not all of it (all of it up to queue.return_kb)"
    )
