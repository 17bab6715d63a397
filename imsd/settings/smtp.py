"""SMTP: what is accepted, from whom, how much."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from imsd.settings.networks import Networks, NetworkText
from imsd.settings.page import Page
from protocols.smtp.solicitation import KEYWORD


def keyword(text: str) -> str:
    """A solicitation class keyword (RFC 3865 2.2)."""
    if not KEYWORD.fullmatch(text):
        raise ValueError(f"{text or 'nothing'} is no keyword such as net.example:ADV")
    return text


class Smtp(Page):
    """The SMTP server on all its ports."""

    section = "smtp"

    recipients: int = Field(
        1_000, ge=100, le=100_000, description="Recipients of one message (RFC 5321 4.5.3.1.8 asks for 100)"
    )
    refused_recipients: int = Field(
        100, ge=1, le=100_000, description="Refused recipients after which a connection is ended"
    )
    bad_commands: int = Field(
        20, ge=1, le=10_000, description="Bad commands after which a connection is ended"
    )
    transactions: int = Field(
        1_000,
        ge=1,
        le=999_999,
        description="Messages that one connection may bring (RFC 9422 4.1: six digits)",
    )
    idle_seconds: int = Field(
        300, ge=10, le=3_600, description="Silence after which a connection is ended (RFC 5321 4.5.3.2.7)"
    )
    content_seconds: int = Field(
        3_600, ge=60, le=86_400, description="Time for the whole content of one message"
    )
    hops: int = Field(
        30, ge=10, le=1_000, description="Received lines from which a message counts as looping"
    )
    etrn: bool = Field(
        True, description="Let any client start by ETRN what is held for a domain (ims.domains, RFC 1985)"
    )
    atrn: bool = Field(
        False,
        description="Let who is named in ims.domains (atrn:LOGIN) log in and fetch what is held for a domain "
        "by ATRN on his own connection (RFC 2645), on port 366, the submission ports or port 25",
    )

    greeting_delay: float = Field(
        0,
        ge=0,
        le=30,
        description="Seconds before port 25 greets a host that is not trusted; one that talks before the "
        "greeting is sent away; 0: greets at once",
    )
    strict_pipelining: bool = Field(
        True,
        description="Send hosts away that are not trusted and go on without waiting for the answer to EHLO, "
        "HELO or DATA, or after HELO at all (RFC 2920)",
    )
    reverse_dns: bool = Field(
        True, description="Look up the names of hosts that bring mail to port 25, for Received and tracking"
    )
    deliver_by: bool = Field(True, description="Take deadlines for messages (DELIVERBY, RFC 2852)")
    deliver_by_seconds: int = Field(
        0, ge=0, le=86_400, description="Shortest deadline after which a message is to be returned; 0: any"
    )
    requiretls: bool = Field(
        True,
        description="Take mail that must go on over verified TLS or come back (REQUIRETLS, RFC 8689)",
    )
    hold_hours: int = Field(
        720,
        ge=0,
        le=8_760,
        description="Hours for which submitted mail may ask to be kept back (FUTURERELEASE, RFC 4865); 0: "
        "not offered",
    )

    lmtp_relay: bool = Field(
        False, description="Whether programs that come by LMTP are trusted to send to other systems, too"
    )
    banner: str = Field(
        "",
        max_length=200,
        pattern=r"^[ -~]*$",
        description="What the greeting says after this server's name; empty: ESMTP ready",
    )
    disable_esmtp: bool = Field(
        False, description="Port 25 greets as SMTP and announces no extensions (AdvertiseSMTPExtensions = 0)"
    )
    disable_auth: bool = Field(False, description="Port 25 offers no AUTH (DisableAuth)")
    lenient_addresses: bool = Field(
        False,
        description="Take addresses of MAIL and RCPT that are malformed: without brackets, with blanks or "
        "other characters in them (AcceptMalformed821Adrs)",
    )
    vrfy: Literal["off", "authenticated", "on"] = Field(
        "off", description="Whom VRFY tells whether an address is known here; everybody else hears 252"
    )
    expn: Literal["off", "authenticated", "on"] = Field(
        "off", description="Whom EXPN tells who is on a list, unless its membership is hidden"
    )
    recipient_domains: int = Field(
        0, ge=0, le=10_000, description="Domains of the recipients of one message; 0: any number"
    )
    no_soliciting: tuple[Annotated[str, AfterValidator(keyword)], ...] = Field(
        (),
        max_length=30,
        description="Kinds of solicitation that are not wanted, such as net.example:ADV (NO-SOLICITING, "
        "RFC 3865)",
    )
    xclient_hosts: tuple[NetworkText, ...] = Field(
        (),
        max_length=1_000,
        description="Mail proxies and filters (CIDR) that may say by XCLIENT who their client is",
    )
    xclient_logins: bool = Field(
        False,
        description="Believe these hosts, too, when they say who has logged in there (XCLIENT LOGIN): he is "
        "logged in here without a password",
    )

    @cached_property
    def _xclient(self) -> Networks[bool]:
        return Networks((network, True) for network in self.xclient_hosts)

    def may_announce(self, peer: str) -> bool:
        """Whether a host may speak for others (XCLIENT)."""
        return bool(self.xclient_hosts) and self._xclient.find(peer, False)
