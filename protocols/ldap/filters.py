"""Search filters (RFC 4511 4.5.1.7) as values, and their text (RFC 4515).

Evaluation against an entry is in `evaluation`; the BER form in `requests`.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from protocols.errors import BadSyntax
from protocols.values import value

MAX_TEXT_DEPTH: Final = 64


@value(frozen=True, slots=True)
class And:
    """All of `filters`; with none, true (RFC 4526)."""

    filters: tuple[Filter, ...]


@value(frozen=True, slots=True)
class Or:
    """Any of `filters`; with none, false (RFC 4526)."""

    filters: tuple[Filter, ...]


@value(frozen=True, slots=True)
class Not:
    filter: Filter


@value(frozen=True, slots=True)
class Equal:
    """equalityMatch."""

    attribute: str
    value: bytes


@value(frozen=True, slots=True)
class Substrings:
    """At least one of the three is given; None means not asked for."""

    attribute: str
    initial: bytes | None = None
    any: tuple[bytes, ...] = ()
    final: bytes | None = None


@value(frozen=True, slots=True)
class GreaterOrEqual:
    attribute: str
    value: bytes


@value(frozen=True, slots=True)
class LessOrEqual:
    attribute: str
    value: bytes


@value(frozen=True, slots=True)
class Present:
    attribute: str


@value(frozen=True, slots=True)
class Approx:
    """approxMatch; served as equality."""

    attribute: str
    value: bytes


@value(frozen=True, slots=True)
class Extensible:
    """extensibleMatch: `rule` or `attribute` or both (RFC 4511 4.5.1.7.7)."""

    rule: str | None
    attribute: str | None
    value: bytes
    dn_attributes: bool = False


Filter: TypeAlias = (
    And | Or | Not | Equal | Substrings | GreaterOrEqual | LessOrEqual | Present | Approx | Extensible
)


# Text (RFC 4515) -----------------------------------------------------------------------

# attr = attributedescription (RFC 4512 2.5): descr or numericoid, with options.
_ATTRIBUTE: Final = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*"
_OID: Final = r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+"
# item = simple / present / substring / extensible; the value ends at an unescaped ")".
_SIMPLE: Final = re.compile(rf"({_ATTRIBUTE})(=|~=|>=|<=)([^()]*)")
_EXTENSIBLE: Final = re.compile(rf"({_ATTRIBUTE})?(:dn)?(?::({_OID}))?:=([^()]*)", re.IGNORECASE)
_ESCAPE: Final = re.compile(rb"\\(.{0,2})", re.DOTALL)
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{2}")
# RFC 4515 3: NUL, "(", ")", "*" and "\\" are escaped; so are octets that are not UTF-8.
_ESCAPED: Final = {ord(c): f"\\{ord(c):02x}" for c in "\0()*\\"}


class BadFilter(BadSyntax):
    """Text that is no filter."""


def parse(text: str) -> Filter:
    """A filter from its text; raises BadFilter. An item without parentheses is accepted."""
    text = text.strip(" ")
    if not text.startswith("("):
        text = f"({text})"
    found, end = _filter(text, 0, MAX_TEXT_DEPTH)
    if end != len(text):
        raise BadFilter("the end of the filter", end)
    return found


def _filter(text: str, at: int, depth: int) -> tuple[Filter, int]:
    if not depth:
        raise BadFilter(f"at most {MAX_TEXT_DEPTH} levels", at)
    if text[at : at + 1] != "(":
        raise BadFilter("'('", at)
    kind = text[at + 1 : at + 2]
    found: Filter
    if kind in ("&", "|"):
        parts = []
        end = at + 2
        while text[end : end + 1] == "(":
            part, end = _filter(text, end, depth - 1)
            parts.append(part)
        found = And(tuple(parts)) if kind == "&" else Or(tuple(parts))
    elif kind == "!":
        part, end = _filter(text, at + 2, depth - 1)
        found = Not(part)
    else:
        found, end = _item(text, at + 1)
    if text[end : end + 1] != ")":
        raise BadFilter("')'", end)
    return found, end + 1


def _item(text: str, at: int) -> tuple[Filter, int]:
    simple = _SIMPLE.match(text, at)
    if simple is not None:
        attribute, operator, value = simple.groups()
        start = simple.start(3)
        if operator == "=":
            return _equality(attribute, value, start), simple.end()
        kind = Approx if operator == "~=" else GreaterOrEqual if operator == ">=" else LessOrEqual
        return kind(attribute, _unescape(value, start)), simple.end()
    extensible = _EXTENSIBLE.match(text, at)
    if extensible is None or not (extensible[1] or extensible[3]):
        raise BadFilter("an attribute and a comparison", at)
    attribute, dn, rule, value = extensible.groups()
    return Extensible(rule, attribute, _unescape(value, extensible.start(4)), bool(dn)), extensible.end()


def _equality(attribute: str, value: str, at: int) -> Filter:
    """equality, present ("=*") or substring: "*" tells them apart."""
    if value == "*":
        return Present(attribute)
    if "*" not in value:
        return Equal(attribute, _unescape(value, at))
    first, *middle, last = [_unescape(part, at, stars=True) for part in value.split("*")]
    if not all(middle):
        raise BadFilter("something between two '*'", at)
    return Substrings(attribute, first or None, tuple(middle), last or None)


def _unescape(text: str, at: int, stars: bool = False) -> bytes:
    if "*" in text and not stars:
        raise BadFilter("'*' escaped", at)
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise BadFilter("UTF-8", at) from None
    if b"\\" not in raw:
        return raw

    def octet(match: re.Match[bytes]) -> bytes:
        if not _HEX.fullmatch(match[1]):
            raise BadFilter("two hexadecimal digits", at)
        return bytes.fromhex(match[1].decode())

    return _ESCAPE.sub(octet, raw)


def escape(value: bytes) -> str:
    """An assertion value as text."""
    try:
        return value.decode().translate(_ESCAPED)
    except UnicodeDecodeError:
        return "".join(f"\\{octet:02x}" for octet in value)


def format(filter: Filter) -> str:
    """The text of a filter (RFC 4515 3)."""
    match filter:
        case And(parts):
            return f"(&{''.join(map(format, parts))})"
        case Or(parts):
            return f"(|{''.join(map(format, parts))})"
        case Not(part):
            return f"(!{format(part)})"
        case Equal(attribute, value):
            return f"({attribute}={escape(value)})"
        case Substrings(attribute, initial, middle, final):
            stars = [escape(initial or b""), *map(escape, middle), escape(final or b"")]
            return f"({attribute}={'*'.join(stars)})"
        case GreaterOrEqual(attribute, value):
            return f"({attribute}>={escape(value)})"
        case LessOrEqual(attribute, value):
            return f"({attribute}<={escape(value)})"
        case Present(attribute):
            return f"({attribute}=*)"
        case Approx(attribute, value):
            return f"({attribute}~={escape(value)})"
        case Extensible(rule, name, value, dn_attributes):
            described = (name or "") + ":dn" * dn_attributes + (f":{rule}" if rule else "")
            return f"({described}:={escape(value)})"
