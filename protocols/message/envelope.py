"""The ENVELOPE of a message as it goes on the wire (RFC 9051 7.5.2, RFC 3501 7.4.2).

The ASCII form has display names and subject with raw octets turned into encoded words, and
addresses that have no ASCII form replaced the way RFC 6858 3 proposes.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from protocols.message import addresses, domains
from protocols.message.addresses import Address, Entry, Group
from protocols.message.headers import first, unfold
from protocols.message.wire import NIL, new_string, nstring, string

INVALID = b"invalid.address"


def envelope(header: bytes, utf8: bool = False) -> bytes:
    """ENVELOPE from a header block."""
    return from_fields(first(header), utf8)[0]


Lists = dict[bytes, tuple[Entry, ...]]
SHORT = 200
"""Octets of an address field that is worth remembering."""


def from_fields(fields: Mapping[bytes, bytes], utf8: bool = False) -> tuple[bytes, Lists]:
    """ENVELOPE from the fields of a header block, and the address lists that were read for it."""
    lists: Lists = {}
    rendered: dict[bytes, bytes] = {}
    room = addresses.MAX_ADDRESSES
    for name in (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"):
        value = fields.get(name)
        if value is not None:
            if len(value) <= SHORT < room:
                # The same few people stand in most messages that come.
                entries, shown = _remembered(value, SHORT, utf8)
            else:
                entries, shown = _read(value, room, utf8)
            lists[name], rendered[name] = entries, shown
            room -= len(entries)
    # RFC 9051 7.5.2: absent or empty Sender and Reply-To are those of From.
    author = rendered.get(b"from", NIL)
    sender = rendered.get(b"sender", NIL)
    reply = rendered.get(b"reply-to", NIL)
    answer = b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _text(fields.get(b"date"), utf8),
        _text(fields.get(b"subject"), utf8),
        author,
        author if sender is NIL else sender,
        author if reply is NIL else reply,
        rendered.get(b"to", NIL),
        rendered.get(b"cc", NIL),
        rendered.get(b"bcc", NIL),
        _text(fields.get(b"in-reply-to"), utf8),
        _text(fields.get(b"message-id"), utf8),
    )
    return answer, lists


def _read(value: bytes, most: int, utf8: bool) -> tuple[tuple[Entry, ...], bytes]:
    """The entries of an address field, and how they are shown."""
    entries = tuple(addresses.parse(value, most))
    return entries, _list(entries, utf8) if entries else NIL


_remembered = lru_cache(2048)(_read)


def _text(value: bytes | None, utf8: bool) -> bytes:
    # Not remembered as `string` does: these are another in each message.
    return NIL if value is None else new_string(unfold(value), utf8)


def _list(entries: Sequence[Entry], utf8: bool) -> bytes:
    pieces: list[bytes] = []
    for entry in entries:
        if isinstance(entry, Group):
            # A group starts with a NIL host and its name as mailbox, and ends with two NILs.
            pieces.append(b"(NIL NIL %b NIL)" % string(entry.name, utf8))
            pieces += [_address(member, utf8) for member in entry.members]
            pieces.append(b"(NIL NIL NIL NIL)")
        else:
            pieces.append(_address(entry, utf8))
    return b"(%b)" % b"".join(pieces)


def _address(address: Address, utf8: bool) -> bytes:
    name, route, mailbox, host = address
    if not utf8 and not (mailbox.isascii() and (host is None or host.isascii())):
        ascii_host = domains.to_ascii(host) if host is not None and mailbox.isascii() else None
        if ascii_host is None:
            # RFC 6858 3: the display name stays, the address is one that cannot be answered to.
            spec = mailbox if host is None else mailbox + b"@" + host
            return b'(%b NIL "unknown" "%b")' % (string(name or spec), INVALID)
        host = ascii_host
    # A missing domain is not NIL, which would begin a group (RFC 9051 7.5.2); empty is understood.
    return b"(%b %b %b %b)" % (
        NIL if name is None else string(name, utf8),
        nstring(route, utf8),
        string(mailbox, utf8),
        string(host or b"", utf8),
    )
