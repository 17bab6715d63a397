"""Passwords that another directory knows: whose they are, and how it is asked (LDAP bind)."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, Field, field_validator

from imsd.settings.page import Page
from imsd.settings.secrets import Secret
from protocols.errors import BadSyntax
from protocols.ldap import dn, filters

_URL: Final = re.compile(r"(ldaps?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/?", re.IGNORECASE)
PLACES: Final = ("%u", "%a", "%l", "%d")


class Place(NamedTuple):
    """Where an LDAP server is. tls: from the start."""

    host: str
    port: int
    tls: bool


def place(url: str) -> Place:
    """Raises ValueError."""
    found = _URL.fullmatch(url.strip())
    if found is None or not 0 < int(found[3] or 1) < 65_536:
        raise ValueError(f"{url!r} is no URL of an LDAP server: ldaps://host or ldap://host, with :port")
    tls = found[1].lower() == "ldaps"
    return Place(found[2].strip("[]"), int(found[3] or (636 if tls else 389)), tls)


def _url(text: str) -> str:
    place(text)
    return text.strip()


class Outside(Page):
    """Logins that another LDAP server decides."""

    section = "outside"

    who: Literal["nobody", "without_password", "everybody"] = Field(
        "nobody",
        description="Whose password the other directory knows: nobody's; theirs who have none here; or "
        "everybody's, but administrators' who have one here. SCRAM is not offered while it is somebody's",
    )
    servers: tuple[Annotated[str, AfterValidator(_url)], ...] = Field(
        (),
        max_length=10,
        description="LDAP servers, ldaps://host or ldap://host (STARTTLS); the next is asked where one does "
        "not answer",
    )
    cleartext: bool = Field(False, description="Passwords go to ldap:// servers without TLS: for tunnels")
    ca_file: str = Field(
        "",
        max_length=500,
        description="Certificates that sign the servers'; empty: those this machine trusts",
    )
    name: str = Field(
        "",
        max_length=1_000,
        description="The DN to bind with: uid=%u,ou=people,dc=example,dc=org. %u alias, %a address, %l and "
        "%d what stands before and after its @. Empty: it is searched for",
    )
    base: str = Field("", max_length=1_000, description="Below what somebody is searched for")
    filter: str = Field("(uid=%u)", max_length=1_000, description="How he is found there; one entry must be")
    search_name: str = Field(
        "", max_length=1_000, description="The DN that may search; empty: searching needs no name"
    )
    search_password: Secret = Field("", description="Its password, or file:PATH")
    seconds: int = Field(10, ge=1, le=60, description="For so long one server is waited for")

    @field_validator("name", "base", "search_name")
    @classmethod
    def _name(cls, value: str) -> str:
        try:
            dn.parse(filled(value, dict.fromkeys(PLACES, "x")))
        except BadSyntax as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("filter")
    @classmethod
    def _filter(cls, value: str) -> str:
        try:
            filters.parse(filled(value, dict.fromkeys(PLACES, "x")))
        except BadSyntax as error:
            raise ValueError(str(error)) from None
        return value

    @property
    def lacks(self) -> str:
        """What is not said and must be, "" where nothing lacks."""
        if self.who == "nobody":
            return ""
        if not self.servers:
            return "outside.servers names no server"
        return "" if self.name or self.base else "neither outside.name nor outside.base is set"


def filled(template: str, values: dict[str, str]) -> str:
    """A template with its places filled; the values are escaped already."""
    return re.sub("|".join(PLACES), lambda found: values[found[0]], template)
