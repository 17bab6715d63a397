"""Headers in ASCII for clients that have not said UTF8 (RFC 6856 2.1, RFC 6858).

An internationalized message must not be sent as it is to such a client; refusing it would stop
most of them from fetching anything that comes after it. So they get the message with its text
in encoded words; addresses that have no ASCII form become a group without members, which names
them and cannot be answered (RFC 6857 3.1.6).
"""

from __future__ import annotations

import re
from typing import Final

from protocols.message import addresses, compose, domains, headers, words
from protocols.message.addresses import Address, Group

_ADDRESSES: Final = frozenset(
    b"from sender reply-to to cc bcc resent-from resent-sender resent-to resent-cc resent-bcc"
    b" resent-reply-to return-path delivered-to".split()
)
_PARAMETERS: Final = frozenset((b"content-type", b"content-disposition"))
# Nothing but ASCII makes sense in them, and no encoded words do: they go.
_DROPPED: Final = frozenset(
    b"received message-id references in-reply-to date dkim-signature authentication-results"
    b" content-id content-transfer-encoding mime-version".split()
)
_PARAMETER: Final = re.compile(
    rb';\s*([!#-\'*+.\-0-9A-Z^-~]+)\s*=\s*("(?:[^"\\]|\\.)*+"|[^\s;"]+)', re.DOTALL
)


def surrogate(header: bytes) -> bytes:
    """The header block with nothing but ASCII in it, its end included."""
    if header.isascii():
        return header
    end = len(header) - len(header.removesuffix(b"\r\n")) if header.endswith(b"\r\n\r\n") else 0
    block = header[: len(header) - end]
    out: list[bytes] = []
    at = 0
    for field in headers.fields(block):
        out.append(_ascii(block[at : field.start]))
        out.append(_field(field.name, field.value, block[field.start : field.stop]))
        at = field.stop
    out.append(_ascii(block[at:]))
    return b"".join(out) + header[len(header) - end :]


def _field(name: bytes, value: bytes, whole: bytes) -> bytes:
    if whole.isascii():
        return whole
    if not name.isascii():
        return _ascii(whole)
    kind = name.lower()
    label = name.decode("ascii").strip()
    if kind in _DROPPED:
        return b""
    if kind in _ADDRESSES:
        entries = [_entry(entry) for entry in addresses.parse(value)]
        return compose.raw_field(label, _ascii(b", ".join(entries)))
    if kind in _PARAMETERS:
        return compose.raw_field(label, _ascii(_PARAMETER.sub(_parameter, headers.unfold(value))))
    return compose.field(label, _text(headers.unfold(value)))


def _entry(entry: Address | Group) -> bytes:
    if isinstance(entry, Group):
        return words.encode(words.decode(entry.name)) + b": " + b", ".join(map(_entry, entry.members)) + b";"
    if entry.mailbox.isascii() and entry.host is not None:
        entry = entry._replace(host=domains.to_ascii(entry.host) or entry.host)
    if entry.spec.isascii():
        return compose.mailbox(entry.spec.decode("ascii"), entry.display)
    return words.encode(f"{entry.display} {_text(entry.spec)}".strip()) + b":;"


def _parameter(match: re.Match[bytes]) -> bytes:
    if match[0].isascii():
        return match[0]
    value = match[2]
    if value.startswith(b'"'):
        value = re.sub(rb"\\(.)", rb"\1", value[1:-1], flags=re.DOTALL)
    return compose.parameter(match[1].decode("ascii").rstrip("*"), _text(value))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _ascii(octets: bytes) -> bytes:
    """What could not be converted, with question marks."""
    return octets if octets.isascii() else _text(octets).encode("ascii", "replace")
