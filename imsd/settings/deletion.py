"""What becomes of recipients who are deleted."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Deletion(Page):
    """How long who was deleted can be brought back."""

    section = "deletion"

    keep_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="Days in which a recipient who was deleted can be brought back, with mailbox, password "
        "and rights (imsctl directory undelete); 0: what he had goes at once",
    )
