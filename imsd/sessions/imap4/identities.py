"""Object identifiers (RFC 8474): names of mailboxes, emails and threads that last.

MAILBOXID and EMAILID are the row's own numbers, which are never given twice; a copy within an
account keeps its email's. A THREADID is worked out from the first Message-ID of the
conversation, so it is the same for every message that names its ancestors (RFC 5256 3) and
needs nothing to be kept. A message without any id belongs to no thread.
"""

from __future__ import annotations

from hashlib import sha256

from imsd.store.ids import AccountId, MailboxId


def mailbox(account: AccountId, number: MailboxId) -> bytes:
    """RFC 8474 4: lasts through RENAME."""
    return b"F%d-%d" % (account, number)


def email(account: AccountId, number: int) -> bytes:
    """RFC 8474 5.1."""
    return b"M%d-%d" % (account, number)


def thread(message_id: bytes, references: bytes) -> bytes:
    """RFC 8474 5.2; empty where the message has no id."""
    root = references.split(b" ", 1)[0] or message_id
    return b"T" + sha256(root).hexdigest()[:32].encode() if root else b""
