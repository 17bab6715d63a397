"""The content of queued messages on its way to another server: prefix and blob, or converted.

Two things may be done to it, one after the other: it gets the form that its recipients are to have
(ims_spec 8), and what is not 7-bit is encoded for a server that takes nothing else. The first needs it
whole: that is done in a thread for one message at a time, what is made waits in a file, and what is
larger than `LARGEST` leaves as it was composed.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, Protocol, cast

from twisted.internet.defer import Deferred, DeferredLock

from imsd.mail.downgrade import is_seven_bit, seven_bit
from imsd.mail.relay import Parcel
from imsd.mail.work import Active, Work
from imsd.slices import in_slices
from imsd.store.blobs import Blobs
from imsd.store.ids import BlobId
from imsd.store.spool import Queued
from protocols.message.flatten import Form, flatten
from protocols.message.part import Scan, StaleScan
from protocols.message.scan import Scanner

_SIGNATURES: Final = re.compile(rb"^DKIM-Signature:.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE)
"""Ours, of what is converted: they would be untrue (imsd.mail.signing, rule 3)."""


LARGEST: Final = 16 << 20
"""Octets of a message that gets another form at most."""
PIECE: Final = 256 * 1024


class _Source(Protocol):
    """Where content comes from."""

    async def read(self, start: int, length: int) -> bytes: ...

    def stream(self, start: int, stop: int | None) -> AsyncIterator[bytes]: ...


class _OfBlob:
    def __init__(self, blobs: Blobs, blob: BlobId) -> None:
        self._blobs = blobs
        self._blob = blob

    async def read(self, start: int, length: int) -> bytes:
        return await self._blobs.read(self._blob, start, length)

    def stream(self, start: int, stop: int | None) -> AsyncIterator[bytes]:
        return self._blobs.stream(self._blob, start, stop)


class _OfFile:
    def __init__(self, file: IO[bytes], size: int, in_thread: Callable[..., Deferred[bytes]]) -> None:
        self._file = file
        self._size = size
        self._in_thread = in_thread
        self.close = file.close

    async def read(self, start: int, length: int) -> bytes:
        return await self._in_thread(_piece, self._file, start, length)

    async def stream(self, start: int, stop: int | None) -> AsyncIterator[bytes]:
        stop = self._size if stop is None else min(stop, self._size)
        for at in range(start, stop, PIECE):
            yield await self.read(at, min(PIECE, stop - at))


def _piece(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _formed(data: bytes, form: Form) -> tuple[IO[bytes], int] | None:
    """The content in that form, and its size; None where it has it."""
    made = flatten(data, form)
    if made == data:
        return None
    # Closed by whoever sends it.
    file = cast(IO[bytes], SpooledTemporaryFile(max_size=PIECE))  # noqa: SIM115
    file.write(made)
    return file, len(made)


class Parcels:
    """Makes parcels of work. hold: raises LeaseLost unless the claim is ours for a while. clock: the
    reactor, whose turns others have too. converted: told of each content that was converted."""

    def __init__(
        self,
        blobs: Blobs,
        hold: Callable[[Active], Awaitable[None]],
        clock: Any,
        converted: Callable[[], None] = lambda: None,
    ) -> None:
        self._converted = converted
        self._blobs = blobs
        self._clock = clock
        self._hold = hold
        self._forming = DeferredLock()

    async def parcel(self, work: Work) -> Parcel:
        message = work.message
        utf8 = False
        if message.smtputf8:
            addresses = [message.reverse_path, *(each.address for each in work.recipients)]
            summary = await self._blobs.summary(message.blob)
            utf8 = summary is None or summary.raw or not all(map(str.isascii, addresses))
        return Parcel(message, work.recipients, lambda convert: self.content(work, convert), utf8)

    async def content(self, work: Work, convert: bool) -> AsyncIterator[bytes]:
        """Prefix and content; before the end the claim must be ours (rule 4)."""
        message = work.message
        made = await self._in_form(message)
        try:
            async for piece in self._content(message, made, convert):
                yield piece
        finally:
            if made is not None:
                made.close()
        await self._hold(work.active)

    async def _content(self, message: Queued, made: _OfFile | None, convert: bool) -> AsyncIterator[bytes]:
        prefix = message.prefix
        source: _Source = made or _OfBlob(self._blobs, message.blob)
        tree = await self._tree(message, made) if convert else None
        changed = made is not None or (tree is not None and not await is_seven_bit(tree, source.stream))
        if changed and _SIGNATURES.search(prefix):
            prefix = _SIGNATURES.sub(b"", prefix)
        if prefix:
            yield prefix
        if tree is None:
            async for piece in source.stream(0, None):
                yield piece
        else:
            async for piece in seven_bit(tree, source.read, source.stream):
                yield piece
        if made is not None or tree is not None:
            self._converted()

    async def _in_form(self, message: Queued) -> _OfFile | None:
        """None: it has the form that its recipients are to have, or leaves as it was composed."""
        if not message.form or message.size - len(message.prefix) > LARGEST:
            return None
        async with self._forming:
            data = await self._blobs.read(message.blob)
            made = await self._blobs.db.in_thread(_formed, data, cast(Form, message.form))
        return None if made is None else _OfFile(*made, self._blobs.db.in_thread)

    async def _tree(self, message: Queued, made: _OfFile | None) -> Scan:
        summary = await self._blobs.summary(message.blob) if made is None else None
        if summary is not None:
            try:
                return await in_slices(Scan.unpacking(summary.packed), self._clock)
            except StaleScan:
                pass
        scanner = Scanner()
        source: _Source = made or _OfBlob(self._blobs, message.blob)
        async for piece in source.stream(0, None):
            await in_slices(scanner.feeding(piece), self._clock)
        return await in_slices(scanner.finishing(), self._clock)
