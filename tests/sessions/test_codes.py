"""IMAP4 response codes of refusals: those of RFC 5530 and RFC 9051, each where it belongs."""

from __future__ import annotations

import pytest

from imsd import errors
from imsd.sessions import refusals
from protocols.imap4.commands import login  # noqa: F401  (the package is whole)

REGISTERED = set(
    # RFC 5530 3
    b"UNAVAILABLE AUTHENTICATIONFAILED AUTHORIZATIONFAILED EXPIRED PRIVACYREQUIRED CONTACTADMIN NOPERM INUSE "
    b"EXPUNGEISSUED CORRUPTION SERVERBUG CLIENTBUG CANNOT LIMIT OVERQUOTA ALREADYEXISTS NONEXISTENT "
    # RFC 9051 7.1, RFC 6154 3, RFC 7889 5.2, RFC 3516 4.3, RFC 5255 and others
    b"BADCHARSET HASCHILDREN TOOBIG UNKNOWN-CTE USEATTR BADURL TRYCREATE METADATA NOTIFICATIONOVERFLOW "
    b"BADEVENT NOUPDATE UNDEFINED-FILTER "
    # RFC 2221 4.1
    b"REFERRAL".split()
)


@pytest.mark.parametrize("kind", refusals.TABLE, ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_registered_code(kind: type[errors.Refusal]) -> None:
    code = refusals.TABLE[kind].imap
    assert code
    assert code.split()[0] in REGISTERED


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.StoreUnavailable, b"UNAVAILABLE"),
        (errors.StoreDamaged, b"CORRUPTION"),
        (errors.AuthenticationFailed, b"AUTHENTICATIONFAILED"),
        (errors.NotAuthorized, b"AUTHORIZATIONFAILED"),
        # The password was right: only an administrator can help.
        (errors.AccountDisabled, b"CONTACTADMIN"),
        (errors.ProtocolOff, b"CONTACTADMIN"),
        (errors.EncryptionRequired, b"PRIVACYREQUIRED"),
        (errors.NotPermitted, b"NOPERM"),
        (errors.MailboxInUse, b"INUSE"),
        (errors.AlreadyExpunged, b"EXPUNGEISSUED"),
        (errors.LimitReached, b"LIMIT"),
        (errors.OverQuota, b"OVERQUOTA"),
        (errors.OverQuotaForNow, b"OVERQUOTA"),
        (errors.MailboxExists, b"ALREADYEXISTS"),
        (errors.NoSuchMailbox, b"NONEXISTENT"),
        (errors.InvalidName, b"CANNOT"),
        (errors.TooLarge, b"TOOBIG"),
    ],
)
def test_codes(kind: type[errors.Refusal], code: bytes) -> None:
    assert refusals.row_of(kind()).imap == code
