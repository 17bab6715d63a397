"""The schema in force: what an attribute description names, what a value must look like.

`SCHEMA` is the one that filters are evaluated with; `definition` adds what only we know.
Values are checked by syntax, with two liberties that clients need: telephone numbers may
be any text, and telex, fax and photographs any octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from imsd.directory import attributes, classes, settingtypes
from imsd.directory.attributes import Definition, Kept
from imsd.errors import InvalidSyntax, ObjectClassViolation
from protocols.errors import BadSyntax
from protocols.ldap import matching, options
from protocols.ldap.schema import AttributeType, Kind, ObjectClass, Schema

_ALL: Final = (*attributes.ALL, *(each.definition for each in settingtypes.SETTINGS))
SCHEMA: Final = Schema([each.type for each in _ALL], (*classes.ALL, *settingtypes.CLASSES))

_DEFINITIONS: Final = {each.key: each for each in _ALL}
_SYNTAX: Final = "1.3.6.1.4.1.1466.115.121.1."
_BINARY: Final = {_SYNTAX + number for number in ("5", "8", "28", "40")}
_LANGUAGES: Final = {_SYNTAX + number for number in ("15", "26", "41", "44", "50")}
"""Syntaxes of text, which may be in a language (RFC 3866 2)."""


@lru_cache(maxsize=4096)
def definition(description: str) -> Definition | None:
    """What an attribute description names; None if nothing.

    `;binary` is taken for octets (RFC 4522), and language tags and ranges for text (RFC 3866): with
    them it is an attribute of its own. Any other option makes the description one that is not
    recognised (RFC 4512 2.5).
    """
    name, given = options.split(description)
    found = SCHEMA.attribute(name)
    if found is None:
        return None
    plain = _DEFINITIONS[found.name.lower()]
    if not given:
        return plain
    if given == (options.BINARY,):
        return plain if found.syntax in _BINARY else None
    text = plain.kept is Kept.VALUE or plain.key == "displayname"
    if not text or found.syntax not in _LANGUAGES or plain.type.operational or len(given) > options.MOST:
        return None
    if not all(options.is_tag(each) or options.is_range(each) for each in given):
        return None
    tagged = ";".join([plain.type.name, *given])
    return replace(plain, type=replace(plain.type, names=(tagged,)), kept=Kept.VALUE)


def plain(key: str) -> str:
    """A key without options."""
    return key.partition(";")[0]


def is_range(wanted: Definition) -> bool:
    """Is it a description that can only be asked for?"""
    return wanted.key.endswith("-") or "-;" in wanted.key


def stands_for(asked: Definition, own: str) -> bool:
    """Does a key belong to the attribute asked for: it, a subtype, one with more options?"""
    base, _, given = own.partition(";")
    return base in covered(asked.key) and options.covers(asked.options, given.split(";"))


def definitions() -> Iterable[Definition]:
    return _DEFINITIONS.values()


@lru_cache(maxsize=1024)
def covered(key: str) -> frozenset[str]:
    """The keys an attribute stands for: itself and its subtypes (RFC 4512 2.5.1)."""
    return SCHEMA.subtypes(key)


@lru_cache(maxsize=1024)
def _rule(key: str) -> matching.Equality | None:
    found = SCHEMA.attribute(key)
    return matching.equality(found.equality) if found and found.equality else None


def normal(key: str, value: bytes) -> object:
    """What equal values of an attribute share; the octets where no rule reads them."""
    rule = _rule(key)
    if rule is None:
        return value
    try:
        return rule.key(value)
    except BadSyntax:
        return value


def index_text(key: str, value: bytes) -> str | None:
    """The form of a value in the index; None if it is not to be indexed."""
    if not is_indexed(key):
        return None
    made = normal(key, value)
    if isinstance(made, str):
        return made.replace("\0", "") if "\0" in made else made
    if isinstance(made, bool):
        return "TRUE" if made else "FALSE"
    return None if isinstance(made, bytes) and len(made) != 16 else _hexadecimal(made)


@lru_cache(maxsize=4096)
def is_indexed(key: str) -> bool:
    """Are the values of a key that is known in the index?"""
    return _DEFINITIONS[plain(key)].indexed


def _hexadecimal(made: object) -> str | None:
    return made.hex() if isinstance(made, bytes) else None


# Values --------------------------------------------------------------------------------

_PRINTABLE: Final = re.compile(rb"[A-Za-z0-9'()+,./:? =-]+")
# DeliveryMethod = pdm *( WSP DOLLAR WSP pdm ) (RFC 4517 3.3.5)
_PDM: Final = "any|mhs|physical|telex|teletex|g3fax|g4fax|ia5|videotex|telephone"
_DELIVERY: Final = re.compile(rf"(?:{_PDM})(?: *\$ *(?:{_PDM}))*")


def _delivery_method(value: bytes) -> None:
    if not _DELIVERY.fullmatch(value.decode("ascii", "replace").lower()):
        raise BadSyntax("ways of delivery")


_READERS: Final = {
    _SYNTAX + "6": matching.bit_string,
    _SYNTAX + "14": _delivery_method,
    _SYNTAX + "7": matching.boolean,
    _SYNTAX + "12": matching.distinguished_name,
    _SYNTAX + "24": matching.generalized_time,
    _SYNTAX + "27": matching.integer,
    _SYNTAX + "36": matching.numeric_string,
    _SYNTAX + "38": matching.object_identifier,
}
_PRINTED: Final = {_SYNTAX + "44"}
_TEXTS: Final = {_SYNTAX + number for number in ("15", "26", "41", "44", "50", "11")}


def check(wanted: Definition, value: bytes) -> None:
    """Is this a value of the attribute's syntax (RFC 4517 3.3)? Raises InvalidSyntax."""
    found, most = _type(wanted.key)
    if 0 < len(value) <= most and value.isascii() and b"\0" not in value:
        return
    syntax, name = found.syntax, wanted.type.name
    if found.length and len(value) > found.length * (1 if syntax in _BINARY else 4):
        raise InvalidSyntax(f"{name}: at most {found.length} characters")
    reader = _READERS.get(syntax)
    if reader is not None:
        try:
            reader(value)
        except BadSyntax:
            raise InvalidSyntax(f"{name}: not a value of its syntax") from None
    elif syntax in _TEXTS:
        _check_text(name, syntax, value, found.length)


