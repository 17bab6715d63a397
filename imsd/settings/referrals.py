"""Other servers of the organisation that people's mailboxes are on (ims_spec 7.3, Referral)."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from imsd.settings.page import Page

_HOST: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?"
)


class Referrals(Page):
    """Where clients of people whose mailbox is on another server are sent to."""

    section = "referrals"

    servers: dict[str, str] = Field(
        {},
        max_length=1_000,
        description="Hosts of other servers by their names in Home-MTA and Home-MDB of people's entries. "
        "IMAP4 clients of these people are referred there (RFC 2193, RFC 2221), POP3 refuses their login; "
        "mail for them is not sent there by this alone. A server that is not named here is this one",
    )

    @field_validator("servers")
    @classmethod
    def _hosts(cls, value: dict[str, str]) -> dict[str, str]:
        found = {name.strip().lower(): host.strip().lower().strip(".") for name, host in value.items()}
        for name, host in found.items():
            if not name:
                raise ValueError("a server has a name")
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host name")
        return found
