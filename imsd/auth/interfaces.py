"""What auth needs of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from imsd.directory.values import Person
from imsd.store.ids import AccountId, EntryId


class LoginDirectory(Protocol):
    """The part of the directory that finds people."""

    async def person_by_login(self, name: str) -> Person | None:
        r"""By alias, any SMTP address, DN, or DOMAIN\alias; None if unknown."""
        ...

    async def person(self, account: AccountId) -> Person | None:
        """The person with this account as it now is; None once deleted."""
        ...

    async def administrator(self) -> Person | None:
        """The administrator that was there first, of those that may log in."""
        ...

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]:
        """The distribution lists somebody is a member of, by other lists, too."""
        ...

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]:
        """Whom a person named as delegates: people or lists."""
        ...


class PasswordMaker(Protocol):
    """What the directory needs of auth to set passwords (`imsd.auth.passwords.Passwords`)."""

    async def make(self, password: str, former: Sequence[str] = ()) -> str:
        """The verifier to store (`imsd.store.credentials.set_password`).

        Raises ConstraintViolation for a password that may not be used, TryLater when busy.
        """
        ...
