"""Dial-up and other connections that are not always there, and what is asked for over them (ims_spec 3.8)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from imsd.settings.connectors import Host
from imsd.settings.domains import normal_domain
from imsd.settings.page import Page
from imsd.settings.schedules import ScheduleText

_FROZEN = ConfigDict(frozen=True, extra="forbid")

Argument = Annotated[str, Field(max_length=4_096)]
Command = tuple[Argument, ...]


class Link(BaseModel):
    """A connection that is brought up when it is due, and taken down when it is idle."""

    model_config = _FROZEN

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,19}$")
    up: Command = Field((), max_length=100)
    down: Command = Field((), max_length=100)
    command_seconds: int = Field(120, ge=1, le=3_600)
    idle_min: float = Field(5, ge=0, le=1_440)
    schedule: tuple[ScheduleText, ...] = Field((), max_length=100)
    queued_after_min: int = Field(0, ge=0, le=10_080)
    retrieve: Literal["none", "etrn", "atrn", "turn", "command"] = "none"
    host: Annotated[Host, Field()] | Literal[""] = ""
    port: int | None = Field(None, ge=1, le=65_535)
    domains: tuple[Annotated[str, AfterValidator(normal_domain)], ...] = Field((), max_length=1_000)
    user: str = Field("", max_length=256)
    password_file: str = Field("", max_length=1_024)
    command: Command = Field((), max_length=100)

    @model_validator(mode="after")
    def _whole(self) -> Link:
        if self.retrieve == "command" and not self.command:
            raise ValueError(f"link {self.name}: retrieve = command needs a command")
        if self.retrieve in ("atrn", "turn") and not (self.user and self.password_file):
            raise ValueError(f"link {self.name}: retrieve = {self.retrieve} needs user and password_file")
        return self


class Dialup(Page):
    """The Dial-up Connections page."""

    section = "ims.dialup"

    links: tuple[Link, ...] = Field(
        (),
        max_length=50,
        description="Rows {name, up, down, command_seconds, idle_min, schedule, queued_after_min, retrieve, "
        "host, port, domains, user, password_file, command}: connections that are brought up by a command "
        "(program and arguments; no shell) when the schedule says so, or when mail has waited for them, and "
        "down after idle_min minutes without mail. Without commands they are windows of time alone. What "
        "waits for a link is said by ims.delivery.link. retrieve: what is done then so that a host sends "
        "what it holds for us: etrn, atrn, turn (at host, else at the smart host; domains: else those of the "
        "routing table) or a command; the password of user is the first line of a file",
    )

    @field_validator("links")
    @classmethod
    def _links(cls, value: tuple[Link, ...]) -> tuple[Link, ...]:
        names = [link.name.lower() for link in value]
        if len(names) != len(set(names)):
            raise ValueError("a link needs a name of its own")
        return value

    def link(self, name: str) -> Link | None:
        return next((one for one in self.links if one.name.lower() == name.lower()), None)


class Etrn(Page):
    """ETRN, outside dial-up."""

    section = "ims.etrn"

    always: bool = Field(
        False,
        description="Ask every host that mail is sent to and that offers it by ETRN for what it holds for "
        "our domains (for sites whose smart host is their provider's)",
    )
