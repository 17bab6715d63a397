"""Which mailboxes a command is about (RFC 5465 6, 8, RFC 7377 2.2)."""

from __future__ import annotations

from typing import Final

from protocols.imap4.events import Mailboxes
from protocols.imap4.grammar import Cursor

_NAMED: Final = frozenset({Mailboxes.SUBTREE, Mailboxes.SUBTREE_ONE, Mailboxes.MAILBOXES})


def mailbox_filter(cursor: Cursor) -> tuple[Mailboxes, tuple[str, ...]]:
    """A filter and the mailboxes that it names, each once."""
    # filter-mailboxes-other = "inboxes" / "personal" / "subscribed" /
    #     ("subtree" SP one-or-more-mailbox) / ("mailboxes" SP one-or-more-mailbox) /
    #     ("subtree-one" SP one-or-more-mailbox)
    start = cursor.position
    try:
        which = Mailboxes(cursor.word())
    except ValueError:
        cursor.position = start
        raise cursor.fail("a mailbox filter") from None
    if which not in _NAMED:
        return which, ()
    cursor.space()
    names = [cursor.mailbox() for _ in cursor.items()] if cursor.at(b"(") else [cursor.mailbox()]
    if not names:
        raise cursor.fail("a mailbox")
    return which, tuple(dict.fromkeys(names))
