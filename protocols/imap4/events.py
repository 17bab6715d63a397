"""What a client wants to hear of without asking (RFC 5465 5, 6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, Flag, auto

from protocols.imap4.mailboxnames import DELIMITER


class Event(Flag):
    """Kinds of events (RFC 5465 5). MESSAGES: MessageNew and MessageExpunge, which only come
    together."""

    NONE = 0
    MESSAGES = auto()
    FLAGS = auto()
    NAME = auto()
    SUBSCRIPTION = auto()
    MAILBOX_METADATA = auto()
    SERVER_METADATA = auto()


class Mailboxes(Enum):
    """Which mailboxes, but for the selected one (RFC 5465 6.2 to 6.6; SUBTREE-ONE: RFC 7377 2.2)."""

    INBOXES = b"INBOXES"
    PERSONAL = b"PERSONAL"
    SUBSCRIBED = b"SUBSCRIBED"
    SUBTREE = b"SUBTREE"
    SUBTREE_ONE = b"SUBTREE-ONE"
    MAILBOXES = b"MAILBOXES"


@dataclass(frozen=True, slots=True)
class Group:
    """Events of some mailboxes. names: of SUBTREE, SUBTREE-ONE and MAILBOXES."""

    which: Mailboxes
    names: tuple[str, ...]
    events: Event

    def covers(self, name: str, personal: bool, subscribed: Collection[str]) -> bool:
        """Whether a mailbox is one of them. personal: it is in the personal namespace. Local mail
        is delivered to the INBOX alone, so that is all INBOXES are."""
        match self.which:
            case Mailboxes.INBOXES:
                return personal and name == "INBOX"
            case Mailboxes.PERSONAL:
                return personal
            case Mailboxes.SUBSCRIBED:
                return name in subscribed
            case Mailboxes.MAILBOXES:
                return name in self.names
            case Mailboxes.SUBTREE_ONE:
                return name in self.names or name.rpartition(DELIMITER)[0] in self.names
            case Mailboxes.SUBTREE:
                return any(name == top or name.startswith(top + DELIMITER) for top in self.names)


@dataclass(frozen=True, slots=True)
class Selected:
    """Events of the selected mailbox, whichever that is (RFC 5465 6.1). delayed: expunges wait
    for a command that lets them be told. items: what is fetched of new messages, unasked."""

    events: Event = Event.NONE
    delayed: bool = True
    items: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of NOTIFY SET; as it is made, NOTIFY NONE. status: STATUS of the mailboxes first.
    metadata: ENABLE METADATA was given: changed annotations of everything (RFC 5464 4.1)."""

    selected: Selected = Selected()
    groups: tuple[Group, ...] = ()
    status: bool = False
    metadata: bool = False

    def events(self, name: str, personal: bool, subscribed: Collection[str]) -> Event:
        """All that is wanted of a mailbox that is not selected."""
        found = Event.NONE
        for group in self.groups:
            if group.covers(name, personal, subscribed):
                found |= group.events
        return found
