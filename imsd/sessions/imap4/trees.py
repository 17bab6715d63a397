"""Who hears of what happens in the mailboxes of an account, without holding any of them.

1. One `Tree` per followed account and process, however many sessions follow it; it hears all
   changes of the account and passes them on at once, so nothing here grows with mailboxes.
2. A change by another node comes as `Missed`: of a mailbox it means that anything may have
   happened to its messages; of the account, or of nothing in particular, the tree is read
   again, if its digest is another, and compared with what it was. Only where there are other
   nodes is that remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.store import mailboxes
from imsd.store.changes import (
    AnnotationsChanged,
    Change,
    FlagsChanged,
    MailboxCreated,
    MailboxDeleted,
    MailboxRenamed,
    MailboxScope,
    MessagesAdded,
    MessagesExpunged,
    Missed,
    RightsChanged,
    SubscriptionChanged,
)
from imsd.store.database import Database
from imsd.store.ids import AccountId, MailboxId
from imsd.store.transaction import Transaction

_log = Logger()


@dataclass(frozen=True, slots=True)
class NameChange:
    """A name of the tree came (old is ""), went (new is "") or became another."""

    account: AccountId
    mailbox: MailboxId
    old: str
    new: str


class Listener(Protocol):
    """One session. Called on the reactor, in the order of changes; must be quick."""

    def messages(self, account: AccountId, mailbox: MailboxId, change: Change) -> None:
        """Messages came, went or were marked; Missed: any of these."""

    def named(self, change: NameChange) -> None: ...

    def subscribed(self, account: AccountId, name: str, now: bool) -> None: ...

    def annotated(self, change: AnnotationsChanged) -> None: ...

    def rights(self, account: AccountId, mailbox: MailboxId) -> None:
        """The access control list of a mailbox is another."""


class Trees:
    """All followed trees of this process."""

    def __init__(self, db: Database, background: Callable[[Any], None]) -> None:
        self._db = db
        self._background = background
        self._trees: dict[AccountId, _Tree] = {}

    def follow(self, account: AccountId, listener: Listener) -> None:
        tree = self._trees.get(account)
        if tree is None:
            tree = self._trees[account] = _Tree(self._db, account, self._background)
        tree.listeners.append(listener)

    def leave(self, account: AccountId, listener: Listener) -> None:
        tree = self._trees.get(account)
        if tree is not None and listener in tree.listeners:
            tree.listeners.remove(listener)
            if not tree.listeners:
                tree.stop()
                del self._trees[account]

    def __len__(self) -> int:
        return len(self._trees)


@dataclass(slots=True)
class _Snapshot:
    """What a tree was when it was last read: names and mod-sequences by id, subscriptions. Changes
    heard of go into these, and not into the digest."""

    names: dict[MailboxId, str]
    modseqs: dict[MailboxId, int]
    subscriptions: set[str]
    digest: tuple[int, int, int]


class _Tree:
    def __init__(self, db: Database, account: AccountId, background: Callable[[Any], None]) -> None:
        self._db = db
        self._account = account
        self._background = background
        self.listeners: list[Listener] = []
        self._snapshot: _Snapshot | None = None
        self._reading = self._again = False
        # Counts changes of names heard of, so that what was read before one is known to be old.
        self._stamp = 0
        self._watch = db.feed.watch_account(account, self._changed)
        if db.shared:
            self._read_again()

    def stop(self) -> None:
        self._watch.stop()

    def _changed(self, change: Change) -> None:
        scope = change.scope
        if isinstance(scope, MailboxScope):
            if isinstance(change, MessagesAdded | FlagsChanged | MessagesExpunged | Missed):
                if self._snapshot is not None and change.next:
                    self._snapshot.modseqs[scope.mailbox] = change.next
                for listener in tuple(self.listeners):
                    listener.messages(self._account, scope.mailbox, change)
        elif isinstance(change, MailboxCreated) and change.name:
            self._named(change.mailbox, "", change.name)
        elif isinstance(change, MailboxDeleted) and change.name:
            self._named(change.mailbox, change.name, "")
        elif isinstance(change, MailboxRenamed) and change.name:
            if change.old != change.name:
                self._named(change.mailbox, change.old, change.name)
        elif isinstance(change, AnnotationsChanged):
            for listener in tuple(self.listeners):
                listener.annotated(change)
        elif isinstance(change, RightsChanged):
            for listener in tuple(self.listeners):
                listener.rights(self._account, change.mailbox)
        elif isinstance(change, SubscriptionChanged):
            self._subscribed(change.name, change.subscribed)
        elif isinstance(change, Missed):
            self._read_again()

    def _named(self, mailbox: MailboxId, old: str, new: str) -> None:
        self._stamp += 1
        if self._snapshot is not None:
            if new:
                self._snapshot.names[mailbox] = new
            else:
                self._snapshot.names.pop(mailbox, None)
                self._snapshot.modseqs.pop(mailbox, None)
        change = NameChange(self._account, mailbox, old, new)
        for listener in tuple(self.listeners):
            listener.named(change)

    def _subscribed(self, name: str, now: bool) -> None:
        self._stamp += 1
        if self._snapshot is not None:
            (self._snapshot.subscriptions.add if now else self._snapshot.subscriptions.discard)(name)
        for listener in tuple(self.listeners):
            listener.subscribed(self._account, name, now)

    # What other nodes did ------------------------------------------------------------------

    def _read_again(self) -> None:
        self._again = True
        if not self._reading:
            self._reading = True
            self._background(self._compare)

    async def _compare(self) -> None:
        try:
            while self._again and self.listeners:
                self._again = False
                stamp = self._stamp
                if self._snapshot is not None and self._snapshot.digest == await self._db.read(
                    mailboxes.digest, self._account
                ):
                    continue
                now = await self._db.read(_snapshot, self._account)
                if stamp != self._stamp:
                    self._again = True
                    continue
                before, self._snapshot = self._snapshot, now
                if before is not None:
                    self._tell(before, now)
        except Refusal:
            _log.warn("The mailboxes of an account could not be compared")
        finally:
            self._reading = False

    def _tell(self, before: _Snapshot, now: _Snapshot) -> None:
        for mailbox in before.names.keys() | now.names.keys():
            old, new = before.names.get(mailbox, ""), now.names.get(mailbox, "")
            if old != new:
                self._named(mailbox, old, new)
        for name in before.subscriptions ^ now.subscriptions:
            self._subscribed(name, name in now.subscriptions)
        for mailbox, modseq in now.modseqs.items():
            known = before.modseqs.get(mailbox, modseq)
            if modseq > known:
                missed = Missed(MailboxScope(self._account, mailbox), known, modseq)
                for listener in tuple(self.listeners):
                    listener.messages(self._account, mailbox, missed)


def _snapshot(tx: Transaction, account: AccountId) -> _Snapshot:
    rows = mailboxes.list_mailboxes(tx, account)
    return _Snapshot(
        {row.id: row.name for row in rows},
        {row.id: row.highestmodseq for row in rows},
        set(mailboxes.subscriptions(tx, account)),
        mailboxes.digest(tx, account),
    )
