"""Content on its way in: the header block is looked at and edited, the rest streams by.

What is small stays in memory and is summarized when it is complete; what is large goes through the builder to
a file while it is summarized piece by piece. The header block is bounded, so memory is too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from imsd.errors import MalformedMessage
from imsd.mail.nul import encoded
from imsd.slices import in_slices
from imsd.store.blobs import THRESHOLD
from protocols.message.summary import Summarizer

if TYPE_CHECKING:
    from imsd.store.blobs import BlobBuilder, Blobs, NewBlob
    from imsd.summaries import Summaries

MAX_HEADER = 256 * 1024
"""Octets of a header block; more is no message anybody reads."""

# field-name ":" (RFC 5322 2.2, obs-optional with blanks before the colon)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")

Edit = Callable[[bytes], Awaitable[bytes]]


class Intake:
    """Takes content by `write` and `drained`; gives the finished blob.

    edit: gets the header block as it came (with its empty line, or all there is) and gives what
    is to be stored in its place, or raises a refusal. eight_bit: an octet above 127 has come,
    whatever was announced; nul: a NUL has.
    """

    def __init__(self, blobs: Blobs, edit: Edit, summaries: Summaries, clock: Any) -> None:
        self._blobs = blobs
        self._summaries = summaries
        self._clock = clock
        self._edit = edit
        self._held: bytearray | None = bytearray()
        self._searched = 0
        self._size = 0
        self._kept: list[bytes] = []
        # Both once it is large.
        self._builder: BlobBuilder | None = None
        self._summarizer: Any = None
        self.eight_bit = False
        self.nul = False

    def write(self, data: bytes) -> None:
        self.nul = self.nul or b"\0" in data
        self.eight_bit = self.eight_bit or not data.isascii()
        if self._held is None:
            self._pass(data)
        else:
            self._held += data

    async def drained(self) -> None:
        """Let the store catch up; the header block is edited when it is whole."""
        if self._held is not None:
            held = self._held
            end = header_end(held, self._searched)
            if end < 0 and len(held) <= MAX_HEADER:
                # Only what is new is searched: a header that trickles in costs no more.
                self._searched = max(0, len(held) - 3)
                return
            if end < 0 or end > MAX_HEADER:
                raise MalformedMessage("Header section is too large")
            await self._begin(bytes(held), end)
        if self._builder is not None:
            await self._look()
            await self._builder.drained()

    async def _begin(self, data: bytes, end: int) -> None:
        if end > 2 and not _FIELD.match(data):
            # There is no header: what came is all body, and stays readable as such.
            data, end = b"\r\n" + data, 2
        header = await self._edit(data[:end])
        self._held = None
        self._pass(header)
        if end < len(data):
            self._pass(data[end:])

    def _pass(self, data: bytes) -> None:
        self._kept.append(data)
        self._size += len(data)
        if self._builder is not None:
            self._builder.write(data)
        elif self._size >= THRESHOLD:
            self._builder, self._summarizer = self._blobs.builder(), Summarizer()
            for piece in self._kept:
                self._builder.write(piece)

    async def _look(self) -> None:
        """Scan what has come, once it is too much to be kept."""
        kept, self._kept = self._kept, []
        for piece in kept:
            await in_slices(self._summarizer.feeding(piece), self._clock)

    async def finish(self) -> NewBlob:
        """The content is complete, and stays as it came."""
        if self._held is not None:
            data = bytes(self._held)
            end = header_end(data)
            await self._begin(data, len(data) if end < 0 else end)
        if self._builder is None:
            return await self._summaries.describe(b"".join(self._kept))
        await self._look()
        return await self._builder.finish(await in_slices(self._summarizer.finishing(), self._clock))

    async def kept(self, blobs: Blobs) -> NewBlob:
        """The same for a mailbox here. Raises UnknownEncoding for NUL that cannot be kept."""
        content = await self.finish()
        return await encoded(blobs, content, self._clock) if self.nul else content

    def abandon(self) -> None:
        self._held = None
        self._kept = []
        if self._builder is not None:
            self._builder.abandon()


def header_end(data: bytes | bytearray, start: int = 0) -> int:
    """Where the header block ends, its empty line included; -1 if that has not come yet."""
    if data.startswith(b"\r\n"):
        return 2
    end = data.find(b"\r\n\r\n", start)
    return end + 4 if end >= 0 else -1
