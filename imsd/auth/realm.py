"""The twisted.cred realm: from one who proved himself to his Account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from zope.interface import Interface, implementer

from imsd.auth.account import Account, IAccount, Proved
from imsd.auth.interfaces import LoginDirectory
from imsd.directory.values import Person
from imsd.errors import AccountDisabled, AuthenticationFailed

Avatar = tuple[type[Interface], Account, Callable[[], None]]

_Key = tuple[int, bool, bool]
"""Account, by an app password, with a password that must be changed."""

MOST = 100_000
"""Accounts kept; past that all are made anew."""


def account_of(person: Person, generation: int, app: bool = False, must_change: bool = False) -> Account:
    return Account(
        id=person.account,
        entry=person.entry,
        dn=person.dn,
        addresses=person.addresses,
        rights_version=person.rights_version,
        is_admin=person.is_admin,
        generation=generation,
        actor=person.account,
        protocols=person.protocols,
        capabilities_off=person.capabilities_off,
        home=person.home,
        app=app,
        must_change=must_change,
    )


@implementer(IRealm)
class Realm:
    """Accounts are kept until their entry changes."""

    def __init__(self, directory: LoginDirectory) -> None:
        self._directory = directory
        self._avatars: dict[_Key, tuple[int, Avatar]] = {}
        self._epoch = 0

    def requestAvatar(  # type: ignore[override]  # avatar ids are values here, not bytes
        self, avatarId: Proved, mind: object, *interfaces: type[Interface]
    ) -> Avatar | Deferred[Avatar]:
        if IAccount not in interfaces:
            raise NotImplementedError("only accounts live here")
        kept = self._avatars.get((avatarId.account, avatarId.app, avatarId.must_change))
        if kept is not None and kept[0] == avatarId.generation:
            return kept[1]
        return Deferred.fromCoroutine(self._make(avatarId))

    def current(self, account: Account) -> bool:
        """Did nothing change since this account was made? False where that is not known."""
        kept = self._avatars.get((account.id, account.app, account.must_change))
        return kept is not None and kept[1][1] is account

    def forget(self, account: int) -> None:
        self._epoch += 1
        for key in ((account, False, False), (account, True, False), (account, False, True)):
            self._avatars.pop(key, None)

    def clear(self) -> None:
        self._epoch += 1
        self._avatars.clear()

    async def _make(self, proved: Proved) -> Avatar:
        epoch = self._epoch
        person = await self._directory.person(proved.account)
        if person is None:
            raise AuthenticationFailed
        if person.disabled:
            raise AccountDisabled
        made = account_of(person, proved.generation, proved.app, proved.must_change)
        avatar: Avatar = (IAccount, made, _nothing)
        if len(self._avatars) >= MOST:
            self._avatars.clear()
        if self._epoch == epoch:
            self._avatars[proved.account, proved.app, proved.must_change] = proved.generation, avatar
        return avatar


def _nothing(*_: Any) -> None:
    """Sessions hold nothing that logging out gives back."""
