"""Matching rules (RFC 4517 4), over prepared strings (RFC 4518).

An equality rule makes a key of a value: values match when their keys are equal. An ordering
rule's keys compare. A substrings rule looks for prepared parts in a prepared whole. A value
that a rule cannot read raises BadSyntax, and the assertion is Undefined (RFC 4511 4.5.1.7).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from protocols.errors import BadSyntax
from protocols.ldap import certificates, dn, preparation

_SYNTAX: Final = "1.3.6.1.4.1.1466.115.121.1."


@dataclass(frozen=True, slots=True)
class Equality:
    """`key` reads an attribute value, `assertion` what is asserted (usually the same)."""

    oid: str
    name: str
    syntax: str
    key: Callable[[bytes], Hashable]
    assertion: Callable[[bytes], Hashable]


@dataclass(frozen=True, slots=True)
class Ordering:
    """Keys of one rule compare with `<`."""

    oid: str
    name: str
    syntax: str
    key: Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Substring:
    """`whole` prepares an attribute value, the others parts of an assertion."""

    oid: str
    name: str
    syntax: str
    whole: Callable[[bytes], str]
    initial: Callable[[bytes], str]
    middle: Callable[[bytes], str]
    final: Callable[[bytes], str]

    def test(
        self, initial: bytes | None, middle: tuple[bytes, ...], final: bytes | None
    ) -> Callable[[bytes], bool]:
        """A test for attribute values; raises BadSyntax for parts that cannot be prepared."""
        first = "" if initial is None else self.initial(initial)
        parts = [self.middle(part) for part in middle]
        last = "" if final is None else self.final(final)
        whole = self.whole
        if len(parts) == 1 and not first and not last:
            (part,) = parts
            return lambda value: part in whole(value)
        if not parts and not last:
            return lambda value: whole(value).startswith(first)

        def found(value: bytes) -> bool:
            text = whole(value)
            position = len(first)
            stop = len(text) - len(last)
            if stop < position or not text.startswith(first) or not text.endswith(last):
                return False
            for part in parts:
                at = text.find(part, position, stop)
                if at < 0:
                    return False
                position = at + len(part)
            return True

        return found


# Keys ----------------------------------------------------------------------------------

_INTEGER: Final = re.compile(rb"0|-?[1-9][0-9]{0,999}")
_TIME: Final = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})?)?"
    r"(?:[.,]([0-9]{1,9}))?(Z|([+-])([0-9]{2})([0-9]{2})?)"
)
_NUMERIC_OID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_DESCRIPTOR: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_DOLLAR: Final = re.compile(r"\\(24|5[Cc])")
_BITS: Final = re.compile(rb"'([01]*)'B")


def _something(value: bytes) -> bytes:
    """These syntaxes have no empty value (RFC 4517 3.3.6, 3.3.28, 3.3.29): to assert one is Undefined."""
    if not value:
        raise BadSyntax("a value with characters")
    return value


def case_ignore(value: bytes) -> str:
    return preparation.canonical_bytes(_something(value), True)


def case_exact(value: bytes) -> str:
    return preparation.canonical_bytes(_something(value), False)


def _ia5(value: bytes) -> bytes:
    if not value.isascii():
        raise BadSyntax("an IA5 string")
    return value


def case_ignore_ia5(value: bytes) -> str:
    return preparation.canonical_bytes(_ia5(value), True)


def case_exact_ia5(value: bytes) -> str:
    return preparation.canonical_bytes(_ia5(value), False)


def numeric_string(value: bytes) -> str:
    """RFC 4517 3.3.23: digits and spaces."""
    text = preparation.numeric(preparation.decoded(value))
    if text and not (text.isascii() and text.isdigit()):
        raise BadSyntax("a numeric string")
    return text


def telephone_number(value: bytes) -> str:
    return preparation.telephone(preparation.decoded(_something(value)))


def integer(value: bytes) -> int:
    """RFC 4517 3.3.16."""
    if not _INTEGER.fullmatch(value):
        raise BadSyntax("an integer")
    return int(value)


def boolean(value: bytes) -> bool:
    """RFC 4517 3.3.3; case ignored, as clients write it."""
    if value.upper() not in (b"TRUE", b"FALSE"):
        raise BadSyntax("TRUE or FALSE")
    return value.upper() == b"TRUE"


_BEFORE: Final = datetime.min.replace(tzinfo=UTC)


def generalized_time(value: bytes) -> datetime:
    """RFC 4517 3.3.13, in UTC."""
    match = _TIME.fullmatch(value.decode("ascii", "replace"))
    if match is None:
        raise BadSyntax("a generalized time")
    year, month, day, hour, minute, second, fraction, zone, sign, zone_hour, zone_minute = match.groups()
    unit = 3600 if minute is None else 60 if second is None else 1
    leap = second == "60"
    before = year == "0000"  # what `datetime` does not have, and password policies write for "for ever"
    try:
        moment = datetime(
            4 if before else int(year), int(month), int(day), int(hour), int(minute or 0),
            59 if leap else int(second or 0), tzinfo=UTC,
        )  # fmt: skip
        moment += timedelta(seconds=leap + unit * float(f"0.{fraction or 0}"))
        if zone != "Z":
            offset = timedelta(hours=int(zone_hour), minutes=int(zone_minute or 0))
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError):
        raise BadSyntax("a time that exists") from None
    return _BEFORE if before else moment


def octet_string(value: bytes) -> bytes:
    return value


def distinguished_name(value: bytes) -> str:
    """The normal form of a DN (RFC 4517 4.2.15)."""
    return dn.parse(preparation.decoded(value)).normal


def unique_member(value: bytes) -> tuple[str, str]:
    """RFC 4517 3.3.21: a DN with an optional #'0101'B."""
    name, _, bits = preparation.decoded(value).rpartition("#")
    if name and _BITS.fullmatch(bits.encode()):
        return dn.parse(name).normal, bits
    return distinguished_name(value), ""


