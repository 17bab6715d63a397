"""What LDAP clients are told of a password's policy (draft-behera-ldap-password-policy-10 6.2, 8)."""

from __future__ import annotations

from typing import Final

from imsd import errors
from imsd.directory.passwords import PasswordState
from protocols.ldap.controls import PasswordError, password_control
from protocols.ldap.messages import Control

_ERRORS: Final[dict[type[errors.Refusal], PasswordError]] = {
    errors.PasswordExpired: PasswordError.EXPIRED,
    errors.PasswordMustChange: PasswordError.CHANGE_AFTER_RESET,
    errors.ChangePasswordFirst: PasswordError.CHANGE_AFTER_RESET,
    errors.PasswordTooShort: PasswordError.TOO_SHORT,
    errors.PasswordTooWeak: PasswordError.QUALITY,
    errors.PasswordUnusable: PasswordError.QUALITY,
    errors.PasswordUsedBefore: PasswordError.IN_HISTORY,
}


def told(state: PasswordState) -> Control:
    """For one who has just bound with this password."""
    error = PasswordError.CHANGE_AFTER_RESET if state.must_change else None
    return password_control(state.warn, state.grace if state.expired else None, error)


def error_of(error: Exception) -> PasswordError | None:
    """None where it is not about passwords, and for a lock that strangers shall not know of."""
    if isinstance(error, errors.AccountLocked):
        return PasswordError.LOCKED if error.text == errors.AccountLocked.told else None
    return _ERRORS.get(type(error)) if isinstance(error, errors.Refusal) else None
