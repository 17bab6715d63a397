"""Reports on TLS (RFC 8460): what other domains are told of their exchangers, and what they tell of ours."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from imsd.settings.page import Page
from protocols.errors import BadSyntax
from protocols.smtp.grammar import parse_address


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        return str(parse_address(text.encode()))
    except BadSyntax as error:
        raise ValueError(f"{text!r} is no address: {error}") from None


Address = Annotated[str, AfterValidator(_address)]


class TlsReports(Page):
    """Reports on TLS with other domains."""

    section = "tls_reports"

    count: bool = Field(
        True, description="Count what became of TLS with the exchangers of other domains (imsctl tls results)"
    )
    send: Literal["off", "https", "all"] = Field(
        "all",
        description="Send a report a day to domains that ask for it. https: where it goes by HTTPS; all: by "
        "mail, too, once there is a DKIM key for our domain (dkim.keys), for it must be signed",
    )
    organization: str = Field(
        "", max_length=200, description="Who reports; empty: the organization of the directory"
    )
    contact: Address = Field(
        "", description="Address for questions, whose domain reports; empty: postmaster of the first domain"
    )
    hour: int = Field(2, ge=0, le=23, description="From when a day is reported on the next, UTC")
    spread_min: int = Field(
        120, ge=0, le=720, description="Minutes after that within which each report goes, by chance"
    )
    address: Address = Field(
        "",
        description="Mailbox or public folder of ours that other domains send reports to; what comes there "
        "is read and shown by imsctl tls reports. Publish it as rua=mailto: in _smtp._tls",
    )
    keep_days: int = Field(30, ge=2, le=400, description="Days for which results and reports are kept")
