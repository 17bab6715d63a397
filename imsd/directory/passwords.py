"""What the policy says of one password (draft-behera-ldap-password-policy-10): values alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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


FOR_GOOD: Final = b"000001010000Z"
"""pwdAccountLockedTime of an account that an administrator alone unlocks (5.3.3)."""
POLICY: Final = b"cn=passwords,cn=Configuration"
"""The page that is the policy (`imsd.directory.configuration`)."""


def shown(
    held: Credentials, page: PasswordPolicy, now: int, disabled: bool
) -> Mapping[str, tuple[bytes, ...]]:
    """The values of the attributes of draft-behera 5.3 that there are. pwdHistory is nobody's to read."""
    found: dict[str, tuple[bytes, ...]] = {"pwdpolicysubentry": (POLICY,)}
    if disabled:
        found["pwdaccountlockedtime"] = (FOR_GOOD,)
    if not held.password:
        return found
    found["pwdchangedtime"] = (_second(held.changed),)
    locked = state(held, page, now).locked
    if locked and not disabled:
        found["pwdaccountlockedtime"] = (_second(locked),)
    if held.failures:
        found["pwdfailuretime"] = _moments(held.failure_times or (held.failed,))
    if held.grace_times:
        found["pwdgraceusetime"] = _moments(held.grace_times)
    if held.must_change:
        found["pwdreset"] = (b"TRUE",)
    return found


def _second(microseconds: int) -> bytes:
    """GeneralizedTime (RFC 4517 3.3.13) in whole seconds."""
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y%m%d%H%M%SZ}".encode()


def _moments(times: Iterable[int]) -> tuple[bytes, ...]:
    """The same with microseconds: those that came within a second are several."""
    made = (datetime.fromtimestamp(each // SECOND, UTC).replace(microsecond=each % SECOND) for each in times)
    return tuple(dict.fromkeys(f"{each:%Y%m%d%H%M%S.%fZ}".encode() for each in made))


def replacement(verifier: str, page: PasswordPolicy, reset: bool) -> NewPassword:
    """What to store of a new password. reset: not its owner sets it."""
    return NewPassword(verifier, page.history, reset and page.change_after_reset)


def not_again(held: Credentials, page: PasswordPolicy) -> tuple[str, ...]:
    """Verifiers of passwords that a new one may not be."""
    if not page.history:
        return ()
    return tuple(filter(None, (held.password, *held.former[: page.history])))
