"""A complete in-memory IMAP4 application: the door, accounts and views of the interfaces.

Several connections may share one `World`, so that sessions see each other's changes. Views
keep what they told; numbers move in `updates` alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from imsd import errors
from imsd.sessions.imap4.fuzzy import Lexicon, Tally, relevancy, words_of
from protocols.imap4 import keys
from protocols.imap4.dialect import Dialect
from protocols.imap4.events import Wanted
from protocols.imap4.interfaces import IAccount, IAppend, IDoor, IMessage, INotices, IView
from protocols.imap4.ordering import Criterion, Traits, arrange
from protocols.imap4.server import Imap4Server
from protocols.imap4.sets import Ranges, SequenceSet, compact, contains
from protocols.imap4.urls import AuthorizedUrl
from protocols.imap4.values import (
    Acl,
    Annotations,
    Appended,
    Copied,
    Explained,
    Expunged,
    FlagChange,
    FlagsNow,
    Found,
    Grantable,
    Grown,
    KeywordsNow,
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
from protocols.message import summary
from protocols.message.collation import COMPARATORS, DEFAULT, casemap
from protocols.message.part import Scan
from protocols.message.scan import scan
from protocols.message.subjects import base_subject
from protocols.sasl import IAuthenticator, offered
from protocols.security import Security

ALL_RIGHTS = "lrswipkxtea"
SYSTEM = (b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft")

CODES: Mapping[type[Exception], bytes] = {
    errors.NoSuchMailbox: b"NONEXISTENT",
    errors.MailboxExists: b"ALREADYEXISTS",
    errors.MailboxHasChildren: b"HASCHILDREN",
    errors.NotPermitted: b"NOPERM",
    errors.AlreadyExpunged: b"EXPUNGEISSUED",
    errors.OverQuota: b"OVERQUOTA",
    errors.TooLarge: b"TOOBIG",
    errors.InvalidName: b"CANNOT",
    errors.LimitReached: b"LIMIT",
    errors.AuthenticationFailed: b"AUTHENTICATIONFAILED",
    errors.StoreUnavailable: b"UNAVAILABLE",
}


class Record:
    """A stored message."""

    def __init__(self, uid: int, data: bytes, flags: set[bytes], when: int, modseq: int) -> None:
        self.uid = uid
        self.data = data
        self.flags = flags
        self.when = when
        self.modseq = modseq


class Box:
    """A mailbox."""

    def __init__(self, uid_validity: int) -> None:
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.modseq = 1
        self.records: list[Record] = []
        self.expunged: dict[int, int] = {}
        self.special_use: tuple[bytes, ...] = ()
        self.views: list[FakeView] = []
        self.recent_from = 1
        self.limit = 1 << 30
        self.url_key = 0
        self.acl: dict[str, str] = {"alice": ALL_RIGHTS}
        self.annotations: dict[str, bytes] = {}
        self.identity = b"F%d" % uid_validity

    def add(self, data: bytes, flags: Collection[bytes] = (), when: int = 0) -> int:
        self.modseq += 1
        record = Record(self.uid_next, data, set(flags), when, self.modseq)
        self.records.append(record)
        self.uid_next += 1
        self.changed()
        return record.uid

    def remove(self, uids: Collection[int]) -> None:
        self.modseq += 1
        self.expunged.update((record.uid, self.modseq) for record in self.records if record.uid in uids)
        self.records = [record for record in self.records if record.uid not in uids]
        self.changed()

    def change(self, record: Record, flags: set[bytes]) -> None:
        if record.flags != flags:
            self.modseq += 1
            record.flags, record.modseq = flags, self.modseq
            self.changed()

    def changed(self) -> None:
        for view in list(self.views):
            view.dirty()


class World:
    """Everything there is: people and their mailboxes."""

    def __init__(self) -> None:
        self.passwords = {"alice": "secret"}
        self.boxes: dict[str, Box] = {}
        self.subscribed: set[str] = set()
        self.annotations: dict[str, bytes] = {}
        self.validity = 100
        self.capabilities_off: frozenset[bytes] = frozenset()
        self.referral = ""
        self.quotas: dict[str, dict[bytes, int]] = {"#user/alice": {b"STORAGE": 512}}
        self.fail: Exception | None = None
        self.accounts: list[FakeAccount] = []
        self.delayed = False
        self._turns: list[Deferred[None]] = []
        self.make("INBOX")

    async def turn(self) -> None:
        """Where a store would be asked; with `delayed` it answers in another reactor turn."""
        if self.delayed:
            turn: Deferred[None] = Deferred()
            self._turns.append(turn)
            await turn

    def settle(self) -> None:
        """Let everything that waits go on."""
        while self._turns:
            turns, self._turns = self._turns, []
            for turn in turns:
                if not turn.called:
                    turn.callback(None)

    def make(self, name: str) -> Box:
        self.validity += 1
        box = self.boxes[name] = Box(self.validity)
        return box

    def box(self, name: str) -> Box:
        if name not in self.boxes:
            raise errors.NoSuchMailbox
        return self.boxes[name]


@implementer(IAuthenticator)
class FakeAuthenticator:
    def __init__(self, world: World) -> None:
        self.world = world

    def mechanisms(self, security: Security) -> list[str]:
        return offered(security, ["PLAIN", "LOGIN"])

    async def password(self, authzid: str, authcid: str, password: str, security: Security) -> Any:
        await self.world.turn()
        if self.world.passwords.get(authcid) != password:
            raise errors.AuthenticationFailed
        return authcid

    async def scram(self, authcid: str, security: Security) -> Any:
        await self.world.turn()
        raise errors.AuthenticationFailed

    async def scram_done(
        self, authzid: str, authcid: str, keys: Any, proved: bool, security: Security
    ) -> Any:
        await self.world.turn()
        raise errors.AuthenticationFailed

    async def external(self, authzid: str, security: Security) -> Any:
        await self.world.turn()
        raise errors.AuthenticationFailed


@implementer(IDoor)
class FakeDoor:
    def __init__(self, world: World) -> None:
        self.world = world
        self.authenticator = FakeAuthenticator(world)
        self.clients: list[Mapping[str, str | None]] = []

    def id(self, client: Mapping[str, str | None]) -> Mapping[str, str]:
        self.clients.append(client)
        return {"name": "fake"}

    def capabilities_off(self, client: Mapping[str, str | None]) -> frozenset[bytes]:
        return frozenset({b"UIDONLY"}) if client.get("name") == "Clumsy" else frozenset()

    def takes_login(self, security: Security) -> bool:
        return security.private

    async def login(self, name: str, password: str, security: Security) -> FakeAccount:
        await self.world.turn()
        identity = await self.authenticator.password("", name, password, security)
        return await self.admit(identity, security)

    async def admit(self, identity: Any, security: Security) -> FakeAccount:
        await self.world.turn()
        account = FakeAccount(self.world)
        self.world.accounts.append(account)
        return account

    def explain(self, error: Exception) -> Explained | None:
        if isinstance(error, errors.Refusal):
            return Explained(CODES.get(type(error), b""), error.text)
        return None


@implementer(IAppend)
class FakeAppend:
    def __init__(self, box: Box, flags: Sequence[bytes], when: int) -> None:
        self.box, self.flags, self.when = box, flags, when
        self.data = b""
        self.abandoned = False
        self.done: list[tuple[bytes, Sequence[bytes], int]] = []
        self.replaces = 0
        self.view: Any = None

    def write(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > self.box.limit:
            raise errors.TooLarge

    async def another(
        self, flags: Sequence[bytes], internal_date: int | None, size: int, whole: bool = True
    ) -> None:
        self.done.append((self.data, self.flags, self.when))
        self.data, self.flags, self.when = b"", flags, internal_date or 0

    async def finish(self) -> Appended:
        if self.replaces:
            if self.replaces not in [record.uid for record in self.view.box.records]:
                raise errors.AlreadyExpunged
            self.view.box.remove([self.replaces])
        uids = [self.box.add(*item) for item in (*self.done, (self.data, self.flags, self.when))]
        return Appended(self.box.uid_validity, uids[0], len(uids))

    def abandon(self) -> None:
        self.abandoned = True


@implementer(IAccount)
class FakeAccount:
    def __init__(self, world: World) -> None:
        self.world = world
        self.closed = False
        self.end: Callable[[Explained], object] = lambda why: None
        self.sinks: list[FakeAppend] = []
        self.notices: FakeNotices | None = None
        self.capabilities_off = world.capabilities_off
        self.made: set[int] = set()
        self.progress: Callable[[int, int], object] = lambda done, goal: None

    def _may_fail(self) -> None:
        if self.world.fail is not None:
            raise self.world.fail

    @property
    def referral(self) -> str:
        return self.world.referral

    async def mailboxes(self, prefix: str, subscribed: bool, remote: bool = False) -> Sequence[Listed]:
        await self.world.turn()
        self._may_fail()
        names = set(self.world.boxes) | self.world.subscribed
        listed = [
            Listed(
                name,
                self.world.boxes[name].special_use if name in self.world.boxes else (),
                name in self.world.boxes,
                name in self.world.subscribed,
                any(other.startswith(name + "/") for other in self.world.boxes),
                self.world.boxes[name].acl["alice"].encode() if name in self.world.boxes else b"",
            )
            for name in sorted(names)
            if name.startswith(prefix)
        ]
        return [entry for entry in listed if entry.subscribed or not subscribed]

    async def status(self, names: Sequence[str], deleted_storage: bool = False) -> Mapping[str, Status]:
        await self.world.turn()
        return {name: self._status(self.world.boxes[name]) for name in names if name in self.world.boxes}

    def _status(self, box: Box) -> Status:
        return Status(
            messages=len(box.records),
            recent=sum(record.uid >= box.recent_from for record in box.records),
            unseen=sum(b"\\Seen" not in record.flags for record in box.records),
            deleted=sum(b"\\Deleted" in record.flags for record in box.records),
            size=sum(len(record.data) for record in box.records),
            uid_next=box.uid_next,
            uid_validity=box.uid_validity,
            highest_modseq=box.modseq,
            mailbox_id=box.identity,
            append_limit=box.limit,
            deleted_storage=sum(len(r.data) for r in box.records if b"\\Deleted" in r.flags),
        )

    async def quota(self, root: str) -> Quota:
        await self.world.turn()
        if root not in self.world.quotas:
            raise errors.NoSuchMailbox
        return Quota(root, tuple((name, 1, limit) for name, limit in self.world.quotas[root].items()))

    async def quota_of(self, name: str) -> Quota:
        return await self.quota("#user/alice")

    async def set_quota(self, root: str, limits: Mapping[bytes, int]) -> Quota:
        if root != "#user/alice":
            raise errors.NotPermitted
        self.world.quotas[root] = dict(limits)
        return await self.quota(root)

    async def namespaces(self) -> Namespaces:
        await self.world.turn()
        return Namespaces(("",), ("Other Users/",), ("Public Folders/",))

    async def acl(self, name: str) -> Acl:
        await self.world.turn()
        return Acl(name, tuple(self.world.box(name).acl.items()))

    async def set_acl(self, name: str, identifier: str, rights: str, how: str) -> None:
        await self.world.turn()
        held = self.world.box(name).acl
        old = held.pop(identifier, "")
        before = set(old if how else "")
        kept = before - set(rights) if how == "-" else before | set(rights)
        if kept:
            held[identifier] = "".join(letter for letter in ALL_RIGHTS if letter in kept)

    async def grantable(self, name: str, identifier: str) -> Grantable:
        await self.world.turn()
        required = self.world.box(name).acl["alice"] if identifier == "alice" else ""
        return Grantable(required, tuple(letter for letter in ALL_RIGHTS if letter not in required))

    async def my_rights(self, name: str) -> str:
        await self.world.turn()
        return self.world.box(name).acl["alice"]

    largest_annotation = 1024

    def _annotations(self, name: str) -> dict[str, bytes]:
        return self.world.box(name).annotations if name else self.world.annotations

    async def metadata(
        self, name: str, entries: Sequence[str], depth: int = 0, most: int | None = None
    ) -> Annotations:
        await self.world.turn()
        held = self._annotations(name)
        named = {
            key: value
            for each in entries
            for key, value in sorted(held.items())
            if key == each or (key.startswith(each + "/") and key[len(each) :].count("/") <= depth)
        }
        short = [(key, value) for key, value in named.items() if most is None or len(value) <= most]
        nothing = [] if named and depth else [(each, None) for each in entries if each not in held]
        long = [len(value) for value in named.values() if most is not None and len(value) > most]
        return Annotations((*short, *nothing), max(long, default=0))

    async def metadata_of(
        self, names: Sequence[str], entries: Sequence[str]
    ) -> Mapping[str, Sequence[tuple[str, bytes | None]]]:
        return {name: (await self.metadata(name, entries)).values for name in names}

    async def set_metadata(self, name: str, values: Mapping[str, bytes | None]) -> None:
        await self.world.turn()
        held = self._annotations(name)
        for key, value in values.items():
            held.pop(key, None)
            if value is not None:
                held[key] = value

    async def create(self, name: str, special_use: Collection[bytes]) -> bytes:
        await self.world.turn()
        self._may_fail()
        if name in self.world.boxes:
            raise errors.MailboxExists
        levels = name.split("/")
        if "" in levels:
            raise errors.InvalidName
        for count in range(1, len(levels) + 1):
            above = "/".join(levels[:count])
            if above not in self.world.boxes:
                self.world.make(above)
        self.world.boxes[name].special_use = tuple(special_use)
        return self.world.boxes[name].identity

    async def delete(self, name: str) -> None:
        await self.world.turn()
        if name == "INBOX":
            raise errors.NotPermitted
        box = self.world.box(name)
        if any(other.startswith(name + "/") for other in self.world.boxes):
            raise errors.MailboxHasChildren
        del self.world.boxes[name]
        for view in list(box.views):
            view.gone = True
            view.dirty()

    async def rename(self, old: str, new: str) -> None:
        await self.world.turn()
        box = self.world.box(old)
        if new in self.world.boxes:
            raise errors.MailboxExists
        if old == "INBOX":
            target = self.world.make(new)
            for record in box.records:
                target.add(record.data, record.flags, record.when)
            box.remove([record.uid for record in box.records])
            return
        for name in [name for name in self.world.boxes if name == old or name.startswith(old + "/")]:
            self.world.boxes[new + name[len(old) :]] = self.world.boxes.pop(name)

    async def subscribe(self, name: str) -> None:
        await self.world.turn()
        self.world.box(name)
        self.world.subscribed.add(name)

    async def unsubscribe(self, name: str) -> None:
        await self.world.turn()
        self.world.subscribed.discard(name)

    async def message(self, name: str, validity: int, uid: int, needs: Needs) -> FakeMessage | None:
        await self.world.turn()
        self._may_fail()
        box = self.world.boxes.get(name)
        if box is None or validity not in (0, box.uid_validity):
            return None
        return next((FakeMessage(record.data, needs) for record in box.records if record.uid == uid), None)

    def _token(self, url: AuthorizedUrl) -> str | None:
        box = self.world.boxes.get(url.target.mailbox)
        if url.user != "alice" or box is None:
            return None
        return "01" + sha256(b"%d %b" % (box.url_key, url.rump)).hexdigest()

    async def sign_urls(self, urls: Sequence[AuthorizedUrl]) -> Sequence[str] | None:
        await self.world.turn()
        self._may_fail()
        tokens = [token for url in urls if (token := self._token(url)) is not None]
        return tokens if len(tokens) == len(urls) else None

    async def reset_url_keys(self, name: str | None) -> None:
        await self.world.turn()
        for box in self.world.boxes.values() if name is None else [self.world.box(name)]:
            box.url_key += 1

    async def url_message(self, url: AuthorizedUrl, needs: Needs) -> FakeMessage | None:
        if self._token(url) != url.token or url.access == "submit+":
            return None
        return await self.message(url.target.mailbox, url.target.validity, url.target.uid, needs)

    async def append(
        self, name: str, flags: Sequence[bytes], internal_date: int | None, size: int, whole: bool = True
    ) -> FakeAppend:
        await self.world.turn()
        self._may_fail()
        box = self.world.box(name)
        if size > box.limit:
            raise errors.TooLarge
        self.sinks.append(FakeAppend(box, flags, internal_date or 0))
        return self.sinks[-1]

    async def select(self, name: str, read_only: bool, dialect: Dialect) -> FakeView:
        await self.world.turn()
        return FakeView(self, name, self.world.box(name), read_only, dialect)

    async def glance(self, name: str, listed: bool, dialect: Dialect) -> FakeView | None:
        await self.world.turn()
        self._may_fail()
        box = self.world.boxes.get(name)
        if box is None or not set(box.acl["alice"]).issuperset("lr" if listed else "r"):
            return None
        return FakeView(self, name, box, True, dialect)

    def watch(self, callback: Callable[[Explained], object]) -> None:
        self.end = callback

    async def notify(self, wanted: Wanted, changed: Callable[[], object]) -> FakeNotices:
        await self.world.turn()
        self.notices = FakeNotices(wanted, changed)
        return self.notices

    def close(self) -> None:
        self.closed = True


@implementer(INotices)
class FakeNotices:
    """What a test says."""

    def __init__(self, wanted: Wanted, changed: Callable[[], object]) -> None:
        self.wanted, self.changed = wanted, changed
        self.overflowed = False
        self.closed = False
        self.at_first: list[Notice] = []
        self.kept: list[Notice] = []

    async def first(self) -> AsyncIterator[Sequence[Notice]]:
        yield self.at_first

    async def take(self) -> Sequence[Notice]:
        kept, self.kept = self.kept, []
        return kept

    def say(self, *notices: Notice) -> None:
        self.kept += notices
        self.changed()

    def close(self) -> None:
        self.closed = True


class Told:
    """What a view told of one message."""

    def __init__(self, record: Record, recent: bool) -> None:
        self.uid = record.uid
        self.record = record
        self.recent = recent
        self.modseq = record.modseq


@implementer(IView)
class FakeView:
    def __init__(self, account: FakeAccount, name: str, box: Box, read_only: bool, dialect: Dialect) -> None:
        self.account, self.box, self.read_only, self.dialect = account, box, read_only, dialect
        self.name = name
        self.gone = False
        self.callback: Callable[[], object] | None = None
        self.told = [Told(record, record.uid >= box.recent_from) for record in box.records]
        self._keywords = self._known_keywords()
        self.stir: set[int] | None = None
        self.seen_modseq = box.modseq
        if not read_only:
            box.recent_from = box.uid_next
        box.views.append(self)

    # Attributes
    @property
    def may_expunge(self) -> bool:
        return not self.read_only

    @property
    def exists(self) -> int:
        return len(self.told)

    @property
    def recent(self) -> int:
        return sum(told.recent for told in self.told)

    @property
    def uid_next(self) -> int:
        return self.box.uid_next

    @property
    def uid_validity(self) -> int:
        return self.box.uid_validity

    @property
    def mailbox_id(self) -> bytes:
        return self.box.identity

    @property
    def holds_back(self) -> bool:
        return any(not self._alive(told) for told in self.told)

    @property
    def highest_modseq(self) -> int:
        held = [self.box.expunged[told.uid] - 1 for told in self.told if not self._alive(told)]
        return min(held, default=self.box.modseq)

    @property
    def first_unseen(self) -> int:
        unseen = [n for n, told in enumerate(self.told, 1) if b"\\Seen" not in told.record.flags]
        return unseen[0] if unseen else 0

    def _known_keywords(self) -> tuple[bytes, ...]:
        return tuple(sorted({flag for r in self.box.records for flag in r.flags if flag not in SYSTEM}))

    @property
    def flags(self) -> bytes:
        return b" ".join([*SYSTEM, *self._keywords])

    @property
    def permanent_flags(self) -> bytes:
        return b"" if self.read_only else self.flags + b" \\*"

    # Reading
    def _row(self, sequence: int, told: Told) -> Row:
        record = told.record
        flags = [flag for flag in SYSTEM if flag in record.flags]
        flags += sorted(flag for flag in record.flags if flag not in SYSTEM)
        if told.recent and not self.dialect.rev2:
            flags.append(b"\\Recent")
        return Row(
            sequence, told.uid, b" ".join(flags), record.modseq, len(PREFIX) + len(record.data), record.when
        )

    def _chosen(self, which: SequenceSet) -> list[tuple[int, Told]]:
        largest = (self.told[-1].uid if self.told else 0) if which.uid else len(self.told)
        ranges: Ranges = which.resolve(largest)
        return [
            (number, told)
            for number, told in enumerate(self.told, 1)
            if contains(ranges, told.uid if which.uid else number)
        ]

    def _alive(self, told: Told) -> bool:
        return told.record in self.box.records

    def rows(self, which: SequenceSet, changed_since: int = 0) -> Iterator[Sequence[Row]]:
        rows = [self._row(number, told) for number, told in self._chosen(which)]
        rows = [row for row in rows if row.modseq > changed_since]
        for start in range(0, len(rows), 1000):
            yield rows[start : start + 1000]

    async def fetch(
        self, which: SequenceSet, needs: Needs, changed_since: int = 0
    ) -> AsyncIterator[Sequence[tuple[Row, FakeMessage]]]:
        await self.account.world.turn()
        self.account._may_fail()
        for number, told in self._chosen(which):
            if self._alive(told) and told.record.modseq > changed_since:
                yield [(self._row(number, told), FakeMessage(told.record.data, needs))]

    def sequences(self, uids: Sequence[int]) -> Sequence[int]:
        return [number for number, told in enumerate(self.told, 1) if told.uid in uids]

    def uids(self, which: SequenceSet) -> Sequence[int]:
        return [told.uid for _, told in self._chosen(which)]

    # Changing
    async def store(
        self, which: SequenceSet, change: FlagChange, flags: Sequence[bytes], unchanged_since: int | None
    ) -> Stored:
        await self.account.world.turn()
        if self.read_only:
            raise errors.NotPermitted
        modified, missing, rows = [], False, []
        for number, told in self._chosen(which):
            if not self._alive(told):
                missing = True
                continue
            if unchanged_since is not None and told.record.modseq > unchanged_since:
                modified.append(told.uid if which.uid else number)
                continue
            now = set(told.record.flags)
            if change is FlagChange.REPLACE:
                now = set(flags)
            elif change is FlagChange.ADD:
                now |= set(flags)
            else:
                now -= set(flags)
            self.box.change(told.record, now)
            told.modseq = told.record.modseq
            rows.append(self._row(number, told))
        return Stored(iter([rows]), compact(modified), missing)

    async def seen(self, uids: Sequence[int]) -> Iterator[Sequence[Row]]:
        await self.account.world.turn()
        which = SequenceSet(tuple((uid, uid) for uid in uids), uid=True)
        return (await self.store(which, FlagChange.ADD, [b"\\Seen"], None)).rows

    async def search(self, key: keys.Key, comparator: str = DEFAULT) -> Found:
        self.fold = COMPARATORS[comparator]
        await self.account.world.turn()
        self.account._may_fail()
        found = [
            (n, told)
            for n, told in enumerate(self.told, 1)
            if self._alive(told) and self._matches(key, n, told)
        ]
        return Found(
            [number for number, _ in found],
            [told.uid for _, told in found],
            max((told.record.modseq for _, told in found), default=0),
            [_relevancy(key, told.record) for _, told in found] if keys.is_fuzzy(key) else (),
        )

    def _matches(self, key: keys.Key, number: int, told: Told) -> bool:
        record = told.record
        match key:
            case keys.All():
                return True
            case keys.And(parts):
                return all(self._matches(part, number, told) for part in parts)
            case keys.Or(left, right):
                return self._matches(left, number, told) or self._matches(right, number, told)
            case keys.Not(inner):
                return not self._matches(inner, number, told)
            case keys.Fuzzy(inner):
                if key in (tallies := _tallies(key, record)):
                    return tallies[key].matched
                return self._matches(inner, number, told)
            case keys.Flag(name, present):
                return (name.lower() in {flag.lower() for flag in record.flags}) is present
            case keys.Recent(present):
                return told.recent is present
            case keys.Numbers(which):
                return any(number == chosen for chosen, _ in self._chosen(which))
            case keys.Larger(size):
                return len(record.data) > size
            case keys.Smaller(size):
                return len(record.data) < size
            case keys.ModSeqAtLeast(value):
                return record.modseq >= value
            case keys.Internal(when, day):
                return _compare(when, datetime.fromtimestamp(record.when / 1e6, UTC).date(), day)
            case keys.Saved(when, day):
                return _compare(when, date(1996, 1, 1), day)
            case keys.Within(seconds, older):
                return (record.when <= (NOW - seconds) * 1_000_000) is older
            case keys.Identity(wanted, thread):
                shown = FakeMessage(record.data, Needs(identity=True))
                return wanted == (shown.thread_id if thread else shown.email_id)
            case keys.Sent(when, day):
                sent = summary.summarize(record.data).date
                return sent is not None and _compare(
                    when, datetime.fromtimestamp(sent / 1e6, UTC).date(), day
                )
            case keys.Header(name, text):
                return any(
                    line.lower().startswith(name + ":") and self.fold(text) in self.fold(line)
                    for line in record.data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
                )
            case keys.Body(text):
                return self.fold(text) in self.fold(
                    record.data.partition(b"\r\n\r\n")[2].decode("utf-8", "replace")
                )
            case keys.Text(text):
                return self.fold(text) in self.fold(record.data.decode("utf-8", "replace"))
        raise AssertionError(key)

    async def traits(self, uids: Sequence[int], comparator: str = DEFAULT) -> Sequence[Traits | None]:
        await self.account.world.turn()
        records = {told.uid: told.record for told in self.told if self._alive(told)}
        return [traits_of(records[uid], comparator) if uid in records else None for uid in uids]

    async def in_order(
        self, uids: Sequence[int], criteria: tuple[Criterion, ...], comparator: str = DEFAULT
    ) -> Sequence[int]:
        traits = await self.traits(uids, comparator)
        there = [(uid, one) for uid, one in zip(uids, traits, strict=True) if one is not None]
        order = await arrange([one for _, one in there], criteria, self.account.world.turn)
        return [there[at][0] for at in order]

    def recall(self, question: Hashable, found: Found) -> bytes | None:
        return None

    def remember(self, question: Hashable, found: Found, said: bytes) -> None:
        pass

    async def copy(self, which: SequenceSet, target: str) -> Copied:
        await self.account.world.turn()
        box = self.account.world.box(target)
        chosen = [told.record for _, told in self._chosen(which) if self._alive(told)]
        made = [box.add(record.data, record.flags, record.when) for record in chosen]
        return Copied(box.uid_validity, compact([record.uid for record in chosen]), compact(made))

    async def move(self, which: SequenceSet, target: str) -> Copied:
        await self.account.world.turn()
        if self.read_only:
            raise errors.NotPermitted
        uids = [told.uid for _, told in self._chosen(which) if self._alive(told)]
        copied = await self.copy(which, target)
        self.box.remove(uids)
        return copied

    async def replace(
        self,
        which: SequenceSet,
        name: str,
        flags: Sequence[bytes],
        internal_date: int | None,
        size: int,
        whole: bool = True,
    ) -> FakeAppend:
        if self.read_only:
            raise errors.NotPermitted
        chosen = self._chosen(which)
        if not chosen:
            raise errors.AlreadyExpunged
        sink = await self.account.append(name, flags, internal_date, size)
        sink.replaces, sink.view = chosen[0][1].uid, self
        return sink

    async def expunge(self, uids: SequenceSet | None) -> int:
        await self.account.world.turn()
        if self.read_only:
            raise errors.NotPermitted
        chosen = [told for _, told in self._chosen(uids or SequenceSet(((1, 1 << 32),)))]
        gone = {told.uid for told in chosen if b"\\Deleted" in told.record.flags}
        if gone:
            self.box.remove(gone)
        return len(gone)

    async def vanished(self, which: SequenceSet, since: int, after: int = 0) -> AsyncIterator[Ranges]:
        await self.account.world.turn()
        told = {told.uid for told in self.told}
        ranges = which.resolve(self.told[-1].uid if self.told else 1)
        found = sorted(
            uid
            for uid, modseq in self.box.expunged.items()
            if modseq > since and uid > after and uid not in told and contains(ranges, uid)
        )
        if found:
            yield compact(found)

    def uid_of(self, number: int) -> int:
        return self.told[number - 1].uid if 0 < number <= len(self.told) else 0

    # Telling
    def dirty(self) -> None:
        if self.callback is not None:
            self.callback()

    def watch(self, callback: Callable[[], object] | None) -> None:
        self.callback = callback

    def stirred(self) -> Sequence[int]:
        found, self.stir = self.stir, set()
        return sorted(found or ())

    def updates(self, expunge: bool) -> Iterator[Update]:
        if self._known_keywords() != self._keywords:
            self._keywords = self._known_keywords()
            yield KeywordsNow(self.flags, self.permanent_flags)
        if expunge:
            number = 1
            while number <= len(self.told):
                if self._alive(self.told[number - 1]):
                    number += 1
                else:
                    yield Expunged(number, self.told.pop(number - 1).uid)
        changed = []
        for number, told in enumerate(self.told, 1):
            if told.record.modseq != told.modseq:
                told.modseq = told.record.modseq
                changed.append(self._row(number, told))
        if self.stir is not None:
            # Own changes count too, though they are told elsewhere.
            self.stir |= {told.uid for told in self.told if told.record.modseq > self.seen_modseq}
            self.stir |= {record.uid for record in self.box.records if record.modseq > self.seen_modseq}
        self.seen_modseq = self.box.modseq
        if changed:
            yield FlagsNow(changed)
        last = self.told[-1].uid if self.told else 0
        new = [record for record in self.box.records if record.uid > last]
        if new:
            for record in new:
                self.told.append(Told(record, record.uid >= self.box.recent_from))
            self.box.recent_from = self.box.uid_next
            yield Grown(self.exists, self.recent)

    def close(self) -> None:
        self.box.views.remove(self)


def _tallies(key: keys.Key, record: Record) -> dict[keys.Key, Tally]:
    """What of fuzzy keys the record's text has."""
    found: dict[keys.Key, Tally] = {}
    head, _, body = record.data.decode("utf-8", "replace").partition("\r\n\r\n")
    for leaf in keys.leaves(key):
        if isinstance(leaf, keys.Fuzzy) and isinstance(leaf.key, keys.Header | keys.Body | keys.Text):
            tally = found[leaf] = Tally(Lexicon(words_of(leaf.key.text)), isinstance(leaf.key, keys.Header))
            if isinstance(leaf.key, keys.Header):
                for line in head.split("\r\n"):
                    name, _, value = line.partition(":")
                    tally.add(value if name.lower() == leaf.key.name else "")
            else:
                tally.add(body)
            tally.end()
    return found


