"""Entries, names and answers in the process, kept true by the change feed.

1. An entry is dropped when a change names it; everything derived from entries (names,
   lookups, encoded answers, recipients, people) is dropped whole with it, for it is cheap to make
   again and hard to know what it rests on. Where a change is of `DESCRIPTIVE` attributes alone it is known:
   the entry, what is shown of it, who found it by these attributes, and what is in their order.
2. What was read is kept only if no change came while it was read (`generation`).
3. A change the feed missed makes everything cold.
4. Each part is bounded; a full one is emptied by its oldest quarter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from imsd.directory import tree
from imsd.directory.entry import Entry, Kind, Values
from imsd.directory.kept import DESCRIPTIVE, Bounded, Grouped, Numbers
from imsd.directory.pools import Pools
from imsd.directory.tree import Tree
from imsd.errors import NoSuchEntry
from imsd.store import credentials, entries, entry_index
from imsd.store.changes import DIRECTORY, Change, EntriesChanged
from imsd.store.credentials import Credentials
from imsd.store.database import Database
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction
from protocols.ldap.dn import DN

MOST_ENTRIES = 20_000
MOST_ANSWERS = 20_000
MOST_WAYS = 512
"""Ways of showing entries: suffixes, attributes asked for, what is shut to whom."""
MOST_ORDERED = 8
"""Sorted lists that clients leaf through; each may be long."""
HIDING = ("hide-from-address-book", "TRUE")
"""The indexed value of entries that are not shown to all."""
AT_ONCE = 32
"""Entries that are a bounded few rows; more of them are read in a thread."""


def _number(tx: Transaction) -> int:
    return tx.counter(DIRECTORY)


def _nothing_shown(entry: Entry, held: Credentials) -> Mapping[str, Values]:
    return {}


class Cache:
    """What one process knows of the directory."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.generation = 0
        """Moves with every change."""
        self.standing = 0
        """Moves with every change that somebody's rights may rest on."""
        self.tree: Tree | None = None
        self._tree_is_old = False
        self.entries: Bounded[EntryId, Entry] = Bounded(MOST_ENTRIES)
        self.relative: Bounded[EntryId, str] = Bounded(MOST_ENTRIES)
        self._children: Bounded[tuple[EntryId, str], EntryId | None] = Bounded(MOST_ANSWERS)
        self._located: Bounded[str, tuple[EntryId, int]] = Bounded(MOST_ANSWERS)
        self._names: Bounded[str, Any] = Bounded(MOST_ANSWERS)
        self.lookups: Grouped[str, Hashable, tuple[EntryId, ...]] = Grouped(MOST_ANSWERS)
        """By attribute."""
        self.encoded: Grouped[EntryId, int, bytes] = Grouped(MOST_ANSWERS)
        """By entry, and a number of `ways`."""
        self.ways = Numbers(MOST_WAYS)
        self.derived: Bounded[Hashable, Any] = Bounded(MOST_ANSWERS)
        self.ordered: Bounded[Hashable, Any] = Bounded(MOST_ORDERED)
        self.pools = Pools(db)
        self._watch: Any = None
        self._told: list[Callable[[tuple[EntryId, ...] | None], None]] = []
        self.shown_of_password: Callable[[Entry, Credentials], Mapping[str, Values]] = _nothing_shown
        """What attributes show of somebody's password."""

    async def start(self) -> None:
        """Watch, then read the tree; in this order nothing is missed."""
        self._watch = self._db.feed.watch(DIRECTORY, self._changed)
        try:
            await self._read_tree()
        except NoSuchEntry:
            pass  # an empty store: bootstrap makes the organisation

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.stop()

    def on_change(self, told: Callable[[tuple[EntryId, ...] | None], None]) -> None:
        """Call with the ids of every change, None for "any"."""
        self._told.append(told)

    def _changed(self, change: Change) -> None:
        ids = change.ids if isinstance(change, EntriesChanged) else None
        if ids is None:
            self.entries.clear()
            self._tree_is_old = True
        else:
            for entry_id in ids:
                self.entries.pop(entry_id, None)
            if self.tree is not None and self.tree.root in ids:
                self._tree_is_old = True
        attributes = change.attributes if isinstance(change, EntriesChanged) else None
        self.pools.changed(ids, attributes)
        if ids is not None and attributes is not None and attributes <= DESCRIPTIVE:
            self._forget_descriptions(ids, attributes)
        else:
            self.forget_answers()
        for told in self._told:
            told(ids)

    def _forget_descriptions(self, ids: Iterable[EntryId], attributes: Iterable[str]) -> None:
        """Drop what rests on these attributes of these entries."""
        self.generation += 1
        for entry_id in ids:
            self.encoded.forget(entry_id)
            # It tells the version of the entry.
            self.derived.pop(("person", entry_id), None)
        for key in attributes:
            self.lookups.forget(key)
        self.ordered.clear()

    def forget_answers(self) -> None:
        """Drop what is derived; also when a setting changed."""
        self.generation += 1
        self.standing += 1
        parts: tuple[dict[Any, Any] | Grouped[Any, Any, Any], ...] = (
            self.relative, self._children, self._located, self._names, self.lookups, self.encoded,
            self.derived, self.ordered,
        )  # fmt: skip
        for part in parts:
            part.clear()

    # Reading through -----------------------------------------------------------------

    async def _read_tree(self) -> Tree:
        """Raises NoSuchEntry while there is no organisation."""
        before = self.generation
        found = await self._db.read_few(tree.require)
        if before == self.generation:
            self.tree = found
            self._tree_is_old = False
        return found

    async def the_tree(self) -> Tree:
        """Raises NoSuchEntry while there is no organisation."""
        return self.tree if self.tree and not self._tree_is_old else await self._read_tree()

    async def entry(self, entry_id: EntryId) -> Entry:
        """Raises NoSuchEntry."""
        found = self.entries.get(entry_id)
        if found is None:
            before = self.generation
            found = Entry(await self._db.read_few(entries.load, entry_id))
            if before == self.generation:
                self.entries.keep(entry_id, found)
        return found

    async def many(self, ids: Iterable[EntryId], keep: bool = True) -> list[Entry]:
        """Those that exist, in the order asked for; ask for a few hundred at most.

        keep: whether they may be asked for again soon (not so in a scan of everything).
        """
        wanted = list(ids)
        found = {entry_id: entry for entry_id in wanted if (entry := self.entries.get(entry_id))}
        missing = [entry_id for entry_id in wanted if entry_id not in found]
        if not missing:
            return list(found.values()) if len(found) == len(wanted) else [found[each] for each in wanted]
        before = self.generation
        if len(missing) <= AT_ONCE:
            rows = await self._db.read_few(entries.load_many, missing)
        else:
            rows = await self._db.read(entries.load_many, missing)
        for row in rows:
            entry = found[row.id] = Entry(row)
            if keep and before == self.generation:
                self.entries.keep(row.id, entry)
        return [found[entry_id] for entry_id in wanted if entry_id in found]

    async def named(self, name: str) -> tuple[EntryId, entries.NameKind] | None:
        """Whose canonical address or login name this is."""
        try:
            found: tuple[EntryId, entries.NameKind] | None = self._names[name]
        except KeyError:
            before = self.generation
            found = await self._db.read_few(entries.named, name)
            if before == self.generation:
                self._names.keep(name, found)
        return found

    async def child(self, parent: EntryId, rdn_normal: str) -> EntryId | None:
        key = (parent, rdn_normal)
        try:
            return self._children[key]
        except KeyError:
            before = self.generation
            found = await self._db.read_few(entries.child, parent, rdn_normal)
            if before == self.generation:
                self._children.keep(key, found)
            return found

    async def equal(self, attribute: str, value: str) -> tuple[EntryId, ...]:
        """Entries that may hold an indexed value; a bounded few."""
        known = self.lookups.of(attribute).get(value)
        if known is None:
            before = self.generation
            known = tuple(await self._db.read_few(entry_index.equal, attribute, value, 1000))
            if before == self.generation:
                self.lookups.keep(attribute, value, known)
        return known

    async def count_children(self, parent: EntryId, every: bool) -> int:
        """every: also those that are not shown to all who are logged in."""
        key = ("children", parent, every)
        known: int | None = self.derived.get(key)
        if known is None:
            before = self.generation
            if every:
                known = await self._db.read_few(entries.count_children, parent)
            else:
                known = await self._db.read_few(entries.count_listed, parent, Kind.CONFIGURATION, *HIDING)
            if before == self.generation:
                self.derived.keep(key, known)
        return known

    async def password_state(self, entry: Entry) -> Mapping[str, Values]:
        """The values of attributes that show the state of a password; never kept."""
        if entry.kind != Kind.MAILBOX:
            return {}
        return self.shown_of_password(entry, await self._db.read_few(credentials.read, entry.id))

    async def catch_up(self) -> None:
        """Know what every node has committed until now."""
        self._db.feed.now_at([(DIRECTORY, await self._db.read_few(_number))])

    async def rest(self) -> None:
        """Let others have a turn of the reactor."""
        turn: Deferred[None] = Deferred()
        self._db.reactor.callFromThread(turn.callback, None)
        await turn

    # Names ---------------------------------------------------------------------------

    def located(self, text: str) -> tuple[EntryId, int] | None:
        """What `locate` says, where it has lately been asked; "" is the whole tree, under the suffix that
        today's clients expect."""
        if text:
            return self._located.get(text)
        here = None if self._tree_is_old else self.tree
        return None if here is None else (here.root, len(here.suffixes) - 1)

    def under_if_known(self, entry: Entry, ancestor: EntryId) -> bool | None:
        """What `under` says; None where an entry between the two must be read."""
        at: Entry | None = entry
        while at is not None and at.id != ancestor:
            if not at.parent:
                return False
            at = self.entries.get(at.parent)
        return None if at is None else True

    async def locate(self, text: str) -> tuple[EntryId, int]:
        """The entry of a DN, and which suffix it was written with.

        Raises InvalidDN and NoSuchEntry, with the deepest entry that exists.
        """
        known = self._located.get(text)
        if known is not None:
            return known
        before = self.generation
        found = await self._find(tree.parse(text))
        if before == self.generation:
            self._located.keep(text, found)
        return found

    async def _find(self, name: DN) -> tuple[EntryId, int]:
        here = await self.the_tree()
        path, suffix = here.locate(name)
        whole = await self._db.read_few(entries.descendant, here.root, [rdn.normal for rdn in path])
        if whole is not None:
            return whole, suffix
        found = here.root
        for depth, rdn in enumerate(path):
            below = await self.child(found, rdn.normal)
            if below is None:
                raise NoSuchEntry(matched=here.name(tree.relative(path[:depth]), suffix))
            found = below
        return found, suffix

    async def relative_name(self, entry_id: EntryId) -> str:
        """The name below the topmost entry. Raises NoSuchEntry."""
        known = self.relative.get(entry_id)
        if known is not None:
            return known
        before = self.generation
        entry = await self.entry(entry_id)
        if not entry.parent:
            name = ""
        else:
            above = await self.relative_name(entry.parent)
            name = f"{entry.rdn},{above}" if above else entry.rdn
        if before == self.generation:
            self.relative.keep(entry_id, name)
        return name

    async def dn(self, entry_id: EntryId, suffix: int = 0) -> str:
        """Raises NoSuchEntry."""
        return (await self.the_tree()).name(await self.relative_name(entry_id), suffix)

    async def under(self, entry: Entry, ancestor: EntryId) -> bool:
        """Is the entry the ancestor, or below it?"""
        at = entry
        while at.id != ancestor:
            if not at.parent:
                return False
            at = await self.entry(at.parent)
        return True
