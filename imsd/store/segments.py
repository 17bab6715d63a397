"""Segments: about 4,096 messages of a mailbox as parallel arrays, in memory and packed.

A message stays in its segment, which has a number, for as long as it lives; only the last
segment grows. Packed segments are a cache (`imsd.store.index`): they carry a format number
and a check of their length, and whoever cannot read one reads the rows instead.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from imsd.store.flags import LOW_KEYWORDS, LOW_MASK, IndexRow, join_keywords
from imsd.store.ids import BlobId, ModSeq, Uid

SIZE = 4096
FORMAT = 1
_HEAD = struct.Struct("<IIQ")  # count, octets of high keywords, highest mod-sequence
_LITTLE = sys.byteorder == "little"

# flags, keywords, modseq, size, date, blob after the UIDs
_CODES = "BQQIqQ"
_BYTES_EACH = 4 + 1 + 8 + 8 + 4 + 8 + 8


_ONLY = {flag: bytes(flags & flag for flags in range(256)) for flag in (1, 2, 4, 8, 16)}
"""For each system flag: octets of flags to that flag alone."""


class Segment:
    """Columns of ascending UIDs. high: keyword bits above the array's, by UID."""

    __slots__ = (
        "blobs", "dates", "dirty", "flags", "high", "keywords", "modseqs", "number", "sizes", "top",
        "uids",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.uids = array("I")
        self.flags = array("B")
        self.keywords = array("Q")
        self.modseqs = array("Q")
        self.sizes = array("I")
        self.dates = array("q")
        self.blobs = array("Q")
        self.high: dict[int, int] = {}
        self.top = 0
        self.dirty = True

    def __len__(self) -> int:
        return len(self.uids)

    def find(self, uid: int) -> int:
        """Where the UID is, or -1."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else -1

    def row(self, at: int) -> IndexRow:
        uid = self.uids[at]
        keywords = self.keywords[at]
        if self.high:
            keywords |= self.high.get(uid, 0) << LOW_KEYWORDS
        return IndexRow(
            Uid(uid), self.flags[at], keywords, ModSeq(self.modseqs[at]), self.sizes[at],
            self.dates[at], BlobId(self.blobs[at]),
        )  # fmt: skip

    def having(self, flag: int) -> Iterator[int]:
        """The UIDs with a system flag; found by a scan in C, few in Python."""
        marks = self.flags.tobytes().translate(_ONLY[flag])
        at = marks.find(flag)
        while at >= 0:
            yield self.uids[at]
            at = marks.find(flag, at + 1)

    def lacking(self, flag: int) -> int:
        """The first UID without a system flag, or 0."""
        at = self.flags.tobytes().translate(_ONLY[flag]).find(0)
        return self.uids[at] if at >= 0 else 0

    def append(self, row: IndexRow) -> None:
        """A row with a UID above all here. UIDs grow in place: see `imsd.store.uidmap`."""
        self.flags.append(row.flags)
        self.keywords.append(row.keywords & LOW_MASK)
        if row.keywords > LOW_MASK:
            self.high[row.uid] = row.keywords >> LOW_KEYWORDS
        self.modseqs.append(row.modseq)
        self.sizes.append(row.size)
        self.dates.append(row.date)
        self.blobs.append(row.blob)
        self.uids.append(row.uid)
        self.top = max(self.top, row.modseq)
        self.dirty = True

    def mark(self, at: int, row: IndexRow) -> None:
        """New flags of a message that is here."""
        self.flags[at] = row.flags
        self.keywords[at] = row.keywords & LOW_MASK
        if row.keywords > LOW_MASK:
            self.high[row.uid] = row.keywords >> LOW_KEYWORDS
        elif self.high:
            self.high.pop(row.uid, None)
        self.modseqs[at] = row.modseq
        self.top = max(self.top, row.modseq)
        self.dirty = True

    def remove(self, places: Sequence[int]) -> None:
        """Take the ascending places out; the UIDs in a copy, for maps that refer to them."""
        for uid in (self.uids[at] for at in places):
            self.high.pop(uid, None)
        self.uids = array("I", self.uids)
        for column in (
            self.uids, self.flags, self.keywords, self.modseqs, self.sizes, self.dates, self.blobs,
        ):  # fmt: skip
            for at in reversed(places):
                del column[at]
        self.dirty = True

    @property
    def memory(self) -> int:
        """Octets, about."""
        return 900 + len(self.uids) * (_BYTES_EACH + 4) + 100 * len(self.high)

    # Packed ----------------------------------------------------------------------------

    def pack(self) -> bytes:
        high = b"".join(
            struct.pack("<IH", uid, (bits.bit_length() + 7) // 8)
            + bits.to_bytes((bits.bit_length() + 7) // 8, "little")
            for uid, bits in self.high.items()
        )
        columns: list[Any] = [
            self.uids, self.flags, self.keywords, self.modseqs, self.sizes, self.dates, self.blobs,
        ]  # fmt: skip
        if not _LITTLE:
            columns = [array(column.typecode, column) for column in columns]
            for column in columns:
                column.byteswap()
        return b"".join(
            [_HEAD.pack(len(self.uids), len(high), self.top), *(column.tobytes() for column in columns), high]
        )

    @classmethod
    def unpack(cls, number: int, data: bytes) -> Segment:
        """Raises ValueError when the data is not of this format."""
        if len(data) < _HEAD.size:
            raise ValueError("short segment")
        count, high_size, top = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + count * _BYTES_EACH + high_size:
            raise ValueError("segment of another length")
        self = cls(number)
        view = memoryview(data)
        at = _HEAD.size
        for column in (
            self.uids, self.flags, self.keywords, self.modseqs, self.sizes, self.dates, self.blobs,
        ):  # fmt: skip
            size = column.itemsize * count
            column.frombytes(view[at : at + size])
            if not _LITTLE:
                column.byteswap()
            at += size
        while at < len(data):
            uid, size = struct.unpack_from("<IH", data, at)
            at += 6
            self.high[uid] = int.from_bytes(data[at : at + size], "little")
            at += size
        self.top = top
        self.dirty = False
        return self

    @classmethod
    def of_rows(cls, number: int, rows: Sequence[tuple[Any, ...]]) -> Segment:
        """Of raw rows: uid, flags, low keywords, high keywords, modseq, size, date, blob."""
        self = cls(number)
        if rows:
            uids, flags, low, high, modseqs, sizes, dates, blobs = zip(*rows, strict=True)
            self.uids = array("I", uids)
            self.flags = array("B", flags)
            self.keywords = array("Q", low)
            self.modseqs = array("Q", modseqs)
            self.sizes = array("I", sizes)
            self.dates = array("q", dates)
            self.blobs = array("Q", blobs)
            self.top = max(modseqs)
            if any(high):
                self.high = {
                    uid: join_keywords(0, bits) >> LOW_KEYWORDS
                    for uid, bits in zip(uids, high, strict=True)
                    if bits
                }
        return self
