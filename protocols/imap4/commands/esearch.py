"""ESEARCH: a search of several mailboxes (RFC 7377).

1. One mailbox after the other is opened, searched, told of and closed. What may not be read is
   passed over like what is not there (2.2); a mailbox under two names is searched once.
2. The selected mailbox is searched as it was told, by whichever name it was asked for; the saved
   result `$` and what is kept up to date (UPDATE) are of that one alone. Message numbers are
   those of each mailbox.
3. Where one command may only be about so many messages (RFC 9738), that holds of each mailbox,
   and OK [LIMIT] says that there are more (2.4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from protocols.errors import BadSyntax
from protocols.imap4 import contexts, responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands import searchkeys
from protocols.imap4.commands.filters import mailbox_filter
from protocols.imap4.commands.limits import Within
from protocols.imap4.commands.results import Returned
from protocols.imap4.commands.search import Wanted
from protocols.imap4.events import Mailboxes
from protocols.imap4.grammar import Cursor
from protocols.imap4.mailboxnames import DELIMITER
from protocols.imap4.responses import Completed, No
from protocols.imap4.sets import compact

MOST: Final = 10_000
"""Mailboxes that one command may be about, and names in it."""
_AT_ONCE: Final = 500
"""Names that are looked at between two breaths."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where is searched (RFC 7377 2.2). filters: in the client's order."""

    selected: bool = True
    filters: tuple[tuple[Mailboxes, frozenset[str]], ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> Sources | None:
        """`IN (...) `, if that comes next."""
        # esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"
        # source-mbox = filter-mailboxes *(SP filter-mailboxes); no scope option is defined.
        if not cursor.keyword(b"IN"):
            return None
        cursor.space()
        cursor.expect(b"(")
        selected = False
        filters: list[tuple[Mailboxes, frozenset[str]]] = []
        count = 0
        while True:
            if cursor.keyword(b"SELECTED"):
                selected = True
            else:
                which, names = mailbox_filter(cursor)
                filters.append((which, frozenset(names)))
                count += len(names) + 1
                if count > MOST:
                    raise cursor.fail(f"at most {MOST} mailboxes")
            if not cursor.skip(b" "):
                break
        cursor.expect(b")")
        cursor.space()
        return cls(selected, tuple(filters))

    async def names(self, account: Any, channel: Channel) -> dict[str, bool]:
        """The mailboxes by name, but for the selected one, and whether the client named them
        itself. Raises No [LIMIT]."""
        found: dict[str, bool] = {}
        if not self.filters:
            return found
        listed = await self._listed(account)
        spaces = await account.namespaces()
        foreign = (*spaces.others, *spaces.shared)
        for which, wanted in self.filters:
            if which is Mailboxes.MAILBOXES:
                found |= dict.fromkeys(sorted(wanted), True)
                continue
            if which is Mailboxes.SUBSCRIBED:
                listed_here: Collection[str] = [entry.name for entry in await account.mailboxes("", True)]
            else:
                listed_here = listed
            for count, name in enumerate(listed_here, 1):
                personal = bool(spaces.personal) and not (name + DELIMITER).startswith(foreign)
                if _covers(which, wanted, name, personal):
                    found.setdefault(name, False)
                if not count % _AT_ONCE:
                    await channel.breathe()
        if len(found) > MOST:
            raise No(b"LIMIT", f"At most {MOST} mailboxes")
        return found

    async def _listed(self, account: Any) -> Collection[str]:
        """Names that a filter may mean; of a namespace that LIST leaves out, where it is named."""
        asked = {which for which, _ in self.filters}
        if asked <= {Mailboxes.MAILBOXES, Mailboxes.SUBSCRIBED}:
            return ()
        found = dict.fromkeys(entry.name for entry in await account.mailboxes("", False) if entry.exists)
        tops = {name.partition(DELIMITER)[0] for _, names in self.filters for name in names}
        for prefix in (await account.namespaces()).shared:
            root = prefix.rstrip(DELIMITER)
            if root in tops:
                entries = await account.mailboxes(root, False)
                found |= dict.fromkeys(entry.name for entry in entries if entry.exists)
        return found


def _covers(which: Mailboxes, wanted: Collection[str], name: str, personal: bool) -> bool:
    """Whether a name is one of a filter's. INBOXES is the INBOX alone, as in NOTIFY."""
    match which:
        case Mailboxes.INBOXES:
            return personal and name == "INBOX"
        case Mailboxes.PERSONAL:
            return personal
        case Mailboxes.SUBTREE_ONE:
            return name in wanted or name.rpartition(DELIMITER)[0] in wanted
        case Mailboxes.SUBTREE:
            return name in wanted or any(parent in wanted for parent in _parents(name))
        case _:
            return True


def _parents(name: str) -> Iterable[str]:
    while name := name.rpartition(DELIMITER)[0]:
        yield name


@dataclass(frozen=True, slots=True)
class ESearch:
    sources: Sources
    returned: Returned
    wanted: Wanted

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> ESearch:
        # esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program
        cursor.space()
        start = cursor.position
        sources = Sources.parse(cursor) or Sources()
        returned = Returned.parse(cursor) or Returned()
        if returned.saves and sources.filters:
            cursor.position = start
            raise cursor.fail("SAVE for the selected mailbox alone")
        return cls(sources, returned, Wanted.program(cursor))

    @property
    def numbered(self) -> bool:
        return self.wanted.numbered

    async def run(self, account: Any, channel: Channel) -> Completed | None:
        whole = await self.wanted.whole(channel, self.returned.saves)
        if whole is not self.wanted:
            return await replace(self, wanted=whole).run(account, channel)
        view = channel.view
        if view is None and (self.sources.selected or self.returned.update):
            raise BadSyntax("a selected mailbox first")
        self.wanted.free_tag(self.returned, channel)
        self.wanted.scored(self.returned)
        if self.wanted.refusal is not None and not self.returned.saves:
            raise self.wanted.refusal
        names = await self.sources.names(account, channel)
        seen: set[bytes] = set()
        parts: list[Within] = []
        if self.sources.selected:
            seen.add(view.mailbox_id)
            parts.append(await self._search(view, view.name, channel))
        for name, named in names.items():
            await channel.breathe()
            other = await account.glance(name, not named, channel.dialect)
            if other is None:
                continue
            try:
                if other.mailbox_id not in seen:
                    seen.add(other.mailbox_id)
                    here = view is not None and view.mailbox_id == other.mailbox_id
                    parts.append(await self._search(view if here else other, name, channel))
            finally:
                other.close()
        if self.returned.update and view.mailbox_id not in seen:
            channel.contexts.refuse(channel.tag)
        if not self.sources.filters:
            return parts[0].completed(channel)
        return Completed(b"LIMIT", "There are more messages") if any(part.code for part in parts) else None

    async def _search(self, view: Any, name: str, channel: Channel) -> Within:
        """Searches one mailbox and tells what is found; nothing where nothing is (RFC 7377 2.1)."""
        returned, saved = self.returned, channel.saved
        found, part = await self.wanted.find(view, channel, returned.saves, limited=True)
        if returned.saves:
            channel.saved = compact(returned.to_save(found.uids))
        where = responses.correlators(name, view.uid_validity, channel.dialect)
        if len(found.uids) and not returned.silent:
            data = returned.data(found.uids, found.scores)
            if self.wanted.with_modseq:
                data.append(b"MODSEQ %d" % returned.modseq(found.uids, found, view))
            channel.send(responses.esearch(channel.tag, True, data, where))
        if returned.update and view is channel.view:
            key = self.wanted.lasting(view, saved)
            moves = searchkeys.moves(key, view.uid_of(view.exists))
            context = contexts.Found(channel.tag, True, key, returned.items, moves)
            context.ranges, context.where = compact(found.uids), where
            self.wanted.follow(view, channel, context)
        return part
