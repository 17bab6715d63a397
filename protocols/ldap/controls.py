"""Controls of requests, decoded into one value, and the controls of answers, encoded (RFC 4511 4.1.11).

`TABLE` is the only list of what is understood: by OID, the requests a control is appropriate for,
and the reader of its value. `read` makes the `Controls` of a request: an unknown or inappropriate
control is ignored, unless it is critical. One that stands twice is refused, for the order of
two has no meaning. What is in more than one document is decided here:

1. Proxied authorization, relax rules and don't-use-copy must be critical (RFC 4370 3, RFC 6171 3).
2. A virtual list view needs sorting, and is no page (draft-ietf-ldapext-ldapv3-vlv-09 6).
3. A search that follows changes is neither sorted nor paged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from protocols.ldap import ber
from protocols.ldap.ber import BadEncoding, BadValue, Cursor
from protocols.ldap.filters import And, Filter, Not, Or
from protocols.ldap.messages import Control
from protocols.ldap.requests import ATTRIBUTES, FILTER_ITEMS, filter_of
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.syncing import (
    PERSISTENT_SEARCH,
    SYNC,
    PersistentSearch,
    SyncRequest,
    read_persistent,
    read_sync,
)

PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"
SORT: Final = "1.2.840.113556.1.4.473"
SORTED: Final = "1.2.840.113556.1.4.474"
VLV: Final = "2.16.840.1.113730.3.4.9"
VLV_ANSWER: Final = "2.16.840.1.113730.3.4.10"
MATCHED_VALUES: Final = "1.2.826.0.1.3344810.2.3"
ASSERTION: Final = "1.3.6.1.1.12"
PRE_READ: Final = "1.3.6.1.1.13.1"
POST_READ: Final = "1.3.6.1.1.13.2"
PROXIED: Final = "2.16.840.1.113730.3.4.18"
MANAGE_DSA_IT: Final = "2.16.840.1.113730.3.4.2"
SUBENTRIES: Final = "1.3.6.1.4.1.4203.1.10.1"
DONT_USE_COPY: Final = "1.3.6.1.1.22"
TREE_DELETE: Final = "1.2.840.113556.1.4.805"
PERMISSIVE_MODIFY: Final = "1.2.840.113556.1.4.1413"
TRANSACTION: Final = "1.3.6.1.1.21.2"
PASSWORD_POLICY: Final = "1.3.6.1.4.1.42.2.27.8.5.1"
RELAX: Final = "1.3.6.1.4.1.4203.666.5.12"

SORT_KEYS: Final = 10
"""Keys of one sort."""


# Values ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """realSearchControlValue of a request (RFC 2696 2)."""

    size: int
    cookie: bytes


@dataclass(frozen=True, slots=True)
class SortKey:
    """RFC 2891 1.1. rule: an ordering rule, "" for the attribute's own."""

    attribute: str
    rule: str = ""
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class ListView:
    """VirtualListViewRequest. Either value is given, or offset and count are."""

    before: int
    after: int
    offset: int = 0
    count: int = 0
    value: bytes | None = None


@dataclass(frozen=True, slots=True)
class Controls:
    """What came with one request.

    sort_critical: whether a sort that cannot be done fails the search. pre_read, post_read: the
    attributes of the entry that are wanted, None where it is not.
    """

    page: Page | None = None
    sort: tuple[SortKey, ...] = ()
    sort_critical: bool = False
    view: ListView | None = None
    matched_values: tuple[Filter, ...] | None = None
    assertion: Filter | None = None
    pre_read: tuple[str, ...] | None = None
    post_read: tuple[str, ...] | None = None
    proxied: str | None = None
    manage_dsa_it: bool = False
    subentries: bool = False
    fresh: bool = False
    tree_delete: bool = False
    permissive: bool = False
    relax: bool = False
    sync: SyncRequest | None = None
    persistent: PersistentSearch | None = None
    transaction: bytes | None = None
    password_policy: bool = False

    def unpaged(self) -> Controls:
        """All that stays the same from page to page (RFC 2696 3)."""
        return replace(self, page=None)

    def refuse_proxied(self) -> None:
        """For extended operations that nobody does for another, nor in transactions. Raises Failed."""
        if self.proxied is not None or self.transaction is not None:
            raise Failed(
                ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, "Not for another identity, nor in a transaction"
            )


NONE: Final = Controls()


# Reading --------------------------------------------------------------------------------


def _inside(value: bytes | None) -> Cursor:
    if value is None:
        raise BadValue("a control value")
    return Cursor(value)


