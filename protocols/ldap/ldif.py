"""LDIF (RFC 2849), read: content records and change records, one after the other.

`chunks` cuts a file into the texts of its records without looking into them, so that a file of
any size is read in pieces; `record` reads one of them. Values keep their order, which a set
(ldaptor's reader) loses, and a record is read about six times as fast.

    ldif-record   = dn-spec SEP (1*attrval-spec / *control changerecord)
    attrval-spec  = AttributeDescription ":" (FILL SAFE-STRING / ":" FILL BASE64 / "<" FILL url)

URLs are refused: a file tells no server which other files to read. Controls are refused too,
but those that ask for nothing here (not critical).
"""

from __future__ import annotations

import base64
import binascii
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from protocols.errors import BadSyntax

MAX_RECORD: Final = 16 << 20
"""Octets of one record."""
MAX_LINES: Final = 100_000

_DESCRIPTION: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9.-]*(?:;[A-Za-z0-9-]+)*")
_OPERATIONS: Final = frozenset({"add", "delete", "replace", "increment"})

Attributes = tuple[tuple[str, tuple[bytes, ...]], ...]
"""Descriptions as written, each once, with their values in order."""


@dataclass(frozen=True, slots=True)
class Content:
    """An entry (RFC 2849, attrval-record)."""

    dn: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Add:
    """changetype: add"""

    dn: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Delete:
    """changetype: delete"""

    dn: str


