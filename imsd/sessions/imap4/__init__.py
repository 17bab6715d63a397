"""IMAP4 on the store: what `protocols.imap4.interfaces` asks for.

held        Mailstore, what all sessions share: database, blobs, indexes, directory, settings
door        login and refusals in IMAP's words
account     one authenticated connection: names to mailboxes, create, append, select
places      full names to accounts and mailboxes: namespaces and rights
appending   a message on its way into a mailbox
view        what a session was told of the selected mailbox: the owner of message numbers
marks       flags and keywords: bytes on the wire, bits in the index
actions     store, copy, move and expunge of a view
reading     FETCH: rows and content in batches
searching   SEARCH: keys evaluated in slices

A command passes: `IDoor.login` -> `ImapAccount.select` -> `View`. Numbers move in
`View.updates` alone; everything else works on the map of UIDs as it was told.
"""

from imsd.sessions.imap4.door import ImapDoor
from imsd.sessions.imap4.held import Mailstore

__all__ = ["ImapDoor", "Mailstore"]