def object_identifier(value: bytes) -> str:
    """RFC 4517 4.2.26. Names are compared as names; make OIDs of them before where known."""
    return _identifier(value) if len(value) > _SHORT else _remembered(value)


_SHORT: Final = 64
"""Octets of identifiers that are remembered: the same few dozen come again and again."""


def _identifier(value: bytes) -> str:
    text = preparation.decoded(value).strip(" ")
    if not _NUMERIC_OID.fullmatch(text) and not _DESCRIPTOR.fullmatch(text):
        raise BadSyntax("an object identifier")
    return text.lower()


_remembered = lru_cache(maxsize=512)(_identifier)


def first_component(value: bytes) -> str:
    """The first word of a description in parentheses (RFC 4517 4.2.27)."""
    words = preparation.decoded(value).replace("(", " ( ", 1).split()
    if len(words) < 2 or words[0] != "(":
        raise BadSyntax("a description in parentheses")
    return words[1].strip("'").lower()


def integer_first(value: bytes) -> int:
    return integer(first_component(value).encode())


def bit_string(value: bytes) -> bytes:
    """RFC 4517 3.3.2."""
    match = _BITS.fullmatch(value)
    if match is None:
        raise BadSyntax("a bit string")
    return match[1]


def case_ignore_list(value: bytes) -> tuple[str, ...]:
    """The lines of a postal address (RFC 4517 3.3.28, 4.2.9)."""
    return tuple(map(preparation.canonical, _lines(value)))


def _lines(value: bytes) -> list[str]:
    return [
        _DOLLAR.sub(lambda found: "$" if found[1] == "24" else "\\", line)
        for line in preparation.decoded(_something(value)).split("$")
    ]


def unique_identifier(value: bytes) -> bytes:
    """RFC 4530 2.1."""
    try:
        return uuid.UUID(preparation.decoded(value)).bytes
    except ValueError:
        raise BadSyntax("a UUID") from None


# Substrings ----------------------------------------------------------------------------


def _prepared(prepare: Callable[[str, bool], str], fold: bool) -> Callable[[bytes], str]:
    @lru_cache(maxsize=1024)
    def part(value: bytes) -> str:
        return prepare(preparation.decoded(value), fold)

    return part


def _substring(oid: str, name: str, fold: bool, syntax: str = "58") -> Substring:
    return Substring(
        oid,
        name,
        _SYNTAX + syntax,
        _prepared(preparation.whole, fold),
        _prepared(preparation.initial, fold),
        _prepared(preparation.middle, fold),
        _prepared(preparation.final, fold),
    )


def _list_whole(value: bytes) -> str:
    # RFC 4517 4.2.10: no substring spans two lines; a line feed is in no prepared string.
    return "\n".join(preparation.whole(line, True) for line in _lines(value))


_list = _substring("2.5.13.12", "caseIgnoreListSubstringsMatch", True)


# The table (RFC 4517 4.2, RFC 4530) -----------------------------------------------------


def _equality(
    oid: str,
    name: str,
    syntax: str,
    key: Callable[[bytes], Hashable],
    assertion: Callable[[bytes], Hashable] | None = None,
) -> Equality:
    return Equality(oid, name, syntax if "." in syntax else _SYNTAX + syntax, key, assertion or key)


