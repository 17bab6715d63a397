"""SEARCH (RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 4731, RFC 5182, RFC 6203, RFC 7162 3.1.5, RFC 9394)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from protocols.errors import BadSyntax
from protocols.imap4 import contexts, keys, responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands import namedsearch, searchkeys
from protocols.imap4.commands.limits import Within, within
from protocols.imap4.commands.results import Returned
from protocols.imap4.contexts import Context
from protocols.imap4.grammar import Cursor
from protocols.imap4.keys import Key
from protocols.imap4.responses import Completed, No
from protocols.imap4.sets import STAR, Ranges, SequenceSet, compact
from protocols.imap4.values import Found

_EVERY: Final = SequenceSet(((1, STAR),))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for. key: None when the charset is not known, then `refusal` says so;
    that is a NO, and a saved result is lost by it (RFC 9051 6.4.4.1)."""

    key: Key | None
    refusal: No | None = None

    @classmethod
    def parse(cls, cursor: Cursor, charset: bytes | None) -> Wanted:
        """search-key *(SP search-key), to the end of the command."""
        try:
            name = "utf-8" if charset is None else searchkeys.charset_named(charset)
        except No as refusal:
            cursor.position = len(cursor.data)
            return cls(None, refusal)
        start = cursor.position
        key = searchkeys.parse(cursor, name)
        if name.lower() not in ("utf-8", "us-ascii") and namedsearch.filters_of(key):
            # RFC 5466 3.1
            cursor.position = start
            raise BadSyntax("UTF-8 with FILTER", start, code=b"BADCHARSET (US-ASCII UTF-8)")
        return cls(key)

    async def whole(self, channel: Channel, saves: bool = False) -> Wanted:
        """With what filters stand for (RFC 5466 3.1); itself where there are none. Raises No
        [UNDEFINED-FILTER], which is the end of a saved result (RFC 9051 6.4.4.1)."""
        if self.key is None or not namedsearch.filters_of(self.key):
            return self
        try:
            return replace(self, key=await namedsearch.resolved(self.key, channel.account, channel.dialect))
        except No:
            if saves:
                channel.saved = ()
            raise

    @classmethod
    def program(cls, cursor: Cursor) -> Wanted:
        """search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)"""
        charset = None
        if cursor.keyword(b"CHARSET"):
            cursor.space()
            if cursor.dialect.utf8 and not cursor.dialect.rev2:
                raise cursor.fail("no CHARSET after ENABLE UTF8=ACCEPT")
            charset = cursor.astring()
            cursor.space()
        return cls.parse(cursor, charset)

    @property
    def numbered(self) -> bool:
        """Message numbers are among the keys."""
        return self.key is not None and searchkeys.asks_numbers(self.key)

    @property
    def with_modseq(self) -> bool:
        return self.key is not None and searchkeys.asks_modseq(self.key)

    def free_tag(self, returned: Returned | None, channel: Channel) -> None:
        """RFC 5267 4.3: a tag names one context. Raises BadSyntax."""
        if returned is not None and returned.update and channel.tag in channel.contexts:
            raise BadSyntax("a tag that no search with UPDATE has")

    def scored(self, returned: Returned | None, sorts: bool = False) -> None:
        """RFC 6203 4, 6: no relevancy without FUZZY. Raises BadSyntax."""
        asked = sorts or (returned is not None and b"RELEVANCY" in returned.options)
        if asked and self.key is not None and not keys.is_fuzzy(self.key):
            raise BadSyntax("FUZZY with RELEVANCY")

    def follow(self, view: Any, channel: Channel, context: Context) -> None:
        """Keeps the results up to date, or says that they are not."""
        context.comparator = channel.dialect.comparator
        if not channel.contexts.keep(context):
            channel.contexts.refuse(channel.tag)
            return
        # What stirs from here on is news.
        view.stirred()

    def lasting(self, view: Any, saved: Ranges) -> Key:
        """The key as it is evaluated again: message numbers and `$` are those of now."""
        assert self.key is not None
        return searchkeys.lasting(searchkeys.with_saved(self.key, saved), view.uids)

    async def find(
        self, view: Any, channel: Channel, saves: bool = False, limited: bool = False
    ) -> tuple[Found, Within]:
        """The messages. saves: the saved result is replaced, whatever happens. limited: only as
        many are looked at as one command may be about. `$` is of the selected mailbox: nothing of
        another is in it."""
        saved = channel.saved if view is channel.view else ()
        if saves:
            channel.saved = ()
        if self.key is None:
            assert self.refusal is not None
            raise self.refusal
        if self.with_modseq:
            channel.enable(condstore=True)
        key = searchkeys.with_saved(self.key, saved)
        part = Within(_EVERY)
        if limited and channel.message_limit:
            part = within(view, channel, searchkeys.span(key, view.uid_of(view.exists)))
            if part.code:
                key = keys.And((keys.Numbers(part.which), key))
        found: Found = await view.search(key, channel.dialect.comparator)
        return found, part


@dataclass(frozen=True, slots=True)
class Search:
    """returned: None when there was no RETURN."""

    uid: bool
    returned: Returned | None
    wanted: Wanted

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Search:
        cursor.space()
        return cls(uid, Returned.parse(cursor), Wanted.program(cursor))

    @property
    def numbered(self) -> bool:
        return self.wanted.numbered

    async def run(self, view: Any, channel: Channel) -> Completed | None:
        saves = self.returned is not None and self.returned.saves
        whole = await self.wanted.whole(channel, saves)
        if whole is not self.wanted:
            return await replace(self, wanted=whole).run(view, channel)
        self.wanted.free_tag(self.returned, channel)
        self.wanted.scored(self.returned)
        saved = channel.saved
        found, part = await self.wanted.find(view, channel, saves, limited=True)
        self._answer(found, saves, view, channel)
        if self.returned is not None and self.returned.update:
            key = self.wanted.lasting(view, saved)
            moves = searchkeys.moves(key, view.uid_of(view.exists))
            context = contexts.Found(channel.tag, self.uid, key, self.returned.items, moves)
            context.ranges = compact(found.uids)
            self.wanted.follow(view, channel, context)
        return part.completed(channel)

    def _answer(self, found: Found, saves: bool, view: Any, channel: Channel) -> None:
        if self.returned is not None and saves:
            channel.saved = compact(self.returned.to_save(found.uids))
        numbers = found.uids if self.uid else found.sequences
        with_modseq = self.wanted.with_modseq
        if self.returned is None and not channel.dialect.rev2:
            channel.send(responses.search(numbers, found.modseq if with_modseq else 0))
            return
        returned = self.returned or Returned()
        if returned.silent:
            return
        data = returned.data(numbers, found.scores)
        if with_modseq and found.uids:
            data.append(b"MODSEQ %d" % returned.modseq(found.uids, found, view))
        channel.send(responses.esearch(channel.tag, self.uid, data))
