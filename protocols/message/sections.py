"""BODY[...] sections resolved to octets of prefix and blob (RFC 9051 6.4.5.1, RFC 3501 6.4.5).

A message is a prefix (a few header lines kept on the row) and a blob. Offsets of the scan
count in the blob; RFC822.SIZE and the sections that contain the message's own header add
the prefix. `resolve` gives an `Extent`: nothing is read or copied until the caller asks for
the octets of the blob. HEADER.FIELDS needs the header itself: the extent then spans it, and
`Extent.pick` makes the answer from what was read.
"""

from dataclasses import dataclass, replace
from enum import Enum

from protocols.message import headers
from protocols.message.part import MESSAGE, Scan


class Kind(Enum):
    """What of the part is asked for."""

    ALL = ""
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """What stands between the brackets: part numbers, a kind, field names for HEADER.FIELDS."""

    path: tuple[int, ...] = ()
    kind: Kind = Kind.ALL
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Extent:
    """Octets: prefix, then blob[start:stop].

    fields: not None when these octets are a header block to choose fields from with `pick`;
    size and partial then mean nothing before it.
    """

    prefix: bytes
    start: int
    stop: int
    fields: tuple[bytes, ...] | None = None
    exclude: bool = False

    @property
    def size(self) -> int:
        return len(self.prefix) + self.stop - self.start

    def partial(self, offset: int, count: int) -> "Extent":
        """At most count octets from offset on; empty beyond the end (RFC 9051 6.4.5.1)."""
        before = len(self.prefix)
        prefix = self.prefix[offset : offset + count]
        start = min(self.stop, self.start + max(0, offset - before))
        stop = min(self.stop, max(start, self.start + max(0, offset + count - before)))
        return replace(self, prefix=prefix, start=start, stop=stop)

    def pick(self, blob_part: bytes) -> bytes:
        """The answer, given blob[start:stop]."""
        if self.fields is None:
            return self.prefix + blob_part
        return headers.select(self.prefix + blob_part, self.fields, exclude=self.exclude)


NOTHING = Extent(b"", 0, 0)


def resolve(scan: Scan, section: Section, prefix: bytes = b"") -> Extent | None:
    """The octets of a section, or None where the message has no such part.

    HEADER and TEXT of a part are those of the message inside it: a part that is no message
    has none, and gives None too.
    """
    kind = section.kind
    part = scan.part(section.path)
    if part is None:
        return None
    if kind is Kind.ALL:
        if not section.path:
            return Extent(prefix, 0, scan.size)
        return Extent(b"", part.body, part.stop)
    if kind is Kind.MIME:
        if not section.path:
            return None
        return Extent(prefix if part is scan.root else b"", part.start, part.body)
    if section.path:
        prefix = b""
        if part.kind != MESSAGE or not part.children:
            return None
        part = part.children[0]
    if kind is Kind.TEXT:
        return Extent(b"", part.body, part.stop)
    if kind is Kind.HEADER:
        return Extent(prefix, part.start, part.body)
    return Extent(prefix, part.start, part.body, section.fields, kind is Kind.FIELDS_NOT)


def window(data: bytes, offset: int, count: int) -> bytes:
    """The partial `<offset.count>` of an answer that is at hand."""
    return data[offset : offset + count]
