"""What commands and mailboxes exchange: rows, results, refusals; news of a mailbox and of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from protocols.imap4.sets import Ranges


@dataclass(frozen=True, slots=True)
class Explained:
    """A refusal in IMAP's words (RFC 9051 7.1, RFC 5530).

    code: inside the brackets, without them (b"NONEXISTENT"), or empty.
    bye: the connection ends after it (the account was disabled, shutdown).
    """

    code: bytes
    text: str
    bye: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """One name of the hierarchy, as LIST sees it.

    attributes: special use and others as on the wire (b"\\Sent", b"\\Noselect"); not
    \\HasChildren, \\HasNoChildren, \\Subscribed, \\NonExistent, which are worked out.
    exists: False for a name that is only subscribed (or is only a level of others).
    children: it has at least one inferior that this account may see.
    rights: of the account there (RFC 8440), b"" for a name that is no mailbox.
    """

    name: str
    attributes: tuple[bytes, ...] = ()
    exists: bool = True
    subscribed: bool = False
    children: bool = False
    rights: bytes = b""


@dataclass(frozen=True, slots=True)
class Acl:
    """An access control list (RFC 4314 3.6): identifiers, with `-` before those denied rights,
    and rights without the virtual `c` and `d`. name: as the client gave it."""

    name: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grantable:
    """LISTRIGHTS (RFC 4314 3.7): rights an identifier always has, and those it can be given."""

    required: str
    optional: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """What GETMETADATA finds (RFC 5464 4.2): entries with their values, None for no value.
    longest: octets of the largest value that was left out for its size."""

    values: tuple[tuple[str, bytes | None], ...]
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Prefixes of personal, other users' and shared names (RFC 9051 6.3.10); each ends in
    the delimiter or is empty."""

    personal: tuple[str, ...] = ("",)
    others: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """Counters of one mailbox (RFC 9051 6.3.11, RFC 8438, RFC 7162 3.1.7). Always whole:
    all of them come from the shared index.

    mailbox_id: RFC 8474 4. append_limit: octets of a message at most (RFC 7889 3).
    deleted_storage: octets of messages with \\Deleted, where it was asked for (RFC 9208 4.1.4).
    """

    messages: int
    recent: int
    unseen: int
    deleted: int
    size: int
    uid_next: int
    uid_validity: int
    highest_modseq: int
    mailbox_id: bytes = b""
    append_limit: int = 0
    deleted_storage: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota root (RFC 9208 4.2.1): (resource, usage, limit) of what is limited."""

    root: str
    resources: tuple[tuple[bytes, int, int], ...]


@dataclass(frozen=True, slots=True)
class Appended:
    """Where APPEND put the messages (RFC 4315 3): `count` of them from `uid` on. uid 0: the
    account may not see them."""

    uid_validity: int
    uid: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Copied:
    """Pairs of UIDs, source[i] became target[i], ascending by source (RFC 4315 3).
    Both empty when nothing matched."""

    uid_validity: int
    source: Ranges
    target: Ranges


class Row(NamedTuple):
    """What the index knows of one message. Plain and cheap: ten thousand are made for one
    FETCH.

    flags: joined by spaces, ready for the parentheses; with \\Recent where it applies and
    the dialect has it.
    """

    sequence: int
    uid: int
    flags: bytes
    modseq: int
    size: int
    internal_date: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What of a message a FETCH is going to use, so that only that is read.

    summary: envelope, body, bodystructure.  header: the blob's whole header block.
    scan: the part offsets.  content: `read` or `stream` will be called.
    identity: saved, email_id, thread_id, preview.
    """

    summary: bool = False
    header: bool = False
    scan: bool = False
    content: bool = False
    identity: bool = False


class FlagChange(Enum):
    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Stored:
    """What STORE did (RFC 9051 6.4.6, RFC 7162 3.1.3).

    rows: batches of every message of the set as it now is, changed or not, ascending;
    a lazy iterator over the index, to be rendered or dropped.
    modified: numbers (UIDs or message numbers, as the set was given) that failed
    UNCHANGEDSINCE.
    missing: some message of the set was expunged elsewhere and not changed.
    """

    rows: Iterator[Sequence[Row]]
    modified: Ranges = ()
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What matched, ascending by UID: message numbers and UIDs side by side. modseq: the
    highest mod-sequence among them (0 when none). scores: how relevant each is, 1 to 100 (RFC
    6203 4), where FUZZY was among the keys."""

    sequences: Sequence[int]
    uids: Sequence[int]
    modseq: int
    scores: Sequence[int] = ()


# Updates of the selected mailbox, in the order in which they are to be sent.


@dataclass(frozen=True, slots=True)
class Expunged:
    """The message with this number went; those after it moved down by one."""

    sequence: int
    uid: int


@dataclass(frozen=True, slots=True)
class Grown:
    """There are now `exists` messages; `recent` of them are \\Recent."""

    exists: int
    recent: int


@dataclass(frozen=True, slots=True)
class FlagsNow:
    """Flags of told messages changed (never of those a Grown in the same batch tells)."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class KeywordsNow:
    """The mailbox has other keywords: send FLAGS and PERMANENTFLAGS again."""

    flags: bytes
    permanent: bytes


@dataclass(frozen=True, slots=True)
class AccessNow:
    """Rights on the mailbox moved (RFC 4314 5.1.1): it can, or cannot any more, be changed."""

    read_only: bool


@dataclass(frozen=True, slots=True)
class UrlKeyNow:
    """What URLs of the mailbox are signed with is another (RFC 4467 7, RESETKEY)."""


Update = Expunged | Grown | FlagsNow | KeywordsNow | AccessNow | UrlKeyNow


# Notices, of mailboxes that are not selected.


@dataclass(frozen=True, slots=True)
class StatusNow:
    """Something happened in a mailbox. new, expunged, flags: what of that is wanted (RFC 5465 5.1
    to 5.3); valid: its UIDVALIDITY may be another."""

    name: str
    status: Status
    new: bool = False
    expunged: bool = False
    flags: bool = False
    valid: bool = False


@dataclass(frozen=True, slots=True)
class ListNow:
    """A name as it is now (RFC 5465 5.4, 5.5); it does not exist where `listed` says so. old: the
    name it had."""

    listed: Listed
    old: str = ""


@dataclass(frozen=True, slots=True)
class MetadataNow:
    """Annotations that somebody else changed (RFC 5464 4.4.2); name "" is the server."""

    name: str
    entries: tuple[str, ...]


Notice = StatusNow | ListNow | MetadataNow
