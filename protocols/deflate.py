"""DEFLATE under a conversation (RFC 4978), with bounded memory and bounded inflation.

1. What came in is kept packed, and unpacked PIECE octets at a time, only when the conversation
   asks for input; so a small packet that inflates to very much is met by the same limits as if
   it had been sent as it is.
2. Outgoing, a small window and quick compression: about 40 KiB a connection, and a quarter of a
   mebibyte is packed in a few milliseconds. Incoming, the peer may use any window (32 KiB).
"""

from __future__ import annotations

import zlib
from typing import Final

from protocols.lines import InputBuffer

PIECE: Final = 32 * 1024


class BadStream(Exception):
    """What came in is not DEFLATE, or ended."""


class Deflate:
    """Both directions of one connection."""

    __slots__ = ("_more", "_packed", "_packer", "_unpacker")

    def __init__(self) -> None:
        self._packer = zlib.compressobj(1, zlib.DEFLATED, -12, 5)
        self._unpacker = zlib.decompressobj(-15)
        self._packed = b""
        self._more = False

    def pack(self, data: bytes) -> bytes:
        """Octets to send, complete up to here."""
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def feed(self, data: bytes) -> None:
        self._packed += data

    @property
    def waiting(self) -> int:
        """Packed octets that came in and were not asked for."""
        return len(self._packed)

    def into(self, buffer: InputBuffer) -> bool:
        """Unpack the next piece; False when there is none. Raises BadStream."""
        if not self._packed and not self._more:
            return False
        try:
            data = self._unpacker.decompress(self._packed, PIECE)
        except zlib.error:
            raise BadStream from None
        self._packed = self._unpacker.unconsumed_tail
        self._more = len(data) == PIECE
        if self._unpacker.eof:
            raise BadStream
        buffer.feed(data)
        return bool(data)
