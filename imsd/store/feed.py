"""The change feed: who watches a scope hears of its changes, in order, on the reactor."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from imsd.store.changes import AccountScope, Change, MailboxScope, Missed, Scope
from imsd.store.ids import AccountId

Callback = Callable[[Change], None]


class Watch:
    """A registration; stop() ends it."""

    __slots__ = ("_feed", "callback", "scope")

    def __init__(self, feed: Feed, scope: Scope | None, callback: Callback) -> None:
        self._feed = feed
        self.scope = scope
        self.callback = callback

    def stop(self) -> None:
        """Hear no more; may be called twice."""
        self._feed._forget(self)


class Feed:
    """Hands changes to watchers.

    Changes of one scope come with ascending numbers. With several writers a later change may
    be handed in first: its watchers get `Missed` up to its number, and the earlier one, when
    it comes, is dropped. Several changes may carry the same numbers: one unit made them all.
    `report` is called, while the exception is handled, when a watcher fails.
    """

    def __init__(self, report: Callable[[Scope], None]) -> None:
        self._report = report
        self._watches: dict[Scope, list[Watch]] = {}
        self._every: list[Watch] = []
        self._accounts: dict[AccountId, list[Watch]] = {}
        self._at: dict[Scope, tuple[int, int]] = {}

    def watch(self, scope: Scope, callback: Callback) -> Watch:
        """Call back on the reactor with each change of the scope, after its commit."""
        watch = Watch(self, scope, callback)
        self._watches.setdefault(scope, []).append(watch)
        return watch

    def watch_account(self, account: AccountId, callback: Callback) -> Watch:
        """Call back with each change of the account and of its mailboxes, in order, every one as it
        was made. `Missed` of a mailbox: another node changed it; `Missed` of the account: it may
        have changed anything of it."""
        watch = Watch(self, AccountScope(account), callback)
        self._accounts.setdefault(account, []).append(watch)
        return watch

    def watch_all(self, callback: Callback) -> Watch:
        """Call back with each change this process hears of."""
        watch = Watch(self, None, callback)
        self._every.append(watch)
        return watch

    def _forget(self, watch: Watch) -> None:
        if watch.scope is None:
            if watch in self._every:
                self._every.remove(watch)
            return
        if isinstance(watch.scope, AccountScope):
            wide = self._accounts.get(watch.scope.account)
            if wide and watch in wide:
                wide.remove(watch)
                if not wide:
                    del self._accounts[watch.scope.account]
                return
        watches = self._watches.get(watch.scope)
        if watches and watch in watches:
            watches.remove(watch)
            if not watches:
                del self._watches[watch.scope]
                self._at.pop(watch.scope, None)

    def publish(self, change: Change) -> None:
        """Tell the watchers; a watcher's error is logged and stops nobody else."""
        scope = change.scope
        if self._accounts and isinstance(scope, MailboxScope | AccountScope):
            wide = self._accounts.get(scope.account)
            if wide:
                self._tell(tuple(wide), change)
        watches = self._watches.get(scope)
        if watches:
            at = self._at.get(scope)
            if at is not None:
                if change.next < at[1] or (change.next == at[1] and change.previous != at[0]):
                    return
                if change.previous > at[1] and not isinstance(change, Missed):
                    change = Missed(scope, at[1], change.next)
            self._at[scope] = (change.previous, change.next)
            self._tell(tuple(watches), change)
        if self._every:
            self._tell(tuple(self._every), change)

    def doubt(self, scopes: Iterable[Scope] | None) -> None:
        """Another node changed these scopes, or None: may have changed any."""
        if scopes is None:
            for account, watches in list(self._accounts.items()):
                self._tell(tuple(watches), Missed(AccountScope(account), 0, 0))
            return
        for scope in scopes:
            if isinstance(scope, MailboxScope | AccountScope) and scope.account in self._accounts:
                self._tell(tuple(self._accounts[scope.account]), Missed(scope, 0, 0))

    def scopes(self) -> list[Scope]:
        """The scopes somebody watches."""
        return list(self._watches)

    def now_at(self, numbers: Iterable[tuple[Scope, int]]) -> None:
        """Counters as they were read: publish Missed where they are ahead of what was told."""
        for scope, number in numbers:
            # Where nothing was told yet, whoever watches may hold any number.
            at = self._at.get(scope, (0, 0))[1]
            if number > at and scope in self._watches:
                self.publish(Missed(scope, at, number))

    def _tell(self, watches: Iterable[Watch], change: Change) -> None:
        for watch in watches:
            try:
                watch.callback(change)
            except Exception:
                self._report(change.scope)
