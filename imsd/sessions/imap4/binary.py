"""NUL octets that came in a literal8 (RFC 3516 4.4).

What FETCH gives of BODY is a literal, which cannot hold them, and BODYSTRUCTURE has to say what BODY
gives (RFC 3516 6). So parts that hold NUL are kept as base64, and nothing else is another; BINARY
gives what was appended. NUL where no encoding can carry it is refused with UNKNOWN-CTE.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from imsd.errors import UnknownEncoding
from imsd.mail.downgrade import Unconvertible, without_nul
from imsd.sessions.imap4.held import Mailstore, background
from imsd.slices import in_slices
from imsd.store.blobs import NewBlob
from protocols.message.part import Scan
from protocols.message.summary import Summarizer

_PIECE: Final = 64 * 1024
"""Octets encoded between two breaths."""


async def encoded(held: Mailstore, content: NewBlob) -> NewBlob:
    """The finished content of a message as it is kept, with its summary; the other is discarded.

    Raises UnknownEncoding.
    """

    async def read(start: int, length: int) -> bytes:
        if content.data is not None:
            return content.data[start : start + length]
        data: bytes = await held.db.in_thread(held.blobs.files.read, content.file, start, length)
        return data

    async def stream(start: int, stop: int) -> AsyncIterator[bytes]:
        for at in range(start, stop, _PIECE):
            yield await read(at, min(_PIECE, stop - at))

    assert content.summary is not None
    builder, summarizer = held.blobs.builder(), Summarizer()
    try:
        tree = await in_slices(Scan.unpacking(content.summary.packed), held.reactor)
        async for piece in without_nul(tree, read, stream):
            builder.write(piece)
            await in_slices(summarizer.feeding(piece), held.reactor)
            await builder.drained()
            await held.breath()
        return await builder.finish(await in_slices(summarizer.finishing(), held.reactor))
    except BaseException as error:
        builder.abandon()
        if isinstance(error, Unconvertible):
            raise UnknownEncoding("NUL octets where no encoding can carry them") from error
        raise
    finally:
        background(partial(held.blobs.discard, content))
