"""Who may log in, and how: the Authentication page of every protocol (ims_spec 7.1.1)."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


class Logins(Page):
    """Mechanisms, password storage, throttling."""

    section = "logins"

    basic: bool = Field(
        True, description="Names and passwords in clear text under TLS: PLAIN, LOGIN, USER/PASS, simple bind"
    )
    challenge: bool = Field(
        True,
        description="Challenge and response: SCRAM-SHA-256. Passwords are stored as SCRAM keys; when off, "
        "as argon2id. A stored password changes its form at the next login with it",
    )
    certificates: bool = Field(True, description="EXTERNAL, for clients with a verified TLS certificate")
    tokens: bool = Field(
        True, description="OAUTHBEARER and XOAUTH2, once tokens.issuer names an identity provider"
    )
    allow_cleartext: bool = Field(
        False, description="Passwords in clear text without TLS from other machines too (never do that)"
    )
    administrators_act: bool = Field(
        False, description="Administrators may log in to other people's mailboxes with their own password"
    )
    scram_iterations: int = Field(
        65_536,
        ge=4096,
        le=10_000_000,
        description="Iterations of the key of a new password. Clients built on Cyrus SASL (mbsync, "
        "ldapsearch -Y, Postfix) refuse more than 65536",
    )
    shortest_password: int = Field(8, ge=1, le=128, description="Characters of a new password at least")
    cache_seconds: int = Field(
        300, ge=0, le=7200, description="How long a verified login is remembered in memory, 0: not at all"
    )
    cache_entries: int = Field(10_000, ge=1, le=1_000_000, description="Verified logins remembered at most")
    hash_threads: int = Field(2, ge=1, le=64, description="Passwords verified at the same time")
    hash_queue: int = Field(200, ge=1, le=100_000, description="Passwords waiting for that at most")
    account_failures: int = Field(
        5, ge=1, le=1000, description="Failed logins of one account from strange addresses before delays"
    )
    address_failures: int = Field(
        20, ge=1, le=10_000, description="Failed logins from one address (IPv6: one /64) before delays begin"
    )
    first_delay: float = Field(
        1.0, ge=0.1, le=60, description="Seconds of the first delay; each further failure doubles it"
    )
    longest_delay: float = Field(300.0, ge=1, le=86_400, description="Seconds of the longest delay")
    forget_after: float = Field(
        3600.0, ge=60, le=604_800, description="Seconds without a failure after which all are forgotten"
    )
    throttle_entries: int = Field(
        50_000, ge=100, le=10_000_000, description="Accounts and addresses remembered at most"
    )
