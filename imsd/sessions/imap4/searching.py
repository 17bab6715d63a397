"""SEARCH: keys evaluated over what was told, in slices that never keep the reactor (rule 12).

Every key becomes a test of one message that answers True, False, or None for "not from what
is known so far". First all tests run on the mailbox index, and on what the search index denies
(`narrowing`); messages that stay undecided are read in batches: header and date first, decoded
text only where that leaves them undecided.
Substrings are matched in text mapped by the active comparator (RFC 5255 4.6) after charset and
transfer decoding (RFC 9051 6.4.4), so a search never depends on how a sender wrapped or encoded.
What is matched fuzzily is tallied word by word instead (`fuzzy`); then no part of a key is left
undecided that the relevancy comes from.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from unicodedata import normalize

from imsd.errors import Refusal
from imsd.sessions.imap4 import fuzzy, identities, marks, narrowing
from imsd.sessions.imap4.columns import Column, Columns, Run, at_once, places
from imsd.sessions.imap4.dates import DAY, days, sent_day
from imsd.sessions.imap4.fuzzy import Lexicon, Tally
from imsd.sessions.imap4.narrowing import Narrowed
from imsd.sessions.imap4.reading import Message, read
from imsd.sessions.imap4.remembered import FIELDS
from imsd.slices import SLICE
from imsd.store import sortkeys
from imsd.store.contents import Content
from imsd.store.flags import IndexRow
from imsd.store.search import texts
from protocols.imap4 import keys
from protocols.imap4.interfaces import Found, Needs
from protocols.imap4.keys import Key
from protocols.imap4.sets import Ranges, SequenceSet, contains
from protocols.message import headers, words
from protocols.message.collation import COMPARATORS, DEFAULT
from protocols.message.part import MESSAGE, SCAN_VERSION, Part
from protocols.message.text import TextDecoder

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

BATCH = 50
COLUMNS = 500
"""Messages of which only columns are read, together."""
PAGE = 2000
"""Dates that are read together."""
MANY = 64
"""Ranges of messages from which all in between is gone through."""


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


async def search(view: View, key: Key, comparator: str = DEFAULT) -> Found:
    return await _Search(view, key, comparator).run()


class _Search:
    """One search under way. It goes through what was told in windows, so that what it keeps
    of messages under test is bounded, and matches come in order."""

    def __init__(self, view: View, key: Key, comparator: str) -> None:
        self.view = view
        self._fold = COMPARATORS[comparator]
        self.told = view.told
        self.texts: set[str] = set()
        self.fields: set[bytes] = set()
        self.anywhere = False
        self.identity = self.dated = False
        self._known = view.held.remembered
        self._plain = comparator == DEFAULT
        self._lexicons: dict[keys.Fuzzy, Lexicon] = {}
        self._words = 0
        self._narrowed = Narrowed()
        self._key = key
        self._names = {name.lower(): bit for bit, name in enumerate(view.index.names)}
        self._since = time.perf_counter()
        self._most = at_once(key)
        self._limits: Ranges = ()
        self._done = self._goal = 0
        self._ranked = keys.is_fuzzy(key)

    async def run(self) -> Found:
        sequences, uids, scores = array("I"), array("I"), array("B")
        highest = 0
        # Each of these takes some milliseconds where a set fills a whole line.
        self._limits = _limits(self.view, self._key)
        self._goal = sum(high - low + 1 for low, high in self._limits)
        await self._breathe()
        self._test = self.compile(self._key)
        await self._breathe()
        self._narrowed = await narrowing.narrow(self.view, self._key)
        await self._learn_days()
        columns = Columns(self.view, self._narrowed, self._known, self._lexicons, self._plain).compile(
            self._key
        )
        await self._breathe()
        seen = bytearray(len(self.told))
        late = False
        async for run in self._runs(seen):
            found, undecided = self._sifted(run, columns)
            if undecided:
                found += await self._decided(undecided)
                found.sort()
            if found:
                numbers, some, modseqs, relevancies = zip(*found, strict=True)
                if self._ranked:
                    scores.extend(relevancies)
                sequences.extend(numbers)
                uids.extend(some)
                highest = max(highest, *modseqs)
            await self._breathe()
        # What was expunged before its turn and not told yet.
        for rows in self._left_over(seen):
            for number, uid, modseq, score in await self._decided(rows):
                late = True
                if self._ranked:
                    scores.append(score)
                sequences.append(number)
                uids.append(uid)
                highest = max(highest, modseq)
        if late:
            order = sorted(range(len(uids)), key=uids.__getitem__)
            sequences = array("I", [sequences[at] for at in order])
            uids = array("I", [uids[at] for at in order])
            scores = array("B", [scores[at] for at in order] if self._ranked else ())
        return Found(sequences, uids, highest, scores)

    async def _learn_days(self) -> None:
        """Have the days of the Date fields at hand, where they are asked for."""
        if not self.dated:
            return
        known = self._known.days
        for segment in tuple(self.view.index.segments):
            missing = [blob for blob in segment.blobs if blob not in known]
            for at in range(0, len(missing), PAGE):
                rows = await self.view.held.db.read(sortkeys.dates, missing[at : at + PAGE])
                for blob, moment, offset, version in rows:
                    if version == SCAN_VERSION:
                        self._known.learn_day(blob, sent_day(moment, offset))
            await self._breathe()

    async def _runs(self, seen: bytearray) -> AsyncIterator[Run]:
        """Told messages that are in the index, ascending, each taken when it is asked for: while
        others have their turn the index changes. seen: the positions that came."""
        told, index = self.told, self.view.index
        limits = self._limits
        if len(limits) > MANY:
            limits = ((limits[0][0], limits[-1][1]),)
        for low, high in limits:
            after, last = told[low] - 1, told[high]
            while after < last:
                segment = next((one for one in index.segments_from(after + 1) if one.uids[-1] > after), None)
                if segment is None:
                    break
                uids = segment.uids
                start = bisect_right(uids, after)
                stop = min(bisect_right(uids, last), start + self._most)
                if start >= stop:
                    break
                first = told.position(uids[start])
                if told.position(uids[stop - 1]) == first + stop - start - 1:
                    seen[first : first + stop - start] = b"\1" * (stop - start)
                    run = Run(segment, start, stop, first)
                else:
                    for position in map(told.position, uids[start:stop]):
                        seen[position] = 1
                    run = Run(segment, start, stop, -1)
                after = uids[stop - 1]
                self._done += stop - start
                yield run

    def _sifted(self, run: Run, columns: Column) -> tuple[list[Hit], list[Candidate]]:
        """What matches of a run, and what has to be looked at."""
        may, must = columns(run)
        if self._ranked:
            # The relevancy comes from every part of the key.
            must = 0
        segment, start, first = run.segment, run.start, run.position + 1
        position = self.told.position
        found: list[Hit] = []
        uids, modseqs = segment.uids, segment.modseqs
        if must and first:
            found = [(first + at, uids[start + at], modseqs[start + at], 0) for at in places(must, len(run))]
        elif must:
            for at in places(must, len(run)):
                uid = uids[start + at]
                found.append((position(uid) + 1, uid, modseqs[start + at], 0))
        undecided: list[Candidate] = []
        if may != must:
            for at in places(may & ~must, len(run)):
                row = segment.row(start + at)
                number = first + at if first else position(row.uid) + 1
                undecided.append(Candidate(number, row, self.view.shown(row)))
        return found, undecided

    def _left_over(self, seen: bytearray) -> Iterator[list[Candidate]]:
        for low, high in self._limits:
            at = seen.find(0, low, high + 1)
            while at >= 0:
                row = self.view.index.departed_row(self.told[at])
                if row is not None:
                    yield [Candidate(at + 1, row, self.view.shown(row))]
                at = seen.find(0, at + 1, high + 1)

    async def _breathe(self) -> None:
        if time.perf_counter() - self._since > SLICE:
            self.view.owner.progress(self._done, self._goal)
            await self.view.held.breath()
            self._since = time.perf_counter()

    async def _decided(self, candidates: list[Candidate]) -> list[Hit]:
        """What matches among messages that are looked at one by one."""
        test = self._test
        found: list[Hit] = []
        undecided: list[Candidate] = []
        for candidate in candidates:
            verdict = test(candidate)
            if verdict:
                found.append(candidate.hit(self._score(candidate)))
            elif verdict is None:
                undecided.append(candidate)
            if time.perf_counter() - self._since > SLICE:
                await self._breathe()
        most = BATCH if self.texts or self.fields or self._lexicons else COLUMNS
        for at in range(0, len(undecided), most):
            found += await self._on_content(undecided[at : at + most])
        return found

    async def _on_content(self, batch: list[Candidate]) -> list[Hit]:
        """What matches among messages whose content has to be looked at."""
        found: list[Hit] = []
        text = bool(self.texts) or any(not isinstance(one.key, keys.Header) for one in self._lexicons)
        header = bool(self.fields) or self.anywhere or bool(self._lexicons)
        needs = Needs(header=header, scan=text, content=text, identity=self.identity)
        content = await read(self.view, [candidate.row.uid for candidate in batch], needs)
        for candidate in batch:
            item = content.get(candidate.row.uid)
            if item is None:
                continue
            try:
                if await self._decide(self._test, candidate, item, needs):
                    found.append(candidate.hit(self._score(candidate)))
            except Refusal as refusal:
                if refusal.temporary:
                    raise
            await self._breathe()
        return found

    async def _decide(self, test: Test, candidate: Candidate, item: Content, needs: Needs) -> bool:
        message = Message(self.view.held, item, self.view.place.mailbox.account)
        # A row that an older scanner filled is made whole even where only its date is asked for.
        await message.complete(replace(needs, scan=False, identity=True), self.view.dialect)
        candidate.content = item
        await self._take_fields(candidate, item.prefix + message.header)
        await self._tally_fields(candidate, item.prefix + message.header)
        verdict = test(candidate)
        if verdict is None and needs.scan:
            await message.complete(needs, self.view.dialect)
            await self._tally_body(candidate, message)
            candidate.text = self._look_at(item.data, message) or await self._look(message)
            verdict = test(candidate)
        return bool(verdict)

    def _score(self, candidate: Candidate) -> int:
        return fuzzy.relevancy(self._key, candidate.tallies, self._lexicons) if self._ranked else 0

    # Fuzzy matching --------------------------------------------------------------------

    async def _tally_fields(self, candidate: Candidate, header: bytes) -> None:
        """Count the words of the header that fuzzy keys ask for."""
        wanted: dict[bytes, list[Tally]] = {}
        everywhere: list[Tally] = []
        for key, lexicon in self._lexicons.items():
            tally = candidate.tallies[key] = Tally(lexicon, isinstance(key.key, keys.Header))
            if isinstance(key.key, keys.Header):
                wanted.setdefault(_field(key.key), []).append(tally)
            elif isinstance(key.key, keys.Text):
                everywhere.append(tally)
        if not wanted and not everywhere:
            return
        for field in headers.scan(header):
            name = field.name.lower()
            tallies = [*wanted.get(name, ()), *everywhere]
            for chunk in texts.chunks(field.text) if tallies else ():
                await self._add(tallies, chunk, fuzzy.WEIGHT if name in fuzzy.HEAVY else 1)
            for tally in tallies:
                tally.end(fuzzy.WEIGHT if name in fuzzy.HEAVY else 1)

    async def _tally_body(self, candidate: Candidate, message: Message) -> None:
        """Count the words of the body that fuzzy keys ask for."""
        tallies = [
            tally for key, tally in candidate.tallies.items()
            if isinstance(key, keys.Fuzzy) and not isinstance(key.key, keys.Header)
        ]  # fmt: skip
        if not tallies:
            return
        assert message.scan is not None
        for part in message.scan.walk():
            if part.is_text:
                async for text in self._decoded_part(message, part):
                    await self._add(tallies, text)
            elif part.kind == MESSAGE and part.children:
                inner = part.children[0]
                await self._add(tallies, words.decode(await message.read(inner.start, inner.body)))
            for tally in tallies:
                tally.end()

    async def _add(self, tallies: Sequence[Tally], text: str, weight: int = 1) -> None:
        text = text if text.isascii() else normalize("NFC", text)
        for tally in tallies:
            for piece in tally.pieces(text):
                tally.add(piece, weight)
                await self._breathe()

    # Texts as they are -----------------------------------------------------------------

    async def _take_fields(self, candidate: Candidate, header: bytes) -> None:
        """Have what the keys ask of the header, each field decoded once."""
        # The fields that are asked for most are remembered together.
        learning = (
            self._plain
            and not self.fields.isdisjoint(FIELDS)
            and candidate.row.blob not in self._known.fields
        )
        names = self.fields.union(FIELDS) if learning else self.fields
        found: dict[bytes, list[str]] = {name: [] for name in names}
        lines: list[str] = []
        if found or self.anywhere:
            for count, field in enumerate(headers.scan(header)):
                wanted = found.get(field.name.lower())
                if wanted is not None or self.anywhere:
                    text = await self._decoded(field.text)
                    if wanted is not None:
                        wanted.append(text)
                    if self.anywhere:
                        lines.append(self._fold(field.name.decode("ascii", "replace")) + ": " + text)
                if not count % 32:
                    await self._breathe()
        candidate.fields = found
        if learning:
            self._known.learn_fields(candidate.row.blob, found)
        if self.anywhere:
            candidate.readable = "\n".join(lines)

    async def _decoded(self, value: bytes) -> str:
        """The value with its encoded words undone, folded; a long one in chunks between words."""
        if len(value) <= texts.CHUNK:
            return self._fold(words.decode(value))
        pieces: list[str] = []
        for piece in texts.chunks(value):
            pieces.append(self._fold(piece))
            await self._breathe()
        return "".join(pieces)

    def _look_at(self, data: bytes | None, message: Message) -> dict[str, bool] | None:
        """`_look` for a small message that is in memory."""
        if not self.texts:
            return {}
        if data is None:
            return None
        assert message.scan is not None
        missing = set(self.texts)
        longest = max(map(len, missing))
        tail = ""
        for text in texts.body(message.scan, lambda start, stop: data[start:stop]):
            if text is None:
                tail = ""
                continue
            window = tail + self._fold(text)
            missing = {wanted for wanted in missing if wanted not in window}
            if not missing:
                break
            tail = window[-longest:]
        return {wanted: wanted not in missing for wanted in self.texts}

    async def _look(self, message: Message) -> dict[str, bool]:
        """Which of the wanted texts the body has."""
        missing = set(self.texts)
        assert message.scan is not None
        for part in message.scan.walk():
            if not missing:
                break
            if part.is_text:
                async for text in self._folded(message, part, max(map(len, missing))):
                    missing = {wanted for wanted in missing if wanted not in text}
                    if not missing:
                        break
            elif part.kind == MESSAGE and part.children:
                inner = part.children[0]
                header = self._fold(words.decode(await message.read(inner.start, inner.body)))
                missing = {wanted for wanted in missing if wanted not in header}
            await self._breathe()
        return {wanted: wanted not in missing for wanted in self.texts}

    async def _folded(self, message: Message, part: Part, longest: int) -> AsyncIterator[str]:
        """The decoded text of a part in windows that overlap by what a match may span."""
        tail = ""
        async for text in self._decoded_part(message, part):
            window = tail + self._fold(text)
            yield window
            tail = window[-longest:]

    async def _decoded_part(self, message: Message, part: Part) -> AsyncIterator[str]:
        """The decoded text of a part, piece by piece; it ends where a codec gives up."""
        decoder = TextDecoder(part)
        async for piece in message.stream(part.body, part.stop):
            for at in range(0, len(piece), texts.PIECE):
                try:
                    text = decoder.feed(piece[at : at + texts.PIECE])
                except ValueError:
                    return
                yield text
                await self._breathe()
        try:
            yield decoder.finish()
        except ValueError:
            return

    # Keys to tests ---------------------------------------------------------------------

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
                field, wanted = _field(key), self._fold(text)
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
        return lambda candidate: False if self._narrowed.denies(key, candidate.row) else test(candidate)

    def _fuzzily(self, key: keys.Fuzzy) -> Test:
        inner = key.key
        if isinstance(inner, keys.All | keys.Filter):
            return self.compile(inner)
        found = fuzzy.words_of(inner.text)
        if not found or (key not in self._lexicons and self._words + len(found) > fuzzy.WORDS):
            return self.compile(inner)
        if key not in self._lexicons:
            self._words += len(found)
            self._lexicons[key] = Lexicon(found)

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


def _field(key: keys.Header) -> bytes:
    return key.name.encode("ascii", "replace").lower()


def _limits(view: View, key: Key) -> Ranges:
    """Positions outside of which the key cannot match: where it names numbers at the top."""
    everything: Ranges = ((0, len(view.told) - 1),) if len(view.told) else ()
    for one in key.keys if isinstance(key, keys.And) else (key,):
        if isinstance(one, keys.Numbers):
            return view.positions(one.which)
    return everything


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
