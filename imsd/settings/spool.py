"""The disk that mail is kept on."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Spool(Page):
    """Low disk (ims_spec 1.3)."""

    section = "spool"

    low_water_bytes: int = Field(
        100 * 1024 * 1024,
        ge=0,
        le=1 << 50,
        description="Free bytes of the home's disk below which no new mail is taken, by SMTP or from the "
        "pickup folder, while what is here goes on being delivered; looked at every 15 seconds; 0: never",
    )
