"""Keys of SEARCH as tests of one message.

A test answers True, False, or None for "not from what is known so far" of a `Candidate`. Compiling
says what has to be known of messages that stay undecided: texts, fields, dates, identities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from imsd.sessions.imap4 import fuzzy, identities, marks
from imsd.sessions.imap4.dates import DAY, days, sent_day
from imsd.sessions.imap4.fuzzy import Lexicon, Tally
from imsd.sessions.imap4.narrowing import Narrowed
from imsd.store.contents import Content
from imsd.store.flags import IndexRow
from protocols.imap4 import keys
from protocols.imap4.keys import Key
from protocols.imap4.sets import SequenceSet, contains

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View


class Candidate:
    """One message under test; what is not known yet is None."""

    __slots__ = ("content", "fields", "flags", "number", "readable", "row", "tallies", "text")

    def __init__(self, number: int, row: IndexRow, flags: int) -> None:
        self.number = number
        self.row = row
        self.flags = flags
        self.content: Content | None = None
        # The values of wanted fields by their name, folded; the whole header, folded.
        self.fields: dict[bytes, list[str]] | None = None
        self.readable: str | None = None
        # For each wanted text whether the body has it, once the body was looked at.
        self.text: dict[str, bool] | None = None
        # Of keys that are matched fuzzily, what was found of their words so far.
        self.tallies: dict[Key, Tally] = {}

    def hit(self, score: int) -> Hit:
        return self.number, self.row.uid, self.row.modseq, score


Hit = tuple[int, int, int, int]
"""Message number, UID, mod-sequence, relevancy."""
Test = Callable[[Candidate], bool | None]


class Judge:
    """The keys of one search. texts, fields: what content is looked at for, folded. anywhere: the
    header is, too. dated, identity: whether these columns are asked for. lexicons: of keys that are
    matched fuzzily. narrowed: what the search index denies, once that is known."""

    def __init__(self, view: View, fold: Callable[[str], str]) -> None:
        self.view = view
        self.told = view.told
        self._fold = fold
        self.texts: set[str] = set()
        self.fields: set[bytes] = set()
        self.anywhere = False
        self.identity = self.dated = False
        self.lexicons: dict[keys.Fuzzy, Lexicon] = {}
        self._words = 0
        self.narrowed = Narrowed()
        self._names = {name.lower(): bit for bit, name in enumerate(view.index.names)}

    def compile(self, key: Key) -> Test:
        match key:
            case keys.All():
                return lambda candidate: True
            case keys.Flag(name, present):
                return self._flag(name, present)
            case keys.Recent(present):
                recent = self.view.is_recent
                return lambda candidate: recent(candidate.row.uid) is present
            case keys.Larger(size):
                return lambda candidate: candidate.row.size > size
            case keys.Smaller(size):
                return lambda candidate: candidate.row.size < size
            case keys.Internal(when, day):
                low, high = days(when, day)
                return lambda candidate: low <= candidate.row.date // DAY < high
            case keys.Sent(when, day):
                self.dated = True
                low, high = days(when, day)
                return lambda candidate: _sent(candidate, low, high)
            case keys.Saved(when, day):
                self.identity = True
                low, high = days(when, day)
                return lambda candidate: _saved(candidate, low, high)
            case keys.Within(seconds, older):
                limit = self.view.held.now() - seconds * 1_000_000
                return lambda candidate: (candidate.row.date <= limit) is older
            case keys.Identity(name, thread):
                self.identity = True
                return self._identity(name, thread)
            case keys.Numbers(which):
                return self._numbers(which)
            case keys.ModSeqAtLeast(value):
                return lambda candidate: candidate.row.modseq >= value
            case keys.Header(_, text):
                field, wanted = field_of(key), self._fold(text)
                self.fields.add(field)
                return self._unless_denied(key, lambda candidate: _has_field(candidate, field, wanted))
            case keys.Body(text):
                return self._unless_denied(key, self._body(self._fold(text)))
            case keys.Text(text):
                return self._unless_denied(key, self._anywhere(self._fold(text)))
            case keys.Fuzzy():
                return self._fuzzily(key)
            case keys.Filter(name):
                raise AssertionError(f"the filter {name!r} was not replaced")
            case keys.Not(inner):
                return _negation(self.compile(inner))
            case keys.Or(left, right):
                return _any([self.compile(left), self.compile(right)], keys.is_fuzzy(key))
            case keys.And(inner_keys):
                return _all([self.compile(one) for one in inner_keys])

    def _unless_denied(self, key: Key, test: Test) -> Test:
        return lambda candidate: False if self.narrowed.denies(key, candidate.row) else test(candidate)

    def _fuzzily(self, key: keys.Fuzzy) -> Test:
        inner = key.key
        if isinstance(inner, keys.All | keys.Filter):
            return self.compile(inner)
        found = fuzzy.words_of(inner.text)
        if not found or (key not in self.lexicons and self._words + len(found) > fuzzy.WORDS):
            return self.compile(inner)
        if key not in self.lexicons:
            self._words += len(found)
            self.lexicons[key] = Lexicon(found)

        def test(candidate: Candidate) -> bool | None:
            tally = candidate.tallies.get(key)
            if tally is None or (candidate.text is None and not isinstance(inner, keys.Header)):
                return None
            return tally.matched

        return self._unless_denied(key, test)

    def _flag(self, name: bytes, present: bool) -> Test:
        bit = marks.SYSTEM_BITS.get(name.lower())
        if bit is not None:
            return lambda candidate: bool(candidate.flags & bit) is present
        number = self._names.get(name.decode("ascii", "replace").lower())
        if number is None:
            return lambda candidate: not present
        mask = 1 << number
        return lambda candidate: bool(candidate.row.keywords & mask) is present

    def _identity(self, name: bytes, thread: bool) -> Test:
        owner = self.view.place.mailbox.account

        def test(candidate: Candidate) -> bool | None:
            content = candidate.content
            if content is None:
                return None
            if thread:
                return identities.thread(content.message_id, content.references) == name
            return identities.email(owner, content.email) == name

        return test

    def _numbers(self, which: SequenceSet) -> Test:
        ranges = which.resolve(self.told.last if which.uid else len(self.told))
        if which.uid:
            return lambda candidate: contains(ranges, candidate.row.uid)
        return lambda candidate: contains(ranges, candidate.number)

    def _body(self, wanted: str) -> Test:
        if not wanted:
            return lambda candidate: True
        self.texts.add(wanted)
        return lambda candidate: None if candidate.text is None else candidate.text[wanted]

    def _anywhere(self, wanted: str) -> Test:
        body = self._body(wanted)
        self.anywhere = True

        def test(candidate: Candidate) -> bool | None:
            if candidate.readable is not None and wanted in candidate.readable:
                return True
            return body(candidate)

        return test


def _negation(test: Test) -> Test:
    def negated(candidate: Candidate) -> bool | None:
        verdict = test(candidate)
        return None if verdict is None else not verdict

    return negated


def _all(tests: Sequence[Test]) -> Test:
    def every(candidate: Candidate) -> bool | None:
        result: bool | None = True
        for test in tests:
            verdict = test(candidate)
            if verdict is False:
                return False
            if verdict is None:
                result = None
        return result

    return every


def _any(tests: Sequence[Test], whole: bool = False) -> Test:
    """whole: all of them are decided, whichever is true."""

    def some(candidate: Candidate) -> bool | None:
        result: bool | None = False
        for test in tests:
            verdict = test(candidate)
            if verdict and not whole:
                return True
            if verdict is None:
                result = None
            elif verdict and result is not None:
                result = True
        return result

    return some


def field_of(key: keys.Header) -> bytes:
    return key.name.encode("ascii", "replace").lower()


def _sent(candidate: Candidate, low: int, high: int) -> bool | None:
    """By the day in the sender's own zone; a message without a readable Date never matches."""
    content = candidate.content
    if content is None:
        return None
    return low <= sent_day(content.date, content.date_offset) < high


def _saved(candidate: Candidate, low: int, high: int) -> bool | None:
    """By the day it came into the mailbox; by the internal date where that is not known."""
    content = candidate.content
    if content is None:
        return None
    moment = candidate.row.date if content.saved is None else content.saved
    return low <= moment // DAY < high


def _has_field(candidate: Candidate, name: bytes, wanted: str) -> bool | None:
    if candidate.fields is None:
        return None
    values = candidate.fields[name]
    return any(wanted in value for value in values) if wanted else bool(values)
