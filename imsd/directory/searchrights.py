"""The search right of a container: who finds what stands in it (ims_spec 7.5).

`imsSearchableBy` of an organisational unit, a container or the organisation says it:

    anonymous      everybody; so without the attribute
    authenticated  who is logged in
    named          whom `imsSearchers` names: people, and members of lists and of lists in them

It holds for everything below, and every container on the way has to let somebody pass. For whom
one does not, the container is there and empty: its entries do not exist, as hidden ones do not.
Administrators see them, everybody himself, and whoever `owner` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from imsd.directory.access import Viewer
from imsd.directory.attributes import Visible
from imsd.directory.entry import INNER
from imsd.errors import ConstraintViolation
from imsd.store import entries, entry_index
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction

BY: Final = "imssearchableby"
SEARCHERS: Final = "imssearchers"
CLASS: Final = "imsSearchRight"
WORDS: Final = ("anonymous", "authenticated", "named")
_ALL: Final = 1_000_000
_BATCH: Final = 200
_MOST_GROUPS: Final = 10_000


def check(attributes: Mapping[str, Sequence[bytes]], references: Mapping[str, Sequence[EntryId]]) -> None:
    """Raises ConstraintViolation."""
    for value in attributes.get(BY, ()):
        if value.decode("utf-8", "replace").lower() not in WORDS:
            raise ConstraintViolation(f"imsSearchableBy: one of {', '.join(WORDS)}")
    if references.get(SEARCHERS) and not attributes.get(BY):
        raise ConstraintViolation("imsSearchers: imsSearchableBy says that it is they who search")


def limited(tx: Transaction) -> bool:
    """Is there any container that does not let everybody search?"""
    return bool(entry_index.present(tx, BY, 1))


def holding(tx: Transaction, viewer: Viewer) -> Viewer:
    """The viewer with the containers that are shut to him, as the rows have it."""
    shut = _shut(tx, viewer)
    return replace(viewer, shut=shut) if shut or viewer.shut else viewer


def _shut(tx: Transaction, viewer: Viewer) -> frozenset[EntryId]:
    if viewer.level is Visible.ADMINISTRATOR:
        return frozenset()
    limited = entry_index.equal(tx, BY, "named", _ALL)
    shut: set[EntryId] = set()
    if viewer.level is Visible.EVERYONE:
        shut.update(limited, entry_index.equal(tx, BY, "authenticated", _ALL))
    elif limited:
        own = _with_groups(tx, viewer.entry)
        shut = {row.id for row in _rows(tx, limited) if own.isdisjoint(row.references.get(SEARCHERS, ()))}
    return _with_what_is_below(tx, shut) if shut else frozenset()


def _with_groups(tx: Transaction, somebody: EntryId) -> set[EntryId]:
    """Himself and the lists that he is a member of, by others of them, too."""
    found = {somebody}
    waiting = [somebody]
    while waiting and len(found) < _MOST_GROUPS:
        above = {each for row in _rows(tx, waiting) for each in row.referrers.get("member", ())}
        waiting = sorted(above - found)
        found |= above
    return found


def _with_what_is_below(tx: Transaction, shut: set[EntryId]) -> frozenset[EntryId]:
    """With the containers below them."""
    below: dict[EntryId, list[EntryId]] = {}
    for kind in sorted(INNER):
        after = 0
        while ids := entries.of_kind(tx, kind, after, _BATCH):
            after = ids[-1]
            for row in entries.load_many(tx, ids):
                below.setdefault(row.parent, []).append(row.id)
    found = set(shut)
    waiting = list(shut)
    while waiting:
        fresh = [each for each in below.get(waiting.pop(), ()) if each not in found]
        found.update(fresh)
        waiting += fresh
    return frozenset(found)


def _rows(tx: Transaction, ids: Sequence[EntryId]) -> Iterable[entries.EntryRow]:
    for at in range(0, len(ids), _BATCH):
        yield from entries.load_many(tx, ids[at : at + _BATCH])
