"""The directory as LDIF (RFC 2849), written with ldaptor: every entry after the one it is below,
with its entryUUID, and without passwords. `bulk` reads it.

What has an order here (the display name before the directory name) is exported as an attribute
of its own as well, for readers that keep values as a set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from ldaptor.protocols.ldap.ldif import asLDIF

from imsd.directory.access import Policy
from imsd.directory.attributes import Visible
from imsd.directory.directory import Directory
from imsd.directory.entry import INNER, Entry
from imsd.directory.view import View
from imsd.directory.working import known
from imsd.store import entries
from imsd.store.ids import EntryId

HEADER: Final = b"version: 1\n\n"


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries right below one, as LDIF. inner: those that may have others below.

    last: 0 when there are no more.
    """

    text: bytes
    count: int
    inner: tuple[EntryId, ...]
    last: EntryId


async def page(directory: Directory, above: EntryId, after: EntryId, suffix: int = 0, most: int = 20) -> Page:
    """Entries below `above` with ids over `after`; 0 for the topmost one.

    suffix: under which names they are written, 0 for o=, 1 for dc=.
    """
    ids = await directory.db.read(entries.children, above, after, most)
    found = await directory.cache.many(ids)
    text = b"".join([await _record(directory, entry, suffix) for entry in found])
    inner = tuple(entry.id for entry in found if entry.kind in INNER)
    return Page(text, len(ids), inner, ids[-1] if len(ids) == most else EntryId(0))


async def export(directory: Directory, suffix: int = 0) -> AsyncIterator[bytes]:
    """The whole directory in pieces, each entry after the one it is below."""
    yield HEADER
    waiting = [EntryId(0)]
    while waiting:
        above, after = waiting.pop(), EntryId(0)
        while True:
            found = await page(directory, above, after, suffix)
            yield found.text
            waiting.extend(found.inner)
            after = found.last
            if not after:
                break


async def _record(directory: Directory, entry: Entry, suffix: int) -> bytes:
    view = View(directory.cache, Policy(), entry, Visible.ADMINISTRATOR, suffix, frozenset())
    keys = [*entry.user, *entry.row.references]
    await view.prepare(keys)
    attributes = [(known(key).wire, view.own(known(key))) for key in (*keys, "entryUUID")]
    name = await directory.cache.dn(entry.id, suffix)
    written: bytes = asLDIF(name.encode(), attributes)
    return written
