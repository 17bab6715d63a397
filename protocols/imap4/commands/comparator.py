"""COMPARATOR (RFC 5255 4.7): how text is compared by SEARCH, SORT and THREAD."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4.channel import Channel
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed, No
from protocols.message.collation import COMPARATORS, DEFAULT

MOST: Final = 50
#: collation-order = ["+" / "-"] collation-wild (RFC 4790 3.2, 3.3)
_ORDER: Final = re.compile(r"([+-]?)([A-Za-z*][A-Za-z0-9;=.*-]{0,253})")


@dataclass(frozen=True, slots=True)
class Comparator:
    """orders: what the client would have, best first; none to ask for the active one. There is no
    reversed order (`-`) here."""

    orders: tuple[str, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Comparator:
        # comparator-cmd = "COMPARATOR" *(SP comp-order-quoted)
        orders: list[str] = []
        while cursor.skip(b" "):
            start = cursor.position
            order = cursor.astring().decode("ascii", "replace").lower()
            if not _ORDER.fullmatch(order) or "**" in order:
                cursor.position = start
                raise cursor.fail("a comparator")
            orders.append(order)
            if len(orders) > MOST:
                raise cursor.fail(f"at most {MOST} comparators")
        return cls(tuple(orders))

    async def run(self, account: Any, channel: Channel) -> Completed | None:
        if not self.orders:
            channel.send(b"* COMPARATOR %b\r\n" % channel.dialect.comparator.encode())
            return None
        matching = list(dict.fromkeys(name for order in self.orders for name in _matching(order)))
        if not matching:
            raise No(b"BADCOMPARATOR", "There is no such comparator")
        channel.enable(comparator=matching[0])
        # comparator-data = "COMPARATOR" SP comp-sel-quoted [SP "(" comp-id-quoted ... ")"]
        others = b" (%b)" % " ".join(matching).encode() if len(matching) > 1 else b""
        channel.send(b"* COMPARATOR %b%b\r\n" % (matching[0].encode(), others))
        return Completed(b"", f"Will use {matching[0]} for collation")


def _matching(order: str) -> list[str]:
    """The names of comparators that an argument matches."""
    if order == "default":
        return [DEFAULT]
    found = _ORDER.fullmatch(order)
    if found is None or found[1] == "-":
        return []
    pieces = found[2].split("*")
    return [name for name in COMPARATORS if _matches(name, pieces)]


def _matches(name: str, pieces: list[str]) -> bool:
    """Whether the name is the pieces with anything between them; in one pass, whatever they are."""
    if len(pieces) == 1:
        return name == pieces[0]
    first, *middle, last = pieces
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, stop = len(first), len(name) - len(last)
    for piece in middle:
        at = name.find(piece, at, stop)
        if at < 0:
            return False
        at += len(piece)
    return True
