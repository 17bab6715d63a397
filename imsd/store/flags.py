"""System flags as bits, and the rows the index and the change feed carry.

Keywords are bits of an unbounded integer; their names are per mailbox
(`imsd.store.keywords`). \\Recent is not a stored flag (RFC 3501 2.3.2).
"""

from typing import NamedTuple

from imsd.store.ids import BlobId, ModSeq, Uid

SEEN = 1
ANSWERED = 2
FLAGGED = 4
DELETED = 8
DRAFT = 16

#: RFC 9051 2.3.2
NAMES = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}

#: Keyword bits kept in the integer column and array; higher ones are kept apart.
LOW_KEYWORDS = 63
LOW_MASK = (1 << LOW_KEYWORDS) - 1
MAX_KEYWORDS = 500


class IndexRow(NamedTuple):
    """What the index knows of one message. date is in microseconds since the epoch, as everywhere."""

    uid: Uid
    flags: int
    keywords: int
    modseq: ModSeq
    size: int
    date: int
    blob: BlobId


def pack_high(keywords: int) -> bytes | None:
    """The column of the keyword bits above the integer column; None when there are none."""
    high = keywords >> LOW_KEYWORDS
    return high.to_bytes((high.bit_length() + 7) // 8, "little") if high else None


def join_keywords(low: int, high: bytes | None) -> int:
    return low if high is None else low | int.from_bytes(high, "little") << LOW_KEYWORDS
