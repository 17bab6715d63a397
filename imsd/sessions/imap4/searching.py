"""SEARCH: keys evaluated over what was told, in slices that never keep the reactor (rule 12).

Every key becomes a test of one message (`judging`) that answers True, False, or None for "not from
what is known so far". First all tests run on the mailbox index, and on what the search index denies
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
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from unicodedata import normalize

from imsd.errors import Refusal
from imsd.sessions.imap4 import fuzzy, narrowing
from imsd.sessions.imap4.columns import Columns, Run, at_once, every, places
from imsd.sessions.imap4.dates import sent_day
from imsd.sessions.imap4.fuzzy import Tally
from imsd.sessions.imap4.judging import Candidate, Hit, Judge, Test, field_of
from imsd.sessions.imap4.reading import Message, read
from imsd.sessions.imap4.remembered import FIELDS
from imsd.slices import SLICE
from imsd.store import sortkeys
from imsd.store.contents import Content
from imsd.store.search import texts
from protocols.imap4 import keys
from protocols.imap4.keys import Key
from protocols.imap4.sets import Ranges
from protocols.imap4.values import Found, Needs
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


async def search(view: View, key: Key, comparator: str = DEFAULT) -> Found:
    return await _Search(view, key, comparator).run()


class _Search:
    """One search under way. It goes through what was told in windows, so that what it keeps
    of messages under test is bounded, and matches come in order."""

    def __init__(self, view: View, key: Key, comparator: str) -> None:
        self.view = view
        self._fold = COMPARATORS[comparator]
        self.told = view.told
        self.judge = Judge(view, self._fold)
        self._known = view.held.remembered
        self._plain = comparator == DEFAULT
        self._key = key
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
        self._test = self.judge.compile(self._key)
        await self._breathe()
        self.judge.narrowed = await narrowing.narrow(self.view, self._key)
        await self._learn_days()
        columns = Columns(
            self.view, self.judge.narrowed, self._known, self.judge.lexicons, self._plain
        ).compile(self._key)
        await self._breathe()
        seen = bytearray(len(self.told))
        late = False
        async for run in self._runs(seen):
            may, must = columns(run)
            if must == every(len(run)) and run.position >= 0 and not self._ranked:
                # All of them.
                sequences.extend(range(run.position + 1, run.position + 1 + len(run)))
                uids.extend(run.segment.uids[run.start : run.stop])
                highest = max(highest, max(run.segment.modseqs[run.start : run.stop]))
                await self._breathe()
                continue
            found, undecided = self._sifted(run, may, must)
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
        if not self.judge.dated:
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

    def _sifted(self, run: Run, may: int, must: int) -> tuple[list[Hit], list[Candidate]]:
        """What matches of a run, and what has to be looked at, of what may match and what must."""
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
        most = BATCH if self.judge.texts or self.judge.fields or self.judge.lexicons else COLUMNS
        for at in range(0, len(undecided), most):
            found += await self._on_content(undecided[at : at + most])
        return found

    async def _on_content(self, batch: list[Candidate]) -> list[Hit]:
        """What matches among messages whose content has to be looked at."""
        found: list[Hit] = []
        text = bool(self.judge.texts) or any(
            not isinstance(one.key, keys.Header) for one in self.judge.lexicons
        )
        header = bool(self.judge.fields) or self.judge.anywhere or bool(self.judge.lexicons)
        needs = Needs(header=header, scan=text, content=text, identity=self.judge.identity)
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
        return fuzzy.relevancy(self._key, candidate.tallies, self.judge.lexicons) if self._ranked else 0

    # Fuzzy matching --------------------------------------------------------------------

    async def _tally_fields(self, candidate: Candidate, header: bytes) -> None:
        """Count the words of the header that fuzzy keys ask for."""
        wanted: dict[bytes, list[Tally]] = {}
        everywhere: list[Tally] = []
        for key, lexicon in self.judge.lexicons.items():
            tally = candidate.tallies[key] = Tally(lexicon, isinstance(key.key, keys.Header))
            if isinstance(key.key, keys.Header):
                wanted.setdefault(field_of(key.key), []).append(tally)
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
            and not self.judge.fields.isdisjoint(FIELDS)
            and candidate.row.blob not in self._known.fields
        )
        names = self.judge.fields.union(FIELDS) if learning else self.judge.fields
        found: dict[bytes, list[str]] = {name: [] for name in names}
        lines: list[str] = []
        if found or self.judge.anywhere:
            for count, field in enumerate(headers.scan(header)):
                wanted = found.get(field.name.lower())
                if wanted is not None or self.judge.anywhere:
                    text = await self._decoded(field.text)
                    if wanted is not None:
                        wanted.append(text)
                    if self.judge.anywhere:
                        lines.append(self._fold(field.name.decode("ascii", "replace")) + ": " + text)
                if not count % 32:
                    await self._breathe()
        candidate.fields = found
        if learning:
            self._known.learn_fields(candidate.row.blob, found)
        if self.judge.anywhere:
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
        if not self.judge.texts:
            return {}
        if data is None:
            return None
        assert message.scan is not None
        missing = set(self.judge.texts)
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
        return {wanted: wanted not in missing for wanted in self.judge.texts}

    async def _look(self, message: Message) -> dict[str, bool]:
        """Which of the wanted texts the body has."""
        missing = set(self.judge.texts)
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
        return {wanted: wanted not in missing for wanted in self.judge.texts}

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


def _limits(view: View, key: Key) -> Ranges:
    """Positions outside of which the key cannot match: where it names numbers at the top."""
    everything: Ranges = ((0, len(view.told) - 1),) if len(view.told) else ()
    for one in key.keys if isinstance(key, keys.And) else (key,):
        if isinstance(one, keys.Numbers):
            return view.positions(one.which)
    return everything
