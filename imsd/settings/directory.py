"""Addresses of recipients (Site Addressing), and the directory as LDAP shows it."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from imsd.settings.authentication import AUTHENTICATION, Authentication
from imsd.settings.connectors import host_and_port
from imsd.settings.domains import DomainPattern
from imsd.settings.formats import CcmailFormat, DomainName, MsFormat, SmtpFormat, X400Format
from imsd.settings.page import Page
from protocols.errors import BadSyntax
from protocols.ldap import dn


class Addressing(Page):
    """Which addresses recipients get, and which domains are ours."""

    section = "addressing"

    smtp: tuple[SmtpFormat, ...] = Field(
        (),
        max_length=100,
        description="Formats of new SMTP addresses, such as %g.%s@example.org; the first makes the primary "
        "address. %s surname, %g given name, %i initials, %d display name, %m alias, %1g one letter, "
        "%rxy replaces x by y in what follows; nothing before the @ is the alias",
    )
    x400: X400Format = Field(
        "",
        max_length=300,
        description="The site's part of X.400 addresses, such as c=US;a= ;p=Org;o=Site; (s=%s;g=%g; follow, "
        "unless it says s, g, i or cn itself); empty: none",
    )
    ms: MsFormat = Field(
        "",
        max_length=100,
        description="Network and post office of Microsoft Mail addresses, such as ORG/SITE; empty: none. "
        "ORG/SITE/%s has another name than the alias there",
    )
    ccmail: CcmailFormat = Field(
        "",
        max_length=100,
        description="Post office of cc:Mail addresses (alias at SITE); empty: none. %d at SITE has another "
        "name than the alias there",
    )
    domains: tuple[DomainName, ...] = Field(
        (), max_length=10_000, description="Domains whose mail is ours besides those of the formats"
    )
    share_domain_with: dict[DomainPattern, str] = Field(
        {},
        description="Inbound domain to host[:port]: another system has people in the domain, too; who is "
        "unknown here is sent there",
    )
    separator: str = Field(
        "+", max_length=1, description="What separates a name and a detail (user+detail@); empty: nothing"
    )
    list_limit: int = Field(
        20_000, ge=1, le=1_000_000, description="Recipients that one distribution list may lead to"
    )

    @field_validator("share_domain_with")
    @classmethod
    def _share_domain_with(cls, value: dict[str, str]) -> dict[str, str]:
        for host in value.values():
            host_and_port(host)
        return value


_URL: Final = re.compile(
    r"ldaps?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[^ ?]*)?", re.IGNORECASE
)


class LdapReferral(BaseModel):
    """Another LDAP server, and the part of the tree that it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(min_length=1, max_length=253, pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)$")
    base: str = Field(min_length=1, max_length=1_000)
    port: int = Field(0, ge=0, le=65_535)
    tls: bool = False

    @field_validator("base")
    @classmethod
    def _base(cls, value: str) -> str:
        try:
            found = dn.parse(value)
        except BadSyntax as error:
            raise ValueError(f"{value!r} is no distinguished name: {error}") from None
        if not found.rdns:
            raise ValueError("a base is needed")
        return value

    @property
    def url(self) -> str:
        port = self.port or (636 if self.tls else 389)
        return f"{'ldaps' if self.tls else 'ldap'}://{self.server}:{port}"


class Ldap(Page):
    """The directory as LDAP clients see it."""

    section = "ldap"
    of_servers: ClassVar[bool] = True

    enabled: bool = Field(True, description="Whether LDAP is served")
    authentication: Authentication = Field(None, description=AUTHENTICATION)
    anonymous: bool = Field(
        False, description="Whether clients that are not logged in see recipients and their public attributes"
    )
    substring: Literal["all", "any_as_initial", "initial_only"] = Field(
        "all",
        description="Substring searches: all; any_as_initial (a part in the middle is looked for at the "
        "start, one at the end is not performed); initial_only (others are not performed)",
    )
    size_limit: int = Field(
        100, ge=0, le=1_000_000, description="Entries one search gives without paging, 0: any number"
    )
    paged_limit: int = Field(
        0, ge=0, le=10_000_000, description="Entries one paged search gives in all, 0: any number"
    )
    time_limit: int = Field(60, ge=0, le=3600, description="Seconds one search may take, 0: any time")
    look_through: int = Field(
        1_000_000, ge=1_000, le=100_000_000, description="Entries one search may look at"
    )
    sort_limit: int = Field(
        100_000, ge=100, le=10_000_000, description="Entries one search may sort, or list for browsing"
    )
    persistent_searches: int = Field(
        100, ge=0, le=10_000, description="Searches that stay open and tell of changes, on one server"
    )
    idle_minutes: int = Field(10, ge=0, le=1440, description="Minutes an idle connection may stay, 0: any")
    operations: int = Field(32, ge=1, le=1000, description="Operations in progress on one connection")
    delete_mailboxes: bool = Field(
        False,
        description="Whether deleting an entry over LDAP deletes a mailbox that is not empty; an entry's "
        "imsMailboxFate (delete or refuse) goes before this",
    )
    referrals: tuple[LdapReferral, ...] = Field(
        (),
        max_length=350,
        description="Other LDAP servers and the base of what each holds, outside of this organisation: who "
        "asks for that is referred there, and searches from above go on there. port 0: 389, with tls 636",
    )
    default_referral: str = Field(
        "",
        max_length=1_000,
        description="URL (ldap://host) of the server to ask for what is neither here nor at one of the "
        "referrals; empty: there is no such entry",
    )
    attributes: dict[str, Literal["everyone", "authenticated", "owner", "administrator"]] = Field(
        {}, description="Least rights to read an attribute, where they differ from the schema's"
    )

    @field_validator("default_referral")
    @classmethod
    def _default_referral(cls, value: str) -> str:
        if value and not _URL.fullmatch(value):
            raise ValueError(f"{value!r} is no URL of an LDAP server")
        return value
