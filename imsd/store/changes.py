"""Changes: what a committed unit did, as values, for whoever watches.

Each scope has one counter. A change carries the counter before and after it; who holds
`previous` applies it, who holds more drops it, who holds less reads the rows after its own
number (rule 2). `Missed` says only that: another node, or a gap, moved the counter.
"""

from __future__ import annotations

from typing import TypeAlias

from imsd.store.flags import IndexRow
from imsd.store.ids import AccountId, EntryId, MailboxId, Uid
from protocols.values import value


@value(frozen=True, slots=True)
class MailboxScope:
    """The messages of one mailbox; the counter is its HIGHESTMODSEQ (RFC 7162 3.1.2.1)."""

    account: AccountId
    mailbox: MailboxId


@value(frozen=True, slots=True)
class AccountScope:
    """An account's list of mailboxes."""

    account: AccountId


@value(frozen=True, slots=True)
class NamedScope:
    """One of the scopes there is a single one of."""

    name: str


DIRECTORY = NamedScope("directory")
SETTINGS = NamedScope("settings")
QUEUE = NamedScope("queue")

Scope: TypeAlias = MailboxScope | AccountScope | NamedScope


@value(frozen=True, slots=True)
class Change:
    """Base of all changes."""

    scope: Scope
    previous: int
    next: int


@value(frozen=True, slots=True)
class Missed(Change):
    """The counter moved without us: read the rows after the number you hold."""


@value(frozen=True, slots=True)
class MessagesAdded(Change):
    """rows: the messages as they now are, ascending by UID."""

    rows: tuple[IndexRow, ...]


@value(frozen=True, slots=True)
class FlagsChanged(Change):
    """rows: the messages as they now are, ascending by UID."""

    rows: tuple[IndexRow, ...]


@value(frozen=True, slots=True)
class MessagesExpunged(Change):
    uids: tuple[Uid, ...]


@value(frozen=True, slots=True)
class KeywordsNamed(Change):
    """All keyword names of the mailbox by bit; goes before the change that first uses one,
    under the same numbers, and is not a change of its own."""

    names: tuple[str, ...]


@value(frozen=True, slots=True)
class SeenChanged(Change):
    """What one reader has seen of a public folder, as UID ranges; goes before the change of
    the rows, under the same numbers, and is not a change of its own."""

    reader: AccountId
    ranges: tuple[tuple[int, int], ...]


@value(frozen=True, slots=True)
class MailboxCreated(Change):
    """name: in its account's tree."""

    mailbox: MailboxId
    name: str = ""


@value(frozen=True, slots=True)
class MailboxRenamed(Change):
    """old, name: before and now; the same where something else of its row changed."""

    mailbox: MailboxId
    old: str = ""
    name: str = ""


@value(frozen=True, slots=True)
class MailboxDeleted(Change):
    """name: that it had."""

    mailbox: MailboxId
    name: str = ""


@value(frozen=True, slots=True)
class SubscriptionChanged(Change):
    """An account subscribed to a name, or does not any more."""

    name: str
    subscribed: bool


@value(frozen=True, slots=True)
class RightsChanged(Change):
    """The access control list of a mailbox is another."""

    mailbox: MailboxId


@value(frozen=True, slots=True)
class AnnotationsChanged(Change):
    """Annotations of a mailbox (0: of the server). reader: who alone sees them, 0 for everybody."""

    mailbox: MailboxId
    names: tuple[str, ...]
    reader: AccountId


@value(frozen=True, slots=True)
class EntriesChanged(Change):
    """attributes: of these alone other values were given, and nothing else became of the entries; None where
    any of it may have."""

    ids: tuple[EntryId, ...]
    attributes: frozenset[str] | None = None


@value(frozen=True, slots=True)
class SettingsChanged(Change):
    keys: tuple[str, ...]


@value(frozen=True, slots=True)
class QueueChanged(Change):
    """next_due: microseconds; when the earliest row of the change becomes due."""

    next_due: int
