"""The POP3 page (ims_spec 7.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from imsd.settings.authentication import AUTHENTICATION, Authentication
from imsd.settings.page import Page


class Pop3(Page):
    """POP3: one reader of one Inbox."""

    section = "pop3"
    of_servers: ClassVar[bool] = True

    enabled: bool = Field(True, description="Whether POP3 is served")
    authentication: Authentication = Field(None, description=AUTHENTICATION)
    order: Literal["oldest_first", "newest_first"] = Field(
        "oldest_first", description="Which message has number 1"
    )
    format: Literal["as-composed", "plain", "html", "both", "uuencode", "binhex"] = Field(
        "as-composed",
        description="How messages are handed out: as they were composed; with their text plain, HTML or in "
        "both; uuencode: plain text with attachments in it; binhex: the same with attachments in BinHex",
    )
    charset: str = Field(
        "UTF-8",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}$",
        description="Charset of converted text; text that it cannot hold is in UTF-8",
    )
    line_wrap: int = Field(
        72, ge=0, le=998, description="Characters of a line of converted plain text; 0: as long as they are"
    )
    idle_minutes: float = Field(
        10, ge=0, le=1440, description="Minutes without a command before the connection is closed; 0: never"
    )
    unread_seconds: int = Field(
        300, ge=3, le=3600, description="Seconds that a client may leave answers unread"
    )
    login_delay: int = Field(
        0, ge=0, le=86_400, description="Seconds between two logins of one person at least, 0: any"
    )
    bad_commands: int = Field(
        20, ge=1, le=1000, description="Bad commands (a failed login counts for four) before the end"
    )
