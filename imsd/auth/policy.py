"""What the policy says of somebody's password: locked, expired, to be changed.

The words are those of draft-behera-ldap-password-policy-10; they hold for every protocol. App
passwords, certificates and tokens are exempt: nobody types them, or another server has its own policy.
A locked account is refused whether the password is right or not, after the same work, so that
guessing goes on to tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from imsd.directory.passwords import MINUTE, SECOND, PasswordState, state
from imsd.directory.values import Person
from imsd.errors import AccountLocked, PasswordExpired, PasswordMustChange, Refusal
from imsd.settings.logins import Logins
from imsd.settings.passwords import PasswordPolicy
from imsd.store import credentials
from imsd.store.credentials import Credentials
from imsd.store.database import Database

CHANGING: Final = "ldap"
"""The protocol by which a password can be changed."""


class Policy:
    """The policy at a login. clock: seconds since the epoch."""

    def __init__(
        self,
        db: Database,
        page: Callable[[], PasswordPolicy],
        logins: Callable[[], Logins],
        clock: Callable[[], float],
    ) -> None:
        self._db = db
        self._page = page
        self._logins = logins
        self._clock = clock

    async def failed(self, person: Person, held: Credentials) -> None:
        """A wrong password was given: count it, where that locks accounts. Raises AccountLocked."""
        page, now = self._page(), self._now()
        if not page.lockout_failures:
            return
        self._refuse_locked(state(held, page, now), page)
        since = now - page.lockout_minutes * MINUTE if page.lockout_minutes else 0
        try:
            await self._db.write(credentials.failed, person.entry, now, since, page.lockout_failures)
        except Refusal:  # a full disk: the throttle has counted it
            pass

    async def passed(
        self, person: Person, held: Credentials, protocol: str, changing: bool = False
    ) -> tuple[bool, bool]:
        """The password was right: must it be changed, and may the login be remembered?

        changing: shown in order to set another. Raises AccountLocked, PasswordExpired, PasswordMustChange.
        """
        page, now = self._page(), self._now()
        found = state(held, page, now)
        self._refuse_locked(found, page)
        if held.failures:
            try:
                await self._db.write(credentials.unlock, person.entry)
            except Refusal:  # forgotten at the next login
                pass
        if changing:
            return found.must_change, False
        if found.must_change and protocol != CHANGING:
            raise PasswordMustChange
        if found.expired and not await self._db.write(
            credentials.grace_used, person.entry, page.grace_logins, now
        ):
            raise PasswordExpired
        lasts = not found.expires or found.expires - now > self._logins().cache_seconds * SECOND
        return found.must_change, lasts and not found.must_change

    @staticmethod
    def _refuse_locked(found: PasswordState, page: PasswordPolicy) -> None:
        if found.locked:
            raise AccountLocked(AccountLocked.told if page.tell_locked else "")

    def _now(self) -> int:
        return int(self._clock() * SECOND)
