"""NOTIFY (RFC 5465)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4.channel import Channel
from protocols.imap4.commands.fetch import Attribute, attribute_list
from protocols.imap4.commands.filters import mailbox_filter
from protocols.imap4.events import Event, Group, Selected, Wanted
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import No

GROUPS: Final = 50
NAMES: Final = 10_000
"""event-groups of one command, and mailbox names in all of them."""

_NEW, _EXPUNGE, _ANNOTATION = b"MESSAGENEW", b"MESSAGEEXPUNGE", b"ANNOTATIONCHANGE"
_EVENTS: Final[Mapping[bytes, Event]] = {
    _NEW: Event.MESSAGES,
    _EXPUNGE: Event.MESSAGES,
    b"FLAGCHANGE": Event.FLAGS,
    b"MAILBOXNAME": Event.NAME,
    b"SUBSCRIPTIONCHANGE": Event.SUBSCRIPTION,
    b"MAILBOXMETADATACHANGE": Event.MAILBOX_METADATA,
    b"SERVERMETADATACHANGE": Event.SERVER_METADATA,
}
_OF_MESSAGES: Final = frozenset({_NEW, _EXPUNGE, b"FLAGCHANGE", _ANNOTATION})
_SPELLED: Final = (
    b"MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange "
    b"ServerMetadataChange"
)
BADEVENT: Final = No(b"BADEVENT (%b)" % _SPELLED, "Events of another kind are not told")


@dataclass(frozen=True, slots=True)
class Notify:
    """wanted: None where an event is asked for that there is not; that is a NO."""

    wanted: Wanted | None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Notify:
        # notify = "NOTIFY" SP ("SET" [SP "STATUS"] SP event-groups / "NONE")
        cursor.space()
        if cursor.keyword(b"NONE"):
            return cls(Wanted())
        if not cursor.keyword(b"SET"):
            raise cursor.fail("SET or NONE")
        cursor.space()
        status = cursor.keyword(b"STATUS")
        if status:
            cursor.space()
        selected: Selected | None = None
        groups: list[Group] = []
        supported = True
        names = 0
        while True:
            if len(groups) >= GROUPS:
                raise cursor.fail(f"at most {GROUPS} event groups")
            group, known = _group(cursor)
            supported = supported and known
            if isinstance(group, Group):
                groups.append(group)
                names += len(group.names)
                if names > NAMES:
                    raise cursor.fail(f"at most {NAMES} mailboxes")
            elif selected is not None:
                raise cursor.fail("SELECTED or SELECTED-DELAYED once")
            else:
                selected = group
            if not cursor.skip(b" "):
                break
        return cls(Wanted(selected or Selected(), tuple(groups), status) if supported else None)

    async def run(self, account: Any, channel: Channel) -> None:
        if self.wanted is None:
            raise BADEVENT
        await channel.notify(self.wanted)


def _group(cursor: Cursor) -> tuple[Group | Selected, bool]:
    """event-group, and whether all of its events can be told."""
    cursor.expect(b"(")
    start = cursor.position
    word = cursor.word()
    selected = word in (b"SELECTED", b"SELECTED-DELAYED")
    names: tuple[str, ...] = ()
    if not selected:
        cursor.position = start
        which, names = mailbox_filter(cursor)
    cursor.space()
    found, items = _events(cursor, selected)
    cursor.expect(b")")
    events = Event.NONE
    for name in found:
        events |= _EVENTS.get(name, Event.NONE)
    known = found <= _EVENTS.keys()
    if selected:
        return Selected(events, word == b"SELECTED-DELAYED", items), known
    return Group(which, names, events), known


def _events(cursor: Cursor, selected: bool) -> tuple[set[bytes], tuple[Attribute, ...]]:
    """events = "(" event *(SP event) ")" / "NONE"; without parentheses too, as in the examples of
    RFC 5465 3.1."""
    found: set[bytes] = set()
    items: tuple[Attribute, ...] = ()
    if cursor.keyword(b"NONE"):
        return found, items
    listed = cursor.at(b"(")
    if listed:
        cursor.expect(b"(")
    while True:
        start = cursor.position
        name = cursor.word()
        if selected and name in _EVENTS and name not in _OF_MESSAGES:
            cursor.position = start
            raise cursor.fail("an event of messages")
        found.add(name)
        if name == _NEW and selected and cursor.data[cursor.position : cursor.position + 2] == b" (":
            cursor.space()
            items = attribute_list(cursor)
        if not cursor.skip(b" "):
            break
    if listed:
        cursor.expect(b")")
    # RFC 5465 5
    if (_NEW in found) != (_EXPUNGE in found):
        raise cursor.fail("both MessageNew and MessageExpunge")
    if found & {b"FLAGCHANGE", _ANNOTATION} and _NEW not in found:
        raise cursor.fail("MessageNew and MessageExpunge with changes")
    return found, items
