"""What the policy says of one password (draft-behera-ldap-password-policy-10): values alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from imsd.settings.passwords import PasswordPolicy
from imsd.store.credentials import Credentials, NewPassword

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
_DAY: Final = 24 * 60 * MINUTE


@dataclass(frozen=True, slots=True)
class PasswordState:
    """One password now. Times: microseconds since the epoch, 0 for never.

    locked: since when, 0 for not. unlocks: when by itself. grace: logins left once expired.
    warn: seconds until it expires, where it is time to say so, else None.
    """

    changed: int = 0
    expires: int = 0
    expired: bool = False
    grace: int = 0
    warn: int | None = None
    must_change: bool = False
    locked: int = 0
    unlocks: int = 0


def state(held: Credentials, page: PasswordPolicy, now: int) -> PasswordState:
    """What holds of a password under a policy."""
    if not held.password:
        return PasswordState()
    expires = held.changed + page.max_age_days * _DAY if page.max_age_days else 0
    expired = bool(expires) and expires <= now
    soon = bool(expires) and not expired and expires - now <= page.warn_days * _DAY
    unlocks = held.failed + page.lockout_minutes * MINUTE if page.lockout_minutes else 0
    locked = bool(page.lockout_failures) and held.failures >= page.lockout_failures
    if unlocks and unlocks <= now:
        locked = False
    return PasswordState(
        changed=held.changed,
        expires=expires,
        expired=expired,
        grace=max(page.grace_logins - held.grace, 0) if expired else 0,
        warn=(expires - now) // SECOND if soon else None,
        must_change=held.must_change,
        locked=held.failed if locked else 0,
        unlocks=unlocks if locked else 0,
    )


def replacement(verifier: str, page: PasswordPolicy, reset: bool) -> NewPassword:
    """What to store of a new password. reset: not its owner sets it."""
    return NewPassword(verifier, page.history, reset and page.change_after_reset)


def not_again(held: Credentials, page: PasswordPolicy) -> tuple[str, ...]:
    """Verifiers of passwords that a new one may not be."""
    if not page.history:
        return ()
    return tuple(filter(None, (held.password, *held.former[: page.history])))
