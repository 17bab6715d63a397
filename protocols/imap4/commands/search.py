"""SEARCH (RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 4731, RFC 5182, RFC 7162 3.1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands import searchkeys
from protocols.imap4.grammar import Cursor
from protocols.imap4.interfaces import Found
from protocols.imap4.keys import Key
from protocols.imap4.responses import No
from protocols.imap4.sets import SequenceSet, compact, encode_numbers

_RETURN: Final = frozenset({b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE"})


@dataclass(frozen=True, slots=True)
class Search:
    """returned: options of RETURN, None when there was none. key: None when the charset is
    not known, then `refusal` says so; that is a NO, and a saved result is lost by it
    (RFC 9051 6.4.4.1)."""

    uid: bool
    returned: tuple[bytes, ...] | None
    key: Key | None
    refusal: No | None = None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Search:
        cursor.space()
        returned: tuple[bytes, ...] | None = None
        if cursor.keyword(b"RETURN"):
            cursor.space()
            options = []
            for _ in cursor.items():
                start = cursor.position
                option = cursor.word()
                if option not in _RETURN:
                    cursor.position = start
                    raise cursor.fail("MIN, MAX, ALL, COUNT or SAVE")
                options.append(option)
            # An empty list asks for ALL (RFC 9051 6.4.4).
            returned = tuple(dict.fromkeys(options)) or (b"ALL",)
            cursor.space()
        charset = "utf-8"
        if cursor.keyword(b"CHARSET"):
            cursor.space()
            name = cursor.astring()
            cursor.space()
            try:
                charset = searchkeys.charset_named(name)
            except No as refusal:
                cursor.position = len(cursor.data)
                return cls(uid, returned, None, refusal)
        return cls(uid, returned, searchkeys.parse(cursor, charset))

    @property
    def numbered(self) -> bool:
        """Message numbers are among the keys."""
        return self.key is not None and searchkeys.asks_numbers(self.key)

    async def run(self, view: Any, channel: Channel) -> None:
        saves = self.returned is not None and b"SAVE" in self.returned
        saved = channel.saved
        if saves:
            channel.saved = ()
        if self.key is None:
            assert self.refusal is not None
            raise self.refusal
        with_modseq = searchkeys.asks_modseq(self.key)
        if with_modseq:
            channel.enable(condstore=True)
        found = await view.search(searchkeys.with_saved(self.key, saved))
        if saves:
            channel.saved = compact(self._to_save(found.uids))
        numbers = found.uids if self.uid else found.sequences
        if self.returned is None and not channel.dialect.rev2:
            channel.send(responses.search(numbers, found.modseq if with_modseq else 0))
            return
        returned = self.returned or (b"ALL",)
        if returned == (b"SAVE",):
            return
        data = self._data(returned, numbers)
        if with_modseq and found.uids:
            data.append(b"MODSEQ %d" % self._modseq(returned, found, view))
        channel.send(responses.esearch(channel.tag, self.uid, data))

    def _to_save(self, uids: Sequence[int]) -> Sequence[int]:
        """RFC 9051 6.4.4.1: MIN and MAX alone save no more than they tell."""
        assert self.returned is not None
        if b"ALL" in self.returned or b"COUNT" in self.returned or not uids:
            return uids
        ends = []
        if b"MIN" in self.returned:
            ends.append(uids[0])
        if b"MAX" in self.returned and (not ends or uids[-1] != ends[0]):
            ends.append(uids[-1])
        return ends or uids

    @staticmethod
    def _data(returned: Sequence[bytes], numbers: Sequence[int]) -> list[bytes]:
        """search-return-data; MIN, MAX and ALL are left out when nothing was found."""
        data = []
        for option in returned:
            if option == b"COUNT":
                data.append(b"COUNT %d" % len(numbers))
            elif numbers and option == b"MIN":
                data.append(b"MIN %d" % numbers[0])
            elif numbers and option == b"MAX":
                data.append(b"MAX %d" % numbers[-1])
            elif numbers and option == b"ALL":
                data.append(b"ALL " + encode_numbers(numbers))
        return data

    @staticmethod
    def _modseq(returned: Sequence[bytes], found: Found, view: Any) -> int:
        """RFC 7162 3.1.10: with MIN or MAX alone it is that of the messages told."""
        if b"ALL" in returned or b"COUNT" in returned:
            return found.modseq
        ends = []
        if b"MIN" in returned:
            ends.append(found.uids[0])
        if b"MAX" in returned:
            ends.append(found.uids[-1])
        if not ends:
            return found.modseq
        which = SequenceSet(tuple((uid, uid) for uid in ends), uid=True)
        return max((row.modseq for rows in view.rows(which) for row in rows), default=found.modseq)
