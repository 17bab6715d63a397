"""Flags between the wire and the index (RFC 9051 2.3.2).

On the wire a flag is bytes; in the index system flags are bits of a small number and
keywords bits of a large one, with names per mailbox.
"""

from __future__ import annotations

from collections.abc import Sequence

from imsd.errors import NotPermitted
from imsd.store.flags import DELETED, FLAGGED, NAMES, SEEN

SYSTEM = tuple((bit, name.encode()) for name, bit in NAMES.items())
SYSTEM_BITS = {name.lower(): bit for bit, name in SYSTEM}
ALL_SYSTEM = b" ".join(name for _bit, name in SYSTEM)
RECENT = b"\\Recent"
RECENT_BIT = 1 << 5

__all__ = ["ALL_SYSTEM", "DELETED", "FLAGGED", "RECENT_BIT", "SEEN", "Words", "parse"]


def parse(flags: Sequence[bytes]) -> tuple[int, tuple[str, ...]]:
    """System bits and keyword names of flags that a client sets.

    \\Recent is the server's own and other backslash flags do not exist (RFC 9051 2.3.2):
    NotPermitted.
    """
    bits = 0
    names: list[str] = []
    for flag in flags:
        if not flag.startswith(b"\\"):
            names.append(flag.decode("ascii", "replace"))
            continue
        bit = SYSTEM_BITS.get(flag.lower())
        if bit is None:
            raise NotPermitted("That flag cannot be changed")
        bits |= bit
    return bits, tuple(names)


class Words:
    """The text of sets of flags, remembered: a mailbox uses few different ones."""

    __slots__ = ("_known", "_texts")

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()
        self._texts: dict[int, bytes] = {}

    def text(self, flags: int, keywords: int, names: tuple[str, ...]) -> bytes:
        """Names joined by spaces. flags may have RECENT_BIT."""
        if names is not self._known:
            self._texts.clear()
            self._known = names
        key = keywords << 6 | flags
        found = self._texts.get(key)
        if found is None:
            if len(self._texts) > 10_000:
                self._texts.clear()
            found = self._texts[key] = self._join(flags, keywords, names)
        return found

    @staticmethod
    def _join(flags: int, keywords: int, names: tuple[str, ...]) -> bytes:
        words = [name for bit, name in SYSTEM if flags & bit]
        if flags & RECENT_BIT:
            words.append(RECENT)
        words.extend(name.encode() for bit, name in enumerate(names) if keywords >> bit & 1)
        return b" ".join(words)
