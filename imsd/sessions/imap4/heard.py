"""NOTIFY: what happened in mailboxes that a session has not selected, until it is told (RFC 5465).

Changes are only marked, by mailbox and by name: a burst in one mailbox is one mark, and a client
that does not read costs a mark for each mailbox, no more than `MOST`; then there is an overflow, and
nothing is kept. What this session does itself is not marked (RFC 5465 5): names while it changes them,
messages by their UIDs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from imsd.sessions.imap4.trees import NameChange
from imsd.store import names
from imsd.store.changes import (
    AccountScope,
    AnnotationsChanged,
    Change,
    FlagsChanged,
    MessagesAdded,
    MessagesExpunged,
)
from imsd.store.ids import AccountId, MailboxId
from imsd.store.mailbox_annotations import NOBODY

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

MOST = 20_000
"""Mailboxes and names with something to tell, before the client is told to ask again."""
MOST_ENTRIES = 1000
"""Names of annotations of one mailbox, likewise."""

NEW: Final = 1
GONE: Final = 2
FLAGS: Final = 4
MADE: Final = 8

Key = tuple[AccountId, MailboxId]


class Heard:
    """Of one session; what `Trees` calls. ring: there is something to tell."""

    def __init__(self, owner: ImapAccount, ring: Callable[[], object]) -> None:
        self._owner = owner
        self._ring = ring
        self.overflowed = False
        self._followed: set[AccountId] = set()
        # All names that are subscribed to.
        self.subscriptions: set[str] = set()
        # What happened, by mailbox: of NEW, GONE, FLAGS, MADE.
        self.marks: dict[Key, int] = {}
        # Names to be told, with the name before: of the tree, then of subscriptions.
        self.names: dict[tuple[AccountId, str], str] = {}
        self.subscribing: dict[str, None] = {}
        # Annotations that others changed, by what is annotated.
        self.annotations: dict[Key, dict[str, None]] = {}
        # Mailboxes whose list changed.
        self.lists: dict[Key, None] = {}
        self._kept: tuple[dict[Any, Any], ...] = (
            self.marks, self.names, self.subscribing, self.annotations, self.lists,
        )  # fmt: skip
        # What this session is doing: making messages, with what was heard meanwhile of new messages and
        # of messages that went; annotating; changing names.
        self._making = 0
        self._held: list[tuple[Key, set[int]]] = []
        self._held_gone: list[tuple[Key, set[int]]] = []
        self._annotating: set[Key] = set()
        self._mine: set[tuple[AccountId, str]] = set()

    def __bool__(self) -> bool:
        return self.overflowed or any(self._kept)

    def follow(self, account: AccountId) -> None:
        if account not in self._followed:
            self._followed.add(account)
            self._owner.held.trees.follow(account, self)

    @property
    def follows(self) -> bool:
        return bool(self._followed)

    def close(self) -> None:
        for account in self._followed:
            self._owner.held.trees.leave(account, self)
        self._followed.clear()
        self._forget()

    def overflow(self) -> None:
        """The client has to look for itself."""
        self.overflowed = True
        self._forget()

    def _forget(self) -> None:
        for kept in self._kept:
            kept.clear()

    # What `Trees` calls --------------------------------------------------------------------

    def messages(self, account: AccountId, mailbox: MailboxId, change: Change) -> None:
        key = (account, mailbox)
        if self._owner.has_selected(key):
            return
        if isinstance(change, MessagesAdded):
            if self._making:
                self._held.append((key, {row.uid for row in change.rows}))
                return
            bits = NEW
        elif isinstance(change, MessagesExpunged):
            if self._making:
                self._held_gone.append((key, set(change.uids)))
                return
            bits = GONE
        elif isinstance(change, FlagsChanged):
            bits = FLAGS
        else:
            bits = NEW | GONE | FLAGS
        self._mark(key, bits)

    def _mark(self, key: Key, bits: int) -> None:
        self.marks[key] = self.marks.get(key, 0) | bits
        self._noted()

    def named(self, change: NameChange) -> None:
        account = change.account
        key = (account, change.mailbox)
        if not change.new:
            self.marks.pop(key, None)
        if (account, change.new or change.old) in self._mine or self._carried(change):
            return
        for name in (change.old, change.new):
            if name:
                # The latest is what counts, at its latest place.
                old = self.names.pop((account, name), "")
                if name == change.new:
                    self.names[account, name] = change.old or old
                elif not change.new:
                    self.names[account, name] = ""
        if not change.old:
            self._mark(key, MADE)
        self._noted()

    def _carried(self, change: NameChange) -> bool:
        """Whether this is the name below one that was just renamed (RFC 5465 5.4)."""
        if not change.old or not change.new:
            return False
        above = zip(reversed(names.parents(change.old)), reversed(names.parents(change.new)), strict=False)
        return any(
            self.names.get((change.account, new)) == old or (change.account, new) in self._mine
            for old, new in above
        )

    def subscribed(self, account: AccountId, name: str, now: bool) -> None:
        if account != self._owner.account.id:
            return
        (self.subscriptions.add if now else self.subscriptions.discard)(name)
        if (account, name) in self._mine:
            return
        self.subscribing.pop(name, None)
        self.subscribing[name] = None
        self._noted()

    def annotated(self, change: AnnotationsChanged) -> None:
        assert isinstance(change.scope, AccountScope)
        key = (change.scope.account, change.mailbox)
        if key in self._annotating or change.reader not in (NOBODY, self._owner.reader):
            return
        named = self.annotations.setdefault(key, {})
        named.update(dict.fromkeys(change.names))
        if len(named) > MOST_ENTRIES:
            self.overflow()
        self._noted()

    def rights(self, account: AccountId, mailbox: MailboxId) -> None:
        self.lists[account, mailbox] = None
        self._noted()

    def _noted(self) -> None:
        if sum(map(len, self._kept)) > MOST:
            self.overflow()
        self._ring()

    # What this session does ----------------------------------------------------------------

    @contextmanager
    def annotating(self, *keys: Key) -> Iterator[None]:
        """What this session is about to annotate."""
        mine = set(keys) - self._annotating
        self._annotating |= mine
        try:
            yield
        finally:
            self._annotating -= mine

    @contextmanager
    def changing(self, account: AccountId, *changed: str) -> Iterator[None]:
        """Names that this session is about to change, and those above and below them."""
        mine = {(account, name) for full in changed for name in (full, *names.parents(full))}
        self._mine |= mine
        try:
            yield
        finally:
            self._mine -= mine

    @contextmanager
    def making(self, own: dict[Key, set[int]], left: dict[Key, set[int]]) -> Iterator[None]:
        """While this session makes messages; their mailboxes and UIDs are in `own` at the end, those
        of what it took out of mailboxes that are not selected in `left`."""
        self._making += 1
        try:
            yield
        finally:
            self._making -= 1
            if not self._making:
                held, self._held = self._held, []
                gone, self._held_gone = self._held_gone, []
                for key, uids in held:
                    if not uids <= own.get(key, set()):
                        self._mark(key, NEW)
                for key, uids in gone:
                    if not uids <= left.get(key, set()):
                        self._mark(key, GONE)
