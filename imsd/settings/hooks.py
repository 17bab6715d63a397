"""Hooks: copies and commands beside the server's own work (ims_spec 13, NonRoutingExtensionDll)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from imsd.settings.page import Page

Argument = Annotated[str, Field(max_length=4_096)]


def _address(text: str) -> str:
    text = text.strip()
    if text and not text.rpartition("@")[0]:
        raise ValueError(f"{text}: an address expected")
    return text


Event = Literal[
    "connected",
    "mail",
    "recipient",
    "received",
    "sending",
    "login",
    "login_failed",
    "delivered",
    "sent",
    "deferred",
    "failed",
    "refused",
    "directory_changed",
    "logged",
]
"""What plug-ins are asked and told (imsd.plugins.interfaces)."""


class Hook(BaseModel):
    """A command, and the numbers of the events that it is run for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: tuple[int, ...] = Field(min_length=1, max_length=100)
    command: tuple[Argument, ...] = Field(min_length=1, max_length=100)
    seconds: int = Field(30, ge=1, le=3_600)


class PlugInRow(BaseModel):
    """A plug-in: what makes it, how long a call may take, what its failure means, and what it is given.
    events: what it is asked and told, none for all that it has methods for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=200, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")
    seconds: float = Field(5, ge=0.1, le=60)
    failure: Literal["open", "closed"] = "open"
    events: tuple[Event, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict, max_length=100)


class Hooks(Page):
    """Journals, commands on events, and plug-ins."""

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
    plugins: tuple[PlugInRow, ...] = Field(
        (),
        max_length=20,
        description="Rows {name, seconds, failure, events, settings}: plug-ins, as module.Class in "
        "HOME/plugins or installed, that take part in the server's work; a call may take so many seconds, "
        "and where there is no answer the server goes on (failure open) or says 451 (closed); events, if "
        "not all that the plug-in has methods for; settings are the plug-in's",
    )
