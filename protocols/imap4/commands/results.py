"""What of the messages found is told: RETURN options of SEARCH and SORT (RFC 4731, RFC 5182,
RFC 5267, RFC 6203, RFC 9051 6.4.4, RFC 9394)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4.commands.fetch import attribute_list
from protocols.imap4.commands.partial import Range
from protocols.imap4.grammar import Cursor
from protocols.imap4.sets import SequenceSet, encode_numbers
from protocols.imap4.values import Found

OPTIONS: Final = frozenset({b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE", b"RELEVANCY"})


@dataclass(frozen=True, slots=True)
class Returned:
    """The options of RETURN in the client's order. update: results are kept up to date (RFC 5267
    4.3); items: what is fetched of new ones (RFC 5465 7). CONTEXT is a hint that is not needed."""

    options: tuple[bytes, ...] = (b"ALL",)
    partial: Range | None = None
    update: bool = False
    items: tuple[object, ...] = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> Returned | None:
        """`RETURN (...) `, if that comes next."""
        if not cursor.keyword(b"RETURN"):
            return None
        cursor.need(b"ESEARCH")
        cursor.space()
        options: list[bytes] = []
        partial = None
        update = hinted = False
        fetched: tuple[object, ...] = ()
        for _ in cursor.items():
            start = cursor.position
            option = cursor.word()
            if option in (b"CONTEXT", b"UPDATE"):
                cursor.need(b"CONTEXT=SEARCH")
            if option == b"CONTEXT":
                hinted = True
                continue
            if option == b"UPDATE" and not update:
                update = True
                if cursor.data[cursor.position : cursor.position + 2] == b" (":
                    cursor.space()
                    fetched = attribute_list(cursor)
                continue
            if option == b"SAVE":
                cursor.need(b"SEARCHRES")
            if option == b"PARTIAL" and partial is None:
                cursor.need(b"PARTIAL")
                cursor.space()
                partial = Range.parse(cursor)
            elif option == b"RELEVANCY":
                cursor.need(b"SEARCH=FUZZY")
            elif option not in OPTIONS:
                cursor.position = start
                raise cursor.fail("MIN, MAX, ALL, COUNT, SAVE, PARTIAL, RELEVANCY, UPDATE or CONTEXT")
            options.append(option)
        if partial is not None and b"ALL" in options:
            raise cursor.fail("ALL or PARTIAL")
        cursor.space()
        # An empty list asks for ALL (RFC 9051 6.4.4).
        told = tuple(dict.fromkeys(options)) or (() if update or hinted else (b"ALL",))
        return cls(told, partial, update, fetched)

    @property
    def saves(self) -> bool:
        return b"SAVE" in self.options

    @property
    def silent(self) -> bool:
        return self.options == (b"SAVE",)

    def to_save(self, uids: Sequence[int]) -> Iterable[int]:
        """RFC 9051 6.4.4.1, RFC 9394 3.2: MIN, MAX and PARTIAL save no more than they tell."""
        if self._all or self.silent or not uids:
            return uids
        return sorted(self._told(uids))

    @property
    def _all(self) -> bool:
        """Something is told of every message found. RELEVANCY is told of those that PARTIAL tells."""
        asked = {b"ALL", b"COUNT"} if self.partial is not None else {b"ALL", b"COUNT", b"RELEVANCY"}
        return not asked.isdisjoint(self.options)

    def _told(self, uids: Sequence[int]) -> set[int]:
        """The UIDs told by MIN, MAX and PARTIAL."""
        told: set[int] = set() if self.partial is None else set(self.partial.of(uids))
        if b"MIN" in self.options:
            told.add(uids[0])
        if b"MAX" in self.options:
            told.add(uids[-1])
        return told

    def data(self, numbers: Sequence[int], scores: Sequence[int] = ()) -> list[bytes]:
        """search-return-data; MIN, MAX and ALL are left out when nothing was found. scores: of
        each of the numbers, in the same order."""
        data = []
        for option in self.options:
            if option == b"COUNT":
                data.append(b"COUNT %d" % len(numbers))
            elif option == b"PARTIAL":
                assert self.partial is not None
                some = self.partial.of(numbers)
                data.append(b"PARTIAL (%b %b)" % (self.partial.text, encode_numbers(some) or b"NIL"))
            elif option == b"RELEVANCY":
                # score-list = "(" [score *(SP score)] ")"
                told = scores if self.partial is None else self.partial.of(scores)
                data.append(b"RELEVANCY (%b)" % b" ".join([b"%d" % score for score in told]))
            elif numbers and option == b"MIN":
                data.append(b"MIN %d" % numbers[0])
            elif numbers and option == b"MAX":
                data.append(b"MAX %d" % numbers[-1])
            elif numbers and option == b"ALL":
                data.append(b"ALL " + encode_numbers(numbers))
        return data

    def modseq(self, uids: Sequence[int], found: Found, view: Any) -> int:
        """RFC 7162 3.1.10: with MIN, MAX or PARTIAL alone it is that of the messages told."""
        if self._all:
            return found.modseq
        told = self._told(uids)
        if not told:
            return found.modseq
        which = SequenceSet(tuple((uid, uid) for uid in told), uid=True)
        return max((row.modseq for rows in view.rows(which) for row in rows), default=found.modseq)
