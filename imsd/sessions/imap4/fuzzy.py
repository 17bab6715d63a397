"""Fuzzy matching of texts, and how relevant a match is (RFC 6203).

1. A text is asked for word by word, in any order; each word has to be there in some grade. What a
   search without FUZZY finds in a field or a body is found too; names of fields are not looked at,
   as FROM would be found in every message.
2. Words are compared without case and accents. From 4 letters on one letter may be wrong, missing,
   too many or changed places with the next; from 9 on two may be wrong.
3. The grade decides first, then how often the word is there: of the words of a field which part,
   of a body how many. A text is as relevant as its words are on the average.
4. Work is bounded: words, letters of a word that is compared, and what is remembered; `stride`
   says how much text may be taken at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final

from imsd.store.search.grams import skeleton
from protocols.imap4 import keys
from protocols.imap4.keys import Key

WORDS: Final = 100
"""Words of one search that are matched fuzzily, and of one text 30."""
_WORDS_OF_TEXT: Final = 30
_LONGEST: Final = 64
"""Letters of a word that may be misspelt."""
_CARRIED: Final = 100
_REMEMBERED: Final = 50_000
_STRIDE: Final = 16_384
_WORD: Final = re.compile(r"[\w\u0300-\u036f]+")
HEAVY: Final = frozenset({b"subject", b"from", b"to", b"cc"})
"""Fields in which a word counts more than in the rest of the message."""
WEIGHT: Final = 4


class Grade(IntEnum):
    """How well a word matched, and the band of scores that this gives."""

    NOT = 0
    INSIDE = 1  # within a longer word
    TWO = 20  # two letters are wrong
    ONE = 35
    BEGINNING = 50
    FOLDED = 68  # but for case and accents
    EXACT = 85

    @property
    def top(self) -> int:
        return _TOPS[self]


_TOPS: Final = dict(zip(Grade, (0, *(grade - 1 for grade in list(Grade)[2:]), 100), strict=True))


class Word:
    """One word that is looked for. clues: texts of which every match but for accents and case
    holds one."""

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.bare = bare = skeleton(raw)
        size = len(bare)
        self.edits = 0 if size < 4 or size > _LONGEST else 1 if size < 9 else 2
        count = self.edits + 1
        self.clues = tuple(bare[size * n // count : size * (n + 1) // count] for n in range(count))
        self._pieces = self.clues
        self._swapped: frozenset[str] = frozenset()
        if self.edits:
            swaps = [_swapped(bare, at) for at in range(size - 1)]
            self._swapped = frozenset(swaps) - {bare}
        if self.edits == 1:
            # The one slip that is in both halves; of three pieces one is left whole.
            self.clues += (_swapped(bare, size // 2 - 1),)

    def grade(self, raw: str, bare: str) -> Grade:
        """How well a word of a message matches."""
        if bare == self.bare:
            return Grade.EXACT if raw == self.raw else Grade.FOLDED
        if bare.startswith(self.bare):
            return Grade.BEGINNING
        if self.edits and abs(len(bare) - len(self.bare)) <= self.edits:
            if bare in self._swapped:
                return Grade.ONE
            if any(piece in bare for piece in self._pieces):
                found = distance(self.bare, bare, self.edits)
                if found <= self.edits:
                    return Grade.ONE if found == 1 else Grade.TWO
        return Grade.INSIDE if self.bare in bare else Grade.NOT


def _swapped(text: str, at: int) -> str:
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def distance(one: str, other: str, most: int) -> int:
    """How many letters have to be changed, put in or left out; above `most` it is `most` + 1."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for column, theirs in enumerate(other, 1):
            line.append(
                min(before[column] + 1, line[column - 1] + 1, before[column - 1] + (letter != theirs))
            )
        if min(line) > most:
            return most + 1
        before = line
    return min(before[-1], most + 1)


def words_of(text: str) -> tuple[Word, ...]:
    """The distinct words of a searched text; none where there is no letter and no digit in it."""
    return tuple(Word(raw) for raw in list(dict.fromkeys(_WORD.findall(text)))[:_WORDS_OF_TEXT])


