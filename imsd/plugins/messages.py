"""A message that has come whole, as plug-ins are asked about it before it is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from imsd.plugins.values import Message
from imsd.store.blob_files import Files

if TYPE_CHECKING:
    from imsd.mail.envelope import Envelope
    from imsd.plugins.plugins import Plugins, Verdict
    from imsd.store.blobs import NewBlob
    from imsd.store.database import Database

PIECE: Final = 256 * 1024
MOST_HEADER: Final = 512 * 1024
"""Octets of a header block that are handed over."""


async def asked(
    plugins: Plugins, db: Database, queue_id: str, envelope: Envelope, content: NewBlob
) -> Verdict:
    """What they say. Raises PolicyRejected, TryLater."""
    files = Files(db.home)

    def pieces() -> Iterator[bytes]:
        """In a thread."""
        if content.data is not None:
            yield content.data
            return
        for at in range(0, content.size, PIECE):
            yield files.read(content.file, at, PIECE)

    def start() -> bytes:
        found = content.data if content.data is not None else files.read(content.file, 0, MOST_HEADER)
        end = found.find(b"\r\n\r\n")
        return found[: end + 2 if end >= 0 else MOST_HEADER]

    header = start() if content.data is not None else await db.in_thread(start)
    message = Message(
        queue_id,
        envelope.reverse_path,
        tuple(each.address for each in envelope.addressees),
        envelope.origin.address,
        envelope.origin.hello,
        envelope.origin.protocol,
        envelope.account,
        content.size,
        header,
        pieces,
        lambda: db.in_thread(lambda: b"".join(pieces())),
    )
    return await plugins.ask("received", message)
