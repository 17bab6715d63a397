"""Mail that leaves: connections, and what is returned of it."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from imsd.settings.domains import normal_domain
from imsd.settings.page import Page


class Queue(Page):
    """The queue of mail that leaves or waits."""

    section = "queue"

    held: tuple[Annotated[str, AfterValidator(normal_domain)], ...] = Field(
        (),
        max_length=10_000,
        description="Domains whose mail is held when it comes until it is released: `imsctl queue hold "
        "--domain` and `release --domain` enter and remove them",
    )
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

    @cached_property
    def holding(self) -> frozenset[str]:
        """The domains whose mail is held when it comes."""
        return frozenset(self.held)
