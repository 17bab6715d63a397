"""Mailbox names: modified UTF-7 (RFC 3501 5.1.3), UTF-8 (RFC 9051 5.1), list patterns."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from unicodedata import normalize

from protocols.errors import BadSyntax

DELIMITER = "/"
NAME_LIMIT = 1000
"""Octets of one name on the wire; levels and characters are the store's to refuse."""

_ENCODED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_SHIFT = re.compile(r"&|[^\x20-\x7e]+")


def decode(wire: bytes, utf8: bool) -> str:
    """A name as sent by the client, in NFC, INBOX in capitals (also as the first level).

    utf8: the connection speaks UTF-8 names (IMAP4rev2). Without it names are modified
    UTF-7; one with octets over 127 is taken for the UTF-8 that some clients send anyway.
    Raises BadSyntax for what is neither.
    """
    if len(wire) > NAME_LIMIT:
        raise BadSyntax(f"a mailbox name of at most {NAME_LIMIT} octets")
    if utf8 or not wire.isascii():
        try:
            name = wire.decode("utf-8")
        except UnicodeDecodeError:
            raise BadSyntax("a mailbox name in UTF-8") from None
    elif b"&" in wire:
        name = _decode_modified(wire)
    else:
        return with_inbox(wire.decode("ascii"))
    return with_inbox(normalize("NFC", name))


def with_inbox(name: str) -> str:
    """INBOX compares without case, as a name and as the top of names (RFC 9051 5.1)."""
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == DELIMITER):
        return "INBOX" + name[5:]
    return name


def _decode_modified(wire: bytes) -> str:
    parts: list[str] = []
    position = 0
    while (start := wire.find(b"&", position)) >= 0:
        parts.append(wire[position:start].decode("ascii"))
        found = _ENCODED.match(wire, start)
        if found is None:
            raise BadSyntax("a mailbox name in modified UTF-7")
        parts.append(_decode_shifted(found[1]) if found[1] else "&")
        position = found.end()
    parts.append(wire[position:].decode("ascii"))
    return "".join(parts)


def _decode_shifted(base64: bytes) -> str:
    try:
        octets = binascii.a2b_base64(base64.replace(b",", b"/") + b"=" * (-len(base64) % 4))
        text = octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise BadSyntax("a mailbox name in modified UTF-7") from None
    # One form for one name: printable ASCII is never shifted, padding bits are zero.
    if _SHIFT.fullmatch(text) is None or _shift(text) != base64:
        raise BadSyntax("a mailbox name in modified UTF-7")
    return text


def _shift(text: str) -> bytes:
    return binascii.b2a_base64(text.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")


def encode_modified(name: str) -> bytes:
    """The name in modified UTF-7."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    return _SHIFT.sub(_encode_shifted, name).encode("ascii")


def _encode_shifted(found: re.Match[str]) -> str:
    return "&-" if found[0] == "&" else f"&{_shift(found[0]).decode('ascii')}-"


def encode(name: str, utf8: bool) -> bytes:
    """The name as octets of an astring, not yet quoted."""
    return name.encode("utf-8") if utf8 else encode_modified(name)


# Patterns --------------------------------------------------------------------------------


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a name matches: `*` anything, `%` anything within one level (RFC 9051 6.3.9).

    No pattern is slow: every position the match may have reached is a bit of one number,
    and a character of the name moves them all at once.
    """
    pattern = with_inbox(pattern)
    folded = re.sub(r"%+", "%", re.sub(r"[*%]*\*[*%]*", "*", pattern))
    if "*" not in folded and "%" not in folded:
        return folded.__eq__
    if folded == "*":
        return lambda name: True
    literals: dict[str, int] = {}
    anything = within = 0
    for position, character in enumerate(folded):
        if character == "*":
            anything |= 1 << position
        elif character == "%":
            within |= 1 << position
        else:
            literals[character] = literals.get(character, 0) | 1 << position
    wild = anything | within
    end = 1 << len(folded)

    def matches(name: str) -> bool:
        # A wildcard may stand for nothing: who reached it has reached what follows it.
        reached = 3 if wild & 1 else 1
        for character in name:
            stays = anything if character == DELIMITER else wild
            reached = ((reached & literals.get(character, 0)) << 1) | (reached & stays)
            if not reached:
                return False
            reached |= (reached & wild) << 1
        return bool(reached & end)

    return matches


def literal_prefix(pattern: str) -> str:
    """What every matching name starts with."""
    pattern = with_inbox(pattern)
    found = re.search(r"[*%]", pattern)
    return pattern[: found.start()] if found else pattern
