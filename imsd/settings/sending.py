"""Sending limits: how much a mailbox, and all of a domain together, may send elsewhere."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from imsd.settings.domains import DomainPattern, DomainTable, once_each
from imsd.settings.page import Page


def _count(what: str) -> int:
    made: int = Field(0, ge=0, le=10_000_000, description=f"{what}; 0: any number")
    return made


class Allowance(BaseModel):
    """Messages and recipients, an hour and a day. 0: any number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages_per_hour: int = Field(0, ge=0, le=10_000_000)
    messages_per_day: int = Field(0, ge=0, le=10_000_000)
    recipients_per_hour: int = Field(0, ge=0, le=10_000_000)
    recipients_per_day: int = Field(0, ge=0, le=10_000_000)

    @property
    def limited(self) -> bool:
        return bool(
            self.messages_per_hour
            or self.messages_per_day
            or self.recipients_per_hour
            or self.recipients_per_day
        )


def _address(text: str) -> str:
    text = text.strip().casefold()
    local, _, domain = text.rpartition("@")
    if not local or not domain:
        raise ValueError(f"{text or 'nothing'} is no address")
    return text


class MailboxAllowance(Allowance):
    """What one mailbox has in place of the page's own."""

    address: Annotated[str, AfterValidator(_address)]


class DomainAllowance(Allowance):
    """What all mailboxes of a domain have together."""

    domain: DomainPattern


class Sending(Page):
    """Sending limits. What goes beyond is held in the queue, and the administrator is told."""

    section = "ims.sending"

    messages_per_hour: int = _count("Messages an hour that one mailbox sends elsewhere")
    messages_per_day: int = _count("Messages a day that one mailbox sends elsewhere")
    recipients_per_hour: int = _count("Recipients elsewhere an hour of one mailbox")
    recipients_per_day: int = _count("Recipients elsewhere a day of one mailbox")
    mailboxes: tuple[MailboxAllowance, ...] = Field(
        (),
        max_length=10_000,
        description="Rows {address, messages_per_hour, messages_per_day, recipients_per_hour, "
        "recipients_per_day}: what a mailbox has in place of these",
    )
    domains: tuple[DomainAllowance, ...] = Field(
        (),
        max_length=1_000,
        description="Rows {domain, messages_per_hour, messages_per_day, recipients_per_hour, "
        "recipients_per_day}: what all mailboxes of a domain have together",
    )

    @field_validator("mailboxes")
    @classmethod
    def _mailboxes(cls, value: tuple[MailboxAllowance, ...]) -> tuple[MailboxAllowance, ...]:
        once_each(row.address for row in value)
        return value

    @field_validator("domains")
    @classmethod
    def _domains(cls, value: tuple[DomainAllowance, ...]) -> tuple[DomainAllowance, ...]:
        once_each(row.domain for row in value)
        return value

    @cached_property
    def every(self) -> Allowance:
        return Allowance(
            messages_per_hour=self.messages_per_hour,
            messages_per_day=self.messages_per_day,
            recipients_per_hour=self.recipients_per_hour,
            recipients_per_day=self.recipients_per_day,
        )

    @cached_property
    def active(self) -> bool:
        return self.every.limited or bool(self.mailboxes or self.domains)

    @cached_property
    def _own(self) -> dict[str, MailboxAllowance]:
        return {row.address: row for row in self.mailboxes}

    @cached_property
    def _table(self) -> DomainTable[DomainAllowance]:
        return DomainTable((row.domain, row) for row in self.domains)

    def of_mailbox(self, address: str) -> Allowance:
        return self._own.get(address.casefold(), self.every)

    def of_domain(self, domain: str) -> DomainAllowance | None:
        return self._table.find(domain) if self.domains else None
