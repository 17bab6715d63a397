"""Header fields of a header block, found by offset (RFC 5322 2.2, 3.6.8).

A header block is the bytes from the first field to the empty line, that line included.
Fields are found with one regular expression over the buffer; values stay raw (folded, with
their line ends) until `unfold` is asked for. Lines that are no field are skipped.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

# field = field-name *WSP ":" unstructured-with-folding; obs-optional allows WSP before ":".
FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)", re.MULTILINE)

_FOLD = re.compile(rb"[\r\n\0]+")


class Field(NamedTuple):
    """One field: name as written, raw value, and the span of the whole field with its line end."""

    name: bytes
    value: bytes
    start: int
    stop: int

    @property
    def text(self) -> bytes:
        """The value on one line, without surrounding white space."""
        return unfold(self.value)


def unfold(value: bytes) -> bytes:
    """The value on one line: line ends and NULs go, the white space after a fold stays (RFC 5322 2.2.3)."""
    value = value.strip(b" \t\r\n\0")
    if b"\n" in value or b"\r" in value or b"\0" in value:
        value = _FOLD.sub(b"", value)
    return value


def fields(header: bytes) -> list[Field]:
    """All fields in order."""
    return list(scan(header))


def scan(header: bytes) -> Iterator[Field]:
    """The fields one by one, for who must not take long over a header of very many."""
    size = len(header)
    for match in FIELD.finditer(header):
        stop = match.end()
        yield Field(match[1], match[2], match.start(), stop + 1 if stop < size else stop)


def first(header: bytes) -> dict[bytes, bytes]:
    """Raw value of the first field of each name, by lower-case name.

    Repeated To, Cc and Bcc, which RFC 5322 3.6 forbids but senders do, are joined into one list.
    """
    found: dict[bytes, bytes] = {}
    for name, value in FIELD.findall(header):
        name = name.lower()
        if name not in found:
            found[name] = value
        elif name in _LISTS:
            found[name] += b"," + value
    return found


_LISTS = frozenset((b"to", b"cc", b"bcc"))


def get(header: bytes, name: bytes) -> bytes | None:
    """Unfolded value of the first field called name, or None."""
    wanted = name.lower()
    for found, value in FIELD.findall(header):
        if found.lower() == wanted:
            return unfold(value)
    return None


def every(header: bytes, name: bytes) -> list[bytes]:
    """Unfolded values of all fields called name."""
    wanted = name.lower()
    return [unfold(value) for found, value in FIELD.findall(header) if found.lower() == wanted]


LONG = 16 * 1024
"""Octets of a header in which some names are quicker found than every field is taken apart."""


@lru_cache(maxsize=64)
def _called(names: frozenset[bytes]) -> re.Pattern[bytes]:
    """Fields of these names whole, with their line ends. A line that begins one is no continuation."""
    either = b"|".join(map(re.escape, sorted(names)))
    return re.compile(rb"^(?:%b)[ \t]*+:.*+(?:\n[ \t].*+)*+\n?" % either, re.MULTILINE | re.IGNORECASE)


def select(header: bytes, names: Iterable[bytes], *, exclude: bool = False) -> bytes:
    """HEADER.FIELDS and HEADER.FIELDS.NOT: the chosen fields as they stand and the empty line.

    RFC 9051 6.4.5.1: field names match without case; the empty line is always there, also
    when the header block lacks it.
    """
    wanted = frozenset(name.lower() for name in names)
    if len(header) > LONG and not exclude and wanted:
        pieces = [found[0] for found in _called(wanted).finditer(header)]
    else:
        pieces = [header[f.start : f.stop] for f in fields(header) if (f.name.lower() in wanted) != exclude]
    if pieces and not pieces[-1].endswith(b"\n"):
        pieces.append(b"\r\n")
    pieces.append(b"\r\n")
    return b"".join(pieces)
