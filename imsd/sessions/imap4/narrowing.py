"""Which messages a search has to look at: what the index says of its texts, put together.

A key is narrowed to a set of blobs of which every match is one. A key that the index says
nothing of (a flag, a date, NOT, a text of two characters) is not narrowed. Messages whose blob
is not indexed are looked at in any case, so nothing is missed while the index is filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from imsd.sessions.imap4 import fuzzy
from imsd.sessions.imap4.fuzzy import Word
from imsd.store import contents
from imsd.store.flags import IndexRow
from imsd.store.search.grams import grams
from imsd.store.search.matches import NONE, Matches
from protocols.imap4 import keys
from protocols.imap4.keys import Key

if TYPE_CHECKING:
    from imsd.sessions.imap4.view import View

PREFIX_FIELDS = frozenset({"return-path", "delivered-to"})
"""What delivery puts before content (`imsd.mail.units`): not in the index of the content."""
TEXTS = 40
"""Texts that the index is asked for in one search; further ones are looked for by reading."""
MOST = 120
"""Terms that it is asked for; of a word that is matched fuzzily there are some."""
TELLING = 6
"""Characters of a text that says enough without the name of its field."""
WORTH = 20
"""Messages from which asking the index is worth it."""

Blobs = frozenset[int]


@dataclass(slots=True)
class Narrowed:
    """matches: what the index said. may: blobs that may match; None: any may. heads, bodies:
    for each key of text, blobs of which it may be true."""

    matches: Matches = NONE
    may: Blobs | None = None
    keys: dict[Key, Blobs] = field(default_factory=dict)

    def denies(self, key: Key, row: IndexRow) -> bool:
        """Whether the key is certainly not true of the message."""
        blobs = self.keys.get(key)
        return blobs is not None and row.blob not in blobs and not self.matches.open(row.blob)


async def narrow(view: View, key: Key) -> Narrowed:
    """Ask the index, where that is worth it."""
    search = view.held.search
    texts = list(islice(_texts(key), TEXTS))
    if search is None or not texts or len(view.told) < WORTH:
        return Narrowed()
    asked = list(islice(chain.from_iterable(map(_asked, texts)), MOST))
    heads = {term for head, term in asked if head}
    bodies = {term for head, term in asked if not head}
    if not any(map(grams, heads | bodies)):
        return Narrowed()
    low, high = view.index.blob_range()
    matches = await search.match(sorted(heads), sorted(bodies), low, high)
    if not matches.upto:
        return Narrowed()
    narrowed = Narrowed(matches)
    for one in texts:
        if isinstance(one, keys.Fuzzy):
            blobs = await _fuzzily(view, one, matches)
        else:
            blobs = await _blobs(view, one, matches)
        if blobs is not None:
            narrowed.keys[one] = blobs
    narrowed.may = _may(key, narrowed.keys)
    return narrowed


Textual = keys.Header | keys.Body | keys.Text


def _texts(key: Key) -> Iterator[Textual | keys.Fuzzy]:
    """The keys that ask for text, each once."""
    seen: set[Key] = set()
    waiting = [key]
    while waiting:
        one = waiting.pop()
        if isinstance(one, keys.Not):
            waiting.append(one.key)
        elif isinstance(one, keys.Or):
            waiting += (one.left, one.right)
        elif isinstance(one, keys.And):
            waiting += one.keys
        elif isinstance(one, Textual | keys.Fuzzy) and one not in seen:
            seen.add(one)
            yield one


def _asked(key: Textual | keys.Fuzzy) -> Iterator[tuple[bool, str]]:
    """What the index is asked for a key: whether of the header, and the term."""
    inner = key.key if isinstance(key, keys.Fuzzy) else key
    if not isinstance(inner, Textual):
        return
    if isinstance(key, keys.Fuzzy):
        if isinstance(inner, keys.Header) and inner.name in PREFIX_FIELDS:
            return
        for word in fuzzy.words_of(inner.text):
            for clue in word.clues:
                if not isinstance(inner, keys.Body):
                    yield True, clue
                if not isinstance(inner, keys.Header):
                    yield False, clue
        return
    for term in _head_terms(inner):
        yield True, term
    if not isinstance(inner, keys.Header):
        yield False, inner.text


def _head_terms(key: Textual) -> tuple[str, ...]:
    """What the header block holds wherever the key is true, but for what delivery put before."""
    if isinstance(key, keys.Text):
        return (key.text,)
    if isinstance(key, keys.Header) and key.name not in PREFIX_FIELDS:
        if key.name in _EVERYWHERE:
            return (key.text,)
        if len(key.text) >= TELLING:
            return (key.text,)
        return (f"{key.name}: " if key.text else f"{key.name}:", key.text)
    return ()


_EVERYWHERE = frozenset({"from", "to", "subject", "date"})


async def _blobs(view: View, key: Textual, matches: Matches) -> Blobs | None:
    if isinstance(key, keys.Body):
        return matches.bodies.get(key.text)
    heads = [matches.heads[term] for term in _head_terms(key) if term in matches.heads]
    if isinstance(key, keys.Header):
        return frozenset.intersection(*heads) if heads else None
    body = matches.bodies.get(key.text)
    if body is None or not heads:
        return None
    before = await view.held.db.read(contents.with_prefix, *view.place.key, key.text)
    return heads[0] | body | before


async def _fuzzily(view: View, key: keys.Fuzzy, matches: Matches) -> Blobs | None:
    """Every word has to be there, and of each word one of its clues."""
    inner = key.key
    if not isinstance(inner, Textual):
        return None
    found = [await _of_word(view, word, inner, matches) for word in fuzzy.words_of(inner.text)]
    known = [blobs for blobs in found if blobs is not None]
    return frozenset.intersection(*known) if known else None


async def _of_word(view: View, word: Word, key: Textual, matches: Matches) -> Blobs | None:
    found: Blobs = frozenset()
    for clue in word.clues:
        if not isinstance(key, keys.Body):
            head = matches.heads.get(clue)
            if head is None:
                return None
            found |= head
        if not isinstance(key, keys.Header):
            body = matches.bodies.get(clue)
            if body is None:
                return None
            found |= body
        if isinstance(key, keys.Text):
            found |= await view.held.db.read(contents.with_prefix, *view.place.key, clue)
    return found


def _may(key: Key, known: dict[Key, Blobs]) -> Blobs | None:
    if isinstance(key, keys.And):
        narrowed = [blobs for one in key.keys if (blobs := _may(one, known)) is not None]
        return frozenset.intersection(*narrowed) if narrowed else None
    if isinstance(key, keys.Or):
        left, right = _may(key.left, known), _may(key.right, known)
        return None if left is None or right is None else left | right
    return known.get(key)
