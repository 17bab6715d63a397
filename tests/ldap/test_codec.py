"""Messages to bytes and back: identity, ldaptor as the oracle both ways, garbage."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldaptor.protocols import pureldap
from ldaptor.protocols.pureber import BERDecoderContext, berDecodeObject

from protocols.errors import BadSyntax
from protocols.ldap import client, filters
from protocols.ldap import requests as reading
from protocols.ldap import responses as writing
from protocols.ldap.ber import BadEncoding, BadValue
from protocols.ldap.messages import (
    Attribute,
    BindRequest,
    Control,
    Deref,
    Message,
    PasswordModify,
    Request,
    Response,
    Scope,
    SearchRequest,
    SearchResultEntry,
)
from protocols.ldap.requests import READERS, Envelope
from protocols.ldap.results import Result, ResultCode
from tests.ldap import strategies


def decode(data: bytes) -> Message:
    envelope = Envelope.read(data)
    return Message(envelope.message_id, READERS[envelope.tag](envelope.cursor), envelope.controls)


@given(strategies.message_ids, strategies.requests, strategies.controls)
def test_requests_come_back(message_id: int, request: Request, controls: tuple[Control, ...]) -> None:
    data = client.write(message_id, request, controls)
    assert decode(data) == Message(message_id, request, controls)


@given(strategies.message_ids, strategies.responses, strategies.controls)
def test_responses_come_back(message_id: int, response: Response, controls: tuple[Control, ...]) -> None:
    data = writing.message(message_id, writing.encode(response), controls)
    assert client.read(data) == Message(message_id, response, controls)


@given(st.none() | strategies.text, st.none() | strategies.octets, st.none() | strategies.octets)
def test_password_modify_comes_back(user: str | None, old: bytes | None, new: bytes | None) -> None:
    value = PasswordModify(user, old, new)
    assert reading.password_modify(client.encode_password_modify(value)) == value


# ldaptor -------------------------------------------------------------------------------

CONTEXT = pureldap.LDAPBERDecoderContext_TopLevel(
    inherit=pureldap.LDAPBERDecoderContext_LDAPMessage(
        fallback=pureldap.LDAPBERDecoderContext(fallback=BERDecoderContext()),
        inherit=pureldap.LDAPBERDecoderContext(fallback=BERDecoderContext()),
    )
)


def by_ldaptor(data: bytes) -> Any:
    found, used = berDecodeObject(CONTEXT, data)
    assert used == len(data)
    return found


def theirs(filter: filters.Filter) -> Any:
    """Our filter in ldaptor's classes."""
    match filter:
        case filters.And(parts):
            return pureldap.LDAPFilter_and([theirs(part) for part in parts])
        case filters.Or(parts):
            return pureldap.LDAPFilter_or([theirs(part) for part in parts])
        case filters.Not(part):
            return pureldap.LDAPFilter_not(theirs(part))
        case filters.Present(attribute):
            return pureldap.LDAPFilter_present(attribute)
        case filters.Substrings(attribute, initial, middle, final):
            parts = [pureldap.LDAPFilter_substrings_any(part) for part in middle]
            if initial is not None:
                parts.insert(0, pureldap.LDAPFilter_substrings_initial(initial))
            if final is not None:
                parts.append(pureldap.LDAPFilter_substrings_final(final))
            return pureldap.LDAPFilter_substrings(type=attribute, substrings=parts)
        case filters.Extensible(rule, attribute, value, dn_attributes):
            return pureldap.LDAPFilter_extensibleMatch(
                matchingRule=rule,
                type=attribute,
                matchValue=value,
                dnAttributes=dn_attributes or None,
            )
        case _:
            kind = {
                filters.Equal: pureldap.LDAPFilter_equalityMatch,
                filters.GreaterOrEqual: pureldap.LDAPFilter_greaterOrEqual,
                filters.LessOrEqual: pureldap.LDAPFilter_lessOrEqual,
                filters.Approx: pureldap.LDAPFilter_approxMatch,
            }[type(filter)]
            return kind(
                attributeDesc=pureldap.LDAPAttributeDescription(filter.attribute),
                assertionValue=pureldap.LDAPAssertionValue(filter.value),
            )


def their_search(request: SearchRequest) -> Any:
    return pureldap.LDAPSearchRequest(
        baseObject=request.base.encode(),
        scope=int(request.scope),
        derefAliases=int(request.deref),
        sizeLimit=request.size_limit,
        timeLimit=request.time_limit,
        typesOnly=request.types_only,
        filter=theirs(request.filter),
        attributes=[name.encode() for name in request.attributes],
    )


@given(strategies.searches)
def test_we_decode_the_search_ldaptor_encodes(request: SearchRequest) -> None:
    data = pureldap.LDAPMessage(their_search(request), id=5).toWire()
    assert decode(data) == Message(5, request)


@given(strategies.searches)
def test_ldaptor_decodes_the_search_we_encode(request: SearchRequest) -> None:
    found = by_ldaptor(client.write(5, request)).value
    assert found.baseObject == request.base.encode()
    assert (found.scope, found.derefAliases) == (request.scope, request.deref)
    assert (found.sizeLimit, found.timeLimit) == (request.size_limit, request.time_limit)
    assert found.filter.toWire() == theirs(request.filter).toWire()
    assert list(found.attributes) == [name.encode() for name in request.attributes]


