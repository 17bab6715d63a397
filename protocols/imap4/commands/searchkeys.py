"""The grammar of search keys (RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 7162 3.1.5, RFC 6203 7).

Parsed by an explicit stack, not by recursion; depth and number of keys are bounded, so that
whoever evaluates the tree may recurse.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeGuard

from protocols.imap4 import keys
from protocols.imap4.grammar import MAX32, MAX63, Cursor
from protocols.imap4.keys import Key, When
from protocols.imap4.responses import No
from protocols.imap4.sets import STAR, Ranges, SequenceSet, common, compact

DEPTH: Final = 50
COUNT: Final = 2000
TERM: Final = 4096
"""Octets of one searched text."""
FILTER_NAME_LIMIT: Final = 100

_CHARSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
_FLAGS: Final = {
    b"ANSWERED": b"\\Answered",
    b"DELETED": b"\\Deleted",
    b"DRAFT": b"\\Draft",
    b"FLAGGED": b"\\Flagged",
    b"SEEN": b"\\Seen",
}
_PLAIN: Final[dict[bytes, Key]] = {
    b"ALL": keys.All(),
    # RFC 8514 4.3: every mailbox has save dates.
    b"SAVEDATESUPPORTED": keys.All(),
    b"NEW": keys.And((keys.Recent(), keys.Flag(b"\\Seen", False))),
    b"OLD": keys.Recent(False),
    b"RECENT": keys.Recent(),
    **{name: keys.Flag(flag) for name, flag in _FLAGS.items()},
    **{b"UN" + name: keys.Flag(flag, False) for name, flag in _FLAGS.items()},
}
_ADDRESSED: Final = {b"BCC": "bcc", b"CC": "cc", b"FROM": "from", b"SUBJECT": "subject", b"TO": "to"}
_DATED: Final[dict[bytes, tuple[type[keys.Internal | keys.Sent | keys.Saved], When]]] = {
    b"BEFORE": (keys.Internal, When.BEFORE),
    b"ON": (keys.Internal, When.ON),
    b"SINCE": (keys.Internal, When.SINCE),
    b"SENTBEFORE": (keys.Sent, When.BEFORE),
    b"SENTON": (keys.Sent, When.ON),
    b"SENTSINCE": (keys.Sent, When.SINCE),
    b"SAVEDBEFORE": (keys.Saved, When.BEFORE),
    b"SAVEDON": (keys.Saved, When.ON),
    b"SAVEDSINCE": (keys.Saved, When.SINCE),
}


@dataclass(slots=True)
class _Open:
    """A key that waits for its operands: `(`, NOT, OR or FUZZY."""

    kind: bytes
    operands: list[Key]


def parse(cursor: Cursor, charset: str) -> Key:
    """search-key *(SP search-key), to the end of the command. Text is decoded from the
    charset; text that is none of it is a syntax error."""
    top = _Open(b"top", [])
    stack = [top]
    count = 0
    while True:
        count += 1
        if count > COUNT:
            raise cursor.fail(f"at most {COUNT} search keys")
        opened = _opening(cursor)
        if opened is not None:
            stack.append(_Open(opened, []))
            if len(stack) > DEPTH:
                raise cursor.fail(f"search keys at most {DEPTH} deep")
            continue
        _close(cursor, stack, _leaf(cursor, charset))
        if cursor.at_end:
            if len(stack) > 1:
                raise cursor.fail("the rest of a search key")
            return _all(top.operands)
        cursor.space()


def _opening(cursor: Cursor) -> bytes | None:
    if cursor.skip(b"("):
        return b"("
    for word in (b"NOT", b"OR"):
        if cursor.keyword(word):
            cursor.space()
            return word
    if cursor.keyword(b"FUZZY"):
        # search-key =/ "FUZZY" SP search-key
        cursor.need(b"SEARCH=FUZZY")
        cursor.space()
        return b"FUZZY"
    return None


def _close(cursor: Cursor, stack: list[_Open], key: Key) -> None:
    """Gives a finished key to what waits for it, and so on upwards."""
    while True:
        waiting = stack[-1]
        waiting.operands.append(key)
        if waiting.kind == b"NOT":
            key = keys.Not(key)
        elif waiting.kind == b"FUZZY":
            key = keys.fuzzy(key)
        elif waiting.kind == b"OR" and len(waiting.operands) == 2:
            key = keys.Or(waiting.operands[0], waiting.operands[1])
        elif waiting.kind == b"(" and cursor.skip(b")"):
            key = _all(waiting.operands)
        else:
            return
        stack.pop()


def _all(operands: list[Key]) -> Key:
    return operands[0] if len(operands) == 1 else keys.And(tuple(operands))


_KEY_OF: Final = {
    b"FILTER": b"FILTERS",
    b"MODSEQ": b"CONDSTORE",
    b"OLDER": b"WITHIN",
    b"YOUNGER": b"WITHIN",
    b"SAVEDBEFORE": b"SAVEDATE",
    b"SAVEDON": b"SAVEDATE",
    b"SAVEDSINCE": b"SAVEDATE",
    b"EMAILID": b"OBJECTID",
    b"THREADID": b"OBJECTID",
}
"""The capability that a search key comes with."""


def _leaf(cursor: Cursor, charset: str) -> Key:
    next_octet = cursor.data[cursor.position : cursor.position + 1]
    if next_octet.isdigit() or next_octet in (b"*", b"$"):
        return keys.Numbers(cursor.sequence_set())
    start = cursor.position
    word = cursor.word()
    if word in _PLAIN:
        return _PLAIN[word]
    if cursor.dialect.off:
        cursor.need(_KEY_OF.get(word, b""))
    reads = _WITH_ARGUMENT.get(word)
    if reads is None:
        cursor.position = start
        raise cursor.fail("a search key")
    cursor.space()
    return reads(cursor, word, charset)


def _text(cursor: Cursor, charset: str) -> str:
    start = cursor.position
    octets = cursor.astring()
    if len(octets) > TERM:
        cursor.position = start
        raise cursor.fail(f"a text of at most {TERM} octets")
    try:
        return octets.decode(charset)
    except (UnicodeDecodeError, ValueError):
        cursor.position = start
        raise cursor.fail(f"text in {charset}") from None


def _modseq(cursor: Cursor, word: bytes, charset: str) -> Key:
    # search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer
    if cursor.at(b'"'):
        cursor.string()
        cursor.space()
        cursor.word()
        cursor.space()
    return keys.ModSeqAtLeast(cursor.number(MAX63))


def _uids(low: int, high: int) -> Key:
    """RFC 9738 3.2: UIDs above or below one, which need not exist."""
    return keys.Numbers(SequenceSet(((low, high),) if low <= high else (), uid=True))


def _header(cursor: Cursor, word: bytes, charset: str) -> Key:
    name = cursor.astring().decode("ascii", "replace").lower()
    cursor.space()
    return keys.Header(name, _text(cursor, charset))


def _dated(cursor: Cursor, word: bytes, charset: str) -> Key:
    kind, when = _DATED[word]
    return kind(when, cursor.date())


def _within(cursor: Cursor, word: bytes, charset: str) -> Key:
    """("OLDER" / "YOUNGER") SP nz-number (RFC 5032 4)."""
    seconds = cursor.number()
    if not seconds:
        raise cursor.fail("a number above 0")
    return keys.Within(seconds, word == b"OLDER")


def _identity(cursor: Cursor, word: bytes, charset: str) -> Key:
    """objectid = 1*255(ALPHA / DIGIT / "_" / "-") (RFC 8474 7)."""
    found = _OBJECT_ID.match(cursor.data, cursor.position)
    if found is None:
        raise cursor.fail("an object id")
    cursor.position = found.end()
    return keys.Identity(found[0], word == b"THREADID")


def _filter(cursor: Cursor, word: bytes, charset: str) -> Key:
    """filter-name = 1*<any ATOM-CHAR except "/"> (RFC 5466 4)."""
    start = cursor.position
    name = cursor.atom()
    if b"/" in name or len(name) > FILTER_NAME_LIMIT:
        cursor.position = start
        raise cursor.fail("the name of a filter")
    return keys.Filter(name)


_WITH_ARGUMENT: Final[dict[bytes, Callable[[Cursor, bytes, str], Key]]] = {
    b"BODY": lambda cursor, word, charset: keys.Body(_text(cursor, charset)),
    b"TEXT": lambda cursor, word, charset: keys.Text(_text(cursor, charset)),
    b"HEADER": _header,
    b"KEYWORD": lambda cursor, word, charset: keys.Flag(cursor.flag()),
    b"UNKEYWORD": lambda cursor, word, charset: keys.Flag(cursor.flag(), False),
    b"LARGER": lambda cursor, word, charset: keys.Larger(cursor.number(MAX63)),
    b"SMALLER": lambda cursor, word, charset: keys.Smaller(cursor.number(MAX63)),
    b"UID": lambda cursor, word, charset: keys.Numbers(cursor.sequence_set(uid=True)),
    b"UIDAFTER": lambda cursor, word, charset: _uids(cursor.number() + 1, MAX32),
    b"UIDBEFORE": lambda cursor, word, charset: _uids(1, cursor.number() - 1),
    b"MODSEQ": _modseq,
    **{
        word: lambda cursor, word, charset: keys.Header(_ADDRESSED[word], _text(cursor, charset))
        for word in _ADDRESSED
    },
    **dict.fromkeys(_DATED, _dated),
    b"FILTER": _filter,
    b"OLDER": _within,
    b"YOUNGER": _within,
    b"EMAILID": _identity,
    b"THREADID": _identity,
}


def charset_named(name: bytes) -> str:
    """A charset that text can be decoded from. Raises No [BADCHARSET]."""
    text = name.decode("ascii", "replace")
    try:
        if _CHARSET_NAME.fullmatch(text) and codecs.lookup(text)._is_text_encoding:
            b"a".decode(text)
            return text
    except (LookupError, UnicodeError, ValueError):
        pass
    raise No(b"BADCHARSET (US-ASCII UTF-8)", "Unsupported charset")


# After parsing -------------------------------------------------------------------------------


def with_saved(key: Key, saved: Ranges) -> Key:
    """The key with `$` replaced by the saved UIDs."""

    def known(leaf: Key) -> Key:
        return keys.Numbers(SequenceSet(saved, uid=True)) if _names(leaf) and leaf.which.saved else leaf

    return keys.changed(key, known)


def lasting(key: Key, uids: Callable[[SequenceSet], Iterable[int]]) -> Key:
    """The key with message numbers replaced by the UIDs they have now (RFC 5267 4.3)."""

    def named(leaf: Key) -> Key:
        if not _names(leaf) or leaf.which.uid:
            return leaf
        return keys.Numbers(SequenceSet(compact(uids(leaf.which)), uid=True))

    return keys.changed(key, named)


def moves(key: Key, last: int) -> bool:
    """Whether a message can begin or cease to match though nothing happens to it: by time, or
    because another is the last one. last: the greatest UID."""
    return any(
        isinstance(leaf, keys.Within)
        or (
            isinstance(leaf, keys.Numbers)
            and any(STAR in ends and (ends == (STAR, STAR) or max(ends) > last) for ends in leaf.which.ranges)
        )
        for leaf in keys.leaves(key)
    )


def span(key: Key, last: int) -> SequenceSet:
    """What a search has to look at: where the key names UIDs at the top, those (all of them
    together), else numbers, else every message. last: the greatest UID."""
    sets = [each.which for each in (key.keys if isinstance(key, keys.And) else (key,)) if _names(each)]
    of_uids = [which for which in sets if which.uid]
    if not of_uids:
        return sets[0] if sets else SequenceSet(((1, STAR),))
    ranges = of_uids[0].resolve(last)
    for which in of_uids[1:]:
        ranges = common(ranges, which.resolve(last))
    return SequenceSet(ranges, uid=True)


def _names(key: Key) -> TypeGuard[keys.Numbers]:
    return isinstance(key, keys.Numbers)


def asks_modseq(key: Key) -> bool:
    """Whether MODSEQ is among the keys."""
    return any(isinstance(leaf, keys.ModSeqAtLeast) for leaf in keys.leaves(key))


def asks_numbers(key: Key) -> bool:
    """Whether message numbers are, or (in a filter) may be, among the keys."""
    return any(
        (not leaf.which.uid and not leaf.which.saved)
        if isinstance(leaf, keys.Numbers)
        else isinstance(leaf.key if isinstance(leaf, keys.Fuzzy) else leaf, keys.Filter)
        for leaf in keys.leaves(key)
    )
