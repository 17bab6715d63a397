"""Finding the person behind a log-on name, and what proves his identity."""

from __future__ import annotations

from imsd.auth.account import Proved
from imsd.auth.interfaces import LoginDirectory
from imsd.auth.names import candidates
from imsd.directory.values import Person
from imsd.errors import AccountDisabled, AuthenticationFailed
from imsd.store import credentials
from imsd.store.credentials import Credentials
from imsd.store.database import Database


class People:
    def __init__(self, db: Database, directory: LoginDirectory) -> None:
        self._db = db
        self._directory = directory

    async def find(self, name: str) -> tuple[Person | None, str]:
        """Who a typed name means, and the name of the mailbox he wants, "" for his own."""
        for candidate in candidates(name):
            person = await self._directory.person_by_login(candidate.user)
            if person is not None:
                return person, candidate.mailbox
        return None, ""

    async def credentials(self, person: Person | None) -> Credentials:
        """Empty for nobody."""
        if person is None:
            return Credentials()
        return await self._db.read_few(credentials.read, person.entry)

    async def still(self, person: Person, generation: int) -> Proved:
        """The avatar id of one who has just proved himself with credentials of a generation.

        The world may have changed meanwhile: raises AuthenticationFailed if the credentials
        did or the person is gone, AccountDisabled.
        """
        now = await self._db.read_few(credentials.generation, person.entry)
        fresh = await self._directory.person(person.account)
        if fresh is None or now != generation:
            raise AuthenticationFailed
        if fresh.disabled:
            raise AccountDisabled
        return Proved(person.account, generation)


def throttle_name(person: Person | None, typed: str) -> str:
    """What failures are counted under: the person however he was named, else the name."""
    return typed.strip().casefold()[:256] if person is None else f"#{person.account}"
