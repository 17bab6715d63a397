"""The Security page: how connections to the hosts of a domain are protected (ims_spec 3.12, 15-A14)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from imsd.settings.domains import DomainPattern, normal_domain
from imsd.settings.page import Page
from imsd.settings.secrets import Secret

Level = Literal["none", "may", "encrypt", "verify", "dane"]
LEVELS: tuple[Level, ...] = ("none", "may", "encrypt", "verify", "dane")
"""The weakest first."""

Login = Literal["", "any", "plain", "login", "scram-sha-256", "scram-sha-256-plus", "external"]


def _name(text: str) -> str:
    text = text.strip()
    return "." + normal_domain(text[1:]) if text.startswith(".") else normal_domain(text)


class SecurityRow(BaseModel):
    """One e-mail domain, or the name of a smart host, and how we talk to its hosts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: DomainPattern
    tls: Level = "may"
    names: tuple[Annotated[str, AfterValidator(_name)], ...] = Field((), max_length=20)
    ca_file: str = Field("", max_length=1_000)
    certificate: str = Field("", max_length=1_000)
    key: str = Field("", max_length=1_000)
    auth: Login = ""
    user: str = Field("", max_length=320)
    password: Secret = ""
    allow_cleartext: bool = False

    @model_validator(mode="after")
    def _fits(self) -> SecurityRow:
        if self.auth == "external" and not self.certificate:
            raise ValueError("external logs in by the certificate, and there is none")
        if self.auth == "external" and self.tls in ("none", "may"):
            raise ValueError("external needs tls encrypt, verify or dane")
        if self.auth not in ("", "external") and not (self.user and self.password):
            raise ValueError(f"{self.auth} needs user and password")
        if self.auth == "scram-sha-256-plus" and self.tls == "none":
            raise ValueError("scram-sha-256-plus needs TLS")
        return self


class Tls(Page):
    """TLS to other servers, where no row of ims.security says more."""

    section = "ims.tls"

    level: Level = Field(
        "may",
        description="Where ims.security says nothing. none: never; may: where it is offered, whoever is "
        "there; encrypt: never without; verify: and the certificate must be for the host; dane: and DNSSEC "
        "must say which certificate (RFC 7672)",
    )
    connected_sites: Level = Field(
        "encrypt", description="The same for the hosts of connected sites (ims.connected_sites)"
    )
    ca_file: str = Field(
        "",
        max_length=1_000,
        description="PEM file of the authorities that are trusted, relative to the home; empty: those of the "
        "operating system",
    )
    dane: bool = Field(
        True,
        description="Believe TLSA records of exchangers that DNSSEC vouches for (RFC 7672); needs a name "
        "server that validates, on the loopback or in ims.delivery.trusted_nameservers",
    )
    mta_sts: bool = Field(True, description="Follow the MTA-STS policies of other domains (RFC 8461)")
    mta_sts_port: int = Field(
        443, ge=1, le=65_535, description="Port of the hosts that publish policies; other than 443 in tests"
    )
    auth_retry: int = Field(
        3,
        ge=1,
        le=100,
        description="Refused passwords (535) after which a message is returned; other tries do not count",
    )
