"""Addresses of header fields as the directory has them (ims_spec 3.11.3: ResolveP2, AddressRewrite).

1. An address that is exactly one of a mailbox's proxy addresses is replaced by its primary address, in the
   fields that `routing.resolve_headers` names. Names beside it and folding stay as they are. Addresses
   that only lead to it (subaddresses, a catch-all), and those of roles (postmaster, abuse), are not touched.
2. A message with a DKIM signature is left alone: a changed field breaks it.
3. After `MOST` addresses the rest stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from imsd.directory.values import Local
from imsd.errors import AmbiguousRecipient, NoSuchRecipient
from protocols.message import addresses, headers

if TYPE_CHECKING:
    from imsd.directory.directory import Directory

MOST: Final = 500

ROLES: Final = frozenset(("postmaster", "abuse"))

_SIGNED: Final = re.compile(rb"^dkim-signature[ \t]*:", re.IGNORECASE | re.MULTILINE)
_LEFT: Final = rb"(?<![A-Za-z0-9!#$%&'*+/=?^_`{|}~.@\"-])"
_RIGHT: Final = rb"(?![A-Za-z0-9.@-])"


async def resolved(header: bytes, names: Collection[str], directory: Directory) -> bytes:
    """The header block with these fields (lower case) resolved."""
    if _SIGNED.search(header):
        return header
    wanted = {name.encode("ascii") for name in names}
    parts: list[bytes] = []
    kept = seen = 0
    for field in headers.scan(header):
        if field.name.lower() not in wanted:
            continue
        raw = header[field.start : field.stop]
        for spec in dict.fromkeys(each.spec for each in addresses.mailboxes(field.text)):
            seen += 1
            primary = await _primary(spec, directory) if seen <= MOST else None
            if primary is not None:
                raw = primary.join(re.split(_LEFT + re.escape(spec) + _RIGHT, raw))
        parts += (header[kept : field.start], raw)
        kept = field.stop
    return b"".join((*parts, header[kept:]))


async def _primary(spec: bytes, directory: Directory) -> bytes | None:
    """The primary address of whoever has this one; None where it is that already, or nobody's."""
    try:
        address = spec.decode()
        if address.partition("@")[0].lower() in ROLES:
            return None
        to = await directory.resolve(address)
    except (UnicodeDecodeError, NoSuchRecipient, AmbiguousRecipient):
        return None
    person = await directory.person(to.account) if isinstance(to, Local) else None
    if person is None or address.lower() not in person.addresses or address.lower() == person.address:
        return None
    return person.address.encode()
