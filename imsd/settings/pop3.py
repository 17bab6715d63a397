"""The POP3 page (ims_spec 7.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from imsd.settings.page import Page


class Pop3(Page):
    """POP3: one reader of one Inbox."""

    section = "pop3"
    of_servers: ClassVar[bool] = True

    enabled: bool = Field(True, description="Whether POP3 is served")
    order: Literal["oldest_first", "newest_first"] = Field(
        "oldest_first", description="Which message has number 1"
    )
    idle_minutes: float = Field(
        10, ge=1, le=1440, description="Minutes without a command before the connection is closed"
    )
    login_delay: int = Field(
        0, ge=0, le=86_400, description="Seconds between two logins of one person at least, 0: any"
    )
    bad_commands: int = Field(
        20, ge=1, le=1000, description="Bad commands (a failed login counts for four) before the end"
    )
