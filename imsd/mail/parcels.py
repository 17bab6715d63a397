"""The content of queued messages on its way to another server: prefix and blob, or converted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from imsd.mail.downgrade import is_seven_bit, seven_bit
from imsd.mail.relay import Parcel
from imsd.mail.work import Active, Work
from imsd.slices import in_slices
from imsd.store.blobs import Blobs
from imsd.store.spool import Queued
from protocols.message.part import Scan, StaleScan
from protocols.message.scan import Scanner

_SIGNATURES: Final = re.compile(rb"^DKIM-Signature:.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE)
"""Ours, of what is converted: they would be untrue (imsd.mail.signing, rule 3)."""


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

    async def parcel(self, work: Work) -> Parcel:
        message = work.message
        utf8 = False
        if message.smtputf8:
            addresses = [message.reverse_path, *(each.address for each in work.recipients)]
            summary = await self._blobs.summary(message.blob)
            utf8 = summary is None or summary.raw or not all(map(str.isascii, addresses))
        return Parcel(message, work.recipients, lambda convert: self.content(work, convert), utf8)

    async def content(self, work: Work, convert: bool) -> AsyncIterator[bytes]:
        """Prefix and blob; before the end the claim must be ours (rule 4)."""
        message = work.message
        prefix = message.prefix

        async def read(start: int, length: int) -> bytes:
            return await self._blobs.read(message.blob, start, length)

        def stream(start: int, stop: int) -> AsyncIterator[bytes]:
            return self._blobs.stream(message.blob, start, stop)

        tree = await self._tree(message) if convert else None
        if tree is not None and _SIGNATURES.search(prefix) and not await is_seven_bit(tree, stream):
            prefix = _SIGNATURES.sub(b"", prefix)
        if prefix:
            yield prefix
        if tree is not None:
            async for piece in seven_bit(tree, read, stream):
                yield piece
            self._converted()
        else:
            async for piece in self._blobs.stream(message.blob):
                yield piece
        await self._hold(work.active)

    async def _tree(self, message: Queued) -> Scan:
        summary = await self._blobs.summary(message.blob)
        if summary is not None:
            try:
                return await in_slices(Scan.unpacking(summary.packed), self._clock)
            except StaleScan:
                pass
        scanner = Scanner()
        async for piece in self._blobs.stream(message.blob):
            await in_slices(scanner.feeding(piece), self._clock)
        return await in_slices(scanner.finishing(), self._clock)
