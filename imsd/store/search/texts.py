"""The texts of stored content that SEARCH looks in (RFC 9051 6.4.4), whole or in pieces.

What is searched and what is indexed must be the same text: both come from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from imsd.store.search.grams import skeleton
from protocols.message import headers, words
from protocols.message.part import MESSAGE, Part, Scan
from protocols.message.text import TextDecoder

PIECE = 32_768
"""Octets decoded at once."""
CHUNK = 8 * 1024
"""Octets of a header field that are decoded at once."""
LIMIT = 1 << 20
"""Characters of one message that are indexed, in the header and in the body each."""

Read = Callable[[int, int], bytes]


class Indexed(NamedTuple):
    """What of a blob goes into the index; partial: there is more."""

    head: str
    body: str
    partial: bool


NOTHING = Indexed("", "", True)


def readable(header: bytes) -> str:
    """A header block with its encoded words undone, a line for each field."""
    return "\n".join(
        f"{field.name.decode('ascii', 'replace')}: {''.join(chunks(field.text))}"
        for field in headers.scan(header)
    )


def chunks(value: bytes) -> Iterator[str]:
    """The value of a field with its encoded words undone; a long one in chunks, cut between words."""
    if len(value) <= CHUNK:
        yield words.decode(value)
        return
    start = 0
    while start < len(value):
        stop = value.find(b" ", start + CHUNK)
        stop = len(value) if stop < 0 else stop
        piece = value[start:stop].strip()
        if start and not (piece.startswith(b"=?") and value.endswith(b"?=", 0, start)):
            yield " "
        yield words.decode(piece)
        start = stop


def pieces(part: Part, octets: bytes) -> Iterator[str]:
    """The text of a text part, piece by piece; it ends where a codec gives up."""
    decoder = TextDecoder(part)
    try:
        for at in range(0, len(octets), PIECE):
            yield decoder.feed(octets[at : at + PIECE])
        yield decoder.finish()
    except ValueError:
        # A stateful codec that raises whatever it is told.
        return


def body(scan: Scan, read: Read) -> Iterator[str | None]:
    """The texts of the body in pieces: text parts, headers of enclosed messages; None after each."""
    for part in scan.walk():
        if part.is_text:
            yield from pieces(part, read(part.body, part.stop))
            yield None
        elif part.kind == MESSAGE and part.children:
            inner = part.children[0]
            yield words.decode(read(inner.start, inner.body))
            yield None


def indexed(scan: Scan, read: Read) -> Indexed:
    """What is indexed of a message."""
    partial = scan.header_size > LIMIT
    head = "" if partial else skeleton(readable(read(0, scan.header_size)))
    kept: list[str] = []
    size = 0

    def bounded(start: int, stop: int) -> bytes:
        # Encoded text is never shorter than four octets to the character, or thrice as long.
        nonlocal partial
        if stop - start > 4 * LIMIT:
            partial = True
            stop = start + 4 * LIMIT
        return read(start, stop)

    for text in body(scan, bounded):
        kept.append("\n" if text is None else skeleton(text))
        size += len(kept[-1])
        if size > LIMIT:
            partial = True
            break
    return Indexed(head, "".join(kept), partial)
