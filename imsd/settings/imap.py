"""IMAP4 mailboxes: what is listed, what may be stored (ims_spec 7.3)."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Imap(Page):
    """Public folders, other users' folders, sizes."""

    section = "imap"

    list_public: bool = Field(
        True, description="Include all public folders when a folder list is requested"
    )
    delegate: bool = Field(True, description="Show other users' folders to whom rights on them were given")
    largest_append: int = Field(
        52_428_800, ge=65_536, le=2_147_483_647, description="Octets of a message stored by APPEND at most"
    )
