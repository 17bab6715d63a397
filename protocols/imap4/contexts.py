"""Searches whose results are kept up to date for the client (RFC 5267 4.3).

1. A context knows what the client has been told to be in it. What of that went is told before
   the expunge that took it, while numbers are what they were; what else changed is worked out
   behind the news, from the messages that changed alone, or from all where the key asks for it
   (`searchkeys.moves`): the result is what the same search would give.
2. Results of SEARCH are ranges and are told without a place (0); those of SORT are a list, and
   each of them is put at its place.
3. Contexts end with the selection.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from protocols.imap4 import keys, responses
from protocols.imap4.channel import Channel
from protocols.imap4.keys import Key
from protocols.imap4.ordering import Criterion, SortKey, Traits, precedes
from protocols.imap4.sets import (
    Ranges,
    SequenceSet,
    compact,
    contains,
    encode_numbers,
    encode_ranges,
    merge,
    without,
)
from protocols.message.collation import DEFAULT

MOST: Final = 20
"""Contexts of a connection; after that, NOUPDATE."""
SORTED: Final = 50_000
"""Results of a SORT that are kept in order."""
OFTEN: Final = 60.0
"""Seconds between two looks at what time changes alone (RFC 5032 2 lets them be late)."""

Number = Callable[[int], int]


class Context:
    """tag, uid: of the command, and whether results are UIDs. key: without message numbers.
    items: what is fetched of new messages that come to be in it (RFC 5465 7). everything: the
    key is not one of single messages. where: the correlators of an ESEARCH (RFC 7377 2.1).
    comparator: that of the command."""

    where: bytes = b""
    comparator: str = DEFAULT

    def __init__(self, tag: bytes, uid: bool, key: Key, items: tuple[object, ...], everything: bool) -> None:
        self.tag = tag
        self.uid = uid
        self.key = key
        self.items = items
        self.everything = everything
        self.looked = 0.0

    def has(self, uid: int) -> bool:
        raise NotImplementedError

    def uids(self) -> Iterable[int]:
        raise NotImplementedError

    def remove(self, gone: Sequence[int], number: Number) -> bytes:
        """REMOVEFROM for some of the results, ascending. number: what a UID is told as."""
        raise NotImplementedError

    async def add(
        self, new: Sequence[int], number: Number, view: Any, scores: Mapping[int, int] = {}
    ) -> bytes:
        """ADDTO for messages that are no results yet, ascending. scores: how relevant they are."""
        raise NotImplementedError


class Found(Context):
    """Of SEARCH: in the order of the mailbox."""

    ranges: Ranges = ()

    def has(self, uid: int) -> bool:
        return contains(self.ranges, uid)

    def uids(self) -> Iterable[int]:
        return (uid for low, high in self.ranges for uid in range(low, high + 1))

    def remove(self, gone: Sequence[int], number: Number) -> bytes:
        self.ranges = without(self.ranges, compact(gone))
        return b"REMOVEFROM (0 %b)" % encode_ranges(merge((n, n) for n in map(number, gone)))

    async def add(
        self, new: Sequence[int], number: Number, view: Any, scores: Mapping[int, int] = {}
    ) -> bytes:
        self.ranges = merge((*self.ranges, *compact(new)))
        return b"ADDTO (0 %b)" % encode_ranges(merge((n, n) for n in map(number, new)))


class Sorted(Context):
    """Of SORT: in the order of its criteria. scores: how relevant the results are, by UID, where
    a criterion asks for it."""

    criteria: tuple[Criterion, ...] = ()
    order: array[int] = array("I")
    known: frozenset[int] = frozenset()

    def __init__(self, tag: bytes, uid: bool, key: Key, items: tuple[object, ...], everything: bool) -> None:
        super().__init__(tag, uid, key, items, everything)
        self.scores: dict[int, int] = {}

    def has(self, uid: int) -> bool:
        return uid in self.known

    def uids(self) -> Iterable[int]:
        return self.known

    def remove(self, gone: Sequence[int], number: Number) -> bytes:
        out = frozenset(gone)
        places = [place for place, uid in enumerate(self.order) if uid in out]
        steps = []
        for place in reversed(places):
            steps.append(b"%d %d" % (place + 1, number(self.order[place])))
            self.scores.pop(self.order[place], None)
            del self.order[place]
        self.known -= out
        return b"REMOVEFROM (%b)" % b" ".join(steps)

    async def add(
        self, new: Sequence[int], number: Number, view: Any, scores: Mapping[int, int] = {}
    ) -> bytes:
        runs: list[tuple[int, list[int]]] = []
        if any(criterion.key is SortKey.RELEVANCY for criterion in self.criteria):
            self.scores |= {uid: scores[uid] for uid in new}
        for uid, traits in zip(new, await view.traits(new, self.comparator), strict=True):
            place = await self._place(uid, self._scored(traits, uid), view)
            self.order.insert(place, uid)
            if runs and place == runs[-1][0] + len(runs[-1][1]):
                runs[-1][1].append(number(uid))
            else:
                runs.append((place, [number(uid)]))
        self.known |= frozenset(new)
        return b"ADDTO (%b)" % b" ".join([b"%d %b" % (at + 1, encode_numbers(run)) for at, run in runs])

    async def _place(self, uid: int, traits: Traits | None, view: Any) -> int:
        """Where the message belongs among those that are there."""
        low, high = 0, len(self.order)
        while low < high:
            middle = (low + high) // 2
            other = self.order[middle]
            (theirs,) = await view.traits([other], self.comparator)
            if precedes((traits, uid), (self._scored(theirs, other), other), self.criteria):
                high = middle
            else:
                low = middle + 1
        return low

    def _scored(self, traits: Traits | None, uid: int) -> Traits | None:
        if traits is None or not self.scores:
            return traits
        return traits._replace(distance=100 - self.scores.get(uid, 1))


class Contexts:
    """Those of one connection."""

    def __init__(self, channel: Channel, now: Callable[[], float]) -> None:
        self._channel = channel
        self._now = now
        self._all: dict[bytes, Context] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, tag: bytes) -> bool:
        return tag in self._all

    def keep(self, context: Context) -> bool:
        """Tell of its changes from now on. False: there are too many, or it is too large."""
        if len(self._all) >= MOST or (isinstance(context, Sorted) and len(context.order) > SORTED):
            return False
        context.looked = self._now()
        self._all[context.tag] = context
        return True

    def cancel(self, tags: Iterable[bytes]) -> bool:
        """Whether all of them were there."""
        known = [self._all.pop(tag, None) for tag in tags]
        return None not in known

    def clear(self) -> None:
        self._all.clear()

    def give_up(self) -> None:
        """They cannot be kept up to date any more."""
        for tag in self._all:
            self.refuse(tag)
        self._all.clear()

    def refuse(self, tag: bytes) -> None:
        """Says that a search is not kept up to date (RFC 5267 4.3.1)."""
        code = b"NOUPDATE " + responses.quoted(tag)
        self._channel.say(b"*", b"NO", code, "This search is not kept up to date")

    def removed(self, gone: Sequence[tuple[int, int]]) -> bytes:
        """Before expunges are told: (message number as the client knows it, UID), ascending."""
        out = []
        numbers = {uid: number for number, uid in gone}
        for context in self._all.values():
            uids = [uid for _, uid in gone if context.has(uid)]
            if uids:
                data = context.remove(uids, _same if context.uid else numbers.__getitem__)
                out.append(responses.esearch(context.tag, context.uid, [data], context.where))
        return b"".join(out)

    async def update(
        self, view: Any, stirred: Sequence[int], breathe: Callable[[], Awaitable[None]]
    ) -> dict[int, tuple[object, ...]]:
        """After news: told UIDs that are new or were marked, ascending. Gives what is to be fetched
        of those that came into a context."""
        fetched: dict[int, tuple[object, ...]] = {}
        among = SequenceSet(compact(stirred), uid=True)
        for context in tuple(self._all.values()):
            now = self._now()
            if context.everything and (stirred or now - context.looked >= OFTEN):
                context.looked = now
                found = await view.search(context.key, context.comparator)
                old: Iterable[int] = context.uids()
            elif stirred:
                key = keys.And((keys.Numbers(among), context.key))
                found = await view.search(key, context.comparator)
                old = (uid for uid in stirred if context.has(uid))
            else:
                continue
            matching = frozenset(found.uids)
            gone = sorted(uid for uid in old if uid not in matching)
            new = [uid for uid in found.uids if not context.has(uid)]
            if context.tag not in self._all:
                continue
            number = _same if context.uid else lambda uid: int(view.sequences([uid])[0])
            data = [context.remove(gone, number)] if gone else []
            if new:
                scores = dict(zip(found.uids, found.scores, strict=False))
                data.append(await context.add(new, number, view, scores))
            if data:
                self._channel.send(responses.esearch(context.tag, context.uid, data, context.where))
            if context.items:
                for uid in new:
                    fetched[uid] = tuple(dict.fromkeys((*fetched.get(uid, ()), *context.items)))
            await breathe()
        return fetched


def _same(uid: int) -> int:
    return uid