def _relevancy(key: keys.Key, record: Record) -> int:
    tallies = _tallies(key, record)
    return relevancy(key, tallies, tallies)


def traits_of(record: Record, comparator: str = DEFAULT) -> Traits:
    made = summary.summarize(record.data)
    subject = base_subject(made.subject)
    return Traits(
        record.when,
        record.when if made.date is None else made.date,
        len(record.data),
        casemap(subject.base, comparator),
        subject.answer,
        *(
            casemap(address.decode().partition("@")[0], comparator)
            for address in (made.sender, made.to, made.cc)
        ),
        casemap(made.sender_name or made.sender.decode()),
        casemap(made.to_name or made.to.decode()),
        made.message_id,
        made.references,
    )


NOW = 1_000_000
"""What a fake takes for the time, in seconds."""

PREFIX = b"Return-Path: <bob@example.test>\r\n"


@implementer(IMessage)
class FakeMessage:
    """What `needs` did not ask for is poison."""

    def __init__(self, data: bytes, needs: Needs) -> None:
        self._data = data
        self._needs = needs
        self.prefix = PREFIX
        self.size = len(data)
        made = summary.summarize(data)
        self.envelope = made.envelope if needs.summary else b""
        self.body = made.body if needs.summary else b""
        self.bodystructure = made.bodystructure if needs.summary else b""
        self.header = data[: made.header_size] if needs.header else b""
        self.scan: Scan | None = scan(data) if needs.scan else None
        self.saved = 820_454_400_000_000 if needs.identity else None
        self.email_id = b"M" + sha256(data).hexdigest()[:8].encode() if needs.identity else b""
        self.thread_id = (
            b"T" + made.message_id.strip(b"<>")[:8] if needs.identity and made.message_id else b""
        )
        self.preview = made.preview.encode() if needs.identity else b""
        self.broken = False

    async def read(self, start: int, stop: int) -> bytes:
        assert self._needs.content
        return self._data[start:stop]

    async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        assert self._needs.content
        for at in range(start, stop, 256 * 1024):
            yield self._data[at : min(stop, at + 256 * 1024)]