@given(st.text(max_size=20), st.lists(strategies.attributes, max_size=4))
def test_ldaptor_and_we_encode_the_same_entry(dn: str, attributes: list[Attribute]) -> None:
    entry = pureldap.LDAPSearchResultEntry(
        objectName=dn.encode(),
        attributes=[(each.name.encode(), list(each.values)) for each in attributes],
    )
    ours = writing.encode(SearchResultEntry(dn, tuple(attributes)))
    assert ours == entry.toWire()


@pytest.mark.parametrize("code", [ResultCode.SUCCESS, ResultCode.NO_SUCH_OBJECT, ResultCode.CANCELED])
def test_ldaptor_decodes_our_result(code: ResultCode) -> None:
    data = writing.message(300, writing.ending(0x65, Result(code, "dc=x", "why")))
    found = by_ldaptor(data)
    assert found.id == 300
    assert (found.value.resultCode, found.value.matchedDN, found.value.errorMessage) == (
        code,
        b"dc=x",
        b"why",
    )


# Refusals ------------------------------------------------------------------------------

SEARCH = SearchRequest("", Scope.BASE, Deref.NEVER, 0, 0, False, filters.Present("objectClass"))


@given(st.binary(max_size=60))
def test_garbage_raises_only_bad_syntax(data: bytes) -> None:
    for tag in READERS:
        message = b"\x30\x81%c\x02\x01\x07%c%c%b" % (len(data) + 5, tag, len(data), data)
        with_controls = b"\x30\x81%c\x02\x01\x07%c\x00\xa0%c%b" % (len(data) + 7, tag, len(data), data)
        for each in (data, message, with_controls):
            try:
                decode(each)
            except (BadSyntax, KeyError):
                pass


@given(strategies.requests, st.data())
def test_a_damaged_request_raises_only_bad_syntax(request: Request, data: st.DataObject) -> None:
    whole = bytearray(client.write(9, request))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(whole))
    except (BadSyntax, KeyError):
        pass


def test_a_filter_is_nested_to_a_bound() -> None:
    deep: filters.Filter = filters.Present("cn")
    for _ in range(reading.FILTER_DEPTH - 1):
        deep = filters.Not(deep)
    fits = SearchRequest("", Scope.BASE, Deref.NEVER, 0, 0, False, deep)
    assert decode(client.write(1, fits)).operation == fits
    over = SearchRequest("", Scope.BASE, Deref.NEVER, 0, 0, False, filters.Not(deep))
    with pytest.raises(BadValue):
        decode(client.write(1, over))


def test_a_filter_has_items_to_a_bound() -> None:
    wide = filters.Or(tuple(filters.Present("cn") for _ in range(reading.FILTER_ITEMS)))
    with pytest.raises(BadValue):
        decode(client.write(1, SearchRequest("", Scope.BASE, Deref.NEVER, 0, 0, False, wide)))


def test_a_search_is_of_a_bounded_size() -> None:
    wide = filters.Equal("cn", b"x" * reading.SEARCH_OCTETS)
    with pytest.raises(BadValue):
        decode(client.write(1, SearchRequest("", Scope.BASE, Deref.NEVER, 0, 0, False, wide)))


@pytest.mark.parametrize(
    "message_id", [b"\x02\x01\xff", b"\x02\x05\x00\x80\x00\x00\x00", b"\x02\x00", b"\x04\x01\x01"]
)
def test_a_message_id_out_of_range_ends_the_session(message_id: bytes) -> None:
    inside = message_id + b"\x42\x00"
    with pytest.raises(BadEncoding):
        Envelope.read(b"\x30%c%b" % (len(inside), inside))


def test_an_unknown_authentication_choice_is_left_to_bind() -> None:
    data = bytes.fromhex("300c02010160070201030400aa00")
    assert decode(data).operation == BindRequest(3, "", None)


def test_unknown_elements_at_the_end_are_ignored() -> None:
    # RFC 4511 4: SEQUENCEs are extensible.
    operation = client.encode(SEARCH)
    inside = b"\x02\x01\x07" + operation + b"\x85\x01\x00"
    assert decode(b"\x30%c%b" % (len(inside), inside)) == Message(7, SEARCH)


@pytest.mark.parametrize(
    "substrings",
    [b"\x30\x00", b"\x30\x02\x80\x00", b"\x30\x06\x82\x01a\x80\x01b", b"\x30\x06\x80\x01a\x80\x01b"],
)
def test_substrings_are_in_order_and_not_empty(substrings: bytes) -> None:
    body = b"\x04\x02cn" + substrings
    filter_ = b"\xa4%c%b" % (len(body), body)
    operation = client.encode(SEARCH).replace(b"\x87\x0bobjectClass", filter_)
    operation = b"\x63%c%b" % (len(operation) - 2, operation[2:])
    with pytest.raises(BadValue):
        READERS[0x63](Envelope.read(writing.message(1, operation)).cursor)


@pytest.mark.parametrize("number", [1, 127, 128, 0x7FFFFFFF])
def test_several_messages_are_the_same_as_each(number: int) -> None:
    sizes = (0, 1, *(edge + more for edge in (0x80, 0x100, 0x10000) for more in range(-9, 3)), 0x1000000)
    operations = [bytes(size) for size in sizes]
    assert writing.messages(number, operations) == b"".join(
        writing.message(number, each) for each in operations
    )