def _nothing(value: bytes | None) -> bool:
    if value:
        raise BadValue("no control value")
    return True


def _page(value: bytes | None) -> Page:
    inside = _inside(value).enter()
    return Page(inside.integer(), inside.octets())


def _sort(value: bytes | None) -> tuple[SortKey, ...]:
    """SortKeyList (RFC 2891 1.1)."""
    inside = _inside(value).enter()
    keys: list[SortKey] = []
    while inside.more:
        one = inside.enter()
        attribute = one.text()
        rule = one.text(0x80) if one.more and one.data[one.at] == 0x80 else ""
        reverse = one.boolean(0x81) if one.more and one.data[one.at] == 0x81 else False
        keys.append(SortKey(attribute, rule, reverse))
        if len(keys) > SORT_KEYS:
            raise BadValue(f"at most {SORT_KEYS} sort keys")
    if not keys or len({key.attribute.lower() for key in keys}) < len(keys):
        raise BadValue("sort keys, each attribute once")
    return tuple(keys)


def _view(value: bytes | None) -> ListView:
    """VirtualListViewRequest; a contextID is taken and not needed."""
    inside = _inside(value).enter()
    before, after = inside.integer(), inside.integer()
    if inside.more and inside.data[inside.at] == 0xA0:
        place = inside.enter(0xA0)
        return ListView(before, after, place.integer(), place.integer())
    return ListView(before, after, value=inside.octets(0x81))


def _values_filter(value: bytes | None) -> tuple[Filter, ...]:
    """ValuesReturnFilter (RFC 3876 2): items alone, without the attributes of names."""
    inside = _inside(value).enter()
    items: list[Filter] = []
    while inside.more:
        item = filter_of(inside)
        if isinstance(item, And | Or | Not) or getattr(item, "dn_attributes", False):
            raise BadValue("a simple filter item")
        items.append(item)
        if len(items) > FILTER_ITEMS:
            raise BadValue(f"at most {FILTER_ITEMS} filter items")
    return tuple(items)


def _assertion(value: bytes | None) -> Filter:
    cursor = _inside(value)
    item = filter_of(cursor)
    if cursor.more:
        raise BadValue("one filter")
    return item


def _attributes(value: bytes | None) -> tuple[str, ...]:
    """AttributeSelection (RFC 4527 3)."""
    inside = _inside(value).enter()
    names: list[str] = []
    while inside.more:
        names.append(inside.text())
        if len(names) > ATTRIBUTES:
            raise BadValue(f"at most {ATTRIBUTES} attributes")
    return tuple(names)


def _identity(value: bytes | None) -> str:
    """authzId (RFC 4370 3): the octets themselves."""
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        raise BadValue("UTF-8") from None


def _octets(value: bytes | None) -> bytes:
    """A transaction identifier (RFC 5805 2.2): the octets themselves."""
    return value or b""


def _visible(value: bytes | None) -> bool:
    """BOOLEAN (RFC 3672 3)."""
    return _inside(value).boolean()


@dataclass(frozen=True, slots=True)
class Known:
    """field: of `Controls`. requests: the tags a control is appropriate for."""

    field: str
    requests: frozenset[int]
    read: Callable[[bytes | None], Any] = _nothing
    must_be_critical: bool = False


BIND: Final = 0x60
SEARCH: Final = 0x63
MODIFY: Final = 0x66
ADD: Final = 0x68
DELETE: Final = 0x4A
MODIFY_DN: Final = 0x6C
COMPARE: Final = 0x6E
EXTENDED: Final = 0x77

_UPDATES: Final = frozenset([MODIFY, ADD, DELETE, MODIFY_DN])

