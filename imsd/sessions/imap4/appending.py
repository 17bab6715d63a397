"""A message on its way into a mailbox (RFC 9051 6.3.12)."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from imsd.errors import NotPermitted, TooLarge
from imsd.sessions.imap4.held import Mailstore, background
from imsd.sessions.imap4.marks import DELETED, SEEN
from imsd.sessions.imap4.places import Place
from imsd.store import messages, seen
from imsd.store.blobs import THRESHOLD, NewBlob
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.transaction import Unit
from protocols.imap4.interfaces import Appended, IAppend
from protocols.message.summary import Summarizer, summarize


@implementer(IAppend)
class Append:
    """Content is scanned at the end while it is small, and as it comes when it is not."""

    def __init__(
        self,
        held: Mailstore,
        place: Place,
        reader: AccountId,
        flags: int,
        keywords: tuple[str, ...],
        date: int | None,
        size: int,
        limit: int,
    ) -> None:
        if size > limit:
            raise TooLarge
        self._held = held
        self._place = place
        self._reader = reader
        self._flags = flags
        self._keywords = keywords
        self._date = date
        self._builder = held.blobs.builder(limit)
        self._summarizer = Summarizer() if size >= THRESHOLD else None

    def write(self, data: bytes) -> Any:
        self._builder.write(data)
        if self._summarizer is not None:
            self._summarizer.feed(data)
            return self._builder.drained()
        return None

    async def finish(self) -> Appended:
        if self._summarizer is not None:
            summary = self._summarizer.finish()
            content = await self._builder.finish(summary)
        else:
            content = await self._builder.finish()
            data = content.data if content.data is not None else b""
            content = content.described(summarize(data))
        try:
            stored = await self._held.db.write(
                _append, self._place, content, self._flags, self._keywords, self._date, self._reader,
                self._held.now(), account=self._place.mailbox.account,
            )  # fmt: skip
        except BaseException:
            background(lambda: self._held.blobs.discard(content))
            raise
        if "r" not in self._place.rights:
            return Appended(stored.uidvalidity, 0)
        return Appended(stored.uidvalidity, stored.uid)

    def abandon(self) -> None:
        self._builder.abandon()


def permitted(place: Place, flags: int, keywords: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """What of the flags may be set on a message put there; others are dropped (RFC 4314 4)."""
    if "i" not in place.rights:
        raise NotPermitted
    if "w" not in place.rights:
        flags &= SEEN | DELETED
        keywords = ()
    if "s" not in place.rights:
        flags &= ~SEEN
    if "t" not in place.rights:
        flags &= ~DELETED
    return flags, keywords


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
