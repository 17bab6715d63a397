"""Orders and answers of SORT and THREAD, kept for the next time.

1. What a message is sorted by never changes, so an order of messages stays right for as long as the
   mailbox has its UIDVALIDITY. It is kept by mailbox, criteria and comparator: what a search finds of
   it is picked out, a few messages that came since are put in their places.
2. An answer is kept where it depends on nothing but which messages were found, and is given again
   where just those are found again.
3. Both are bounded together over all mailboxes; what was not used for longest goes first.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from imsd.store.ids import AccountId, MailboxId
from protocols.imap4.ordering import Criterion, Traits, arrange, precedes
from protocols.imap4.values import Found

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

OCTETS: Final = 32 << 20
"""Of all that is kept."""
LARGEST: Final = 4 << 20
"""Of one answer."""
FEW: Final = 20
"""New messages that are put in their places one by one."""
SPARSE: Final = 20
"""Of a search that found fewer than one in so many of the messages in an order, these are sorted."""
PIECE: Final = 5000
"""Messages picked out between two breaths."""

_EACH: Final = 200

Key = tuple[AccountId, MailboxId, int, Hashable]


class Order(NamedTuple):
    """UIDs ascending, and in order."""

    uids: array[int]
    order: array[int]


class Answer(NamedTuple):
    """What was found, and what was said."""

    uids: array[int]
    sequences: array[int]
    said: bytes


class Arranged:
    """What is kept; one for all sessions."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Order | Answer] = OrderedDict()
        self.octets = 0

    def get(self, key: Key) -> Any:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: Key, what: Order | Answer) -> None:
        self._drop(key)
        size = _size(what)
        if size > LARGEST * 4:
            return
        self._kept[key] = what
        self.octets += size
        while self.octets > OCTETS:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self.octets -= _size(old)


def _size(what: Order | Answer) -> int:
    return _EACH + sum(memoryview(part).nbytes for part in what)


def _key(view: View, question: Hashable) -> Key:
    return (*view.place.key, view.uid_validity, question)


async def in_order(
    view: View, uids: Sequence[int], criteria: tuple[Criterion, ...], comparator: str
) -> Sequence[int]:
    """The UIDs, which ascend, in order; without those whose content is gone."""
    kept: Arranged = view.held.arranged
    key = _key(view, (criteria, comparator))
    known: Order | None = kept.get(key)
    if known is not None:
        if uids == known.uids:
            return known.order
        if len(uids) * SPARSE >= len(known.order):
            found = await _picked(view, known.order, uids)
            missing = len(uids) - len(found)
            if 0 < missing <= FEW and len(uids) == view.exists:
                missing -= await _inserted(view, found, uids, criteria, comparator)
            if not missing:
                if len(uids) == view.exists:
                    kept.keep(key, Order(array("I", uids), array("I", found)))
                return found
    traits = await view.traits(uids, comparator)
    there = [(uid, one) for uid, one in zip(uids, traits, strict=True) if one is not None]
    order = await arrange([one for _, one in there], criteria, view.held.breath)
    sorted_uids = array("I", [there[at][0] for at in order])
    if len(there) == len(uids) and (known is None or len(uids) >= len(known.order)):
        kept.keep(key, Order(array("I", uids), sorted_uids))
    return sorted_uids


async def _picked(view: View, order: Sequence[int], uids: Sequence[int]) -> list[int]:
    wanted = set(uids)
    found: list[int] = []
    for at in range(0, len(order), PIECE):
        found += [uid for uid in order[at : at + PIECE] if uid in wanted]
        if at:
            await view.held.breath()
    return found


async def _inserted(
    view: View, order: list[int], uids: Sequence[int], criteria: Sequence[Criterion], comparator: str
) -> int:
    """Put those that are missing where they belong; how many were, 0 where one could not be."""
    missing = sorted(set(uids).difference(order))
    traits: dict[int, Traits | None] = dict(zip(missing, await view.traits(missing, comparator), strict=True))
    for uid in missing:
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            other = order[middle]
            if other not in traits:
                (traits[other],) = await view.traits([other], comparator)
            if traits[uid] is None or traits[other] is None:
                return 0
            if precedes((traits[uid], uid), (traits[other], other), criteria):
                high = middle
            else:
                low = middle + 1
        order.insert(low, uid)
    return len(missing)


def recall(view: View, question: Hashable, found: Found) -> bytes | None:
    """What was answered to the question where just these were found."""
    known: Answer | None = view.held.arranged.get(_key(view, question))
    if known is None or found.uids != known.uids or found.sequences != known.sequences:
        return None
    return known.said


def remember(view: View, question: Hashable, found: Found, said: bytes) -> None:
    """For `recall`."""
    if len(said) <= LARGEST:
        answer = Answer(array("I", found.uids), array("I", found.sequences), said)
        view.held.arranged.keep(_key(view, question), answer)
