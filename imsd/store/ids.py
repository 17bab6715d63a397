"""Names for the numbers that identify rows, so that one is never taken for another."""

from typing import NewType

AccountId = NewType("AccountId", int)
"""The directory entry id of the person who owns mailboxes."""
MailboxId = NewType("MailboxId", int)
"""Per account; INBOX is 1 of each account."""
BlobId = NewType("BlobId", int)
"""Content, whoever refers to it; never used again once gone."""
EntryId = NewType("EntryId", int)
"""A directory entry."""
QueueId = NewType("QueueId", int)
"""A message waiting to leave or to be handed out."""
Uid = NewType("Uid", int)
"""RFC 9051 2.3.1.1: 1 to 2**32 - 1, ascending within a mailbox."""
UidValidity = NewType("UidValidity", int)
"""RFC 9051 2.3.1.1: never repeats for a mailbox name."""
ModSeq = NewType("ModSeq", int)
"""RFC 7162 3: 1 to 2**63 - 1."""

PUBLIC = AccountId(0)
"""The owner of the public folders."""
INBOX = MailboxId(1)
