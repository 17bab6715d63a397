"""What IMAP4 commands hold: a door, then an account, then a view of a mailbox.

Rules that every implementation keeps:

1. **Names are str.** Mailbox names at these interfaces are Unicode with `/` between
   levels, `INBOX` in capitals; modified UTF-7 is the wire's business (`mailboxnames`).
   Flags are bytes as they go on the wire (`\\Seen`, `$Forwarded`). Times are integer
   microseconds since the epoch, UTC.
2. **A view changes only when asked.** Message numbers, `exists` and what `rows`, `fetch`
   and `search` see change in `updates` alone; nothing that happens in between, in this
   session or another, moves a number. So a command may await in the middle of its work.
3. **Told messages stay.** A message that was told of and is expunged elsewhere keeps its
   number, UID and row until `updates(expunge=True)` said so; its content may be gone
   (`fetch` then leaves it out).
4. **What a command returns is told.** Rows returned by `store` are not reported again by
   `updates`; what `expunge` and `move` remove is reported by the next
   `updates(expunge=True)`.
5. **Refusals** are raised as exceptions and put into words by `IDoor.explain`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

from zope.interface import Attribute, Interface

from protocols.imap4.dialect import Dialect
from protocols.imap4.events import Wanted
from protocols.imap4.keys import Key
from protocols.imap4.ordering import Criterion, Traits
from protocols.imap4.sets import Ranges, SequenceSet
from protocols.imap4.urls import AuthorizedUrl
from protocols.imap4.values import (
    Acl,
    Annotations,
    Appended,
    Copied,
    Explained,
    FlagChange,
    Found,
    Grantable,
    Listed,
    Namespaces,
    Needs,
    Notice,
    Quota,
    Row,
    Status,
    Stored,
    Update,
)
from protocols.message.collation import DEFAULT


class IDoor(Interface):
    """What an unauthenticated connection holds; one for all connections of a listener."""

    authenticator = Attribute("protocols.sasl IAuthenticator, for AUTHENTICATE")

    def id(client: Mapping[str, str | None]) -> Mapping[str, str]:
        """The server's ID fields (RFC 2971); the client's are logged, never believed."""

    def capabilities_off(client: Mapping[str, str | None]) -> frozenset[bytes]:
        """Capabilities that a client which says this of itself trips over; in capitals."""

    def takes_login(security: Any) -> bool:
        """May LOGIN be used here (else LOGINDISABLED, RFC 9051 11.2)?"""

    async def login(name: str, password: str, security: Any) -> IAccount:
        """LOGIN (RFC 9051 6.2.3). Raises the refusals of the authenticator."""

    async def admit(identity: Any, security: Any) -> IAccount:
        """The account of an identity that a SASL exchange has proved."""

    def explain(error: Exception) -> Explained | None:
        """A refusal in IMAP's words; None: not a refusal but a bug."""


class IAppend(Interface):
    """Messages on their way into a mailbox, all or none. Exactly one of `finish` and `abandon` ends it."""

    def write(data: bytes) -> Any:
        """Takes the next octets. Returns None, or an awaitable to wait for before more is
        read from the client (back-pressure). May raise TooLarge; then `abandon`."""

    async def another(
        flags: Sequence[bytes], internal_date: int | None, size: int, whole: bool = True
    ) -> None:
        """The message is whole, and another follows it into the same mailbox (RFC 3502)."""

    async def finish() -> Appended:
        """All messages are stored, durable and announced when this returns, or none."""

    def abandon() -> None:
        """Forgets the message. Never raises; may be called in any state."""


