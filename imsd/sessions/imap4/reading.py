"""FETCH: content of told messages in batches that are read together.

A batch is bounded in count and in octets, one statement, one snapshot. Small content comes
with it when it will be used; large content is streamed by whoever writes it to the client,
as the client takes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from imsd.errors import Refusal
from imsd.sessions.imap4 import identities
from imsd.sessions.imap4.held import Mailstore, background
from imsd.sessions.imap4.places import Place
from imsd.slices import in_slices
from imsd.store import blob_rows, contents, messages
from imsd.store.contents import Content
from imsd.store.ids import AccountId, MailboxId, Uid
from imsd.store.transaction import Transaction
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.interfaces import IMessage
from protocols.imap4.sets import SequenceSet
from protocols.imap4.values import Needs, Row
from protocols.message import envelope as envelopes
from protocols.message import structure
from protocols.message.part import SCAN_VERSION, Scan, StaleScan
from protocols.message.summary import Summarizer, Summary

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

FEW = 20
"""Messages that are read on the reactor while that is quick."""
MOST = 100
MOST_OCTETS = 512 * 1024
PIECE = 256 * 1024


@implementer(IMessage)
class Message:
    """prefix + blob of one message."""

    __slots__ = (
        "_content", "_held", "body", "bodystructure", "envelope", "header", "owner", "prefix", "scan", "size",
    )  # fmt: skip

    def __init__(self, held: Mailstore, content: Content, owner: AccountId) -> None:
        self._held = held
        self.owner = owner
        self._content = content
        self.prefix = content.prefix
        self.size = content.size
        self.envelope = content.envelope
        self.body = content.body
        self.bodystructure = content.bodystructure
        self.header = content.header or b""
        self.scan: Scan | None = None

    @property
    def saved(self) -> int | None:
        return self._content.saved

    @property
    def email_id(self) -> bytes:
        return identities.email(self.owner, self._content.email)

    @property
    def thread_id(self) -> bytes:
        return identities.thread(self._content.message_id, self._content.references)

    @property
    def preview(self) -> bytes:
        return self._content.preview

    async def complete(self, needs: Needs, dialect: Dialect) -> None:
        """Have what the row did not give: a newer scan, a header from a file, UTF-8 forms."""
        content = self._content
        utf8 = content.raw and (dialect.utf8 or dialect.rev2)
        if content.scan_version != SCAN_VERSION and (
            needs.summary or needs.scan or needs.header or needs.identity
        ):
            await self._scan_again()
        if needs.header and content.header is None:
            self.header = content.header = await self.read(0, content.header_size)
        if not (needs.scan or (needs.summary and utf8)):
            return
        try:
            self.scan = await in_slices(Scan.unpacking(content.packed), self._held.reactor)
        except StaleScan:
            await self._scan_again()
            self.scan = await in_slices(Scan.unpacking(content.packed), self._held.reactor)
        if needs.summary and utf8:
            root = self.scan.root
            self.envelope = envelopes.envelope(root.header, True)
            work = structure.making(root, True, dialect.rev2)
            self.body, self.bodystructure = await in_slices(work, self._held.reactor)

    async def _scan_again(self) -> None:
        """Compute anew what an older version of the scanner left (design rule 15)."""
        summary = await summary_of(self._held, self._content)
        content = self._content
        content.header_size, content.packed = summary.header_size, summary.packed
        content.scan_version, content.raw = summary.scan_version, summary.raw
        content.date, content.date_offset = summary.date, summary.date_offset
        self.envelope, self.body = summary.envelope, summary.body
        self.bodystructure = summary.bodystructure
        content.message_id, content.references = summary.message_id, b" ".join(summary.references)
        content.preview = summary.preview.encode("utf-8", "replace")
        content.header = None

    async def read(self, start: int, stop: int) -> bytes:
        data = self._content.data
        if data is not None:
            return data[start:stop]
        return await self._held.blobs.read(self._content.blob, start, max(stop - start, 0))

    def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        if self._content.data is not None:
            return _pieces(self._content.data, start, stop)
        return self._held.blobs.stream(self._content.blob, start, stop)


async def _pieces(data: bytes, start: int, stop: int) -> AsyncIterator[bytes]:
    stop = min(stop, len(data))
    for at in range(start, stop, PIECE):
        yield data[at : min(at + PIECE, stop)]


async def summary_of(held: Mailstore, content: Content) -> Summary:
    """A fresh summary of stored content, kept for the next time."""
    summarizer = Summarizer()
    async for piece in held.blobs.stream(content.blob):
        await in_slices(summarizer.feeding(piece), held.reactor)
    summary = await in_slices(summarizer.finishing(), held.reactor)

    async def describe() -> Any:
        await held.db.write(blob_rows.describe, content.blob, summary)

    background(describe)
    return summary


async def fetch(
    view: View, which: SequenceSet, needs: Needs, changed_since: int
) -> AsyncIterator[Sequence[tuple[Row, IMessage]]]:
    await view.current()
    told = view.told
    refused: Refusal | None = None
    for batch in _batches(view._rows(told, view.positions(which), changed_since, MOST), needs.content):
        content = await read(view, [row.uid for row in batch], needs)
        found: list[tuple[Row, IMessage]] = []
        for row in batch:
            item = content.get(row.uid)
            if item is None:
                continue
            message = Message(view.held, item, view.place.mailbox.account)
            try:
                await message.complete(needs, view.dialect)
            except Refusal as refusal:
                # Its content is gone, or cannot be read now: the others are not hindered,
                # but the client must not believe that it has been given all.
                refused = refused or refusal
                continue
            found.append((row, message))
        if found:
            yield found
    if refused is not None:
        raise refused


async def read(view: View, uids: Sequence[int], needs: Needs) -> dict[int, Content]:
    """The content of some messages by UID."""
    db = view.held.db
    wanted = (
        needs.summary, needs.header,
        # A downgraded envelope is rendered from the tree for who speaks UTF-8.
        needs.scan or (needs.summary and (view.dialect.utf8 or view.dialect.rev2)), needs.content,
        needs.identity,
    )  # fmt: skip
    if len(uids) == 1:
        rows = await db.read_few(contents.read_one, *view.place.key, uids[0], *wanted)
    else:
        few = len(uids) <= FEW
        rows = await (db.read_few if few else db.read)(contents.read, *view.place.key, uids, *wanted)
    return {content.uid: content for content in rows}


async def one(held: Mailstore, place: Place, uid: int, needs: Needs) -> Message | None:
    """A message of a mailbox that is not selected, None where there is none."""
    found = await held.db.read_few(
        _one, *place.key, uid, needs.summary, needs.header, needs.scan, needs.content, needs.identity
    )
    if found is None:
        return None
    message = Message(held, found, place.mailbox.account)
    await message.complete(needs, PLAIN)
    return message


def _one(tx: Transaction, account: AccountId, mailbox: MailboxId, uid: int, *wanted: bool) -> Content | None:
    if not messages.rows(tx, account, mailbox, [Uid(uid)]):
        # Expunged, though its content may be kept for views that were not told yet.
        return None
    return next(iter(contents.read(tx, account, mailbox, [uid], *wanted)), None)


def _batches(batches: Iterator[Sequence[Row]], whole: bool) -> Iterator[list[Row]]:
    """Rows in the order given, few enough to be read together."""
    batch: list[Row] = []
    octets = 0
    # The first answer leaves soon; those after it are read in bulk.
    most = FEW
    for rows in batches:
        for row in rows:
            size = min(row.size, contents.SMALL) if whole else 2048
            if batch and (len(batch) >= most or octets + size > MOST_OCTETS):
                yield batch
                batch, octets, most = [], 0, MOST
            batch.append(row)
            octets += size
    if batch:
        yield batch
