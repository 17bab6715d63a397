"""Messages on their way into a mailbox (RFC 9051 6.3.12, RFC 3502, RFC 8508)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from zope.interface import implementer

from imsd.errors import AlreadyExpunged, LimitReached, NotPermitted, TooLarge
from imsd.mail.nul import encoded
from imsd.sessions.imap4 import marks
from imsd.sessions.imap4.held import Mailstore, background
from imsd.sessions.imap4.marks import DELETED, SEEN
from imsd.sessions.imap4.places import Place
from imsd.slices import in_slices
from imsd.store import messages, moving, seen
from imsd.store.blobs import THRESHOLD, NewBlob
from imsd.store.ids import PUBLIC, AccountId, MailboxId
from imsd.store.moving import Kept
from imsd.store.permits import Needs, under
from imsd.store.transaction import Unit
from protocols.imap4.interfaces import IAppend
from protocols.imap4.values import Appended
from protocols.message.summary import Summarizer, summarizing

Making = Callable[[], AbstractContextManager[Callable[..., None]]]
"""Entered while messages are made; what it gives is called with their mailbox and UIDs."""

MESSAGES = 100
"""Messages of one APPEND (RFC 3502), which enter in one unit (design rule 11)."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One message that is whole."""

    content: NewBlob
    flags: int
    keywords: tuple[str, ...]
    date: int | None


@implementer(IAppend)
class Append:
    """Content is scanned at the end while it is small, and as it comes when it is not, or when
    its size is not known (RFC 4469).

    replaces: the message that goes when this one comes (RFC 8508): its mailbox and UID. needs:
    rights on that mailbox.
    """

    def __init__(
        self,
        held: Mailstore,
        place: Place,
        reader: AccountId,
        flags: Sequence[bytes],
        date: int | None,
        size: int,
        limit: int,
        whole: bool = True,
    ) -> None:
        self._held = held
        self._place = place
        self._reader = reader
        self._limit = limit
        self._left = limit
        self._whole: list[_Item] = []
        self.replaces: tuple[AccountId, MailboxId, int] | None = None
        self.needs: Needs = ()
        self.making: Making = unheard
        self._begin(flags, date, size, whole)

    def _begin(self, flags: Sequence[bytes], date: int | None, size: int, whole: bool) -> None:
        bits, keywords = marks.parse(flags)
        self._flags, self._keywords = permitted(self._place, bits, keywords)
        if size > self._left:
            raise TooLarge
        # All messages of a command together are as large as one may be.
        self._left -= size
        self._announced = size
        self._nul = False
        self._date = date
        self._builder = self._held.blobs.builder(self._limit)
        self._summarizer = Summarizer() if size >= THRESHOLD or not whole else None

    def write(self, data: bytes) -> Any:
        self._announced -= len(data)
        if self._announced < 0:
            self._left += self._announced
            self._announced = 0
            if self._left < 0:
                raise TooLarge
        self._nul = self._nul or b"\0" in data
        self._builder.write(data)
        if self._summarizer is not None:
            return self._look(self._summarizer.feeding(data))
        return None

    async def _look(self, work: Generator[None, None, None]) -> None:
        await in_slices(work, self._held.reactor)
        await self._builder.drained()

    async def another(
        self, flags: Sequence[bytes], internal_date: int | None, size: int, whole: bool = True
    ) -> None:
        await self._complete()
        if len(self._whole) >= MESSAGES:
            raise LimitReached(f"At most {MESSAGES} messages of one APPEND")
        self._begin(flags, internal_date, size, whole)

    async def _complete(self) -> None:
        if self._summarizer is not None:
            summary = await in_slices(self._summarizer.finishing(), self._held.reactor)
            content = await self._builder.finish(summary)
        else:
            content = await self._builder.finish()
            data = content.data if content.data is not None else b""
            content = content.described(await in_slices(summarizing(data), self._held.reactor))
        if self._nul:
            content = await encoded(self._held.blobs, content, self._held.reactor)
        self._whole.append(_Item(content, self._flags, self._keywords, self._date))

    async def finish(self) -> Appended:
        await self._complete()
        items, self._whole = self._whole, []
        try:
            with self.making() as made:
                stored = await self._held.db.write(
                    under(self.needs, _append_all), self._place, items, self._reader, self.replaces,
                    self._held.now(), account=self._place.mailbox.account,
                )  # fmt: skip
                made(self._place.key, range(stored.uid, stored.uid + len(items)))
        except BaseException:
            self._discard(items)
            raise
        if "r" not in self._place.rights:
            return Appended(stored.uidvalidity, 0)
        return Appended(stored.uidvalidity, stored.uid, len(items))

    def abandon(self) -> None:
        self._builder.abandon()
        items, self._whole = self._whole, []
        self._discard(items)

    def _discard(self, items: Sequence[_Item]) -> None:
        for item in items:
            background(partial(self._held.blobs.discard, item.content))


def unheard() -> AbstractContextManager[Callable[..., None]]:
    """Where nobody wants to know which messages were made."""
    return nullcontext(_nobody)


def _nobody(*_: object) -> None:
    pass


def permitted(place: Place, flags: int, keywords: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """What of the flags may be set on a message put there; others are dropped (RFC 4314 4)."""
    if "i" not in place.rights:
        raise NotPermitted
    keeps = kept(place)
    return flags & keeps.flags, keywords if keeps.keywords else ()


def _trimmed(place: Place, item: _Item) -> _Item:
    flags, keywords = permitted(place, item.flags, item.keywords)
    return replace(item, flags=flags, keywords=keywords)


def kept(place: Place) -> Kept:
    """The flags that a message may bring along (RFC 4314 4)."""
    rights = place.rights
    may = (SEEN if "s" in rights else 0) | (DELETED if "t" in rights else 0)
    return Kept(may | (~(SEEN | DELETED) if "w" in rights else 0), "w" in rights)


def _append_all(
    unit: Unit,
    place: Place,
    items: Sequence[_Item],
    reader: AccountId,
    replaces: tuple[AccountId, MailboxId, int] | None,
    now: int,
) -> messages.Stored:
    """What was stored first; UIDs follow each other."""
    if replaces is not None:
        # First out: only what it needs more counts against the quota (RFC 8508 3.4).
        account, mailbox, uid = replaces
        if not moving.expunge(unit, account, mailbox, [uid], now, only_deleted=False):
            raise AlreadyExpunged
    if place.guard is not None:
        # A message may be long on its way.
        place = replace(place, rights=place.guard.rights(unit, *place.key))
        items = [_trimmed(place, item) for item in items]
    stored = [
        _append(unit, place, item.content, item.flags, item.keywords, item.date, reader, now)
        for item in items
    ]
    return stored[0]


def _append(
    unit: Unit,
    place: Place,
    content: NewBlob,
    flags: int,
    keywords: tuple[str, ...],
    date: int | None,
    reader: AccountId,
    now: int,
) -> messages.Stored:
    was_seen = place.mailbox.account == PUBLIC and flags & SEEN
    if was_seen:
        flags &= ~SEEN
    stored = messages.append(unit, *place.key, content, flags, keywords, date, now)
    if was_seen:
        seen.change(unit, *place.key, reader, [stored.uid], modseq=stored.modseq)
    return stored