TABLE: Final[dict[str, Known]] = {
    PAGED_RESULTS: Known("page", frozenset([SEARCH]), _page),
    SORT: Known("sort", frozenset([SEARCH]), _sort),
    VLV: Known("view", frozenset([SEARCH]), _view),
    MATCHED_VALUES: Known("matched_values", frozenset([SEARCH]), _values_filter),
    # RFC 4528 3: Add has no target that could be asserted.
    ASSERTION: Known("assertion", frozenset([SEARCH, COMPARE, MODIFY, DELETE, MODIFY_DN]), _assertion),
    PRE_READ: Known("pre_read", frozenset([MODIFY, DELETE, MODIFY_DN]), _attributes),
    POST_READ: Known("post_read", frozenset([ADD, MODIFY, MODIFY_DN]), _attributes),
    PROXIED: Known("proxied", _UPDATES | {SEARCH, COMPARE, EXTENDED}, _identity, must_be_critical=True),
    MANAGE_DSA_IT: Known("manage_dsa_it", _UPDATES | {SEARCH, COMPARE}),
    SUBENTRIES: Known("subentries", frozenset([SEARCH]), _visible),
    DONT_USE_COPY: Known("fresh", frozenset([SEARCH, COMPARE]), must_be_critical=True),
    TREE_DELETE: Known("tree_delete", frozenset([DELETE])),
    PERMISSIVE_MODIFY: Known("permissive", frozenset([MODIFY])),
    RELAX: Known("relax", _UPDATES, must_be_critical=True),
    TRANSACTION: Known("transaction", _UPDATES | {EXTENDED}, _octets, must_be_critical=True),
    PASSWORD_POLICY: Known("password_policy", _UPDATES | {BIND, SEARCH, COMPARE, EXTENDED}),
    SYNC: Known("sync", frozenset([SEARCH]), read_sync),
    PERSISTENT_SEARCH: Known("persistent", frozenset([SEARCH]), read_persistent),
}


def read(controls: tuple[Control, ...], tag: int) -> Controls:
    """Raises Failed, BadValue and BadEncoding."""
    found: dict[str, Any] = {}
    for control in controls:
        known = TABLE.get(control.oid)
        if known is None or tag not in known.requests:
            if control.critical:
                raise Failed(
                    ResultCode.UNAVAILABLE_CRITICAL_EXTENSION, f"Control {control.oid} is not supported here"
                )
            continue
        if known.field in found:
            raise BadValue("each control once")
        if known.must_be_critical and not control.critical:
            raise BadValue(f"control {control.oid} to be critical")
        try:
            found[known.field] = known.read(control.value)
        except BadEncoding as error:
            raise BadValue(f"{error.what} in control {control.oid}") from None
        if known.field == "sort":
            found["sort_critical"] = control.critical
    made = Controls(**found)
    if made.view is not None:
        if not made.sort:
            raise Failed(ResultCode.SORT_CONTROL_MISSING, "A list view needs a sort")
        if made.page is not None:
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "A list view has no pages")
    following = (made.sync is not None) + (made.persistent is not None)
    if following > 1 or (following and (made.page is not None or made.sort or made.view is not None)):
        raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Changes are not followed in pages, sorted, or twice")
    return made


# Answers --------------------------------------------------------------------------------


def page_control(cookie: bytes) -> Control:
    """The answer's: no estimate, and the cookie, empty at the end."""
    return Control(PAGED_RESULTS, value=ber.sequence([ber.integer(0), ber.octets(cookie)]))


def sort_control(result: int, attribute: str = "") -> Control:
    """SortResult (RFC 2891 1.2)."""
    parts = [ber.integer(result, ber.ENUMERATED)]
    if attribute:
        parts.append(ber.wrap(0x80, attribute.encode()))
    return Control(SORTED, value=ber.sequence(parts))


def view_control(position: int, count: int, result: int, context: bytes = b"") -> Control:
    """VirtualListViewResponse."""
    parts = [ber.integer(position), ber.integer(count), ber.integer(result, ber.ENUMERATED)]
    if context:
        parts.append(ber.octets(context))
    return Control(VLV_ANSWER, value=ber.sequence(parts))


def read_control(oid: str, entry: bytes) -> Control:
    """PRE_READ or POST_READ with an encoded SearchResultEntry (RFC 4527 3)."""
    return Control(oid, value=entry)


class PasswordError(IntEnum):
    """draft-behera-ldap-password-policy-10 6.2: what is wrong with, or about, a password."""

    EXPIRED = 0
    LOCKED = 1
    CHANGE_AFTER_RESET = 2
    MAY_NOT_CHANGE = 3
    OLD_ONE_NEEDED = 4
    QUALITY = 5
    TOO_SHORT = 6
    TOO_YOUNG = 7
    IN_HISTORY = 8


def password_control(
    seconds: int | None = None, logins: int | None = None, error: PasswordError | None = None
) -> Control:
    """PasswordPolicyResponseValue: seconds until it expires, or logins left since it did."""
    parts = []
    if seconds is not None:
        parts.append(ber.wrap(0xA0, ber.integer(seconds, 0x80)))
    elif logins is not None:
        parts.append(ber.wrap(0xA0, ber.integer(logins, 0x81)))
    if error is not None:
        parts.append(ber.integer(error, 0x81))
    return Control(PASSWORD_POLICY, value=ber.sequence(parts))
