"""Limits on mailboxes (ims_spec 8, 12.3): what holds where a mailbox has none of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from imsd.settings.page import Page

_MOST = 1 << 40


class Quotas(Page):
    """Storage limits: warn, prohibit send, prohibit send and receive."""

    section = "quotas"

    warn_kb: int = Field(
        0, ge=0, le=_MOST, description="Kilobytes from which the owner of a mailbox is warned; 0: never"
    )
    send_kb: int = Field(
        0, ge=0, le=_MOST, description="Kilobytes from which a mailbox cannot send any more; 0: no limit"
    )
    most_kb: int = Field(0, ge=0, le=_MOST, description="Kilobytes that a mailbox holds at most; 0: no limit")
    messages: int = Field(0, ge=0, le=_MOST, description="Messages that a mailbox holds at most; 0: no limit")
    refusal: Literal["permanent", "temporary"] = Field(
        "permanent",
        description="What the sender of mail for a full mailbox is told: permanent (552, he hears of it at "
        "once) or temporary (452, his server tries again for as long as it likes)",
    )
    warn_hours: int = Field(
        24, ge=1, le=8760, description="Hours between two warnings, unless it has become worse"
    )
