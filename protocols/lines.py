"""A bounded input buffer for CRLF protocols, and dot stuffing in both directions.

Everything here is pulled: bytes are fed in, and a taker gives a value or NEED_DATA. A taker
never consumes part of what it cannot give whole, so any split of the input gives the same
values.

1. Lines end in CRLF. LF alone ends the line too, but is reported (RFC 5321 2.3.8, stricter:
   the line is refused), so that the peer gets an answer at once and stays in step.
2. A line over its limit is skipped to its end in constant memory, then reported.
3. Dot-stuffed data ends in CRLF.CRLF and in nothing else (RFC 5321 4.1.1.4).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, Literal

from protocols.errors import BareLineEnding, Flood, LineTooLong
from protocols.values import value


class NeedData(Enum):
    """The answer of a taker that has to wait for more input."""

    NEED_DATA = "need data"


class EndOfData(Enum):
    """The answer of a taker whose stream is over."""

    END = "end of data"


NEED_DATA: Final = NeedData.NEED_DATA
END: Final = EndOfData.END

START_KEPT: Final = 300
TAIL_KEPT: Final = 32
"""Octets of a refused line that are reported with it."""

SKIP_LIMIT: Final = 1 << 20
"""Octets of one overlong line that are skipped before the peer counts as a flood."""

PIECE: Final = 256 * 1024
"""The largest piece of a stream, in octets."""


# Each begins with one octet, which is looked for by memchr; bytes.count looks at every octet.
_BARE_CR: Final = re.compile(rb"\r(?!\n)")
_BARE_LF: Final = re.compile(rb"\n(?<!\r\n)")


def has_bare(data: bytes) -> bool:
    """Whether there is a CR or LF that is not part of a CRLF."""
    return _BARE_LF.search(data) is not None or _BARE_CR.search(data) is not None


@value(frozen=True, slots=True)
class Longer:
    """Lines that may be longer than others: what they start with, in upper case, and their limit."""

    start: bytes
    limit: int


class InputBuffer:
    """Bytes that have arrived and were not taken yet."""

    __slots__ = ("_data", "_searched", "_skipped", "_start", "_tail")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0
        self._skipped = 0
        self._start = self._tail = b""

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def clear(self) -> None:
        """Forget everything, as STARTTLS requires (RFC 3207 4.2)."""
        self._data = bytearray()
        self._searched = self._skipped = 0

    def line(self, limit: int, longer: Longer | None = None) -> bytes | Literal[NeedData.NEED_DATA]:
        """The next line without its CRLF; `limit` counts octets with the CRLF. longer: which may have more.

        Raises LineTooLong, BareLineEnding (the line is consumed in both cases), Flood.
        """
        data = self._data
        length = len(data)
        end = data.find(b"\n", self._searched)
        if self._skipped or end >= limit or (end < 0 and length > limit):
            if longer is not None and data[: len(longer.start)].upper() == longer.start:
                return self.line(longer.limit)
            return self._skip(end, limit)
        if end < 0:
            self._searched = length
            return NEED_DATA
        self._searched = 0
        if end + 1 == length:
            # Who waits for answers sends one line at a time.
            line = bytes(data)
            data.clear()
        else:
            line = bytes(data[: end + 1])
            del data[: end + 1]
        if line.endswith(b"\r\n"):
            line = line[:-2]
            if b"\r" not in line and b"\0" not in line:
                return line
        line = line.removesuffix(b"\n")
        raise BareLineEnding(line[:START_KEPT], line[-TAIL_KEPT:])

    def _skip(self, end: int, limit: int) -> Literal[NeedData.NEED_DATA]:
        data = self._data
        self._searched = 0
        if not self._skipped:
            self._start = bytes(data[: min(START_KEPT, end if end >= 0 else START_KEPT)])
            self._tail = b""
        self._tail += bytes(data[max(0, end - TAIL_KEPT) : end] if end >= 0 else data[-TAIL_KEPT:])
        if end >= 0:
            del data[: end + 1]
            self._skipped = 0
            raise LineTooLong(limit, self._start, self._tail[-TAIL_KEPT - 1 :].removesuffix(b"\r"))
        self._tail = self._tail[-TAIL_KEPT:]
        self._skipped += len(data)
        data.clear()
        if self._skipped > SKIP_LIMIT:
            raise Flood
        return NEED_DATA

    def some(self, most: int) -> bytes | Literal[NeedData.NEED_DATA]:
        """Between 1 and `most` octets, as many as there are (at most one piece)."""
        data = self._data
        if not data:
            return NEED_DATA
        taken = bytes(data[: min(most, PIECE)])
        del data[: len(taken)]
        self._searched = 0
        return taken

    def exactly(self, count: int) -> bytes | Literal[NeedData.NEED_DATA]:
        """`count` octets; the caller has checked `count` against its limit."""
        data = self._data
        if len(data) < count:
            return NEED_DATA
        taken = bytes(data[:count])
        del data[:count]
        self._searched = 0
        return taken

    def peek(self, count: int) -> bytes:
        """Up to `count` octets, not taken."""
        return bytes(self._data[:count])


class DottedData:
    """Takes dot-stuffed data off a buffer, unstuffed, in pieces (RFC 5321 4.5.2).

    A piece never ends inside a CRLF. `bare` tells whether a CR or LF was seen that is not
    part of a CRLF; such data still ends at CRLF.CRLF alone, and is the caller's to refuse.
    """

    __slots__ = ("_buffer", "_ended", "_line_start", "bare")

    def __init__(self, buffer: InputBuffer) -> None:
        self._buffer = buffer
        self._line_start = True
        self._ended = False
        self.bare = False

    def take(self) -> bytes | Literal[NeedData.NEED_DATA] | Literal[EndOfData.END]:
        """The next piece, END after CRLF.CRLF (or an initial .CRLF), or NEED_DATA."""
        if self._ended:
            return END
        data = self._buffer._data
        pieces: list[bytes] = []
        position = total = 0
        while total < PIECE:
            if self._line_start and data[position : position + 1] == b".":
                mark = bytes(data[position : position + 3])
                if mark == b".\r\n":
                    position += 3
                    self._ended = True
                    break
                if len(mark) < 3 and b".\r\n".startswith(mark):
                    break
                position += 1
                self._line_start = False
            stuffed = data.find(b"\r\n.", position, position + PIECE)
            stop = stuffed + 2 if stuffed >= 0 else self._safe_end(position)
            if stop == position:
                break
            piece = bytes(data[position:stop])
            pieces.append(piece)
            total += len(piece)
            self._line_start = piece.endswith(b"\r\n")
            position = stop
        del data[:position]
        self._buffer._searched = 0
        if not pieces:
            return END if self._ended else NEED_DATA
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if has_bare(taken):
            self.bare = True
        return taken

    def _safe_end(self, position: int) -> int:
        """Where a piece without a stuffed line may stop: not between CR and LF."""
        data = self._buffer._data
        stop = min(len(data), position + PIECE)
        return stop - 1 if stop > position and data[stop - 1] == 13 else stop


class DotStuffer:
    """Dot-stuffs a stream for sending (RFC 5321 4.5.2, RFC 1939 3)."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"

    def stuff(self, piece: bytes) -> bytes:
        if not piece:
            return piece
        before = self._tail
        self._tail = (before + piece[-2:])[-2:]
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if before == b"\r\n" and piece.startswith(b"."):
            return b"." + stuffed
        if before.endswith(b"\r") and piece.startswith(b"\n."):
            return b"\n." + stuffed[1:]
        return stuffed

    def finish(self) -> bytes:
        """What ends the data: CRLF first if the content lacked it."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class CanonicalLines:
    """Makes CRLF of bare CR and LF in a stream, so that nothing we send can be read by a laxer
    peer as an end of data that is not one (RFC 5321 2.3.8, RFC 1939 3).

    `feed` each piece, then `finish`. Keeps at most one octet: a CR that may become CRLF.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        data = self._held + piece if self._held else piece
        self._held = b""
        if data.endswith(b"\r"):
            data, self._held = data[:-1], b"\r"
        if has_bare(data):
            data = _BARE.sub(b"\r\n", data)
        return data

    def finish(self) -> bytes:
        return b"\r\n" if self._held else b""
