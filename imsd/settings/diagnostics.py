"""Diagnostics Logging (ims_spec 3.9): what is written down of what merely happens, and copies of messages."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from imsd.events import Level
from imsd.settings.networks import NetworkText
from imsd.settings.page import Page


class Diagnostics(Page):
    """How much of each category of events is logged; what went wrong always is."""

    section = "diagnostics"

    initialization: Level = Field(
        "none", description="Initialization/Termination: minimum tells start and stop"
    )
    addressing: Level = Field(
        "none", description="Addressing: medium tells recipients that are refused, for nobody has the address"
    )
    message_transfer: Level = Field(
        "none", description="Message Transfer: medium tells each message that comes and each try to send one"
    )
    smtp_interface: Level = Field(
        "none",
        description="SMTP Interface Events: medium tells peers that let us wait too long, maximum each "
        "connection",
    )
    internal_processing: Level = Field(
        "none", description="Internal Processing: minimum tells reports that nobody gets"
    )
    events_file: bool = Field(
        True, description="Whether events are written to HOME/log/events.jsonl, too, a JSON object for each"
    )


class ProtocolLog(Page):
    """What is said by SMTP, both ways, in HOME/log/smtp.log; passwords are not written."""

    section = "protocol_log"

    level: Level = Field(
        "none",
        description="minimum: connections; medium: commands, replies and the headers of what comes; "
        "maximum: all of what comes. What leaves is written without its text",
    )
    peers: tuple[NetworkText, ...] = Field(
        (), max_length=100, description="Networks whose conversations are written; empty: all"
    )
    classic: bool = Field(
        False,
        description="Whether lines have the form of 5.5 (M/D/YY h:mm:ss AM : TEXT), without a session's name",
    )
    megabytes: int = Field(10, ge=1, le=1_000, description="Megabytes of one file")
    files: int = Field(
        10, ge=1, le=1_000, description="Files that are kept, the one being written among them"
    )


class Archive(Page):
    """Copies of messages in HOME/archive (In and Out), for who must be able to show them."""

    section = "archive"

    messages: Literal["off", "headers", "full"] = Field(
        "off",
        description="What is kept of each message that comes by SMTP or leaves: nothing, the header, or all",
    )
    keep_days: int = Field(30, ge=1, le=36_500, description="Days that copies are kept")
