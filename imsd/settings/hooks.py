"""Hooks: copies and commands beside the server's own work (ims_spec 13, NonRoutingExtensionDll)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from imsd.settings.page import Page

Argument = Annotated[str, Field(max_length=4_096)]


def _address(text: str) -> str:
    text = text.strip()
    if text and not text.rpartition("@")[0]:
        raise ValueError(f"{text}: an address expected")
    return text


class Hook(BaseModel):
    """A command, and the numbers of the events that it is run for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: tuple[int, ...] = Field(min_length=1, max_length=100)
    command: tuple[Argument, ...] = Field(min_length=1, max_length=100)
    seconds: int = Field(30, ge=1, le=3_600)


class Hooks(Page):
    """Journals, and commands on events."""

    section = "hooks"

    journal_in: Annotated[str, AfterValidator(_address)] = Field(
        "",
        max_length=320,
        description="Address that gets a copy of all mail that others bring (InboundJournal); empty: none",
    )
    journal_out: Annotated[str, AfterValidator(_address)] = Field(
        "",
        max_length=320,
        description="Address that gets a copy of all mail that leaves (OutboundJournal); empty: none",
    )
    journal_reports: bool = Field(
        False,
        description="Whether reports, and what else comes with the null reverse-path, are among them",
    )
    commands: tuple[Hook, ...] = Field(
        (),
        max_length=50,
        description="Rows {events, command, seconds}: a program with its arguments (no shell) that is run "
        "for events of the log by their numbers, such as 3018 for flush mode; IMSD_EVENT is the number, "
        "IMSD_TEXT what the log says; it is ended after so many seconds",
    )