@dataclass(frozen=True, slots=True)
class Modify:
    """changetype: modify. changes: (add, delete, replace or increment; description; values)."""

    dn: str
    changes: tuple[tuple[str, str, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class Rename:
    """changetype: modrdn or moddn. superior: None where it stays."""

    dn: str
    new_rdn: str
    delete_old: bool
    superior: str | None


Record = Content | Add | Delete | Modify | Rename


# Cutting ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """The text of one record. start: its offset in the file. line: its first line there, from 1."""

    text: bytes
    start: int
    line: int


def chunks(lines: Iterable[bytes]) -> Iterator[Chunk]:
    """Records by their empty lines; the version and lone comments are left out.

    A record over MAX_RECORD is cut short behind it, and will not be read.
    """
    held: list[bytes] = []
    size = offset = start = first = 0
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith(BOM_UTF8):  # what editors on Windows put before UTF-8
            line = line.removeprefix(BOM_UTF8)
            offset = len(BOM_UTF8)
        if line.strip(b"\r\n"):
            if not held:
                start, first = offset, number
            held.append(line[: MAX_RECORD + 1 - size])
            size += len(held[-1])
        elif held:
            yield from _chunk(held, start, first)
            held, size = [], 0
        offset += len(line)
    if held:
        yield from _chunk(held, start, first)


_VERSION: Final = re.compile(rb"(?i)version: *1\r?\n?$")


def _chunk(held: list[bytes], start: int, first: int) -> Iterator[Chunk]:
    comments = 0
    while comments < len(held) and (held[comments][:1] == b"#" or (comments and held[comments][:1] == b" ")):
        comments += 1
    if comments == len(held):
        return
    if _VERSION.match(held[comments]):
        start += sum(map(len, held[: comments + 1]))
        first += comments + 1
        held = held[comments + 1 :]
    if held:
        yield Chunk(b"".join(held), start, first)


# Reading ---------------------------------------------------------------------------------


def record(text: bytes) -> Record:
    """The record of a chunk. Raises BadSyntax, position: the line in it, from 1."""
    if len(text) > MAX_RECORD:
        raise BadSyntax(f"a record of at most {MAX_RECORD} octets")
    lines = _lines(text)
    if not lines:
        raise BadSyntax("a record")
    number, name, value = lines[0]
    if name.lower() != "dn":
        raise BadSyntax("dn: at the start of a record", number)
    dn = _text(value, number)
    at = 1
    while at < len(lines) and lines[at][1].lower() == "control":
        if b" true" in (lines[at][2] or b"").lower():
            raise BadSyntax("no critical controls", lines[at][0])
        at += 1
    if at < len(lines) and lines[at][1].lower() == "changetype":
        kind = _text(lines[at][2], lines[at][0]).strip().lower()
        return _change(dn, kind, lines[at + 1 :], lines[at][0])
    return Content(dn, _attributes(lines[at:], number))


def _lines(text: bytes) -> list[tuple[int, str, bytes | None]]:
    """(line, description, value) of each; None is the "-" between modifications."""
    found: list[tuple[int, str, bytes | None]] = []
    # A comment may be folded as well: its folds go with it.
    for number, line in _logical(text):
        described, colon, rest = line.partition(b":")
        name = _described(described) if colon and len(described) <= _LONG else ""
        if not name and line.startswith(b"#"):
            continue
        if len(found) >= MAX_LINES:
            raise BadSyntax(f"at most {MAX_LINES} lines in a record", number)
        if name:
            found.append((number, name, _value(rest, number)))
        elif line.strip() == b"-":
            found.append((number, "-", None))
        elif colon and _DESCRIPTION.fullmatch(described):
            found.append((number, described.decode("ascii"), _value(rest, number)))
        else:
            raise BadSyntax("attribute: value", number)
    return found


_LONG: Final = 100
"""Octets of a description that is worth remembering."""


@lru_cache(maxsize=1024)
def _described(described: bytes) -> str:
    """A description of an attribute; "" for what is none."""
    return described.decode("ascii") if _DESCRIPTION.fullmatch(described) else ""


def _logical(text: bytes) -> Iterable[tuple[int, bytes]]:
    """Lines that are not empty, by the number of their first; folded ones are one."""
    if b"\n " in text or b"\r" in text or text[:1] == b" ":
        return _unfolded(text)
    return [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line]


def _unfolded(text: bytes) -> Iterator[tuple[int, bytes]]:
    number, held, first = 0, b"", 0
    for raw in text.replace(b"\r\n", b"\n").split(b"\n"):
        number += 1
        if raw.startswith(b" "):
            if not first:
                raise BadSyntax("a line that is not folded", number)
            held += raw[1:]
            continue
        if first and held:
            yield first, held
        held, first = raw, number
    if first and held:
        yield first, held


def _value(rest: bytes, number: int) -> bytes:
    first = rest[:1]
    if first == b":":
        try:
            return base64.b64decode(rest[1:].strip(b" "), validate=True)
        except (binascii.Error, ValueError):
            raise BadSyntax("base64 behind two colons", number) from None
    if first == b"<":
        raise BadSyntax("no URLs: put the value in as base64", number)
    return rest.lstrip(b" ")


def _text(value: bytes | None, number: int) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        raise BadSyntax("UTF-8", number) from None


def _attributes(lines: list[tuple[int, str, bytes | None]], number: int) -> Attributes:
    found: dict[str, tuple[str, tuple[bytes, ...]]] = {}
    several: dict[str, list[bytes]] = {}
    for line, description, value in lines:
        if value is None:
            raise BadSyntax("attribute: value", line)
        key = description.lower()
        if key not in found:
            found[key] = (description, (value,))
        elif key in several:
            several[key].append(value)
        else:
            several[key] = [*found[key][1], value]
    if not found:
        raise BadSyntax("attributes of the entry", number)
    for key, values in several.items():
        found[key] = (found[key][0], tuple(values))
    return tuple(found.values())


def _change(dn: str, kind: str, lines: list[tuple[int, str, bytes | None]], number: int) -> Record:
    match kind:
        case "add":
            return Add(dn, _attributes(lines, number))
        case "delete":
            if lines:
                raise BadSyntax("nothing behind changetype: delete", lines[0][0])
            return Delete(dn)
        case "modify":
            return Modify(dn, _modifications(lines, number))
        case "modrdn" | "moddn":
            return _rename(dn, lines, number)
    raise BadSyntax("changetype: add, delete, modify, modrdn or moddn", number)


def _modifications(
    lines: list[tuple[int, str, bytes | None]], number: int
) -> tuple[tuple[str, str, tuple[bytes, ...]], ...]:
    made: list[tuple[str, str, tuple[bytes, ...]]] = []
    at = 0
    while at < len(lines):
        line, operation, named = lines[at]
        if operation.lower() not in _OPERATIONS:
            raise BadSyntax("add:, delete:, replace: or increment:", line)
        attribute = _text(named, line).strip()
        at += 1
        values: list[bytes] = []
        while at < len(lines) and (value := lines[at][2]) is not None:
            if lines[at][1].lower() != attribute.lower():
                raise BadSyntax(f"values of {attribute[:100]}, or a line with -", lines[at][0])
            values.append(value)
            at += 1
        at += 1  # the "-", which the last one may leave out
        made.append((operation.lower(), attribute, tuple(values)))
    if not made:
        raise BadSyntax("modifications", number)
    return tuple(made)


def _rename(dn: str, lines: list[tuple[int, str, bytes | None]], number: int) -> Rename:
    given = {description.lower(): (line, value) for line, description, value in lines}
    if "newrdn" not in given or given.get("deleteoldrdn", (0, b""))[1] not in (b"0", b"1"):
        raise BadSyntax("newrdn: and deleteoldrdn: 0 or 1", number)
    superior = given.get("newsuperior")
    return Rename(
        dn,
        _text(given["newrdn"][1], given["newrdn"][0]),
        given["deleteoldrdn"][1] == b"1",
        None if superior is None else _text(superior[1], superior[0]),
    )


# Writing ---------------------------------------------------------------------------------

_SAFE: Final = re.compile(rb"(?:[^\0\r\n :<\x80-\xff][^\0\r\n\x80-\xff]*)?")
_WIDTH: Final = 76


def line(description: str, value: bytes) -> bytes:
    """One attrval-spec, folded."""
    if _SAFE.fullmatch(value) and not value.endswith(b" "):
        whole = b"%s: %s" % (description.encode(), value)
    else:
        whole = b"%s:: %s" % (description.encode(), base64.b64encode(value))
    pieces = [whole[:_WIDTH]]
    pieces.extend(b" " + whole[at : at + _WIDTH - 1] for at in range(_WIDTH, len(whole), _WIDTH - 1))
    return b"\n".join(pieces) + b"\n"
