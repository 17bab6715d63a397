"""Address lists of header fields (RFC 5322 3.4 and 4.4, RFC 6532), read leniently.

`parse` never raises and gives whatever can be understood: mailboxes with display name,
source route, local part and domain as octets, and groups with their members. Comments,
quoted strings, domain literals, obsolete routes, dots in phrases, missing commas' worth of
white space and non-ASCII octets are all read. A list is cut at
MAX_ADDRESSES, and where its odd parts have more than MAX_TOKENS tokens.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from protocols.message import words
from protocols.message.headers import unfold

MAX_ADDRESSES = 2_000
MAX_TOKENS = 8_000


class Address(NamedTuple):
    """One mailbox. name: display name without quotes, encoded words not decoded, or None.

    route: obsolete source route "@a,@b" or None. host is None where no domain was given.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes
    host: bytes | None

    @property
    def spec(self) -> bytes:
        """local@domain, quoted where it must be."""
        mailbox = self.mailbox
        if _DOT_ATOM.fullmatch(mailbox) is None:
            mailbox = b'"%b"' % _SPECIALS.sub(rb"\\\1", mailbox)
        return mailbox if self.host is None else b"%b@%b" % (mailbox, self.host)

    @property
    def display(self) -> str:
        """The display name as text, empty when there is none."""
        return words.decode(self.name) if self.name else ""


class Group(NamedTuple):
    """name: address list; (RFC 5322 3.4)."""

    name: bytes
    members: tuple[Address, ...]


Entry = Address | Group

_ATEXT = rb"[!#-'*+\-/-9=?A-Z^-~\x80-\xff]"
_DOT_ATOM = re.compile(_ATEXT + rb"+(?:\." + _ATEXT + rb"+)*")
_SPECIALS = re.compile(rb'(["\\])')
_PAIR = re.compile(rb"\\(.)", re.DOTALL)

# The forms nearly all mail has: a@b, <a@b>, name <a@b>, "name" <a@b>.
_SIMPLE = re.compile(
    rb'[ \t]*+(?:(?:"([^"\\\r\n]*+)"|([^"(),:;<>@\[\]\\\r\n]*+))[ \t]*+'
    rb'<([^\s"(),:;<>@\[\]\\]++)@([A-Za-z0-9.\-]++)>'
    rb"|([^\s\"(),:;<>@\[\]\\]++)@([A-Za-z0-9.\-]++))[ \t]*+(?:,|$)"
)

_TOKEN = re.compile(
    rb'[ \t\r\n\0]+|"(?:[^"\\]|\\.)*+"?|\[(?:[^\]\\]|\\.)*+\]?|[(<>@,;:.)\\\]]'
    rb'|[^ \t\r\n\0"\[(<>@,;:.)\\\]]+',
    re.DOTALL,
)
_COMMENT = re.compile(rb"[^()\\]++|\\.|\\|[()]", re.DOTALL)


def parse(value: bytes, most: int = MAX_ADDRESSES) -> list[Entry]:
    """The entries of an address list, at most so many."""
    if b"\n" in value or b"\r" in value:
        value = unfold(value)
    found: list[Entry] = []
    at = 0
    size = len(value)
    match_simple = _SIMPLE.match
    parser: _Parser | None = None
    while at < size and len(found) < most:
        match = match_simple(value, at)
        if match is None:
            parser = parser or _Parser(value, found)
            at = parser.run(at)
            continue
        quoted, phrase, mailbox, host, bare, bare_host = match.groups()
        if bare is not None:
            found.append(Address(None, None, bare, bare_host))
        elif quoted is not None:
            found.append(Address(quoted or None, None, mailbox, host))
        else:
            found.append(Address(_collapse(phrase) or None, None, mailbox, host))
        at = match.end()
    return found


def mailboxes(value: bytes) -> list[Address]:
    """The mailboxes of an address list, those inside groups too."""
    return list(flat(parse(value)))


def flat(entries: Sequence[Entry]) -> Iterator[Address]:
    """Groups replaced by their members."""
    for entry in entries:
        if isinstance(entry, Group):
            yield from entry.members
        else:
            yield entry


def _collapse(phrase: bytes) -> bytes:
    phrase = phrase.strip()
    return b" ".join(phrase.split()) if b"  " in phrase or b"\t" in phrase else phrase


def unquoted(text: bytes) -> bytes:
    """The content of a quoted string, its quoted pairs undone."""
    text = text[1:-1] if len(text) > 1 and text.endswith(b'"') else text[1:]
    return _PAIR.sub(rb"\1", text) if b"\\" in text else text


