"""IMAP4 mailboxes: what is listed, what may be stored (ims_spec 7.3)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from imsd.settings.authentication import AUTHENTICATION, Authentication
from imsd.settings.clients import KNOWN, CapabilityName, ClientRule
from imsd.settings.page import Page


class Imap(Page):
    """Public folders, other users' folders, sizes."""

    section = "imap"
    of_servers: ClassVar[bool] = True

    enabled: bool = Field(True, description="Whether IMAP4 is served")
    authentication: Authentication = Field(None, description=AUTHENTICATION)
    list_public: bool = Field(True, description="Include all public folders when a folder list is requested")
    delegate: bool = Field(True, description="Show other users' folders to whom rights on them were given")
    anonymous: bool = Field(
        False,
        description="Let who has no account read the public folders whose lists give anyone or anonymous "
        "rights (SASL ANONYMOUS, RFC 4505, and LOGIN anonymous)",
    )
    largest_append: int = Field(
        52_428_800, ge=65_536, le=2_147_483_647, description="Octets of a message stored by APPEND at most"
    )
    metadata_octets: int = Field(
        65_536, ge=1024, le=1_048_576, description="Octets of one annotation (METADATA) at most"
    )
    metadata_entries: int = Field(
        100,
        ge=10,
        le=10_000,
        description="Annotations of a mailbox or of the server, shared ones and each person's own, at most",
    )
    submission_users: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="Users, by log-on name or address, as whom message submission servers log in: they may "
        "fetch what a URL says is to be submitted (URLAUTH, `submit+`)",
    )
    url_days: int = Field(
        90,
        ge=0,
        le=36_500,
        description="Days after which URLs that give access to a message are worth nothing, if they do not "
        "end before (URLAUTH); 0: they last until their key is reset",
    )
    idle_minutes: int = Field(
        31,
        ge=0,
        le=1440,
        description="Minutes without a command after which a client is disconnected "
        "(RFC 9051 5.4: 30 at least); 0: never",
    )
    unread_seconds: int = Field(
        300, ge=3, le=3600, description="Seconds that a client may leave answers unread"
    )
    login_seconds: int = Field(120, ge=10, le=3600, description="Seconds a client has to log in")
    command_octets: int = Field(
        262_144, ge=8_192, le=16_777_216, description="Octets of a command, its small literals included"
    )
    bad_commands: int = Field(25, ge=1, le=10_000, description="Bad commands in a row before the end")
    failed_logins: int = Field(5, ge=1, le=1000, description="Failed logins of a connection before its end")
    language: Literal["en", "de", "fr"] = Field(
        "en", description="The language of a client that asks for the default one (RFC 5255)"
    )
    raw_headers: bool = Field(
        False,
        description="Take messages with raw 8-bit header fields from any client, as tools that move mail "
        "from other servers need; meanwhile UTF8=ACCEPT is not offered (RFC 6855 4)",
    )
    unauthenticate: bool = Field(
        True, description="Let a client give up its login for another on the same connection (RFC 8437)"
    )
    message_limit: int = Field(
        0,
        ge=0,
        le=2_147_483_647,
        description="Messages that one SEARCH, FETCH, STORE, COPY, MOVE, THREAD or UID EXPUNGE is about "
        "at most, 1000 at least; 0: no limit. Clients that do not know MESSAGELIMIT see the end of large "
        "mailboxes alone (RFC 9738 4.1)",
    )
    save_limit: int = Field(
        0,
        ge=0,
        le=2_147_483_647,
        description="Messages that one COPY is about at most, 1000 at least; 0: no limit. Where "
        "message_limit is set, that goes for COPY too",
    )

    @field_validator("message_limit", "save_limit")
    @classmethod
    def _not_too_few(cls, limit: int) -> int:
        """RFC 9738 3."""
        if 0 < limit < 1000:
            raise ValueError("0, or 1000 at least")
        return limit

    capabilities_off: tuple[CapabilityName, ...] = Field(
        (),
        max_length=200,
        description="Capabilities that are neither announced nor served, such as COMPRESS=DEFLATE",
    )
    clients: tuple[ClientRule, ...] = Field(
        KNOWN,
        max_length=1_000,
        description="Clients that trip over capabilities: a list of name and version (patterns, of what "
        "their ID says), off (capabilities) and reason",
    )

    @field_validator("idle_minutes")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if 0 < value < 30:
            raise ValueError("30 minutes at least, or 0 for never")
        return value
