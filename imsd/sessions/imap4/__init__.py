"""IMAP4 on the store: what `protocols.imap4.interfaces` asks for.

held        Mailstore, what all sessions share: database, blobs, indexes, directory, settings
door        login and refusals in IMAP's words
account     one authenticated connection: names to mailboxes, create, append, select
places      full names to accounts and mailboxes: the three namespaces
rights      what an account is to the owner of a tree, and so what it may do
lists       access control lists: SETACL and its like
access      views that hear of rights that moved
metadata    annotations of mailboxes and of the server
naming      the names an account sees: LIST
appending   messages on their way into a mailbox
quotas      quota roots
view        what a session was told of the selected mailbox: the owner of message numbers
marks       flags and keywords: bytes on the wire, bits in the index
actions     store, copy, move and expunge of a view
identities  object identifiers of mailboxes, emails and threads
reading     FETCH: rows and content in batches
resync      QRESYNC: what was expunged while a client was away
arranging   SORT and THREAD: what they ask of messages
arranged    SORT and THREAD: orders and answers, kept for the next time
trees       who hears of what happens in the mailboxes of an account
doubts      NOTIFY: whether a session is who it was to the owners of mailboxes
heard       NOTIFY: what happened in mailboxes that a session has not selected, until it is told
notices     NOTIFY: what it is told of them
narrowing   SEARCH: what the search index says of the texts
columns     SEARCH: keys evaluated on the columns of the mailbox index
remembered  SEARCH: dates and fields of content, for the next search
judging     SEARCH: keys as tests of one message
searching   SEARCH: all together, in slices; what is left is looked at one by one

A command passes: `IDoor.login` -> `ImapAccount.select` -> `View`; a search of other mailboxes
has its views from `ImapAccount.glance`. Numbers move in
`View.updates` alone; everything else works on the map of UIDs as it was told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from imsd.auth.protocols import methods_of
from imsd.sessions.imap4.door import ImapDoor
from imsd.sessions.imap4.held import Mailstore
from imsd.settings.imap import Imap
from protocols.connection import NEVER, Connection
from protocols.imap4.reader import Bounds
from protocols.imap4.server import Imap4Server, Limits

if TYPE_CHECKING:
    from imsd.core import Core

__all__ = ["ImapDoor", "Mailstore", "make_imap4"]


def make_imap4(core: Core, contexts: Any) -> Callable[[], Connection]:
    """What builds the connections of a listener. contexts: the server side of STARTTLS."""
    held = Mailstore(core.db, core.blobs, core.indexes, core.directory, core.settings, core.reactor)
    held.search = core.search
    authenticator = core.authenticator.of_protocol(
        "imap", methods_of(core.settings, Imap), opens=True, anonymous=lambda: core.settings[Imap].anonymous
    )
    door = ImapDoor(held, authenticator)
    # What a crash interrupted goes on.
    held.purge_soon()

    kept: list[tuple[Imap, Limits]] = []

    def limits() -> Limits:
        """Of the page as it is; it is asked for with every command."""
        page = core.settings[Imap]
        if not kept or kept[0][0] is not page:
            kept[:] = [(page, made(page))]
        return kept[0][1]

    def made(page: Imap) -> Limits:
        return Limits(
            bounds=Bounds(command=page.command_octets),
            login=page.login_seconds,
            idle=page.idle_minutes * 60.0 or NEVER,
            unread=page.unread_seconds,
            bad_commands=page.bad_commands,
            failed_logins=page.failed_logins,
            unauthenticate=page.unauthenticate,
            raw_headers=page.raw_headers,
            messages=page.message_limit,
            saved_messages=page.save_limit,
            language=page.language,
            off=frozenset(name.encode() for name in page.capabilities_off),
        )

    return lambda: Imap4Server(core.reactor, door, lambda: contexts, limits, "imsd IMAP4 server ready")
