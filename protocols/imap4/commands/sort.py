"""SORT and THREAD (RFC 5256, RFC 5957, RFC 5267 3: ESORT; RFC 6203 6; RFC 7162 3.1.6)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from protocols.imap4 import contexts, ordering, responses, threads
from protocols.imap4.channel import Channel
from protocols.imap4.commands import limits, searchkeys
from protocols.imap4.commands.results import Returned
from protocols.imap4.commands.search import Wanted
from protocols.imap4.grammar import Cursor
from protocols.imap4.ordering import Criterion, SortKey, Traits
from protocols.imap4.responses import No
from protocols.imap4.sets import compact
from protocols.imap4.values import Found

_KEYS: Final = {key.name.encode(): key for key in SortKey}
_MOST: Final = 50
_PIECE: Final = 200
"""Threads that are written together."""
_OCTETS: Final = 65_536


async def _described(
    view: Any, channel: Channel, uids: Sequence[int], numbers: Sequence[int]
) -> tuple[list[int], list[int], list[Traits]]:
    """UIDs, numbers and traits of the messages that are still there."""
    traits = await view.traits(uids, channel.dialect.comparator)
    await channel.breathe()
    kept = [at for at, trait in enumerate(traits) if trait is not None]
    return [uids[at] for at in kept], [numbers[at] for at in kept], [traits[at] for at in kept]


@dataclass(frozen=True, slots=True)
class Sort:
    """returned: None when there was no RETURN."""

    uid: bool
    criteria: tuple[Criterion, ...]
    wanted: Wanted
    returned: Returned | None = None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Sort:
        cursor.space()
        returned = Returned.parse(cursor)
        if returned is not None:
            cursor.need(b"ESORT")
            if returned.update:
                cursor.need(b"CONTEXT=SORT")
        criteria: list[Criterion] = []
        for _ in cursor.items():
            start = cursor.position
            word = cursor.word()
            reverse = word == b"REVERSE"
            if reverse:
                cursor.space()
                word = cursor.word()
            if word.startswith(b"DISPLAY"):
                cursor.need(b"SORT=DISPLAY")
            elif word == b"RELEVANCY":
                cursor.need(b"SEARCH=FUZZY")
            if word not in _KEYS or len(criteria) >= _MOST:
                cursor.position = start
                raise cursor.fail("a sort criterion")
            criteria.append(Criterion(_KEYS[word], reverse))
        if not criteria:
            raise cursor.fail("a sort criterion")
        cursor.space()
        charset = cursor.astring()
        cursor.space()
        return cls(uid, tuple(criteria), Wanted.parse(cursor, charset), returned)

    @property
    def numbered(self) -> bool:
        return self.wanted.numbered

    @property
    def by_relevancy(self) -> bool:
        return any(criterion.key is SortKey.RELEVANCY for criterion in self.criteria)

    async def run(self, view: Any, channel: Channel) -> None:
        saves = self.returned is not None and self.returned.saves
        whole = await self.wanted.whole(channel, saves)
        if whole is not self.wanted:
            await replace(self, wanted=whole).run(view, channel)
            return
        self.wanted.free_tag(self.returned, channel)
        self.wanted.scored(self.returned, self.by_relevancy)
        saved = channel.saved
        found, _ = await self.wanted.find(view, channel, saves)
        scores = dict(zip(found.uids, found.scores, strict=False))
        if self.by_relevancy:
            uids = await self._by_relevancy(view, channel, found, scores)
        else:
            uids = await view.in_order(found.uids, self.criteria, channel.dialect.comparator)
        numbers = uids
        if not self.uid:
            numbers = list(map(dict(zip(found.uids, found.sequences, strict=True)).__getitem__, uids))
        await channel.breathe()
        with_modseq = self.wanted.with_modseq
        if self.returned is None:
            channel.send(responses.search(numbers, found.modseq if with_modseq else 0, b"SORT"))
            return
        if saves:
            channel.saved = compact(sorted(self.returned.to_save(uids)))
        if not self.returned.silent:
            data = self.returned.data(numbers, [scores[uid] for uid in uids] if scores else ())
            if with_modseq and uids:
                data.append(b"MODSEQ %d" % self.returned.modseq(uids, found, view))
            channel.send(responses.esearch(channel.tag, self.uid, data))
        if self.returned.update:
            key = self.wanted.lasting(view, saved)
            moves = searchkeys.moves(key, view.uid_of(view.exists))
            context = contexts.Sorted(channel.tag, self.uid, key, self.returned.items, moves)
            context.criteria = self.criteria
            context.scores = scores if self.by_relevancy else {}
            context.order, context.known = array("I", uids), frozenset(uids)
            self.wanted.follow(view, channel, context)

    async def _by_relevancy(
        self, view: Any, channel: Channel, found: Found, scores: dict[int, int]
    ) -> list[int]:
        """What it depends on is of this search alone."""
        uids, _, traits = await _described(view, channel, found.uids, found.sequences)
        traits = [one._replace(distance=100 - scores[uid]) for uid, one in zip(uids, traits, strict=True)]
        order = await ordering.arrange(traits, self.criteria, channel.breathe)
        return [uids[at] for at in order]


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """RFC 5267 4.3.5."""

    tags: tuple[bytes, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> CancelUpdate:
        # "CANCELUPDATE" 1*(SP quoted)
        tags: list[bytes] = []
        while not tags or not cursor.at_end:
            cursor.space()
            tags.append(cursor.string())
        return cls(tuple(tags))

    async def run(self, view: Any, channel: Channel) -> None:
        if not channel.contexts.cancel(self.tags):
            raise No(b"", "No search with UPDATE has such a tag")


@dataclass(frozen=True, slots=True)
class Thread:
    """algorithm: one of threads.ALGORITHMS."""

    uid: bool
    algorithm: bytes
    wanted: Wanted

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Thread:
        cursor.space()
        start = cursor.position
        algorithm = cursor.word()
        if algorithm not in threads.ALGORITHMS:
            cursor.position = start
            raise cursor.fail("a threading algorithm")
        cursor.need(b"THREAD=" + algorithm)
        cursor.space()
        charset = cursor.astring()
        cursor.space()
        return cls(uid, algorithm, Wanted.parse(cursor, charset))

    @property
    def numbered(self) -> bool:
        return self.wanted.numbered

    async def run(self, view: Any, channel: Channel) -> None:
        # RFC 9738 3.3; SORT has what it sorts by at hand and is not limited.
        limits.refuse_count(channel.message_limit, view.exists)
        whole = await self.wanted.whole(channel)
        if whole is not self.wanted:
            await replace(self, wanted=whole).run(view, channel)
            return
        found, _ = await self.wanted.find(view, channel)
        question = (self.algorithm, self.uid, channel.dialect.comparator)
        said = view.recall(question, found)
        if said is None:
            said = await self._answer(view, channel, found)
            view.remember(question, found, said)
        for at in range(0, len(said), _OCTETS):
            channel.send(said[at : at + _OCTETS])
            await channel.breathe()

    async def _answer(self, view: Any, channel: Channel, found: Found) -> bytes:
        _, numbers, traits = await _described(
            view, channel, found.uids, found.uids if self.uid else found.sequences
        )
        work = threads.ALGORITHMS[self.algorithm](numbers, traits)
        while True:
            try:
                next(work)
            except StopIteration as end:
                roots: list[threads.Node] = end.value
                break
            await channel.breathe()
        pieces = [b"* THREAD"]
        for at in range(0, len(roots), _PIECE):
            pieces.append((b"" if at else b" ") + b"".join(threads.encode(roots[at : at + _PIECE])))
            await channel.breathe()
        pieces.append(b"\r\n")
        return b"".join(pieces)
