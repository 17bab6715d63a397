"""NOTIFY: what one session hears of mailboxes that it has not selected (RFC 5465).

1. Changes are only marked, by mailbox and by name; what they mean is read when the client can
   take it, some at a time. So a burst in one mailbox costs one STATUS, and a client that does not
   read costs a mark for each mailbox, no more than `MOST`; then NOTIFICATIONOVERFLOW.
2. Rights are those at the time of telling: a mailbox that may not be seen is passed over, one
   that may be seen later is told of from then on. That it may be seen, or may not any more, is told
   where a list changed, a group, or somebody's delegates (RFC 5465 5.9), never of what the client
   could not know of.
3. What this session does itself is not told (RFC 5465 5): names while it changes them, messages
   by their UIDs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from zope.interface import implementer

from imsd.errors import NoSuchMailbox, NotPermitted, Referred, Refusal
from imsd.sessions.imap4 import naming
from imsd.sessions.imap4.doubts import Doubts
from imsd.sessions.imap4.places import OTHERS, SHARED, Place
from imsd.sessions.imap4.trees import NameChange
from imsd.store import mailboxes, names
from imsd.store.changes import (
    AccountScope,
    AnnotationsChanged,
    Change,
    FlagsChanged,
    MessagesAdded,
    MessagesExpunged,
)
from imsd.store.ids import PUBLIC, AccountId, MailboxId
from imsd.store.mailbox_annotations import NOBODY, SERVER
from protocols.imap4.events import Event, Mailboxes, Wanted
from protocols.imap4.interfaces import INotices, Listed, ListNow, MetadataNow, Notice, StatusNow

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

MOST = 20_000
"""Mailboxes and names with something to tell, before the client is told to ask again."""
MOST_ENTRIES = 1000
"""Names of annotations of one mailbox, likewise."""
AT_ONCE = 50
"""Mailboxes that are read about between two breaths."""
FIRST = 5
"""The same where a few rows are read of each."""

_NEW, _GONE, _FLAGS, _MADE = 1, 2, 4, 8

Key = tuple[AccountId, MailboxId]


@implementer(INotices)
class Notices:
    """Made by `ImapAccount.notify`; one at most for each session."""

    def __init__(self, owner: ImapAccount, wanted: Wanted, changed: Callable[[], object]) -> None:
        self._owner = owner
        self._wanted = wanted
        self._changed: Callable[[], object] | None = changed
        self._called = False
        self.overflowed = False
        self._followed: set[AccountId] = set()
        self._subscribed: set[str] = set()
        # What happened, by mailbox.
        self._marks: dict[Key, int] = {}
        # New messages heard of while this session makes some.
        self._making = 0
        self._held: list[tuple[Key, set[int]]] = []
        # The same of messages that went.
        self._held_gone: list[tuple[Key, set[int]]] = []
        # Annotations that others changed, by what is annotated; those this session is changing.
        self._annotations: dict[Key, dict[str, None]] = {}
        self._annotating: set[Key] = set()
        # Names to be told, with the name before: of the tree, then of subscriptions.
        self._names: dict[tuple[AccountId, str], str] = {}
        self._subscriptions: dict[str, None] = {}
        self._mine: set[tuple[AccountId, str]] = set()
        # Names with the right l, as far as they were looked at; those told to be without; mailboxes
        # whose list changed.
        self._visible: set[str] = set()
        self._closed: set[str] = set()
        self._rights: dict[Key, None] = {}
        # Names that may have been opened or closed otherwise, and whether to look for such.
        self._compared: dict[str, None] = {}
        self._doubts = Doubts(owner, self._ring)

    async def start(self) -> None:
        """Listen from now on."""
        groups = self._wanted.groups
        if not any(group.events for group in groups) and not self._wanted.metadata:
            return
        account = self._owner.account.id
        subscriptions = await self._owner.held.db.read_few(mailboxes.subscriptions, account)
        self._subscribed = set(subscriptions)
        self._follow(account)
        await self._follow_names(name for group in groups for name in group.names)
        if self._wanted.metadata or any(Event.SERVER_METADATA in group.events for group in groups):
            self._follow(PUBLIC)
        if self._wanted.metadata:
            await self._follow_names((OTHERS,))
        if any(group.which is Mailboxes.SUBSCRIBED for group in groups):
            await self._follow_names(subscriptions)
        self._visible = {entry.name for entry in await self._owner.mailboxes("", False) if entry.exists}
        await self._doubts.start()
        if self._changed is None:
            self._doubts.close()

    async def _follow_names(self, wanted: Iterable[str]) -> None:
        """The owners of the mailboxes with these names."""
        seen: set[str] = set()
        for name in wanted:
            top = "/".join(name.split("/")[:2]) if name.startswith(OTHERS + "/") else name.split("/")[0]
            if top in seen:
                continue
            seen.add(top)
            if top == OTHERS:
                await self._follow_names(
                    entry.name for entry in await self._owner.mailboxes(OTHERS + "/", False)
                )
            elif top == SHARED or top.startswith(OTHERS + "/"):
                try:
                    self._follow((await self._owner.places.spot(top)).account)
                except (NoSuchMailbox, Referred):
                    continue

    def _follow(self, account: AccountId) -> None:
        if account not in self._followed and self._changed is not None:
            self._followed.add(account)
            self._owner.held.trees.follow(account, self)

    def close(self) -> None:
        self._changed = None
        for account in self._followed:
            self._owner.held.trees.leave(account, self)
        self._followed.clear()
        self._doubts.close()
        self._forget()

    def _forget(self) -> None:
        for kept in (
            self._marks, self._names, self._subscriptions, self._annotations, self._rights, self._compared,
        ):  # fmt: skip
            kept.clear()

    # Marking -------------------------------------------------------------------------------

    def messages(self, account: AccountId, mailbox: MailboxId, change: Change) -> None:
        key = (account, mailbox)
        if self._owner.has_selected(key):
            return
        if isinstance(change, MessagesAdded):
            if self._making:
                self._held.append((key, {row.uid for row in change.rows}))
                return
            bits = _NEW
        elif isinstance(change, MessagesExpunged):
            if self._making:
                self._held_gone.append((key, set(change.uids)))
                return
            bits = _GONE
        elif isinstance(change, FlagsChanged):
            bits = _FLAGS
        else:
            bits = _NEW | _GONE | _FLAGS
        self._mark(key, bits)

    def _mark(self, key: Key, bits: int) -> None:
        self._marks[key] = self._marks.get(key, 0) | bits
        self._ring()

    def named(self, change: NameChange) -> None:
        account = change.account
        key = (account, change.mailbox)
        if not change.new:
            self._marks.pop(key, None)
        if (account, change.new or change.old) in self._mine or self._carried(change):
            return
        for name in (change.old, change.new):
            if name:
                # The latest is what counts, at its latest place.
                old = self._names.pop((account, name), "")
                if name == change.new:
                    self._names[account, name] = change.old or old
                elif not change.new:
                    self._names[account, name] = ""
        if not change.old:
            self._mark(key, _MADE)
        self._ring()

    def _carried(self, change: NameChange) -> bool:
        """Whether this is the name below one that was just renamed (RFC 5465 5.4)."""
        if not change.old or not change.new:
            return False
        above = zip(reversed(names.parents(change.old)), reversed(names.parents(change.new)), strict=False)
        return any(
            self._names.get((change.account, new)) == old or (change.account, new) in self._mine
            for old, new in above
        )

    def subscribed(self, account: AccountId, name: str, now: bool) -> None:
        if account != self._owner.account.id:
            return
        (self._subscribed.add if now else self._subscribed.discard)(name)
        if (account, name) in self._mine:
            return
        self._subscriptions.pop(name, None)
        self._subscriptions[name] = None
        self._ring()

    def annotated(self, change: AnnotationsChanged) -> None:
        assert isinstance(change.scope, AccountScope)
        key = (change.scope.account, change.mailbox)
        if key in self._annotating or change.reader not in (NOBODY, self._owner.reader):
            return
        named = self._annotations.setdefault(key, {})
        named.update(dict.fromkeys(change.names))
        if len(named) > MOST_ENTRIES:
            self.overflowed = True
            self._forget()
        self._ring()

    def rights(self, account: AccountId, mailbox: MailboxId) -> None:
        self._rights[account, mailbox] = None
        self._ring()

    @contextmanager
    def annotating(self, *keys: Key) -> Iterator[None]:
        """What this session is about to annotate."""
        mine = set(keys) - self._annotating
        self._annotating |= mine
        try:
            yield
        finally:
            self._annotating -= mine

    def _ring(self) -> None:
        names = len(self._names) + len(self._subscriptions) + len(self._rights)
        if len(self._marks) + names + len(self._annotations) > MOST:
            self.overflowed = True
            self._forget()
        if not self._called and self._changed is not None:
            self._called = True
            self._owner.held.bell.ring(self._call)

    def _call(self) -> None:
        if self._changed is not None:
            self._changed()

    @contextmanager
    def changing(self, account: AccountId, *changed: str) -> Iterator[None]:
        """Names that this session is about to change, and those above and below them."""
        mine = {(account, name) for full in changed for name in (full, *names.parents(full))}
        self._mine |= mine
        try:
            yield
        finally:
            self._mine -= mine

    @contextmanager
    def making(self, own: dict[Key, set[int]], left: dict[Key, set[int]]) -> Iterator[None]:
        """While this session makes messages; their mailboxes and UIDs are in `own` at the end, those
        of what it took out of mailboxes that are not selected in `left`."""
        self._making += 1
        try:
            yield
        finally:
            self._making -= 1
            if not self._making:
                held, self._held = self._held, []
                gone, self._held_gone = self._held_gone, []
                for key, uids in held:
                    if not uids <= own.get(key, set()):
                        self._mark(key, _NEW)
                for key, uids in gone:
                    if not uids <= left.get(key, set()):
                        self._mark(key, _GONE)

    # Telling -------------------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        names = self._names or self._subscriptions or self._rights or self._compared or self._doubts.waiting
        return self.overflowed or bool(names or self._marks or self._annotations)

    async def first(self) -> AsyncIterator[Sequence[Notice]]:
        """Of each mailbox that is wanted and is there: where it stands, and where it may not be
        read, that (RFC 5465 3.1)."""
        if not self._followed:
            return
        everything = [entry for entry in await self._owner.mailboxes("", False) if entry.exists]
        for at in range(0, len(everything), FIRST):
            found: list[Notice] = []
            for entry in everything[at : at + FIRST]:
                found += await self._first(entry)
            yield found

    async def _first(self, entry: Listed) -> list[Notice]:
        events = self._events(entry.name)
        if not events or b"\\Noselect" in entry.attributes:
            return []
        place = await self._place(entry.name)
        if place is not None and self._owner.has_selected(place.key):
            return []
        if not _readable(place):
            return [ListNow(replace(entry, attributes=(*entry.attributes, b"\\NoAccess")))]
        if not self._wanted.status or not events & Event.MESSAGES:
            return []
        return await self._status(entry.name, events, first=True)

    def _events(self, name: str) -> Event:
        return self._wanted.events(name, _personal(name), self._subscribed)

    async def _place(self, name: str) -> Place | None:
        try:
            return await self._owner.places.find(name)
        except (NoSuchMailbox, Referred):
            return None

    async def _status(self, name: str, events: Event, bits: int = 0, first: bool = False) -> list[Notice]:
        status = (await self._owner.status([name])).get(name)
        if status is None:
            return []
        now = StatusNow(
            name,
            status,
            new=first or bool(bits & (_NEW | _MADE) and events & Event.MESSAGES),
            expunged=bool(bits & _GONE and events & Event.MESSAGES),
            flags=bool(events & Event.FLAGS and (first or bits & (_FLAGS | _MADE))),
            valid=first or bool(bits & _MADE),
        )
        return [now]

    async def take(self) -> Sequence[Notice]:
        """Some of what there is to tell, which is told then; nothing when there is no more."""
        self._called = False
        if self.overflowed:
            return ()
        try:
            return (
                await self._some_names()
                or await self._some_rights()
                or await self._some_marks()
                or await self._some_annotations()
            )
        except Refusal as refusal:
            if refusal.temporary:
                # What was taken is lost: the client has to look for itself.
                self.overflowed = True
            return ()

    async def _some_names(self) -> list[Notice]:
        renamed = [(key, self._names.pop(key)) for key in list(self._names)[:AT_ONCE]]
        changed: dict[str, tuple[str, Event]] = {}
        for (account, name), old in renamed:
            prefix = await self._prefix(account)
            if prefix is not None:
                changed[prefix + name] = (prefix + old if old else "", Event.NAME)
                for parent in names.parents(name)[-1:]:
                    # RFC 5465 5.4: that it has inferiors may be new.
                    if not old:
                        changed.setdefault(prefix + parent, ("", Event.NAME))
        for name in list(self._subscriptions)[:AT_ONCE]:
            del self._subscriptions[name]
            changed[name] = (changed.get(name, ("", Event.NONE))[0], Event.SUBSCRIPTION)
        wanted = {name: old for name, (old, event) in changed.items() if self._events(name) & event}
        if not wanted:
            return []
        entries = await self._entries(wanted)
        for name, entry in entries.items():
            (self._visible.add if entry.exists else self._visible.discard)(name)
        return [ListNow(entries[name], old) for name, old in wanted.items() if name in entries]

    async def _some_rights(self) -> list[Notice]:
        """What was opened and what was closed to this account (RFC 5465 5.9)."""
        if await self._doubts.moved():
            await self._compare()
        while self._rights or self._compared:
            named: list[str] = []
            for key in list(self._rights)[:AT_ONCE]:
                self._rights.pop(key, None)
                named.append(await self._name(key))
            for name in list(self._compared)[:AT_ONCE]:
                self._compared.pop(name, None)
                named.append(name)
            found = await self._opened_or_closed(dict.fromkeys(named))
            if found:
                return found
            await self._owner.held.breath()
        return []

    async def _opened_or_closed(self, named: Iterable[str]) -> list[Notice]:
        opened: list[str] = []
        closed: list[str] = []
        for name in named:
            if not name or not self._events(name):
                continue
            place = await self._place(name)
            if (place is not None) is (name in self._visible):
                continue
            if place is not None:
                self._visible.add(name)
                if name in self._closed or self._events(name) & Event.NAME:
                    opened.append(name)
                self._closed.discard(name)
            else:
                self._visible.discard(name)
                self._closed.add(name)
                closed.append(name)
        entries = await self._entries(opened) if opened else {}
        found: list[Notice] = [ListNow(entry) for entry in entries.values() if entry.exists]
        for name in closed:
            found.append(ListNow(Listed(name, (b"\\NoAccess",), subscribed=name in self._subscribed)))
        return found

    async def _compare(self) -> None:
        """Mark the mailboxes that came into sight or left it because this session is somebody else
        to their owners now."""
        everything = [entry for entry in await self._owner.mailboxes("", False) if entry.exists]
        seen = {entry.name for entry in everything}
        fresh = [entry.name for entry in everything if naming.NOSELECT not in entry.attributes]
        for name in sorted((set(fresh) - self._visible) | (self._visible - seen)):
            if _in_tree(name) and self._events(name):
                self._compared[name] = None
        await self._follow_names(name for group in self._wanted.groups for name in group.names)

    async def _name(self, key: Key) -> str:
        """The full name of a mailbox, "" where it is gone."""
        prefix = await self._prefix(key[0])
        try:
            row = await self._owner.held.db.read_few(mailboxes.get_by_id, *key)
        except NoSuchMailbox:
            return ""
        return "" if prefix is None else prefix + row.name

    async def _prefix(self, account: AccountId) -> str | None:
        """What stands before the names of a tree."""
        if account == self._owner.account.id:
            return ""
        if account == PUBLIC:
            return SHARED + "/"
        person = await self._owner.held.directory.person(account)
        return None if person is None else f"{OTHERS}/{person.uid}/"

    async def _entries(self, wanted: Iterable[str]) -> dict[str, Listed]:
        """The names as LIST would tell them; those that are not there, as not existing."""
        own = [name for name in wanted if _personal(name)]
        others = [name for name in wanted if not _personal(name)]
        found: dict[str, Listed] = {}
        if self._owner.referral or not (await self._owner.places.standing(self._owner.account.id)).owner:
            own, others = [], [*own, *others]
        if own:
            # Of one's own all may be seen: no need to look at all ten thousand.
            known = await self._owner.held.db.read_few(mailboxes.known, self._owner.account.id, own)
            for name, (row, below, subscribed) in zip(own, known, strict=True):
                if row is not None:
                    attributes = naming.attributes(row.special, row.selectable)
                    found[name] = Listed(name, attributes, True, subscribed, below, naming.OWN)
        if others:
            listed = await self._owner.mailboxes(_common(others), False)
            found.update((entry.name, entry) for entry in listed)
        return {
            name: found.get(name) or Listed(name, (), exists=False, subscribed=name in self._subscribed)
            for name in wanted
        }

    async def _some_marks(self) -> list[Notice]:
        found: list[Notice] = []
        for key in list(self._marks)[:AT_ONCE]:
            bits = self._marks.pop(key, 0)
            if bits and not self._owner.has_selected(key):
                found += await self._marked(key, bits)
        return found

    async def _some_annotations(self) -> list[Notice]:
        """Names alone, of what may be read (RFC 5464 4.4.2)."""
        found: list[Notice] = []
        for key in list(self._annotations)[:AT_ONCE]:
            named = tuple(self._annotations.pop(key, ()))
            if key[1] == SERVER:
                events = Event.NONE
                for group in self._wanted.groups:
                    events |= group.events
                if named and (self._wanted.metadata or Event.SERVER_METADATA in events):
                    found.append(MetadataNow("", named))
                continue
            prefix = await self._prefix(key[0])
            try:
                row = await self._owner.held.db.read_few(mailboxes.get_by_id, *key)
            except NoSuchMailbox:
                continue
            name = (prefix or "") + row.name
            if prefix is None or not (self._wanted.metadata or Event.MAILBOX_METADATA in self._events(name)):
                continue
            try:
                (await self._owner.places.find(name)).need_one("rswip")
            except (NoSuchMailbox, NotPermitted, Referred):
                continue
            found.append(MetadataNow(name, named))
        return found

    async def _marked(self, key: Key, bits: int) -> list[Notice]:
        prefix = await self._prefix(key[0])
        try:
            row = await self._owner.held.db.read_few(mailboxes.get_by_id, *key)
        except NoSuchMailbox:
            return []
        if prefix is None or not row.selectable:
            return []
        name = prefix + row.name
        events = self._events(name)
        told = (_NEW | _GONE if events & Event.MESSAGES else 0) | (
            _FLAGS | _MADE if events & Event.FLAGS else 0
        )
        if not bits & told or not _readable(await self._place(name)):
            return []
        return await self._status(name, events, bits)


def _readable(place: Place | None) -> bool:
    """RFC 5465 5: the rights l and r."""
    return place is not None and place.rights.issuperset("lr")


def _personal(name: str) -> bool:
    return not (name + "/").startswith((OTHERS + "/", SHARED + "/"))


def _in_tree(name: str) -> bool:
    """Whether it is a mailbox of a tree, and no tree."""
    return name != SHARED and name != OTHERS and not (name.startswith(OTHERS + "/") and name.count("/") == 1)


def _common(wanted: Sequence[str]) -> str:
    """What all names start with."""
    low, high = min(wanted), max(wanted)
    at = 0
    while at < len(low) and low[at] == high[at]:
        at += 1
    return low[:at]
