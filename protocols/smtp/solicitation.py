"""Kinds of solicitation that a site does not want: NO-SOLICITING (RFC 3865).

Solicitation-keywords = word *( "," word )
word                  = ALPHA *( "." / "-" / "_" / ":" / ALPHA / DIGIT )
"""

import re
from collections.abc import Collection, Iterable
from typing import Final

from protocols.smtp.grammar import BadArgument

MOST: Final = 1000
"""Octets of the keywords of one message (RFC 3865 2.2)."""

KEYWORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_:.-]{0,998}")


def parse_solicit(value: bytes) -> tuple[str, ...]:
    """The value of SOLICIT=. Raises BadArgument."""
    words = value.decode("ascii", "replace").split(",")
    if len(value) > MOST or not all(map(KEYWORD.fullmatch, words)):
        raise BadArgument("SOLICIT: keywords expected")
    return tuple(words)


_FIELD: Final = re.compile(rb"^solicitation[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


def in_header(header: bytes) -> list[str]:
    """The keywords of the Solicitation fields of a header block (RFC 3865 2.5)."""
    found: list[str] = []
    for match in _FIELD.finditer(header):
        words = match[1][: 2 * MOST].decode("ascii", "replace").split(",")
        found += [word.strip() for word in words if KEYWORD.fullmatch(word.strip())]
    return found


def together(said: Iterable[str]) -> tuple[str, ...]:
    """Keywords of the parameter and of the field, each once, as many as a parameter holds (RFC 3865 2.2)."""
    found: dict[str, str] = {}
    room = MOST
    for word in said:
        if word.lower() not in found and room >= len(word):
            found[word.lower()] = word
            room -= len(word) + 1
    return tuple(found.values())


def unwanted(said: Collection[str], refused: Collection[str]) -> list[str]:
    """The keywords that are refused; they are compared without case."""
    known = {word.lower() for word in refused}
    return [word for word in said if word.lower() in known]


def refusal(words: Collection[str]) -> str:
    """What is said of them: which they are (RFC 3865 2.4), for programs first."""
    named = ",".join(words)[:200].rpartition(",")[0] if len(",".join(words)) > 200 else ",".join(words)
    return f"SOLICIT={named or next(iter(words))} Solicitations of this kind are not wanted here"
