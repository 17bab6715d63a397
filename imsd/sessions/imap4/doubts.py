"""Whether a session is to the owners of mailboxes who it was: its groups, whose delegate it is.

Rights that no list of a mailbox grants rest on entries and on settings. Any of them may be another after
a change there, and many change at once where a directory is filled: so the session looks once, a moment
later, and only who has become somebody else goes through the mailboxes that it sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from imsd.auth.standing import actor, identities_of
from imsd.store.changes import DIRECTORY, SETTINGS, Change
from imsd.store.database import Watch

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

SOON: Final = 0.5
"""Seconds after a change until a session looks."""


class Doubts:
    """Of one session. ring: called when it should look, by `moved`."""

    def __init__(self, owner: ImapAccount, ring: Callable[[], object]) -> None:
        self._owner = owner
        self._ring = ring
        self._who: object = None
        self._look: Any = None
        self._watches: list[Watch] = []
        self.waiting = False

    async def start(self) -> None:
        watch = self._owner.held.db.feed.watch
        self._watches = [watch(scope, self._changed) for scope in (DIRECTORY, SETTINGS)]
        self._who = await self._standing()

    def close(self) -> None:
        for watch in self._watches:
            watch.stop()
        self._watches = []
        if self._look is not None and self._look.active():
            self._look.cancel()
        self.waiting = False

    def _changed(self, _change: Change) -> None:
        if self._look is None or not self._look.active():
            self._look = self._owner.held.reactor.callLater(SOON, self._doubt)

    def _doubt(self) -> None:
        self.waiting = True
        self._ring()

    async def moved(self) -> bool:
        """Look, if there is reason to: is it somebody else now than when it last looked?"""
        if not self.waiting:
            return False
        self.waiting = False
        before, self._who = self._who, await self._standing()
        return before != self._who

    async def _standing(self) -> object:
        owner = self._owner
        account = owner.account
        if account.anonymous:
            return None
        who = await identities_of(owner.held.directory, actor(account))
        delegators = tuple(await owner.held.directory.delegators(who))
        own = await owner.places.standing(account.id)
        return who, delegators, own, account.is_admin, owner.page.delegate
