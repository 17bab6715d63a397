"""The second factor of those who have one: a code behind the password, good once.

1. A code counts once, on whatever node: the row keeps the step of the last one (RFC 6238 5.2). Logins
   that come together with the same code are one attempt (`Flights`), and nothing of it is remembered.
2. A wrong code is a wrong password, for the throttle and for the lock.
3. Nobody types codes into a mail program every minute: that has an app password. SCRAM proves a password
   alone, so with a second factor it is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from imsd.auth import totp
from imsd.directory.values import Person
from imsd.store import credentials
from imsd.store.credentials import Credentials
from imsd.store.database import Database


class Factors:
    """open: the text of a secret, may raise TryLater. clock: seconds since the epoch."""

    def __init__(
        self, db: Database, open_: Callable[[str], str], key: bytes, clock: Callable[[], float]
    ) -> None:
        self._db = db
        self._open = open_
        self._key = key
        self._clock = clock

    async def used(self, person: Person, held: Credentials, code: str) -> bool:
        """Whether a code is right; it is not, from now on. Raises TryLater."""
        if not code:
            return False
        if code.isdecimal():
            step = totp.step_of(code, self._open(held.totp), self._clock())
            return step is not None and await self._db.write(credentials.totp_used, person.entry, step)
        (stored,) = totp.hashed([code], person.entry, self._key)
        return stored in held.recovery and await self._db.write(
            credentials.recovery_used, person.entry, stored
        )
