"""NOTIFY: what one session is told of mailboxes that it has not selected (RFC 5465).

1. What `heard` has marked is read when the client can take it, some at a time: so a burst in one
   mailbox costs one STATUS. Where there was more than it keeps, NOTIFICATIONOVERFLOW.
2. Rights are those at the time of telling: a mailbox that may not be seen is passed over, one
   that may be seen later is told of from then on. That it may be seen, or may not any more, is told
   where a list changed, a group, or somebody's delegates (RFC 5465 5.9), never of what the client
   could not know of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zope.interface import implementer

from imsd.errors import NoSuchMailbox, NotPermitted, Referred, Refusal
from imsd.sessions.imap4 import naming
from imsd.sessions.imap4.doubts import Doubts
from imsd.sessions.imap4.heard import FLAGS, GONE, MADE, NEW, Heard, Key
from imsd.sessions.imap4.places import OTHERS, SHARED, Place
from imsd.store import mailboxes, names
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.mailbox_annotations import SERVER
from protocols.imap4.events import Event, Mailboxes, Wanted
from protocols.imap4.interfaces import INotices
from protocols.imap4.values import Listed, ListNow, MetadataNow, Notice, StatusNow

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

AT_ONCE = 50
"""Mailboxes that are read about between two breaths."""
FIRST = 5
"""The same where a few rows are read of each."""


@implementer(INotices)
class Notices:
    """Made by `ImapAccount.notify`; one at most for each session."""

    def __init__(self, owner: ImapAccount, wanted: Wanted, changed: Callable[[], object]) -> None:
        self._owner = owner
        self._wanted = wanted
        self._changed: Callable[[], object] | None = changed
        self._called = False
        self.heard = Heard(owner, self._ring)
        # Names with the right l, as far as they were looked at; and those told to be without.
        self._visible: set[str] = set()
        self._closed: set[str] = set()
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
        self.heard.subscriptions.update(subscriptions)
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
        if self._changed is not None:
            self.heard.follow(account)

    def close(self) -> None:
        self._changed = None
        self.heard.close()
        self._compared.clear()
        self._doubts.close()

    def _ring(self) -> None:
        if not self._called and self._changed is not None:
            self._called = True
            self._owner.held.bell.ring(self._call)

    def _call(self) -> None:
        if self._changed is not None:
            self._changed()

    # Telling -------------------------------------------------------------------------------

    @property
    def overflowed(self) -> bool:
        return self.heard.overflowed

    @property
    def waiting(self) -> bool:
        return bool(self.heard or self._compared or self._doubts.waiting)

    async def first(self) -> AsyncIterator[Sequence[Notice]]:
        """Of each mailbox that is wanted and is there: where it stands, and where it may not be
        read, that (RFC 5465 3.1)."""
        if not self.heard.follows:
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
        return self._wanted.events(name, _personal(name), self.heard.subscriptions)

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
            new=first or bool(bits & (NEW | MADE) and events & Event.MESSAGES),
            expunged=bool(bits & GONE and events & Event.MESSAGES),
            flags=bool(events & Event.FLAGS and (first or bits & (FLAGS | MADE))),
            valid=first or bool(bits & MADE),
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
                self.heard.overflow()
            return ()

    async def _some_names(self) -> list[Notice]:
        renamed = [(key, self.heard.names.pop(key)) for key in list(self.heard.names)[:AT_ONCE]]
        changed: dict[str, tuple[str, Event]] = {}
        for (account, name), old in renamed:
            prefix = await self._prefix(account)
            if prefix is not None:
                changed[prefix + name] = (prefix + old if old else "", Event.NAME)
                for parent in names.parents(name)[-1:]:
                    # RFC 5465 5.4: that it has inferiors may be new.
                    if not old:
                        changed.setdefault(prefix + parent, ("", Event.NAME))
        for name in list(self.heard.subscribing)[:AT_ONCE]:
            del self.heard.subscribing[name]
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
        while self.heard.lists or self._compared:
            named: list[str] = []
            for key in list(self.heard.lists)[:AT_ONCE]:
                self.heard.lists.pop(key, None)
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
            found.append(ListNow(Listed(name, (b"\\NoAccess",), subscribed=name in self.heard.subscriptions)))
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
            name: found.get(name)
            or Listed(name, (), exists=False, subscribed=name in self.heard.subscriptions)
            for name in wanted
        }

    async def _some_marks(self) -> list[Notice]:
        found: list[Notice] = []
        for key in list(self.heard.marks)[:AT_ONCE]:
            bits = self.heard.marks.pop(key, 0)
            if bits and not self._owner.has_selected(key):
                found += await self._marked(key, bits)
        return found

    async def _some_annotations(self) -> list[Notice]:
        """Names alone, of what may be read (RFC 5464 4.4.2)."""
        found: list[Notice] = []
        for key in list(self.heard.annotations)[:AT_ONCE]:
            named = tuple(self.heard.annotations.pop(key, ()))
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
        told = (NEW | GONE if events & Event.MESSAGES else 0) | (FLAGS | MADE if events & Event.FLAGS else 0)
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