class Lexicon:
    """The words of one text, and what is known of words that were met."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        self.carried = max(_CARRIED, *(len(word.raw) for word in words))
        self.stride = max(512, _STRIDE // len(words))
        self._known: dict[str, tuple[tuple[int, Grade], ...]] = {}

    def look_up(self, raw: str) -> tuple[tuple[int, Grade], ...]:
        """Which of the words a word of a message matches, and how well."""
        known = self._known.get(raw)
        if known is None:
            bare = skeleton(raw)
            grades = ((at, word.grade(raw, bare)) for at, word in enumerate(self.words))
            known = tuple(pair for pair in grades if pair[1])
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[raw] = known
        return known


class Tally:
    """What of the words of a text one message has. field: of one header field alone."""

    __slots__ = ("_best", "_count", "_field", "_lexicon", "_tail", "_total")

    def __init__(self, lexicon: Lexicon, field: bool) -> None:
        self._lexicon = lexicon
        self._field = field
        self._best = [Grade.NOT] * len(lexicon.words)
        self._count = [0] * len(lexicon.words)
        self._total = 0
        self._tail = ""

    def pieces(self, text: str) -> Iterator[str]:
        """A text in pieces to be added one at a time."""
        stride = self._lexicon.stride
        return (text[at : at + stride] for at in range(0, len(text), stride))

    def add(self, piece: str, weight: int = 1) -> None:
        """The next piece; a word may go on in the one after it."""
        text = self._tail + piece
        cut = len(text)
        floor = max(cut - self._lexicon.carried, 0)
        while cut > floor and _WORD.match(text, cut - 1):
            cut -= 1
        self._tail = text[cut:]
        # Of what is no word but a long row of letters the end is looked at twice.
        self._take(text if cut == floor and floor else text[:cut], weight)

    def end(self, weight: int = 1) -> None:
        """Nothing goes on behind what was added."""
        tail, self._tail = self._tail, ""
        self._take(tail, weight)

    def _take(self, text: str, weight: int) -> None:
        found = _WORD.findall(text)
        self._total += len(found)
        for raw, count in Counter(found).items():
            for at, grade in self._lexicon.look_up(raw):
                if grade > self._best[at]:
                    self._best[at], self._count[at] = grade, 0
                if grade == self._best[at]:
                    self._count[at] += count if self._field else count * weight

    @property
    def matched(self) -> bool:
        return all(self._best)

    @property
    def score(self) -> float:
        """1 to 100, where it matched."""
        return sum(map(self._score, self._best, self._count)) / len(self._best)

    def _score(self, grade: Grade, count: int) -> float:
        share = count / max(self._total, 1) if self._field else count / (count + 2)
        return grade + (grade.top - grade) * min(share, 1.0)


def relevancy(key: Key, tallies: Mapping[Key, Tally], weighed: Collection[Key]) -> int:
    """How relevant a message is that matched, 1 to 100: of keys that all match the average, of
    alternatives the best. What is matched exactly, or must not match, counts nothing. weighed: the
    keys that are matched fuzzily."""
    found = _relevancy(key, tallies)
    if found is None:
        return 1 if _weighs(key, weighed) else 100
    return min(max(round(found), 1), 100)


def _weighs(key: Key, weighed: Collection[Key]) -> bool:
    match key:
        case keys.Or(left, right):
            return _weighs(left, weighed) or _weighs(right, weighed)
        case keys.And(inner_keys):
            return any(_weighs(one, weighed) for one in inner_keys)
        case _:
            return key in weighed


def _relevancy(key: Key, tallies: Mapping[Key, Tally]) -> float | None:
    match key:
        case keys.Fuzzy():
            tally = tallies.get(key)
            return tally.score if tally is not None and tally.matched else None
        case keys.Or(left, right):
            scores = [_relevancy(left, tallies), _relevancy(right, tallies)]
            return max((score for score in scores if score is not None), default=None)
        case keys.And(inner_keys):
            all_of = [score for one in inner_keys if (score := _relevancy(one, tallies)) is not None]
            return sum(all_of) / len(all_of) if all_of else None
        case _:
            return None
