"""An entry's attributes as bytes.

    packed = %x01 *attribute
    attribute = length name count *value     ; name: lower case, UTF-8
    value = length *OCTET
    length, count = unsigned, seven bits per octet, the lowest first, the high bit for more

Attributes are in the order of the mapping, values in the order given.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

Attributes = Mapping[str, tuple[bytes, ...]]

_FORMAT = 1


def pack(attributes: Attributes) -> bytes:
    """The stored form; attributes without values are left out."""
    out = bytearray([_FORMAT])
    append = out.append
    for name, values in attributes.items():
        if not values:
            continue
        out += _named(name)
        count = len(values)
        if count < 0x80:
            append(count)
        else:
            _number(out, count)
        for value in values:
            size = len(value)
            if size < 0x80:
                append(size)
            else:
                _number(out, size)
            out += value
    return bytes(out)


@lru_cache(maxsize=1024)
def _named(name: str) -> bytes:
    """The name of an attribute with its length."""
    key = name.encode()
    out = bytearray()
    _number(out, len(key))
    return bytes(out + key)


def unpack(packed: bytes) -> dict[str, tuple[bytes, ...]]:
    """The attributes of a stored form. Raises ValueError when it is none."""
    if not packed or packed[0] != _FORMAT:
        raise ValueError("an entry in an unknown format")
    attributes = {}
    position, end = 1, len(packed)
    while position < end:
        size = packed[position]
        position += 1
        if size >= 0x80:
            size, position = _more(packed, size, position)
        name = packed[position : position + size].decode()
        position += size
        count = packed[position]
        position += 1
        if count >= 0x80:
            count, position = _more(packed, count, position)
        values = []
        for _ in range(count):
            size = packed[position]
            position += 1
            if size >= 0x80:
                size, position = _more(packed, size, position)
            values.append(packed[position : position + size])
            position += size
        attributes[name] = tuple(values)
    if position != end:
        raise ValueError("an entry that ends too early")
    return attributes


def _number(out: bytearray, number: int) -> None:
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _more(packed: bytes, first: int, position: int) -> tuple[int, int]:
    number, shift = first & 0x7F, 7
    while True:
        octet = packed[position]
        position += 1
        number |= (octet & 0x7F) << shift
        if octet < 0x80:
            return number, position
        shift += 7
