"""Connections ▸ Advanced: how many connections, and how much on each (ims_spec 3.4.2, 15-A18)."""

from __future__ import annotations

from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, field_validator

from imsd.settings.domains import DomainPattern, DomainTable, once_each
from imsd.settings.limits import Inbound


class DomainLimits(BaseModel):
    """What is different for one domain; None: as for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: DomainPattern
    per_host: int | None = Field(None, ge=1, le=1_000)
    messages_per_connection: int | None = Field(None, ge=1, le=10_000)
    recipients_out: int | None = Field(None, ge=1, le=10_000)


class ConnectionLimits(Inbound):
    """Limits of connections, from others (Inbound) and to others."""

    outbound: int = Field(20, ge=1, le=1_000, description="Outbound connections at once")
    per_host: int = Field(
        10,
        ge=1,
        le=1_000,
        description="Outbound connections at once to one host; 1 for dial-up and for simple gateways",
    )
    messages_per_connection: int = Field(
        8,
        ge=1,
        le=10_000,
        description="Messages sent in one connection before it is closed; 100 for a smart host or dial-up, 1 "
        "for hosts that take no second MAIL",
    )
    recipients_out: int = Field(
        100, ge=1, le=10_000, description="Recipients named in one transaction (RFC 5321 4.5.3.1.8)"
    )
    domains: tuple[DomainLimits, ...] = Field(
        (),
        max_length=1_000,
        description="Rows {domain, per_host, messages_per_connection, recipients_out}: other limits for "
        "e-mail domains and those below them",
    )

    @field_validator("domains")
    @classmethod
    def _once(cls, value: tuple[DomainLimits, ...]) -> tuple[DomainLimits, ...]:
        once_each(row.domain for row in value)
        return value

    @cached_property
    def rows(self) -> DomainTable[DomainLimits]:
        return DomainTable((row.domain, row) for row in self.domains)

    @cached_property
    def _merged(self) -> dict[str, ConnectionLimits]:
        return {}

    @property
    def most_recipients(self) -> int:
        """Of one transaction, wherever it goes."""
        return max([self.recipients_out, *(row.recipients_out or 0 for row in self.domains)])

    def of(self, domain: str) -> ConnectionLimits:
        """The limits that hold for a domain."""
        pattern = self.rows.match(domain)
        if pattern is None:
            return self
        merged = self._merged.get(pattern)
        if merged is None:
            row = self.rows.patterns[pattern].model_dump(exclude={"domain"}, exclude_none=True)
            merged = self._merged[pattern] = self.model_copy(update=row)
        return merged
