"""A cursor over one command, and the productions that commands share (RFC 9051 9).

Rules:

1. The text of a command is its lines joined without their CRLFs; literals stand aside in
   a table keyed by the offset behind their announcement. What looks like an announcement
   anywhere else is not one.
2. Every taker either consumes a production whole or raises BadSyntax; none reads past a
   bound. Numbers have their RFC ranges. Nothing recurses.
3. Strings are octets. Quoted strings hold what UTF-8 allows (RFC 9051 9, QUOTED-CHAR), in
   rev1 too, because LOGIN comes before any ENABLE.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from protocols.errors import BadSyntax
from protocols.imap4 import mailboxnames
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.sets import STAR, SequenceSet

LIST_LIMIT: Final = 1000
"""Elements of one parenthesised list."""

SET_LIMIT: Final = 20_000
"""Elements of one sequence-set."""

FLAG_LIMIT: Final = 100
"""Octets of one keyword."""

# tag          = 1*<any ASTRING-CHAR except "+">
# atom-specials = "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\" / "]"
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,256}")
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_LIST_MAILBOX = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_NUMBER = re.compile(rb"[0-9]{1,20}")
_ANNOUNCED = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}")
_SEQUENCE = re.compile(rb"[0-9*:,]+")
_ELEMENT = re.compile(rb"(?:([1-9][0-9]{0,9})|\*)(?::(?:([1-9][0-9]{0,9})|(\*)))?")
_PLAIN_SET = re.compile(rb"[1-9][0-9]{0,9}(?:,[1-9][0-9]{0,9})*+")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
# date-text = date-day "-" date-month "-" date-year
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)

MONTHS: Final = (
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
)  # fmt: skip
_MONTH_NUMBER = {name.lower(): number for number, name in enumerate(MONTHS, 1)}

MAX32: Final = 0xFFFFFFFF
MAX63: Final = 0x7FFFFFFFFFFFFFFF

# A year has four digits, in UTC as well: that is how INTERNALDATE is told.
_FIRST_MOMENT: Final = timegm((1, 1, 1, 0, 0, 0))
_LAST_MOMENT: Final = timegm((9999, 12, 31, 23, 59, 59))

SYSTEM_FLAGS: Final = {
    flag.lower(): flag for flag in (b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft")
}


@dataclass(frozen=True, slots=True)
class Announced:
    """A literal that was announced and has not been read: `~{size+}`."""

    size: int
    synchronizing: bool
    binary: bool


class LiteralPending(Exception):
    """The cursor came to the announced literal where octets are needed to go on."""


def announced_at_end(line: bytes) -> Announced | None:
    """The literal announced at the end of a line, if there is one."""
    if not line.endswith(b"}"):
        return None
    start = line.rfind(b"{", max(0, len(line) - 24))
    found = (
        _ANNOUNCED.match(line, start - 1 if start and line[start - 1] == 126 else start)
        if start >= 0
        else None
    )
    if found is None or found.end() != len(line):
        return None
    return Announced(int(found[2]), not found[3], bool(found[1]))


class Cursor:
    """Where parsing stands in one command.

    pending: the literal announced at the end of `data`, when it was not read yet.
    """

    __slots__ = ("data", "dialect", "literals", "pending", "position")

    def __init__(
        self,
        data: bytes,
        position: int = 0,
        literals: Mapping[int, bytes] | None = None,
        dialect: Dialect = PLAIN,
        pending: Announced | None = None,
    ) -> None:
        self.data = data
        self.position = position
        self.literals = literals or {}
        self.dialect = dialect
        self.pending = pending

    def fail(self, what: str, code: bytes = b"") -> BadSyntax:
        return BadSyntax(what, self.position, code)

    def need(self, capability: bytes) -> None:
        """Raises BadSyntax where what comes here is switched off."""
        if capability in self.dialect.off:
            raise self.fail(f"nothing of {capability.decode()}, which is switched off")

    def _take(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self.data, self.position)
        if found is None:
            raise self.fail(what)
        self.position = found.end()
        return found[0]

    # Characters ------------------------------------------------------------------------

    def at(self, character: bytes) -> bool:
        """Whether the next octet is this one."""
        return self.data[self.position : self.position + 1] == character

    def skip(self, character: bytes) -> bool:
        """Take the octet if it is next."""
        if self.data[self.position : self.position + 1] == character:
            self.position += 1
            return True
        return False

    def space(self) -> None:
        if not self.skip(b" "):
            raise self.fail("a space")

    def expect(self, character: bytes) -> None:
        if not self.skip(character):
            raise self.fail(f'"{character.decode()}"')

    def end(self) -> None:
        """Nothing may follow."""
        if self.position != len(self.data):
            raise self.fail("the end of the command")

    @property
    def at_end(self) -> bool:
        return self.position == len(self.data)

    # Words -----------------------------------------------------------------------------

    def tag(self) -> bytes:
        return self._take(_TAG, "a tag")

    def atom(self) -> bytes:
        return self._take(_ATOM, "an atom")

    def word(self) -> bytes:
        """An atom in capitals: a keyword of the protocol."""
        return self._take(_ATOM, "a keyword").upper()

    def keyword(self, expected: bytes) -> bool:
        """Take the keyword (in capitals) if it is the next atom."""
        found = _ATOM.match(self.data, self.position)
        if found is None or found[0].upper() != expected:
            return False
        self.position = found.end()
        return True

    def number(self, highest: int = MAX32) -> int:
        """number, number64 (RFC 9051 9)."""
        start = self.position
        value = int(self._take(_NUMBER, "a number"))
        if value > highest:
            self.position = start
            raise self.fail(f"a number of at most {highest}")
        return value

    # Strings ---------------------------------------------------------------------------

    def string(self) -> bytes:
        """string = quoted / literal; literal8 is taken for a literal."""
        data, position = self.data, self.position
        if data[position : position + 1] == b'"':
            found = _QUOTED.match(data, position)
            if found is None:
                raise self.fail("a quoted string")
            self.position = found.end()
            text = found[1]
            if not text.isascii():
                try:
                    text.decode("utf-8")
                except UnicodeDecodeError:
                    raise self.fail("UTF-8 in a quoted string") from None
            return _ESCAPE.sub(rb"\1", text) if b"\\" in text else text
        announced = _ANNOUNCED.match(data, position)
        if announced is not None:
            end = announced.end()
            if end in self.literals:
                self.position = end
                return self.literals[end]
            if end == len(data) and self.pending is not None:
                raise LiteralPending
        raise self.fail("a string")

    def astring(self) -> bytes:
        """astring = 1*ASTRING-CHAR / string."""
        found = _ASTRING.match(self.data, self.position)
        if found is None:
            return self.string()
        if found.end() < len(self.data) and self.data[found.end()] == 123 and found[0] == b"~":
            return self.string()
        self.position = found.end()
        return found[0]

    def nstring(self) -> bytes | None:
        if self.keyword(b"NIL"):
            return None
        return self.string()

    def mailbox(self) -> str:
        return mailboxnames.decode(self.astring(), self.dialect.utf8)

    def list_mailbox(self) -> str:
        """list-mailbox = 1*list-char / string; an empty string is an empty pattern."""
        found = _LIST_MAILBOX.match(self.data, self.position)
        if found is None:
            return mailboxnames.decode(self.string(), self.dialect.utf8)
        self.position = found.end()
        return mailboxnames.decode(found[0], self.dialect.utf8)

    def message_literal(self) -> Announced:
        """The literal that ends an APPEND, not read yet (RFC 9051 6.3.12)."""
        announced = _ANNOUNCED.match(self.data, self.position)
        if announced is None or announced.end() != len(self.data) or self.pending is None:
            raise self.fail("a literal")
        self.position = announced.end()
        return self.pending

    # Lists -----------------------------------------------------------------------------

    def items(self) -> _Items:
        """Iterates over `(` item *(SP item) `)`: the caller takes one item each turn. An
        empty list gives no turn."""
        return _Items(self)

    def flag(self) -> bytes:
        r"""flag: a system flag in its one spelling, or a keyword. \Recent is no flag that
        a client can name (RFC 3501 9)."""
        start = self.position
        flag = self._take(_FLAG, "a flag")
        if len(flag) > FLAG_LIMIT:
            self.position = start
            raise self.fail(f"a keyword of at most {FLAG_LIMIT} octets")
        if flag[0] == 92:
            known = SYSTEM_FLAGS.get(flag.lower())
            if known is None:
                self.position = start
                raise self.fail("a system flag or a keyword")
            return known
        return flag

    def flag_list(self) -> tuple[bytes, ...]:
        flags = [self.flag() for _ in self.items()]
        return tuple(dict.fromkeys(flags))

    # Sets ------------------------------------------------------------------------------

    def sequence_set(self, uid: bool = False) -> SequenceSet:
        """sequence-set, or `$` (RFC 9051 9, seq-last-command)."""
        if self.skip(b"$"):
            return SequenceSet((), uid, saved=True)
        if self.dialect.uidonly and not uid:
            # RFC 9586 3; what `$` stands for is UIDs.
            raise self.fail("UIDs, once UIDONLY is enabled", b"UIDREQUIRED")
        start = self.position
        text = self._take(_SEQUENCE, "a sequence set")
        if text.isdigit() and len(text) < 10 and text[0] != 48:
            number = int(text)
            return SequenceSet(((number, number),), uid)
        if text.count(b",") >= SET_LIMIT:
            self.position = start
            raise self.fail(f"a sequence set of at most {SET_LIMIT} elements")
        ranges: list[tuple[int, int]] = []
        if _PLAIN_SET.fullmatch(text):
            numbers = list(map(int, text.split(b",")))
            if max(numbers) <= MAX32:
                return SequenceSet(tuple(zip(numbers, numbers, strict=True)), uid)
        for element in text.split(b","):
            found = _ELEMENT.fullmatch(element)
            if found is None:
                self.position = start
                raise self.fail("a sequence set")
            low = int(found[1]) if found[1] else STAR
            high = int(found[2]) if found[2] else STAR if found[3] else low
            if low > MAX32 or high > MAX32:
                self.position = start
                raise self.fail("message numbers of at most 32 bits")
            ranges.append((low, high))
        return SequenceSet(tuple(ranges), uid)

    # Dates -----------------------------------------------------------------------------

    def date(self) -> date:
        """date = date-text / DQUOTE date-text DQUOTE."""
        found = _DATE.match(self.data, self.position)
        try:
            if found is not None:
                day = date(int(found[4]), _MONTH_NUMBER[found[3].lower()], int(found[2]))
                self.position = found.end()
                return day
        except (KeyError, ValueError):
            pass
        raise self.fail("a date like 1-Feb-1994")

    def date_time(self) -> int:
        """date-time, as microseconds since the epoch."""
        found = _DATE_TIME.match(self.data, self.position)
        try:
            if found is not None:
                day = date(int(found[3]), _MONTH_NUMBER[found[2].lower()], int(found[1]))
                hour, minute, second = int(found[4]), int(found[5]), int(found[6])
                zone = (int(found[8]) * 60 + int(found[9])) * (-60 if found[7] == b"-" else 60)
                if hour < 24 and minute < 60 and second <= 60 and int(found[9]) < 60:
                    moment = timegm((day.year, day.month, day.day, hour, minute, second)) - zone
                    if _FIRST_MOMENT <= moment <= _LAST_MOMENT:
                        self.position = found.end()
                        return moment * 1_000_000
        except (KeyError, ValueError):
            pass
        raise self.fail('a date-time like "17-Jul-1996 02:44:25 -0700"')


class _Items:
    """The turns of a parenthesised list."""

    __slots__ = ("_count", "_cursor")

    def __init__(self, cursor: Cursor) -> None:
        cursor.expect(b"(")
        self._cursor = cursor
        self._count = 0

    def __iter__(self) -> _Items:
        return self

    def __next__(self) -> int:
        cursor = self._cursor
        if cursor.skip(b")"):
            raise StopIteration
        if self._count:
            cursor.space()
        self._count += 1
        if self._count > LIST_LIMIT:
            raise cursor.fail(f"a list of at most {LIST_LIMIT} elements")
        return self._count
