"""Result codes, and the LDAPResult that ends every operation (RFC 4511 4.1.9, Appendix A)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ResultCode(IntEnum):
    """Every code of RFC 4511 4.1.9, and those of the extensions served here."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    TIME_LIMIT_EXCEEDED = 3
    SIZE_LIMIT_EXCEEDED = 4
    COMPARE_FALSE = 5
    COMPARE_TRUE = 6
    AUTH_METHOD_NOT_SUPPORTED = 7
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    ADMIN_LIMIT_EXCEEDED = 11
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    SASL_BIND_IN_PROGRESS = 14
    NO_SUCH_ATTRIBUTE = 16
    UNDEFINED_ATTRIBUTE_TYPE = 17
    INAPPROPRIATE_MATCHING = 18
    CONSTRAINT_VIOLATION = 19
    ATTRIBUTE_OR_VALUE_EXISTS = 20
    INVALID_ATTRIBUTE_SYNTAX = 21
    NO_SUCH_OBJECT = 32
    ALIAS_PROBLEM = 33
    INVALID_DN_SYNTAX = 34
    ALIAS_DEREFERENCING_PROBLEM = 36
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    LOOP_DETECT = 54
    SORT_CONTROL_MISSING = 60
    """draft-ietf-ldapext-ldapv3-vlv-09 8, as the one below."""
    OFFSET_RANGE_ERROR = 61
    NAMING_VIOLATION = 64
    OBJECT_CLASS_VIOLATION = 65
    NOT_ALLOWED_ON_NON_LEAF = 66
    NOT_ALLOWED_ON_RDN = 67
    ENTRY_ALREADY_EXISTS = 68
    OBJECT_CLASS_MODS_PROHIBITED = 69
    AFFECTS_MULTIPLE_DSAS = 71
    OTHER = 80
    CANCELED = 118
    """RFC 3909 2.3, as the three below."""
    NO_SUCH_OPERATION = 119
    TOO_LATE = 120
    CANNOT_CANCEL = 121
    ASSERTION_FAILED = 122
    """RFC 4528 4."""
    AUTHORIZATION_DENIED = 123
    """RFC 4370 4."""
    SYNC_REFRESH_REQUIRED = 4096
    """RFC 4533 2.6."""


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended.

    matched: the DN of the deepest entry that exists, with NO_SUCH_OBJECT and its kind.
    text: diagnosticMessage, for people.
    referrals: LDAP URLs, with REFERRAL only.
    """

    code: ResultCode
    matched: str = ""
    text: str = ""
    referrals: tuple[str, ...] = ()


SUCCESS = Result(ResultCode.SUCCESS)


class Failed(Exception):
    """An operation that ends in this result; what commands and identities may raise as well."""

    def __init__(self, code: ResultCode, text: str = "", matched: str = "") -> None:
        super().__init__(f"{code.name}: {text}")
        self.result = Result(code, matched, text)


class FailedUpdate(Failed):
    """One of several updates failed, and with it all. number: which, from 0."""

    def __init__(self, number: int, result: Result) -> None:
        super().__init__(result.code, result.text, result.matched)
        self.number = number


class Referred(Failed):
    """The base is held elsewhere: LDAP URLs of servers that may hold it (RFC 4511 4.1.10)."""

    def __init__(self, *urls: str) -> None:
        super().__init__(ResultCode.REFERRAL)
        self.result = Result(ResultCode.REFERRAL, referrals=urls)