@lru_cache(maxsize=4096)
def _type(key: str) -> tuple[AttributeType, int]:
    """With the octets of ASCII that are a value whatever they are; 0 where they have to be looked at."""
    found = SCHEMA.attribute(key)
    assert found is not None
    return found, (found.length or 1 << 20) if found.syntax in _LANGUAGES - _PRINTED else 0


def _check_text(name: str, syntax: str, value: bytes, most: int) -> None:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise InvalidSyntax(f"{name}: not UTF-8") from None
    if not text or "\0" in text:
        # RFC 4517 3.3.6: a Directory String has at least one character.
        raise InvalidSyntax(f"{name}: an empty value")
    if most and len(text) > most:
        raise InvalidSyntax(f"{name}: at most {most} characters")
    if syntax.endswith(".26") and not text.isascii():
        raise InvalidSyntax(f"{name}: ASCII only")
    if syntax.endswith(".11") and len(text) != 2:
        raise InvalidSyntax(f"{name}: two letters")
    if syntax.endswith((".44", ".11")) and not _PRINTABLE.fullmatch(value):
        raise InvalidSyntax(f"{name}: a printable string only")


# Object classes ------------------------------------------------------------------------


def object_class(name: str) -> ObjectClass:
    """Raises ObjectClassViolation for one that is not known."""
    found = SCHEMA.object_class(name)
    if found is None:
        raise ObjectClassViolation(f"No such object class: {name[:64]!a}")
    return found


@lru_cache(maxsize=256)
def closed(names: frozenset[str]) -> tuple[str, ...]:
    """The classes and all their superclasses by their first names, `top` first.

    Raises ObjectClassViolation.
    """
    whole = {each.name for name in names if object_class(name) for each in SCHEMA.superclasses(name)}
    above = {sup.name for name in whole for sup in SCHEMA.superclasses(name) if sup.name != name}
    found: dict[str, None] = {"top": None}
    # In an order that does not depend on which of them were given.
    for name in sorted(whole - above):
        for each in reversed(SCHEMA.superclasses(name)):
            found[each.name] = None
    return tuple(found)


@lru_cache(maxsize=256)
def structural(names: frozenset[str]) -> str:
    """The structural class of an entry (RFC 4512 2.4.2). Raises ObjectClassViolation.

    There is exactly one chain of structural classes; the answer is its lowest.
    """
    chain = [each for name in names if (each := object_class(name)).kind is Kind.STRUCTURAL]
    for each in chain:
        above = {sup.name for sup in SCHEMA.superclasses(each.name)}
        if all(other.name in above for other in chain):
            return each.name
    raise ObjectClassViolation("One structural object class is needed")


@lru_cache(maxsize=256)
def allowed(names: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Keys of attributes an entry of these classes must have, and may have besides."""
    must: set[str] = set()
    may: set[str] = set()
    for name in names:
        for each in SCHEMA.superclasses(name):
            must.update(_key(attribute) for attribute in each.must)
            may.update(_key(attribute) for attribute in each.may)
    return frozenset(must), frozenset(may - must)


def _key(name: str) -> str:
    found = definition(name)
    assert found is not None, name
    return found.key


def stored(key: str) -> bool:
    """Is the attribute kept among the packed values of an entry?"""
    return ";" in key or _DEFINITIONS[key].kept is Kept.VALUE or key == "proxyaddresses"
