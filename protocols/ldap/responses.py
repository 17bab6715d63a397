"""Messages of servers: encoded fast, and decoded (RFC 4511 4.1.9, 4.2.2, 4.5.2).

An entry is `encode_entry(dn, attributes)` where `attributes` is any concatenation of
`encode_attribute` results: encode an attribute once, serve it many times.
"""

from __future__ import annotations

from collections.abc import Iterable


def encode_attribute(name: bytes, values: Iterable[bytes]) -> bytes:
    """One PartialAttribute, ready to be joined with others; no values for typesOnly."""
    inside = b"".join([_octets(value) for value in values])
    head = _octets(name)
    body = head + b"1" + _length(len(inside)) + inside
    return b"0" + _length(len(body)) + body


def encode_entry(dn: bytes, attributes: bytes) -> bytes:
    """A SearchResultEntry protocolOp from a DN (UTF-8) and encoded attributes."""
    list_length = len(attributes)
    size = len(dn)
    if size < 0x80 and list_length < 0x80:
        return b"d%c\x04%c%b0%c%b" % (
            size + list_length + 4, size, dn, list_length, attributes,
        ) if size + list_length + 4 < 0x80 else b"d\x81%c\x04%c%b0%c%b" % (
            size + list_length + 4, size, dn, list_length, attributes,
        )  # fmt: skip
    body = _octets(dn) + b"0" + _length(list_length) + attributes
    return b"d" + _length(len(body)) + body


def encode_reference(urls: Iterable[bytes]) -> bytes:
    """A SearchResultReference protocolOp."""
    body = b"".join([_octets(url) for url in urls])
    return b"s" + _length(len(body)) + body


def _octets(value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return b"\x04%c%b" % (size, value)
    return b"\x04" + _length(size) + value


def _length(size: int) -> bytes:
    if size < 0x80:
        return b"%c" % size
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return b"%c%b" % (0x80 | len(raw), raw)
