"""Messages of servers, encoded (RFC 4511 4.1.9, 4.2.2, 4.5.2, 4.12).

An entry is `encode_entry(dn, attributes)` where `attributes` is any concatenation of
`encode_attribute` results: encode an attribute once, serve it many times. `message` puts the
envelope around any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocols.ldap import ber
from protocols.ldap.messages import (
    AddResponse,
    BindResponse,
    CompareResponse,
    Control,
    DeleteResponse,
    ExtendedResponse,
    IntermediateResponse,
    ModifyDnResponse,
    ModifyResponse,
    Response,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
)
from protocols.ldap.results import SUCCESS, Result

ENTRY: Final = 0x64
"""First octet of an encoded SearchResultEntry; of a reference, REFERENCE."""
REFERENCE: Final = 0x73

_SUCCESS: Final = b"\x0a\x01\x00\x04\x00\x04\x00"
SEARCH_DONE: Final = b"\x65\x07" + _SUCCESS
"""SearchResultDone with success."""


# Search answers ------------------------------------------------------------------------


def encode_attribute(name: bytes, values: Iterable[bytes]) -> bytes:
    """One PartialAttribute, ready to be joined with others; no values for typesOnly."""
    inside = b"".join([ber.octets(value) for value in values])
    body = ber.octets(name) + ber.wrap(ber.SET, inside)
    return ber.wrap(ber.SEQUENCE, body)


def encode_entry(dn: bytes, attributes: bytes) -> bytes:
    """A SearchResultEntry protocolOp from a DN (UTF-8) and encoded attributes."""
    return ber.wrap(ENTRY, ber.octets(dn) + ber.wrap(ber.SEQUENCE, attributes))


def encode_reference(urls: Iterable[bytes]) -> bytes:
    """A SearchResultReference protocolOp."""
    return ber.sequence(map(ber.octets, urls), REFERENCE)


# Everything else -----------------------------------------------------------------------


def encode_result(result: Result) -> bytes:
    """The contents of an LDAPResult."""
    if result is SUCCESS:
        return _SUCCESS
    parts = [ber.integer(result.code, ber.ENUMERATED), ber.text(result.matched), ber.text(result.text)]
    if result.referrals:
        parts.append(ber.sequence(map(ber.text, result.referrals), 0xA3))
    return b"".join(parts)


_PLAIN: Final[dict[type[Response], int]] = {
    SearchResultDone: 0x65,
    ModifyResponse: 0x67,
    AddResponse: 0x69,
    DeleteResponse: 0x6B,
    ModifyDnResponse: 0x6D,
    CompareResponse: 0x6F,
}


def encode(response: Response) -> bytes:
    """The protocolOp of a response."""
    if type(response) is SearchResultDone and response.result is SUCCESS:
        return SEARCH_DONE
    match response:
        case SearchResultEntry(dn, attributes):
            encoded = [encode_attribute(each.name.encode(), each.values) for each in attributes]
            return encode_entry(dn.encode(), b"".join(encoded))
        case SearchResultReference(urls):
            return encode_reference([url.encode() for url in urls])
        case BindResponse(result, credentials):
            return ber.wrap(0x61, encode_result(result) + _optional(0x87, credentials))
        case ExtendedResponse(result, oid, value):
            name = None if oid is None else oid.encode()
            return ber.wrap(0x78, encode_result(result) + _optional(0x8A, name) + _optional(0x8B, value))
        case IntermediateResponse(oid, value):
            name = None if oid is None else oid.encode()
            return ber.wrap(0x79, _optional(0x80, name) + _optional(0x81, value))
        case _:
            return ber.wrap(_PLAIN[type(response)], encode_result(response.result))


def ending(tag: int, result: Result) -> bytes:
    """The response with this tag that ends an operation: BindResponse, SearchResultDone, ..."""
    return ber.wrap(tag, encode_result(result))


def _optional(tag: int, value: bytes | None) -> bytes:
    return b"" if value is None else ber.wrap(tag, value)


def encode_control(control: Control) -> bytes:
    return ber.sequence(
        [
            ber.text(control.oid),
            ber.boolean(True) if control.critical else b"",
            b"" if control.value is None else ber.octets(control.value),
        ]
    )


def message(message_id: int, operation: bytes, controls: tuple[Control, ...] = ()) -> bytes:
    """An LDAPMessage around an encoded protocolOp (RFC 4511 4.1.1)."""
    if controls:
        operation += ber.sequence(map(encode_control, controls), 0xA0)
    size = len(operation)
    if message_id < 0x80 and size < 0x7D:
        return b"\x30%c\x02\x01%c%b" % (size + 3, message_id, operation)
    identifier = ber.integer(message_id)
    return b"\x30%b%b%b" % (ber.length(len(identifier) + size), identifier, operation)


def messages(message_id: int, operations: Iterable[bytes]) -> bytes:
    """Several of these, one behind the other."""
    identifier = ber.integer(message_id)
    more = len(identifier)
    parts: list[bytes] = []
    for operation in operations:
        size = more + len(operation)
        if size < 0x80:
            head = b"\x30%c" % size
        elif size < 0x100:
            head = b"\x30\x81%c" % size
        elif size < 0x10000:
            head = b"\x30\x82%c%c" % (size >> 8, size & 0xFF)
        else:
            head = b"\x30" + ber.length(size)
        parts += (head, identifier, operation)
    return b"".join(parts)
