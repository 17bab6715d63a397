"""Search keys as a tree of frozen values (RFC 9051 6.4.4).

The grammar bounds the tree in depth and count; whoever evaluates it may recurse. Text is
decoded (str) from the charset of the command; matching is case-insensitive substring
matching of decoded text. Every convenience key is folded into these few:
`NEW` is And(Recent(True), Flag(seen, False)), `UNANSWERED` is Flag(answered, False),
`FROM x` is Header("from", x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum

from protocols.imap4.sets import SequenceSet


class When(Enum):
    """How a date key compares, by calendar day, disregarding time and zone."""

    BEFORE = "before"  # earlier than the day
    ON = "on"
    SINCE = "since"  # the day or later


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class Flag:
    """The flag or keyword is set (present) or not; `name` as it goes on the wire
    (`\\Seen`, `$Forwarded`), compared without case."""

    name: bytes
    present: bool = True


@dataclass(frozen=True, slots=True)
class Recent:
    """\\Recent is set or not in this session (RFC 3501 2.3.2)."""

    present: bool = True


@dataclass(frozen=True, slots=True)
class Header:
    """The header field `name` (lower case) exists and its decoded value contains `text`;
    an empty text asks for the field's existence."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """Decoded text of the body contains `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Header or body contains `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE is greater than `size`."""

    size: int


@dataclass(frozen=True, slots=True)
class Smaller:
    size: int


@dataclass(frozen=True, slots=True)
class Internal:
    """The internal date (BEFORE, ON, SINCE)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Sent:
    """The Date: header field (SENTBEFORE, SENTON, SENTSINCE)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Saved:
    """The time the message came into this mailbox (RFC 8514 4.3)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Within:
    """The internal date is `seconds` ago or more (older), or less (RFC 5032 2)."""

    seconds: int
    older: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """EMAILID, or THREADID (thread), is this (RFC 8474 6)."""

    name: bytes
    thread: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message numbers of the view, or UIDs (`which.uid`)."""

    which: SequenceSet


@dataclass(frozen=True, slots=True)
class ModSeqAtLeast:
    """The mod-sequence is `value` or greater (RFC 7162 3.1.5)."""

    value: int


@dataclass(frozen=True, slots=True)
class Filter:
    """A named search (RFC 5466 3.1); replaced before anybody evaluates a key."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A key that is matched fuzzily, and that the relevancy of a message comes from (RFC 6203 3).
    Of what FUZZY stands before, each text by itself, so that it is never above another key; with
    All it only says that FUZZY was there."""

    key: Header | Body | Text | Filter | All


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class Or:
    left: Key
    right: Key


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[Key, ...]


Key = (
    All
    | Flag
    | Recent
    | Header
    | Body
    | Text
    | Larger
    | Smaller
    | Internal
    | Sent
    | Saved
    | Within
    | Identity
    | Numbers
    | ModSeqAtLeast
    | Filter
    | Fuzzy
    | Not
    | Or
    | And
)


def changed(key: Key, change: Callable[[Key], Key]) -> Key:
    """The key with each that is not made of others changed."""
    if isinstance(key, Not):
        return Not(changed(key.key, change))
    if isinstance(key, Or):
        return Or(changed(key.left, change), changed(key.right, change))
    if isinstance(key, And):
        return And(tuple(changed(each, change) for each in key.keys))
    return change(key)


def fuzzy(key: Key) -> Key:
    """The key behind FUZZY. Texts alone are matched fuzzily: what else there is, is known exactly."""
    found = changed(key, _fuzzily)
    return found if is_fuzzy(found) else And((Fuzzy(All()), found))


def _fuzzily(leaf: Key) -> Key:
    return Fuzzy(leaf) if isinstance(leaf, Header | Body | Text | Filter) else leaf


def is_fuzzy(key: Key) -> bool:
    """Whether FUZZY is among the keys."""
    return any(isinstance(leaf, Fuzzy) for leaf in leaves(key))


def leaves(key: Key) -> Iterator[Key]:
    """The keys that are not made of others."""
    if isinstance(key, Not):
        yield from leaves(key.key)
    elif isinstance(key, Or):
        yield from leaves(key.left)
        yield from leaves(key.right)
    elif isinstance(key, And):
        for each in key.keys:
            yield from leaves(each)
    else:
        yield key
