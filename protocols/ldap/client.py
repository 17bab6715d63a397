"""The other side of the wire: requests encoded, responses decoded.

What a client needs, and what the tests hold against `requests` and `responses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.ldap import ber, filters, responses
from protocols.ldap.ber import BadEncoding, BadValue, Cursor
from protocols.ldap.messages import (
    AbandonRequest,
    AddRequest,
    AddResponse,
    Attribute,
    BindRequest,
    BindResponse,
    CompareRequest,
    CompareResponse,
    Control,
    DeleteRequest,
    DeleteResponse,
    ExtendedRequest,
    ExtendedResponse,
    IntermediateResponse,
    Message,
    ModifyDnRequest,
    ModifyDnResponse,
    ModifyRequest,
    ModifyResponse,
    PasswordModify,
    Request,
    Response,
    Sasl,
    SearchRequest,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    Simple,
    UnbindRequest,
)
from protocols.ldap.requests import Envelope
from protocols.ldap.results import Result, ResultCode


def write(message_id: int, request: Request, controls: tuple[Control, ...] = ()) -> bytes:
    """An LDAPMessage that holds a request."""
    return responses.message(message_id, encode(request), controls)


def read(data: bytes) -> Message:
    """An LDAPMessage that holds a response."""
    envelope = Envelope.read(data)
    return Message(envelope.message_id, decode(envelope.tag, envelope.cursor), envelope.controls)


# Requests ------------------------------------------------------------------------------


def encode(request: Request) -> bytes:
    """The protocolOp of a request."""
    match request:
        case BindRequest(version, name, authentication):
            return ber.sequence(
                [ber.integer(version), ber.text(name), _encode_authentication(authentication)], 0x60
            )
        case UnbindRequest():
            return b"\x42\0"
        case SearchRequest():
            return ber.sequence(
                [
                    ber.text(request.base),
                    ber.integer(request.scope, ber.ENUMERATED),
                    ber.integer(request.deref, ber.ENUMERATED),
                    ber.integer(request.size_limit),
                    ber.integer(request.time_limit),
                    ber.boolean(request.types_only),
                    encode_filter(request.filter),
                    ber.sequence(map(ber.text, request.attributes)),
                ],
                0x63,
            )
        case ModifyRequest(dn, changes):
            encoded = [
                ber.sequence([ber.integer(change.kind, ber.ENUMERATED), _encode_attribute(change.attribute)])
                for change in changes
            ]
            return ber.sequence([ber.text(dn), ber.sequence(encoded)], 0x66)
        case AddRequest(dn, attributes):
            return ber.sequence([ber.text(dn), ber.sequence(map(_encode_attribute, attributes))], 0x68)
        case DeleteRequest(dn):
            return ber.wrap(0x4A, dn.encode())
        case ModifyDnRequest(dn, new_rdn, delete_old, superior):
            return ber.sequence(
                [
                    ber.text(dn),
                    ber.text(new_rdn),
                    ber.boolean(delete_old),
                    b"" if superior is None else ber.wrap(0x80, superior.encode()),
                ],
                0x6C,
            )
        case CompareRequest(dn, attribute, value):
            return ber.sequence([ber.text(dn), ber.sequence([ber.text(attribute), ber.octets(value)])], 0x6E)
        case AbandonRequest(message_id):
            return ber.integer(message_id, 0x50)
        case ExtendedRequest(oid, contents):
            return ber.sequence([ber.wrap(0x80, oid.encode()), _optional(0x81, contents)], 0x77)


def encode_filter(filter: filters.Filter) -> bytes:
    match filter:
        case filters.And(parts):
            return ber.sequence(map(encode_filter, parts), 0xA0)
        case filters.Or(parts):
            return ber.sequence(map(encode_filter, parts), 0xA1)
        case filters.Not(part):
            return ber.wrap(0xA2, encode_filter(part))
        case filters.Equal(attribute, value):
            return _encode_assertion(0xA3, attribute, value)
        case filters.Substrings(attribute, initial, middle, final):
            parts_encoded = [
                _optional(0x80, initial),
                *(ber.wrap(0x81, part) for part in middle),
                _optional(0x82, final),
            ]
            return ber.sequence([ber.text(attribute), ber.sequence(parts_encoded)], 0xA4)
        case filters.GreaterOrEqual(attribute, value):
            return _encode_assertion(0xA5, attribute, value)
        case filters.LessOrEqual(attribute, value):
            return _encode_assertion(0xA6, attribute, value)
        case filters.Present(attribute):
            return ber.wrap(0x87, attribute.encode())
        case filters.Approx(attribute, value):
            return _encode_assertion(0xA8, attribute, value)
        case filters.Extensible(rule, name, value, dn_attributes):
            return ber.sequence(
                [
                    _optional(0x81, None if rule is None else rule.encode()),
                    _optional(0x82, None if name is None else name.encode()),
                    ber.wrap(0x83, value),
                    ber.boolean(True, 0x84) if dn_attributes else b"",
                ],
                0xA9,
            )


def encode_password_modify(request: PasswordModify) -> bytes:
    return ber.sequence(
        [
            _optional(0x80, None if request.user is None else request.user.encode()),
            _optional(0x81, request.old),
            _optional(0x82, request.new),
        ]
    )


def _optional(tag: int, value: bytes | None) -> bytes:
    return b"" if value is None else ber.wrap(tag, value)


def _encode_assertion(tag: int, attribute: str, value: bytes) -> bytes:
    return ber.sequence([ber.text(attribute), ber.octets(value)], tag)


def _encode_attribute(attribute: Attribute) -> bytes:
    values = ber.sequence(map(ber.octets, attribute.values), ber.SET)
    return ber.sequence([ber.text(attribute.name), values])


def _encode_authentication(authentication: Simple | Sasl | None) -> bytes:
    match authentication:
        case Simple(password):
            return ber.wrap(0x80, password)
        case Sasl(mechanism, credentials):
            return ber.sequence(
                [ber.text(mechanism), b"" if credentials is None else ber.octets(credentials)], 0xA3
            )
        case None:
            raise ValueError("a BindRequest without authentication cannot be encoded")


# Responses -----------------------------------------------------------------------------

_PLAIN: Final[dict[int, Callable[[Result], Response]]] = {
    0x65: SearchResultDone,
    0x67: ModifyResponse,
    0x69: AddResponse,
    0x6B: DeleteResponse,
    0x6D: ModifyDnResponse,
    0x6F: CompareResponse,
}


def decode(tag: int, cursor: Cursor) -> Response:
    """The response of a protocolOp."""
    if tag in _PLAIN:
        return _PLAIN[tag](_result(cursor))
    if tag == 0x64:
        dn = cursor.text()
        attributes = []
        inside = cursor.enter()
        while inside.more:
            attributes.append(_attribute(inside.enter()))
        return SearchResultEntry(dn, tuple(attributes))
    if tag == 0x73:
        return SearchResultReference(_texts(cursor))
    if tag == 0x61:
        return BindResponse(_result(cursor), cursor.next(0x87))
    if tag == 0x78:
        result = _result(cursor)
        oid = cursor.next(0x8A)
        return ExtendedResponse(result, None if oid is None else oid.decode(), cursor.next(0x8B))
    if tag == 0x79:
        oid = cursor.next(0x80)
        return IntermediateResponse(None if oid is None else oid.decode(), cursor.next(0x81))
    raise BadValue("a response", cursor.at)


def _result(cursor: Cursor) -> Result:
    code = cursor.integer(ber.ENUMERATED)
    try:
        known = ResultCode(code)
    except ValueError:
        raise BadValue("a result code", cursor.at) from None
    matched, text = cursor.text(), cursor.text()
    referrals: tuple[str, ...] = ()
    if cursor.more and cursor.data[cursor.at] == 0xA3:
        referrals = _texts(cursor.enter(0xA3))
    return Result(known, matched, text, referrals)


def _texts(cursor: Cursor) -> tuple[str, ...]:
    found = []
    while cursor.more:
        found.append(cursor.text())
    return tuple(found)


def _attribute(cursor: Cursor) -> Attribute:
    name = cursor.text()
    inside = cursor.enter(ber.SET)
    values = []
    while inside.more:
        values.append(inside.octets())
    if cursor.more:
        raise BadEncoding("an attribute", cursor.at)
    return Attribute(name, tuple(values))
