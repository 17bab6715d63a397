"""Messages of clients, decoded: the envelope, and every request (RFC 4511 4).

`Envelope.read` looks at what all messages share; the operation inside is decoded by the reader
its tag has in `READERS`. Lists a peer can grow are counted; filters are nested to a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.ldap import ber, filters
from protocols.ldap.ber import BadEncoding, BadValue, Cursor, element
from protocols.ldap.messages import (
    AbandonRequest,
    AddRequest,
    Attribute,
    BindRequest,
    Change,
    ChangeKind,
    CompareRequest,
    Control,
    DeleteRequest,
    Deref,
    ExtendedRequest,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    Request,
    Sasl,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
)
from protocols.values import value

FILTER_DEPTH: Final = 64
FILTER_ITEMS: Final = 1024
"""Filters in one search, of all kinds."""
SEARCH_OCTETS: Final = 1 << 17
"""Of a whole search request, so that preparing what it asserts takes no long time."""
ATTRIBUTES: Final = 1024
"""Attributes asked for, attributes added, changes: in one request."""
VALUES: Final = 65_536
"""Values in one request."""
CONTROLS: Final = 64

_SCOPES: Final = tuple(Scope)
_DEREFS: Final = tuple(Deref)
_KINDS: Final = tuple(ChangeKind)


@value(frozen=True, slots=True)
class Envelope:
    """An LDAPMessage whose operation has not been decoded (RFC 4511 4.1.1).

    tag: of the protocolOp; cursor: on its contents.
    """

    message_id: int
    tag: int
    cursor: Cursor
    controls: tuple[Control, ...] = ()

    @classmethod
    def read(cls, data: bytes) -> Envelope:
        """Raises BadEncoding only."""
        tag, at, end = element(data, 0, len(data))
        if tag != 0x30 or end != len(data):
            raise BadEncoding("an LDAPMessage", 0)
        tag, start, stop = element(data, at, end)
        if tag != 0x02 or not 0 < stop - start <= 8:
            raise BadEncoding("a message id", at)
        message_id = int.from_bytes(data[start:stop], "big", signed=True)
        if not 0 <= message_id <= 0x7FFFFFFF:
            raise BadEncoding("a message id of 31 bits", at)
        tag, start, stop = element(data, stop, end)
        controls = () if stop == end else _controls(data, stop, end)
        return cls(message_id, tag, Cursor(data, start, stop), controls)


def _controls(data: bytes, at: int, end: int) -> tuple[Control, ...]:
    """RFC 4511 4.1.11; other elements after the operation are ignored (RFC 4511 4)."""
    cursor = Cursor(data, at, end)
    if data[at] != 0xA0:
        cursor.rest()
        return ()
    inside = cursor.enter(0xA0)
    cursor.rest()
    found = []
    try:
        while inside.more:
            one = inside.enter()
            oid = one.text()
            critical = one.boolean() if one.more and one.data[one.at] == ber.BOOLEAN else False
            found.append(Control(oid, critical, one.next(ber.OCTETS)))
            one.rest()
            if len(found) > CONTROLS:
                raise BadEncoding(f"at most {CONTROLS} controls", at)
    except BadValue as error:
        raise BadEncoding(error.what, error.position) from None
    return tuple(found)


# Operations ----------------------------------------------------------------------------


def bind(cursor: Cursor) -> BindRequest:
    version = cursor.integer(low=1, high=127)
    name = cursor.text()
    tag, contents = cursor.take()
    cursor.rest()
    if tag == 0x80:
        return BindRequest(version, name, Simple(contents))
    if tag == 0xA3:
        inside = Cursor(contents)
        return BindRequest(version, name, Sasl(inside.text(), inside.next(ber.OCTETS)))
    return BindRequest(version, name, None)


def unbind(cursor: Cursor) -> UnbindRequest:
    return UnbindRequest()


def search(cursor: Cursor) -> SearchRequest:
    """Written out by offsets: this is the hot path."""
    data, end = cursor.data, cursor.end
    if end - cursor.at > SEARCH_OCTETS:
        raise BadValue(f"a search of at most {SEARCH_OCTETS} octets", cursor.at)
    tag, start, at = element(data, cursor.at, end)
    if tag != 0x04:
        raise BadEncoding("a base", cursor.at)
    base = data[start:at]
    # Nearly always: scope and derefAliases, limits of one octet (or more), typesOnly.
    if at + 6 > end or data[at] != 0x0A or data[at + 1] != 1 or data[at + 3] != 0x0A or data[at + 4] != 1:
        raise BadEncoding("scope and derefAliases", at)
    scope, deref = data[at + 2], data[at + 5]
    if scope > 3:
        raise BadValue("a scope", at)
    if deref > 3:
        raise BadValue("a way to dereference aliases", at + 3)
    cursor.at = at + 6
    size_limit = cursor.integer()
    time_limit = cursor.integer()
    types_only = cursor.boolean()
    found, at = _filter(data, cursor.at, end, FILTER_DEPTH, [FILTER_ITEMS])
    tag, at, stop = element(data, at, end)
    if tag != 0x30:
        raise BadEncoding("a list of attributes", at)
    names = []
    try:
        text = base.decode()
        while at < stop:
            tag, start, at = element(data, at, stop)
            if tag != 0x04:
                raise BadEncoding("an attribute description", start)
            names.append(data[start:at].decode())
    except UnicodeDecodeError:
        raise BadValue("UTF-8", at) from None
    if len(names) > ATTRIBUTES:
        raise BadValue(f"at most {ATTRIBUTES} attributes", stop)
    return SearchRequest(
        text,
        _SCOPES[scope],
        _DEREFS[deref],
        size_limit,
        time_limit,
        types_only,
        found,
        tuple(names),
    )


def _filter(data: bytes, at: int, end: int, depth: int, left: list[int]) -> tuple[filters.Filter, int]:
    """One filter (RFC 4511 4.5.1.7) and where the next one starts."""
    tag, start, stop = element(data, at, end)
    left[0] -= 1
    if not depth or left[0] < 0:
        raise BadValue(f"a filter of {FILTER_ITEMS} items and {FILTER_DEPTH} levels at most", at)
    try:
        if tag == 0xA3:
            return filters.Equal(*_assertion(data, start, stop)), stop
        if tag == 0x87:
            return filters.Present(data[start:stop].decode()), stop
        if tag in (0xA0, 0xA1):
            parts = []
            while start < stop:
                part, start = _filter(data, start, stop, depth - 1, left)
                parts.append(part)
            return (filters.And if tag == 0xA0 else filters.Or)(tuple(parts)), stop
        if tag == 0xA4:
            return _substrings(data, start, stop), stop
        if tag == 0xA2:
            part, after = _filter(data, start, stop, depth - 1, left)
            if after != stop:
                raise BadEncoding("one filter", after)
            return filters.Not(part), stop
        if tag == 0xA5:
            return filters.GreaterOrEqual(*_assertion(data, start, stop)), stop
        if tag == 0xA6:
            return filters.LessOrEqual(*_assertion(data, start, stop)), stop
        if tag == 0xA8:
            return filters.Approx(*_assertion(data, start, stop)), stop
        if tag == 0xA9:
            return _extensible(Cursor(data, start, stop)), stop
    except UnicodeDecodeError:
        raise BadValue("UTF-8", at) from None
    raise BadValue("a filter that is known", at)


def filter_of(cursor: Cursor) -> filters.Filter:
    """One filter off a cursor: what controls hold."""
    if cursor.end - cursor.at > SEARCH_OCTETS:
        raise BadValue(f"a filter of at most {SEARCH_OCTETS} octets", cursor.at)
    found, cursor.at = _filter(cursor.data, cursor.at, cursor.end, FILTER_DEPTH, [FILTER_ITEMS])
    return found


def _assertion(data: bytes, at: int, end: int) -> tuple[str, bytes]:
    tag, start, stop = element(data, at, end)
    value_tag, value_start, value_stop = element(data, stop, end)
    if tag != 0x04 or value_tag != 0x04 or value_stop != end:
        raise BadEncoding("an attribute value assertion", at)
    return data[start:stop].decode(), data[value_start:value_stop]


def _substrings(data: bytes, at: int, end: int) -> filters.Substrings:
    """initial first, final last, each at most once, none empty (RFC 4511 4.5.1.7.2)."""
    tag, start, stop = element(data, at, end)
    if tag != 0x04:
        raise BadEncoding("an attribute description", at)
    attribute = data[start:stop].decode()
    tag, start, last = element(data, stop, end)
    if tag != 0x30:
        raise BadEncoding("a list of substrings", stop)
    if last != end:
        raise BadValue("one list of substrings", last)
    initial = final = None
    middle = []
    while start < last:
        tag, begin, stop = element(data, start, last)
        if begin == stop:
            raise BadValue("substrings that are not empty", start)
        if tag == 0x81 and final is None:
            middle.append(data[begin:stop])
        elif tag == 0x82 and final is None:
            final = data[begin:stop]
        elif tag == 0x80 and initial is None and not middle and final is None:
            initial = data[begin:stop]
        else:
            raise BadValue("initial, any, final in this order", start)
        start = stop
    count = len(middle) + (initial is not None) + (final is not None)
    if not count:
        raise BadValue("substrings that are not empty", at)
    if count > FILTER_ITEMS:
        raise BadValue(f"at most {FILTER_ITEMS} substrings", at)
    return filters.Substrings(attribute, initial, tuple(middle), final)


def _extensible(cursor: Cursor) -> filters.Extensible:
    rule, attribute = cursor.next(0x81), cursor.next(0x82)
    value = cursor.octets(0x83)
    dn_attributes = cursor.boolean(0x84) if cursor.more else False
    if rule is None and attribute is None:
        raise BadValue("a matching rule or an attribute", cursor.at)
    return filters.Extensible(
        None if rule is None else rule.decode(),
        None if attribute is None else attribute.decode(),
        value,
        dn_attributes,
    )


def _attribute(cursor: Cursor, left: list[int]) -> Attribute:
    name = cursor.text()
    inside = cursor.enter(ber.SET)
    values = []
    while inside.more:
        values.append(inside.octets())
    left[0] -= len(values)
    if left[0] < 0:
        raise BadValue(f"at most {VALUES} values", cursor.at)
    return Attribute(name, tuple(values))


def modify(cursor: Cursor) -> ModifyRequest:
    dn = cursor.text()
    data = cursor.data
    tag, at, end = element(data, cursor.at, cursor.end)
    if tag != ber.SEQUENCE:
        raise BadEncoding("a list of changes", cursor.at)
    cursor.at = end
    left = VALUES
    changes = []
    while at < end:
        tag, start, after = element(data, at, end)
        if tag != ber.SEQUENCE:
            raise BadEncoding("a change", at)
        tag, value, there = element(data, start, after)
        if tag != ber.ENUMERATED:
            raise BadEncoding("an operation", start)
        if not 0 < there - value <= 8:
            raise BadEncoding("an integer of one to eight octets", value)
        operation = int.from_bytes(data[value:there], "big", signed=True)
        if not 0 <= operation <= 3:
            raise BadValue("a number from 0 to 3", value)
        tag, named, last = element(data, there, after)
        if tag != ber.SEQUENCE:
            raise BadEncoding("an attribute", there)
        tag, named, following = element(data, named, last)
        if tag != ber.OCTETS:
            raise BadEncoding("an attribute description", named)
        try:
            name = data[named:following].decode()
        except UnicodeDecodeError:
            raise BadValue("UTF-8", named) from None
        tag, start, stop = element(data, following, last)
        if tag != ber.SET:
            raise BadEncoding("a set of values", following)
        values = []
        while start < stop:
            tag, begin, start = element(data, start, stop)
            if tag != ber.OCTETS:
                raise BadEncoding("a value", begin)
            values.append(data[begin:start])
        left -= len(values)
        if left < 0:
            raise BadValue(f"at most {VALUES} values", at)
        changes.append(Change(_KINDS[operation], Attribute(name, tuple(values))))
        if len(changes) > ATTRIBUTES:
            raise BadValue(f"at most {ATTRIBUTES} changes", at)
        at = after
    return ModifyRequest(dn, tuple(changes))


def add(cursor: Cursor) -> AddRequest:
    dn = cursor.text()
    inside = cursor.enter()
    left = [VALUES]
    attributes: list[Attribute] = []
    while inside.more:
        attribute = _attribute(inside.enter(), left)
        if not attribute.values:
            raise BadValue(f"a value of {attribute.name}", inside.at)
        attributes.append(attribute)
        if len(attributes) > ATTRIBUTES:
            raise BadValue(f"at most {ATTRIBUTES} attributes", inside.at)
    return AddRequest(dn, tuple(attributes))


def delete(cursor: Cursor) -> DeleteRequest:
    """DelRequest is the DN itself: the contents of the operation's own tag."""
    try:
        return DeleteRequest(cursor.data[cursor.at : cursor.end].decode())
    except UnicodeDecodeError:
        raise BadValue("UTF-8", cursor.at) from None


