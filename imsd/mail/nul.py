"""Content with NUL octets, as it is kept: parts that hold them are base64.

NUL comes in a literal8 of APPEND (RFC 3516 4.4), by BINARYMIME (RFC 3030 3), and from those who do not
know that a text cannot have it (RFC 5322 2.3). What FETCH gives of BODY is a literal, which cannot hold
it (RFC 9051 4.3), nor can what POP3 gives; and BODYSTRUCTURE has to say what BODY gives (RFC 3516 6).
So parts that hold NUL become base64, and nothing else is another; BINARY gives what came. Content
without NUL, and what only passes through here, stays as it is to the octet: a signature over it holds.

NUL where no encoding can carry it (header fields, between parts, in parts that are encoded) is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from imsd.errors import UnknownEncoding
from imsd.mail.downgrade import Unconvertible, without_nul
from imsd.slices import in_slices
from imsd.store.blobs import Blobs, NewBlob
from protocols.message.part import Scan
from protocols.message.summary import Summarizer
from protocols.turns import another_turn

_PIECE: Final = 64 * 1024
"""Octets encoded between two breaths."""


async def encoded(blobs: Blobs, content: NewBlob, clock: Any) -> NewBlob:
    """The finished content of a message as it is kept, with its summary; the other is discarded.

    Raises UnknownEncoding.
    """

    async def read(start: int, length: int) -> bytes:
        if content.data is not None:
            return content.data[start : start + length]
        data: bytes = await blobs.db.in_thread(blobs.files.read, content.file, start, length)
        return data

    async def stream(start: int, stop: int) -> AsyncIterator[bytes]:
        for at in range(start, stop, _PIECE):
            yield await read(at, min(_PIECE, stop - at))

    assert content.summary is not None
    builder, summarizer = blobs.builder(), Summarizer()
    try:
        tree = await in_slices(Scan.unpacking(content.summary.packed), clock)
        async for piece in without_nul(tree, read, stream):
            builder.write(piece)
            await in_slices(summarizer.feeding(piece), clock)
            await builder.drained()
            await another_turn(clock)
        done = await builder.finish(await in_slices(summarizer.finishing(), clock))
    except BaseException as error:
        builder.abandon()
        if isinstance(error, Unconvertible):
            await blobs.discard(content)
            raise UnknownEncoding("NUL octets where no encoding can carry them") from error
        raise
    await blobs.discard(content)
    return done
