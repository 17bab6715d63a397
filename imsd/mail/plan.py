"""What becomes of a message: who gets a copy, who is queued, worked out before the transaction.

`imsd.mail.planning` makes plans, `imsd.mail.units` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from imsd.errors import Refusal
from imsd.mail.connectors import Originator
from imsd.mail.envelope import Addressee
from imsd.store.ids import AccountId
from protocols.values import value

LOCAL = ""
"""The domain of queue rows that are delivered here."""


@value(frozen=True, slots=True)
class Accepted:
    """The message is ours: its id, how many copies were delivered, how many wait."""

    queue_id: str
    delivered: int
    queued: int


@value(frozen=True, slots=True)
class Copy:
    """A local copy: of a person's INBOX, or of a public folder by its pathname. head: fields that it begins
    with (imsd.mail.journaling)."""

    account: AccountId
    address: str
    folder: str = ""
    notify: tuple[str, ...] = ()
    orcpt_type: str = ""
    orcpt: str = ""
    sender: str | None = None
    anew: bool = False
    head: str = ""

    @property
    def reported(self) -> bool:
        return "SUCCESS" in self.notify


@dataclass(slots=True)
class Plan:
    """Who gets a copy, worked out before the transaction.

    nowhere: why an address of ours among the remote ones cannot be followed further. size: of the
    message; refused: copies it is too large for. originator: who sends, for those who accept from
    some alone. later: lists that are left to the queue runner, because the sender is to be told of their
    expansion (RFC 3461 5.2.7.3). queued: the runner plans. listed: the list that was expanded first,
    "alias" or "list" (RFC 3461 5.2.7), "" for none. redirected: mailboxes that left the message to others.
    turn: of the first row (imsd.mail.fairness), 0: as it comes. held: why what leaves is held, "" where
    it is not. kept: why it is kept back (imsd.mail.flow). holding: domains whose mail is held.
    """

    local: dict[tuple[AccountId, str], Copy] = field(default_factory=dict)
    remote: dict[str, Addressee] = field(default_factory=dict)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    nowhere: Refusal | None = None
    size: int = 0
    refused: list[tuple[Copy, Refusal]] = field(default_factory=list)
    originator: Originator = field(default_factory=Originator)
    later: list[Copy] = field(default_factory=list)
    queued: bool = False
    listed: str = ""
    turn: int = 0
    held: str = ""
    kept: str = ""
    holding: frozenset[str] = frozenset()
    redirected: set[AccountId] = field(default_factory=set)

    def beginning_with(self, fields: str) -> Plan:
        """The same, where each copy, wherever it goes, begins with these header fields before its own."""
        if not fields:
            return self
        return replace(
            self,
            local={key: _with(copy, fields) for key, copy in self.local.items()},
            remote={key: replace(to, head=fields + to.head) for key, to in self.remote.items()},
            later=[_with(copy, fields) for copy in self.later],
            refused=[(_with(copy, fields), refusal) for copy, refusal in self.refused],
        )


def _with(copy: Copy, fields: str) -> Copy:
    return replace(copy, head=fields + copy.head)