EQUALITY: Final[tuple[Equality, ...]] = (
    _equality("2.5.13.16", "bitStringMatch", "6", bit_string),
    _equality("2.5.13.13", "booleanMatch", "7", boolean),
    _equality("1.3.6.1.4.1.1466.109.114.1", "caseExactIA5Match", "26", case_exact_ia5),
    _equality("2.5.13.5", "caseExactMatch", "15", case_exact),
    _equality("1.3.6.1.4.1.1466.109.114.2", "caseIgnoreIA5Match", "26", case_ignore_ia5),
    _equality("2.5.13.11", "caseIgnoreListMatch", "41", case_ignore_list),
    _equality("2.5.13.2", "caseIgnoreMatch", "15", case_ignore),
    _equality("2.5.13.31", "directoryStringFirstComponentMatch", "15", first_component, case_ignore),
    _equality("2.5.13.1", "distinguishedNameMatch", "12", distinguished_name),
    _equality("2.5.13.27", "generalizedTimeMatch", "24", generalized_time),
    _equality("2.5.13.29", "integerFirstComponentMatch", "27", integer_first, integer),
    _equality("2.5.13.14", "integerMatch", "27", integer),
    _equality("2.5.13.8", "numericStringMatch", "36", numeric_string),
    _equality("2.5.13.30", "objectIdentifierFirstComponentMatch", "38", first_component, object_identifier),
    _equality("2.5.13.0", "objectIdentifierMatch", "38", object_identifier),
    _equality("2.5.13.17", "octetStringMatch", "40", octet_string),
    _equality("2.5.13.20", "telephoneNumberMatch", "50", telephone_number),
    _equality("2.5.13.23", "uniqueMemberMatch", "34", unique_member),
    _equality("1.3.6.1.1.16.2", "UUIDMatch", "1.3.6.1.1.16.1", unique_identifier),
    _equality(
        "2.5.13.34",
        "certificateExactMatch",
        "1.3.6.1.1.15.1",
        certificates.certificate,
        certificates.assertion,
    ),
)

ORDERING: Final[tuple[Ordering, ...]] = (
    Ordering("2.5.13.6", "caseExactOrderingMatch", _SYNTAX + "15", case_exact),
    Ordering("2.5.13.3", "caseIgnoreOrderingMatch", _SYNTAX + "15", case_ignore),
    Ordering("2.5.13.28", "generalizedTimeOrderingMatch", _SYNTAX + "24", generalized_time),
    Ordering("2.5.13.15", "integerOrderingMatch", _SYNTAX + "27", integer),
    Ordering("2.5.13.9", "numericStringOrderingMatch", _SYNTAX + "36", numeric_string),
    Ordering("2.5.13.18", "octetStringOrderingMatch", _SYNTAX + "40", octet_string),
    Ordering("1.3.6.1.1.16.3", "UUIDOrderingMatch", "1.3.6.1.1.16.1", unique_identifier),
)

SUBSTRINGS: Final[tuple[Substring, ...]] = (
    _substring("2.5.13.7", "caseExactSubstringsMatch", False),
    _substring("2.5.13.4", "caseIgnoreSubstringsMatch", True),
    _substring("1.3.6.1.4.1.1466.109.114.3", "caseIgnoreIA5SubstringsMatch", True),
    Substring(_list.oid, _list.name, _list.syntax, _list_whole, _list.initial, _list.middle, _list.final),
    Substring(
        "2.5.13.10", "numericStringSubstringsMatch", _SYNTAX + "58",
        numeric_string, numeric_string, numeric_string, numeric_string,
    ),
    Substring(
        "2.5.13.21", "telephoneNumberSubstringsMatch", _SYNTAX + "58",
        telephone_number, telephone_number, telephone_number, telephone_number,
    ),
)  # fmt: skip

_equalities: Final = {key.lower(): rule for rule in EQUALITY for key in (rule.oid, rule.name)}
_orderings: Final = {key.lower(): rule for rule in ORDERING for key in (rule.oid, rule.name)}
_substrings: Final = {key.lower(): rule for rule in SUBSTRINGS for key in (rule.oid, rule.name)}


def equality(name: str) -> Equality | None:
    """The rule of a name or OID."""
    return _equalities.get(name.lower())


def ordering(name: str) -> Ordering | None:
    return _orderings.get(name.lower())


def substring(name: str) -> Substring | None:
    return _substrings.get(name.lower())
