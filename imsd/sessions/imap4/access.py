"""Views of mailboxes that are not their session's own, and who tells them that rights moved.

Rights rest on rows (the list of the mailbox), on entries (groups, delegates) and on a setting. A
change of any makes the view look again before it does the next thing (design rule 18); one that
waits in IDLE is made to look by a timer, so that a bulk change costs one look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imsd.store.changes import DIRECTORY, SETTINGS, AccountScope, Change, Missed, RightsChanged
from imsd.store.ids import AccountId

if TYPE_CHECKING:
    from imsd.sessions.imap4.held import Bell
    from imsd.sessions.imap4.view import View
    from imsd.store.database import Database

SOON = 0.25
"""Seconds within which a session hears that its rights are others."""


class Access:
    """One for the process."""

    def __init__(self, db: Database, reactor: Any, bell: Bell) -> None:
        self._db = db
        self._reactor = reactor
        self._bell = bell
        self._views: dict[AccountId, set[View]] = {}
        self._watches: dict[AccountId, Any] = {}
        self._general: list[Any] = []
        self._stale: set[View] = set()

    def follow(self, view: View) -> None:
        """Tell the view when rights on its mailbox may be others."""
        owner = view.place.mailbox.account
        if not self._general:
            self._general = [self._db.feed.watch(scope, self._every) for scope in (DIRECTORY, SETTINGS)]
        if owner not in self._watches:
            self._views[owner] = set()
            self._watches[owner] = self._db.feed.watch(
                AccountScope(owner), lambda change: self._changed(owner, change)
            )
        self._views[owner].add(view)

    def leave(self, view: View) -> None:
        """May be called for one that was not followed."""
        owner = view.place.mailbox.account
        self._stale.discard(view)
        views = self._views.get(owner)
        if views is None:
            return
        views.discard(view)
        if not views:
            del self._views[owner]
            self._watches.pop(owner).stop()
        if not self._views:
            for watch in self._general:
                watch.stop()
            self._general = []

    def _every(self, change: Change) -> None:
        for views in self._views.values():
            self._mark(views)

    def _changed(self, owner: AccountId, change: Change) -> None:
        if isinstance(change, Missed):
            self._mark(self._views.get(owner, set()))
        elif isinstance(change, RightsChanged):
            mailbox = change.mailbox
            self._mark({view for view in self._views.get(owner, ()) if view.place.mailbox.id == mailbox})

    def _mark(self, views: set[View]) -> None:
        if not views:
            return
        if not self._stale:
            self._reactor.callLater(SOON, self._look)
        for view in views:
            view.stale = True
        self._stale |= views

    def _look(self) -> None:
        stale, self._stale = self._stale, set()
        for view in stale:
            if view.stale:
                self._bell.ring(view.look_again)