def modify_dn(cursor: Cursor) -> ModifyDnRequest:
    dn, new_rdn, delete_old = cursor.text(), cursor.text(), cursor.boolean()
    superior = cursor.text(0x80) if cursor.more and cursor.data[cursor.at] == 0x80 else None
    return ModifyDnRequest(dn, new_rdn, delete_old, superior)


def compare(cursor: Cursor) -> CompareRequest:
    dn = cursor.text()
    inside = cursor.enter()
    return CompareRequest(dn, inside.text(), inside.octets())


def abandon(cursor: Cursor) -> AbandonRequest:
    raw = cursor.data[cursor.at : cursor.end]
    if not 0 < len(raw) <= 8:
        raise BadEncoding("a message id", cursor.at)
    return AbandonRequest(int.from_bytes(raw, "big", signed=True))


def extended(cursor: Cursor) -> ExtendedRequest:
    oid = cursor.text(0x80)
    return ExtendedRequest(oid, cursor.next(0x81))


def password_modify(value: bytes | None) -> PasswordModify:
    """RFC 3062 2; no value is the same as an empty one."""
    if not value:
        return PasswordModify()
    cursor = Cursor(value).enter()
    user = cursor.text(0x80) if cursor.more and cursor.data[cursor.at] == 0x80 else None
    request = PasswordModify(user, cursor.next(0x81), cursor.next(0x82))
    if cursor.more:
        raise BadValue("PasswdModifyRequestValue", cursor.at)
    return request


READERS: Final[dict[int, Callable[[Cursor], Request]]] = {
    0x60: bind,
    0x42: unbind,
    0x63: search,
    0x66: modify,
    0x68: add,
    0x4A: delete,
    0x6C: modify_dn,
    0x6E: compare,
    0x50: abandon,
    0x77: extended,
}