class IAccount(Interface):
    """What an authenticated connection holds. One per connection."""

    capabilities_off = Attribute("frozenset[bytes]: capabilities that are off for this account")
    made = Attribute(
        "set[int]: UIDs of messages this session made in the selected mailbox; cleared by who took them"
    )
    progress = Attribute(
        "Callable[[int, int], object], set by the connection: who works long for a command says "
        "with it how many items are done, of how many (0: not known)"
    )

    referral = Attribute("str: URL of the server that this account's mailboxes are on, if another")

    async def mailboxes(prefix: str, subscribed: bool, remote: bool = False) -> Sequence[Listed]:
        """Every name the account may see that starts with `prefix` (literal; may end in
        the middle of a level), ordered by name. With
        `subscribed` only subscribed names, those that do not exist any more included
        (exists=False). remote: those on other servers, too (RFC 2193 3). Pattern matching is
        done by the caller."""

    async def status(names: Sequence[str], deleted_storage: bool = False) -> Mapping[str, Status]:
        """Counters of the mailboxes; names that do not exist, cannot be selected or may
        not be seen are left out (the caller answers NO [NONEXISTENT] where it must)."""

    async def quota(root: str) -> Quota:
        """GETQUOTA (RFC 9208 4.1.1). Raises NotPermitted, NoSuchMailbox (no such root)."""

    async def quota_of(name: str) -> Quota:
        """The quota of a mailbox, which need not exist (RFC 9208 4.1.2)."""

    async def set_quota(root: str, limits: Mapping[bytes, int]) -> Quota:
        """SETQUOTA (RFC 9208 4.1.3), for administrators: these limits and no others. Raises
        Unsupported for a resource that cannot be limited."""

    async def namespaces() -> Namespaces:
        """RFC 9051 6.3.10."""

    async def acl(name: str) -> Acl:
        """GETACL (RFC 4314 3.3). Raises NoSuchMailbox, NotPermitted (right a)."""

    async def set_acl(name: str, identifier: str, rights: str, how: str) -> None:
        """SETACL and DELETEACL (RFC 4314 3.1, 3.2): how is "+", "-" or "" (exactly these rights).
        Raises NoSuchMailbox, NotPermitted, NoSuchEntry, LimitReached."""

    async def grantable(name: str, identifier: str) -> Grantable:
        """LISTRIGHTS (RFC 4314 3.4). Refusals as of `set_acl`."""

    async def my_rights(name: str) -> str:
        """MYRIGHTS (RFC 4314 3.5). Raises NoSuchMailbox."""

    largest_annotation = Attribute("int: octets of the value of an annotation at most")

    async def metadata(
        name: str, entries: Sequence[str], depth: int = 0, most: int | None = None
    ) -> Annotations:
        """GETMETADATA of a mailbox, "" for the server: the entries and `depth` levels below them;
        values of up to `most` octets. Raises NoSuchMailbox, NotPermitted."""

    async def metadata_of(
        names: Sequence[str], entries: Sequence[str]
    ) -> Mapping[str, Sequence[tuple[str, bytes | None]]]:
        """For LIST (RFC 9590): of each mailbox that may be looked into, the entries."""

    async def set_metadata(name: str, values: Mapping[str, bytes | None]) -> None:
        """SETMETADATA, all or none; None removes. Raises NoSuchMailbox, NotPermitted, and refusals
        for too many, for private ones of nobody, and for a special use that cannot be."""

    async def create(name: str, special_use: Collection[bytes]) -> bytes:
        """CREATE; makes missing superiors (RFC 9051 6.3.4, RFC 6154 3). Gives the MAILBOXID
        (RFC 8474 4.1). Raises
        MailboxExists, InvalidName, NotPermitted, Unsupported (a use not offered)."""

    async def delete(name: str) -> None:
        """DELETE. Raises NoSuchMailbox, MailboxHasChildren, NotPermitted (INBOX)."""

    async def rename(old: str, new: str) -> None:
        """RENAME with inferiors; INBOX is emptied into the new name (RFC 9051 6.3.6)."""

    async def subscribe(name: str) -> None:
        """Raises NoSuchMailbox when there is no such name."""

    async def unsubscribe(name: str) -> None:
        """No error when it was not subscribed."""

    async def append(
        name: str, flags: Sequence[bytes], internal_date: int | None, size: int, whole: bool = True
    ) -> IAppend:
        """A sink for a message of `size` octets (not `whole`: at least). What can be refused
        before the content is here is refused now: NoSuchMailbox, NotPermitted, OverQuota,
        TooLarge. No internal_date: now."""

    async def message(name: str, validity: int, uid: int, needs: Needs) -> IMessage | None:
        """A message of a mailbox that need not be selected; None where there is none that this
        account may read. validity: the UIDVALIDITY it was named under, 0: any."""

    async def sign_urls(urls: Sequence[AuthorizedUrl]) -> Sequence[str] | None:
        """GENURLAUTH: a token of the mechanism INTERNAL for each; None where one of them is not the
        account's own to give, or where its mailbox is not there (RFC 4467 7)."""

    async def reset_url_keys(name: str | None) -> None:
        """RESETKEY: what was signed for a mailbox, or for all (None), is worth nothing any more. Raises
        NoSuchMailbox, NotPermitted."""

    async def url_message(url: AuthorizedUrl, needs: Needs) -> IMessage | None:
        """The message that a signed URL lets this session read, None for whatever reason there is
        none. Raises Throttled after too many wrong ones."""

    async def select(name: str, read_only: bool, dialect: Dialect) -> IView:
        """SELECT or EXAMINE: a fresh view. Raises NoSuchMailbox (\\Noselect too)."""

    async def glance(name: str, listed: bool, dialect: Dialect) -> IView | None:
        """A view of a mailbox that is not selected, to be read and closed: it takes no \\Recent and
        hears of nothing. None where there is none that may be read (listed: and seen by LIST)."""

    async def notify(wanted: Wanted, changed: Callable[[], object]) -> INotices:
        """NOTIFY SET (RFC 5465): listen to mailboxes that are not selected, in place of what was
        listened to before. changed() is called on the reactor when there may be something to take,
        once until it was."""

    def watch(callback: Callable[[Explained], object]) -> None:
        """callback(why) is called on the reactor when the session has to end: the account
        was disabled or deleted, its password changed (design rule 18)."""

    def close() -> None:
        """The connection ended or logged out; the view was closed before."""