class _Parser:
    """The general case: tokens gathered up to a separator, then understood as one mailbox.

    _words: pieces of phrase or address so far, each with whether white space stood before it.
    _room: tokens that will be looked at; a list that is made to be slow ends there.
    """

    def __init__(self, value: bytes, found: list[Entry]) -> None:
        self._value = value
        self._found = found
        self._room = MAX_TOKENS
        self._members: list[Address] | None = None
        self._group = b""
        self._reset()

    def _reset(self) -> None:
        self._words: list[tuple[bytes, bool]] = []
        self._comment: bytes | None = None
        self._angle: list[bytes] | None = None
        self._has_at = False
        self._routed = False

    def run(self, at: int) -> int:
        """Read one entry from at on; the position after its separator."""
        value = self._value
        size = len(value)
        space = False
        while at < size:
            match = _TOKEN.match(value, at)
            if match is None:
                at += 1
                continue
            self._room -= 1
            if self._room < 0:
                return size
            token = match[0]
            at = match.end()
            first = token[:1]
            if first in b" \t\r\n\0":
                space = True
                continue
            if first == b"(":
                comment, at = self._skip_comment(at)
                self._comment = self._comment or comment
                space = True
                continue
            if self._angle is not None:
                ended = self._inside(token, first)
            elif first in b",;":
                ended = True
                self._separate(first)
            else:
                ended = False
                self._outside(token, first, space)
            space = False
            if ended and self._members is None:
                return at
        if self._angle is not None:
            self._end(from_angle=True)
        self._separate(b"")
        if self._members is not None:
            self._found.append(Group(self._group, tuple(self._members)))
        return at

    def _inside(self, token: bytes, first: bytes) -> bool:
        """A token between angle brackets; whether it ended the entry."""
        assert self._angle is not None
        if first == b">":
            self._end(from_angle=True)
        elif first == b"<":
            pass
        elif first == b";" or (first == b"," and not self._routed):
            # An unclosed angle: the address ends here all the same.
            self._end(from_angle=True)
            self._separate(first)
            return True
        else:
            if not self._angle:
                self._routed = first == b"@"
            elif first == b":":
                self._routed = False
            self._angle.append(token)
        return False

    def _outside(self, token: bytes, first: bytes, space: bool) -> None:
        if first == b"<":
            self._angle = []
        elif first == b":" and self._members is None and not self._has_at:
            self._group = _phrase(self._words) or b""
            self._reset()
            self._members = []
        elif first not in b")>\\]":
            self._has_at = self._has_at or first == b"@"
            self._words.append((token, space))

    def _skip_comment(self, at: int) -> tuple[bytes, int]:
        """Text of the comment whose "(" is before at, and where it ends; nesting is counted."""
        value = self._value
        depth = 1
        text = bytearray()
        size = len(value)
        while at < size:
            match = _COMMENT.match(value, at)
            self._room -= 1
            if match is None or self._room < 0:
                return bytes(text).strip(), size
            token = match[0]
            at = match.end()
            if token == b"(":
                depth += 1
            elif token == b")":
                depth -= 1
                if depth == 0:
                    break
            text += token[1:] if token[:1] == b"\\" else token
        return bytes(text).strip(), at

    def _separate(self, separator: bytes) -> None:
        if self._words:
            self._end(from_angle=False)
        self._reset()
        if separator == b";" and self._members is not None:
            self._found.append(Group(self._group, tuple(self._members)))
            self._members = None

    def _end(self, from_angle: bool) -> None:
        if from_angle:
            tokens = self._angle or []
            route, tokens = _route(tokens)
            name = _phrase(self._words)
            if not tokens and name is None and route is None:
                self._reset()
                return
        else:
            name = None
            route = None
            tokens = [word for word, _ in self._words]
            if b"@" not in tokens:
                # Several words without a domain: shown as a phrase, the way it was written.
                mailbox = _phrase(self._words) or b""
                self._add(Address(self._comment, None, mailbox, None))
                self._reset()
                return
        mailbox, host = _spec(tokens)
        self._add(Address(name if name is not None else self._comment, route, mailbox, host))
        self._reset()

    def _add(self, address: Address) -> None:
        if self._members is not None:
            self._members.append(address)
        else:
            self._found.append(address)


def _route(tokens: list[bytes]) -> tuple[bytes | None, list[bytes]]:
    # obs-route = obs-domain-list ":"
    if tokens and tokens[0] == b"@" and b":" in tokens:
        colon = tokens.index(b":")
        return b"".join(tokens[:colon]), tokens[colon + 1 :]
    return None, tokens


def _spec(tokens: list[bytes]) -> tuple[bytes, bytes | None]:
    """Local part and domain of an addr-spec; the last @ divides."""
    at = -1
    for index, token in enumerate(tokens):
        if token == b"@":
            at = index
    local = tokens if at < 0 else tokens[:at]
    mailbox = b"".join(unquoted(token) if token[:1] == b'"' else token for token in local)
    if at < 0:
        return mailbox, None
    return mailbox, b"".join(tokens[at + 1 :])


def _phrase(pieces: list[tuple[bytes, bool]]) -> bytes | None:
    """Words joined by one space where there was white space (dots of obs-phrase stay close)."""
    if not pieces:
        return None
    text = bytearray()
    for index, (word, space) in enumerate(pieces):
        quoted = word[:1] == b'"'
        if index and (space or quoted):
            text += b" "
        text += unquoted(word) if quoted else word
    return bytes(text)
