"""An identity provider whose tokens log people in (OpenID Connect)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from imsd.settings.page import Page


class Tokens(Page):
    """OAUTHBEARER and XOAUTH2: which tokens count, and whose they are."""

    section = "tokens"

    issuer: str = Field(
        "",
        max_length=500,
        description="The identity provider, as the iss of its tokens says: https://login.example.org; empty: "
        "nobody logs in with tokens",
    )
    audience: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Names of this server at the provider; the aud of a token must hold one",
    )
    claim: str = Field(
        "email",
        min_length=1,
        max_length=100,
        description="The claim that says who it is: an address or alias of somebody here",
    )
    scope: str = Field("", max_length=200, description="A scope that a token must have; empty: any")
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"], ...
    ] = Field(("RS256", "PS256", "ES256", "EdDSA"), min_length=1, description="Signatures that count")
    leeway_seconds: int = Field(30, ge=0, le=600, description="How far the provider's clock may be from ours")
    keys_minutes: int = Field(
        60, ge=1, le=1440, description="How long its keys are kept without looking again"
    )
    ca_file: str = Field(
        "",
        max_length=500,
        description="Certificates that sign the provider's; empty: those this machine trusts",
    )

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if value and not value.startswith("https://"):
            raise ValueError("an https:// URL, or nothing")
        return value
