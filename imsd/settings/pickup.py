"""The pickup folder (ims_spec 1.3)."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Pickup(Page):
    """Files in HOME/pickup are sent as messages."""

    section = "pickup"

    enabled: bool = Field(True, description="Whether files in the folder are taken")
    seconds: float = Field(5.0, ge=0.5, le=3600, description="Seconds between two looks at the folder")
    retry_seconds: float = Field(
        60.0, ge=1, le=86_400, description="Seconds before a file that could not be taken now is tried again"
    )
