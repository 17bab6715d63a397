"""The Authentication page of each protocol (ims_spec 7.1.1): a list of what it takes."""

from __future__ import annotations

from typing import Final, Literal

Authentication = tuple[Literal["clear", "basic", "challenge", "certificates", "tokens"], ...] | None

AUTHENTICATION: Final = (
    "How people log in by this protocol, in place of what the logins page says: a list of clear (names "
    "and passwords in clear text, without TLS from other machines too: never do that), basic (the same "
    "under TLS), challenge (SCRAM-SHA-256), certificates (EXTERNAL), tokens (OAUTHBEARER, "
    "XOAUTH2). What the logins page switches off "
    "stays off; null: as it says"
)
