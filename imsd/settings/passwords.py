"""What is asked of passwords besides their length (draft-behera-ldap-password-policy-10 5.2)."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page

MOST_HISTORY = 24
"""Former passwords of one person that are kept at most: each costs a slow hash when a new one is set."""


class PasswordPolicy(Page):
    """Age, reuse, and what happens after many failures. App passwords and certificates are exempt."""

    section = "passwords"

    strength: int = Field(
        2,
        ge=0,
        le=4,
        description="How hard to guess a new password must be: 0 any, 1 not at once, 2 by nobody who may try "
        "as often as he likes here, 3 by nobody who has the stored form of it, 4 more than that; a person's "
        "own names and addresses count as known",
    )
    history: int = Field(
        0,
        ge=0,
        le=MOST_HISTORY,
        description="How many former passwords may not be used again, besides the present one; 0: any may",
    )
    max_age_days: int = Field(0, ge=0, le=3650, description="Days after which a password expires, 0: never")
    warn_days: int = Field(
        14, ge=0, le=365, description="Days before that during which LDAP clients that ask are warned"
    )
    grace_logins: int = Field(0, ge=0, le=1000, description="Logins with a password that has expired")
    change_after_reset: bool = Field(
        False,
        description="A password that an administrator set must be changed, by LDAP, before anything else",
    )
    lockout_failures: int = Field(
        0,
        ge=0,
        le=1000,
        description="Wrong passwords that lock an account, 0: none do, guessing is slowed down alone",
    )
    lockout_minutes: int = Field(
        15,
        ge=0,
        le=525_600,
        description="Minutes until a locked account may log in again, and until failures are forgotten; "
        "0: until an administrator unlocks it",
    )
    tell_locked: bool = Field(
        False, description="Say that an account is locked: it tells strangers, too, that there is one"
    )
