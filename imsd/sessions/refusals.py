"""The one table from a refusal to each protocol's reply.

A class of `imsd.errors` stands here once; a subclass without a row takes its parent's. The text
is the refusal's own. SMTP: code and enhanced code (RFC 3463). POP3: the response code (RFC 2449
8, RFC 3206), b"" for none. IMAP: the response code (RFC 5530, RFC 9051 7.1), b"" for none. LDAP: the
result code (RFC 4511 A.1).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from imsd import errors
from protocols.ldap.results import Result, ResultCode
from protocols.pop3.interfaces import Explained
from protocols.smtp.responses import Reply


class Row(NamedTuple):
    code: int
    enhanced: str
    pop3: bytes
    imap: bytes
    ldap: int


TABLE: Final[dict[type[errors.Refusal], Row]] = {
    errors.Refusal: Row(550, "5.0.0", b"", b"CANNOT", 53),
    errors.Temporary: Row(451, "4.3.0", b"SYS/TEMP", b"UNAVAILABLE", 51),
    # Store
    errors.TryLater: Row(451, "4.3.0", b"SYS/TEMP", b"UNAVAILABLE", 51),
    errors.StoreFull: Row(452, "4.3.1", b"SYS/TEMP", b"UNAVAILABLE", 53),
    errors.StoreUnavailable: Row(451, "4.3.0", b"SYS/TEMP", b"UNAVAILABLE", 52),
    errors.StoreDamaged: Row(451, "4.3.0", b"SYS/PERM", b"CORRUPTION", 52),
    errors.OverQuota: Row(552, "5.2.2", b"SYS/PERM", b"OVERQUOTA", 53),
    errors.OverQuotaForNow: Row(452, "4.2.2", b"SYS/TEMP", b"OVERQUOTA", 53),
    errors.TooLarge: Row(552, "5.3.4", b"SYS/PERM", b"TOOBIG", 11),
    errors.TooLargeHere: Row(552, "5.2.3", b"SYS/PERM", b"TOOBIG", 11),
    errors.LimitReached: Row(452, "4.5.3", b"SYS/PERM", b"LIMIT", 11),
    errors.TooManyAnnotations: Row(452, "4.5.3", b"SYS/PERM", b"METADATA TOOMANY", 11),
    errors.NoPrivateAnnotations: Row(550, "5.7.1", b"", b"METADATA NOPRIVATE", 50),
    errors.InvalidName: Row(550, "5.5.4", b"", b"CANNOT", 34),
    errors.NoSuchMailbox: Row(550, "5.1.1", b"", b"NONEXISTENT", 32),
    errors.MailboxExists: Row(550, "5.5.4", b"", b"ALREADYEXISTS", 68),
    errors.MailboxHasChildren: Row(550, "5.5.4", b"", b"HASCHILDREN", 66),
    errors.MailboxInUse: Row(451, "4.2.1", b"IN-USE", b"INUSE", 51),
    errors.NoSuchMessage: Row(550, "5.5.4", b"", b"NONEXISTENT", 32),
    errors.AlreadyExpunged: Row(550, "5.5.4", b"", b"EXPUNGEISSUED", 32),
    errors.NotPermitted: Row(550, "5.7.1", b"", b"NOPERM", 50),
    errors.Referred: Row(550, "5.7.1", b"SYS/PERM", b"REFERRAL", 53),
    errors.Unsupported: Row(504, "5.5.4", b"", b"CANNOT", 53),
    errors.UnsupportedUse: Row(504, "5.5.4", b"", b"USEATTR", 53),
    errors.UnknownEncoding: Row(554, "5.6.1", b"", b"UNKNOWN-CTE", 53),
    errors.UnsupportedCharset: Row(554, "5.6.1", b"", b"BADCHARSET", 53),
    # Mail
    errors.NoSuchRecipient: Row(550, "5.1.1", b"", b"NONEXISTENT", 32),
    # An administrator can mend it: the sender tries again.
    errors.AmbiguousRecipient: Row(451, "4.3.5", b"", b"CANNOT", 19),
    errors.NoRoute: Row(550, "5.4.4", b"", b"CANNOT", 53),
    errors.SecurityRequired: Row(530, "5.7.0", b"", b"NOPERM", 53),
    errors.HostRejected: Row(550, "5.7.1", b"", b"NOPERM", 53),
    errors.NotHomed: Row(550, "5.7.1", b"", b"NOPERM", 50),
    errors.QueueElsewhere: Row(458, "4.3.0", b"", b"CANNOT", 53),
    errors.AskedTooOften: Row(459, "4.7.0", b"", b"LIMIT", 53),
    errors.RelayDenied: Row(550, "5.7.1", b"", b"NOPERM", 50),
    errors.SenderNotPermitted: Row(550, "5.7.1", b"", b"NOPERM", 50),
    errors.TooManyRecipients: Row(452, "4.5.3", b"", b"LIMIT", 11),
    errors.PostingDenied: Row(550, "5.7.1", b"", b"NOPERM", 50),
    errors.LoopDetected: Row(554, "5.4.6", b"", b"CANNOT", 54),
    errors.MalformedMessage: Row(554, "5.6.0", b"", b"CANNOT", 53),
    errors.TooFast: Row(450, "4.7.1", b"SYS/TEMP", b"LIMIT", 51),
    errors.Greylisted: Row(451, "4.7.1", b"SYS/TEMP", b"UNAVAILABLE", 51),
    errors.HostListed: Row(550, "5.7.1", b"", b"NOPERM", 53),
    errors.SentAway: Row(421, "4.7.0", b"SYS/TEMP", b"LIMIT", 51),
    errors.Filtered: Row(550, "5.7.1", b"", b"NOPERM", 53),
    errors.PolicyRejected: Row(550, "5.7.1", b"", b"NOPERM", 53),
    # Login
    errors.AuthenticationFailed: Row(535, "5.7.8", b"AUTH", b"AUTHENTICATIONFAILED", 49),
    errors.NotAuthorized: Row(535, "5.7.8", b"AUTH", b"AUTHORIZATIONFAILED", 49),
    errors.AccountLocked: Row(535, "5.7.8", b"AUTH", b"AUTHENTICATIONFAILED", 49),
    errors.PasswordExpired: Row(535, "5.7.8", b"AUTH", b"EXPIRED", 49),
    errors.PasswordMustChange: Row(535, "5.7.8", b"AUTH", b"EXPIRED", 49),
    errors.ChangePasswordFirst: Row(550, "5.7.1", b"", b"NOPERM", 50),
    errors.AccountDisabled: Row(535, "5.7.13", b"AUTH", b"CONTACTADMIN", 49),
    errors.ProtocolOff: Row(550, "5.7.1", b"SYS/PERM", b"CONTACTADMIN", 53),
    errors.Throttled: Row(454, "4.7.0", b"SYS/TEMP", b"UNAVAILABLE", 51),
    errors.LoginTooSoon: Row(454, "4.7.0", b"LOGIN-DELAY", b"LIMIT", 51),
    errors.EncryptionRequired: Row(538, "5.7.11", b"", b"PRIVACYREQUIRED", 13),
    # Directory
    errors.NoSuchEntry: Row(550, "5.1.1", b"", b"NONEXISTENT", 32),
    errors.AliasProblem: Row(550, "5.1.1", b"", b"NONEXISTENT", 33),
    errors.HeldElsewhere: Row(551, "5.1.6", b"", b"CANNOT", 10),
    errors.AffectsOthers: Row(550, "5.5.4", b"", b"CANNOT", 71),
    errors.EntryExists: Row(550, "5.5.4", b"", b"ALREADYEXISTS", 68),
    errors.NotAllowedOnNonLeaf: Row(550, "5.5.4", b"", b"CANNOT", 66),
    errors.NotAllowedOnRdn: Row(550, "5.5.4", b"", b"CANNOT", 67),
    errors.NamingViolation: Row(550, "5.5.4", b"", b"CANNOT", 64),
    errors.ObjectClassViolation: Row(550, "5.5.4", b"", b"CANNOT", 65),
    errors.UndefinedAttribute: Row(550, "5.5.4", b"", b"CANNOT", 17),
    errors.NoSuchAttribute: Row(550, "5.5.4", b"", b"NONEXISTENT", 16),
    errors.AttributeOrValueExists: Row(550, "5.5.4", b"", b"ALREADYEXISTS", 20),
    errors.ConstraintViolation: Row(550, "5.5.4", b"", b"CANNOT", 19),
    errors.PasswordTooShort: Row(550, "5.5.4", b"", b"CANNOT", 19),
    errors.PasswordTooWeak: Row(550, "5.5.4", b"", b"CANNOT", 19),
    errors.PasswordUnusable: Row(550, "5.5.4", b"", b"CANNOT", 19),
    errors.PasswordUsedBefore: Row(550, "5.5.4", b"", b"CANNOT", 19),
    errors.InvalidSyntax: Row(550, "5.5.4", b"", b"CANNOT", 21),
    errors.InvalidDN: Row(550, "5.5.4", b"", b"CANNOT", 34),
    errors.InappropriateMatching: Row(550, "5.5.4", b"", b"CANNOT", 18),
    errors.AssertionFailed: Row(550, "5.5.4", b"", b"CANNOT", 122),
    errors.StepRefused: Row(550, "5.5.4", b"", b"CANNOT", 53),
    errors.UnwillingToPerform: Row(550, "5.5.4", b"", b"CANNOT", 53),
}


def row_of(error: errors.Refusal) -> Row:
    """The row of the refusal's class, or of the nearest class above it."""
    for kind in type(error).__mro__:
        row = TABLE.get(kind)
        if row is not None:
            return row
    return TABLE[errors.Refusal]


def smtp(error: Exception) -> Reply | None:
    """The reply for a refusal, None for a bug."""
    if not isinstance(error, errors.Refusal):
        return None
    row = row_of(error)
    return Reply(row.code, row.enhanced, error.text)


def pop3(error: Exception) -> Explained | None:
    """The response code and text for a refusal, None for a bug."""
    return Explained(row_of(error).pop3, error.text) if isinstance(error, errors.Refusal) else None


def ldap(error: Exception) -> Result | None:
    """The result for a refusal, None for a bug."""
    if not isinstance(error, errors.Refusal):
        return None
    if isinstance(error, errors.HeldElsewhere):
        return Result(ResultCode.REFERRAL, text=error.text, referrals=error.urls)
    matched = error.matched if isinstance(error, errors.NoSuchEntry) else ""
    return Result(ResultCode(row_of(error).ldap), matched, error.text)