class INotices(Interface):
    """What a session hears of mailboxes that it has not selected."""

    overflowed = Attribute("bool: there was more than is kept; it is of no more use")

    def first() -> AsyncIterator[Sequence[Notice]]:
        """What is told before NOTIFY SET is answered. An async generator."""

    async def take() -> Sequence[Notice]:
        """Some of what there is to tell; empty when that is all."""

    def close() -> None:
        """Listens no more; may be called twice."""


class IView(Interface):
    """What a session has been told about a selected mailbox: the only owner of message
    numbers. Everything that is not `async` works on memory."""

    name = Attribute("str: the name it was selected by")
    exists = Attribute("int: messages told")
    recent = Attribute("int: of those, \\Recent")
    uid_next = Attribute("int: the predicted next UID, as of what was told")
    uid_validity = Attribute("int")
    mailbox_id = Attribute("bytes: MAILBOXID (RFC 8474 4)")
    highest_modseq = Attribute("int: never above a change that is not told (RFC 7162 6)")
    holds_back = Attribute("bool: changes above highest_modseq were told, expunges among them not")
    first_unseen = Attribute("int: the number of the first message without \\Seen, or 0")
    flags = Attribute("bytes: flags and keywords in use, joined by spaces")
    permanent_flags = Attribute("bytes: those that can be changed, with \\* if new ones can")
    read_only = Attribute("bool: EXAMINE, or no right to change what others see (RFC 4314 5.2)")
    may_expunge = Attribute("bool: not read only, and the account may expunge here (RFC 4314 4, right e)")

    def rows(which: SequenceSet, changed_since: int = 0) -> Iterator[Sequence[Row]]:
        """Told messages of the set, ascending, in batches of at most 1,000; numbers that
        do not exist are left out. changed_since: only those with a greater mod-sequence."""

    def fetch(
        which: SequenceSet, needs: Needs, changed_since: int = 0
    ) -> AsyncIterator[Sequence[tuple[Row, IMessage]]]:
        """Told messages of the set with their content, ascending, in batches that were
        read together (bounded in bytes and count). Messages whose content is gone are
        left out. An async generator: an abandoned one is closed by the caller."""

    def sequences(uids: Sequence[int]) -> Sequence[int]:
        """Message numbers of told UIDs, given ascending; the others are left out."""

    def uids(which: SequenceSet) -> Sequence[int]:
        """The told UIDs of the set, ascending."""

    async def store(
        which: SequenceSet,
        change: FlagChange,
        flags: Sequence[bytes],
        unchanged_since: int | None,
    ) -> Stored:
        """STORE. Unknown keywords are made; raises LimitReached past their limit,
        NotPermitted when read only."""

    async def seen(uids: Sequence[int]) -> Iterator[Sequence[Row]]:
        """Sets \\Seen for a FETCH that asked without PEEK; gives the rows that changed, as
        `updates` would, and none when the view is read only."""

    async def search(key: Key, comparator: str = DEFAULT) -> Found:
        """Told messages that match by a comparator. Raises UnsupportedCharset never: text is decoded."""

    async def traits(uids: Sequence[int], comparator: str = DEFAULT) -> Sequence[Traits | None]:
        """What SORT and THREAD ask of told messages; None where the content is gone."""

    async def in_order(
        uids: Sequence[int], criteria: tuple[Criterion, ...], comparator: str = DEFAULT
    ) -> Sequence[int]:
        """The UIDs, which ascend, in the order of criteria other than RELEVANCY; equal ones as they
        were. Those whose content is gone are left out."""

    def recall(question: Hashable, found: Found) -> bytes | None:
        """What `remember` was told of this question, where just these were found; None else."""

    def remember(question: Hashable, found: Found, said: bytes) -> None:
        """Keep an answer that depends on nothing but the messages that were found."""

    async def copy(which: SequenceSet, target: str) -> Copied:
        """COPY; all or none (RFC 9051 6.4.7). Raises NoSuchMailbox, OverQuota,
        NotPermitted. Messages expunged elsewhere are left out."""

    async def move(which: SequenceSet, target: str) -> Copied:
        """MOVE (RFC 6851): each message is in one of the two places at any time."""

    async def replace(
        which: SequenceSet,
        name: str,
        flags: Sequence[bytes],
        internal_date: int | None,
        size: int,
        whole: bool = True,
    ) -> IAppend:
        """A sink for a message that takes the place of the one told (RFC 8508): it is gone when
        `finish` returned, and only then. Refusals as of `append`, and AlreadyExpunged."""

    async def expunge(uids: SequenceSet | None) -> int:
        """Removes messages with \\Deleted: those of the set (UID EXPUNGE), or all told
        ones; how many they were. Raises NotPermitted when read only."""

    def vanished(which: SequenceSet, since: int, after: int = 0) -> AsyncIterator[Ranges]:
        """UIDs of the set above `after` that were expunged after the mod-sequence `since`,
        in pieces; never a told one (RFC 7162 3.2.6, 3.2.10.2). An async generator."""

    def uid_of(number: int) -> int:
        """The UID of a message number, 0 where there is none."""

    def updates(expunge: bool) -> Iterator[Update]:
        """What changed since it was last told, now told. Without `expunge`, expunges are
        kept back and so is everything that would need them told. Consume it whole in one
        reactor turn: this is where numbers move."""

    def stirred() -> Sequence[int]:
        """Told UIDs that were new in `updates`, or marked by whomever, since this was asked before;
        it is kept account of from the first time on."""

    def watch(callback: Callable[[], object] | None) -> None:
        """callback() is called on the reactor when `updates` may have something to say
        (once until `updates` was called), None: nobody listens. It is also called when
        the mailbox or the right to it is gone."""

    gone = Attribute("bool: the mailbox was deleted or may not be read any more")

    def close() -> None:
        """Ends the view; no expunge. Other calls are not made afterwards."""


class IMessage(Interface):
    """Stored content of one message: prefix + blob. Offsets are those of the blob.

    Attributes that `Needs` did not ask for are empty.
    """

    prefix = Attribute("bytes: header fields that stand before the blob on the wire")
    size = Attribute("int: octets of the blob; RFC822.SIZE is this plus the prefix")
    envelope = Attribute("bytes: ENVELOPE, wire-ready")
    body = Attribute("bytes: BODY, wire-ready")
    bodystructure = Attribute("bytes: BODYSTRUCTURE, wire-ready")
    header = Attribute("bytes: the blob's header block with its empty line")
    scan = Attribute("protocols.message Scan of the blob")
    saved = Attribute("int: microseconds since the epoch, or None where nobody knows (RFC 8514)")
    email_id = Attribute("bytes: RFC 8474 5.1")
    thread_id = Attribute("bytes: RFC 8474 5.2, empty where there is none")
    preview = Attribute("bytes: UTF-8 (RFC 8970)")

    async def read(start: int, stop: int) -> bytes:
        """Octets of the blob; for a few hundred KiB at most."""

    def stream(start: int, stop: int) -> AsyncIterator[bytes]:
        """Octets of the blob in pieces of at most 256 KiB."""