def _compare(when: keys.When, day: date, wanted: date) -> bool:
    if when is keys.When.BEFORE:
        return day < wanted
    return day == wanted if when is keys.When.ON else day >= wanted


# Connections ---------------------------------------------------------------------------------


class Client:
    """One connection to a world: `say` sends and gives what came back."""

    def __init__(self, world: World | None = None, peer: str = "127.0.0.1", **options: Any) -> None:
        self.world = world or World()
        self.clock = Clock()
        self.door = FakeDoor(self.world)
        self.server = Imap4Server(self.clock, self.door, **options)
        self.transport = StringTransport(peerAddress=_address(peer))
        self.server.makeConnection(self.transport)
        self.transport.abortConnection = self._abort  # type: ignore[method-assign]
        self.greeting = self.heard()

    def _abort(self) -> None:
        self.transport.disconnecting = True

    def heard(self) -> bytes:
        """What was sent since the last time."""
        self.world.settle()
        while (
            self.clock.getDelayedCalls() and self.clock.getDelayedCalls()[0].getTime() <= self.clock.seconds()
        ):
            self.clock.advance(0)
            self.world.settle()
        value = self.transport.value()
        self.transport.clear()
        return value

    def say(self, *lines: bytes) -> bytes:
        self.server.dataReceived(b"".join(line + b"\r\n" for line in lines))
        return self.heard()

    def raw(self, data: bytes) -> bytes:
        self.server.dataReceived(data)
        return self.heard()

    def login(self) -> Client:
        assert self.say(b"l LOGIN alice secret").startswith(b"l OK")
        return self

    def select(self, name: bytes = b"INBOX") -> Client:
        self.login()
        assert b"s OK" in self.say(b"s SELECT " + name)
        return self

    @property
    def closed(self) -> bool:
        return self.transport.disconnecting


def _address(host: str) -> Any:
    from twisted.internet.address import IPv4Address

    return IPv4Address("TCP", host, 12345)


def message(subject: str = "Hello", text: str = "Hello there.\r\n", **fields: str) -> bytes:
    """A small message."""
    head = {
        "From": "Bob <bob@example.test>",
        "To": "alice@example.test",
        "Subject": subject,
        "Date": "Mon, 7 Feb 1994 21:52:25 -0800",
        "Message-ID": "<1@example.test>",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    return "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode() + b"\r\n" + text.encode()


def world_with(count: int) -> World:
    """A world whose INBOX has `count` messages."""
    world = World()
    for number in range(1, count + 1):
        world.boxes["INBOX"].add(message(f"Message {number}"), when=number * 86_400_000_000)
    return world
