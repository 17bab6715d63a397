"""Who may see and change what (rule 25).

1. A viewer has a level: everyone, authenticated or administrator. On his own entry, and on
   one whose `owner` he is, his rights class is OWNER at least.
2. An entry is seen or is not; one that is not seen does not exist for the viewer.
3. An attribute has the least class that reads it. Below that it is Undefined everywhere.
4. Names of entries that the class does not see are left out of values.
5. A hidden membership is seen by the list's owner and administrators; nobody else sees it
   in `memberOf` either.
6. What stands in a container that is shut to the viewer (`searchrights`) is not seen, like what is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imsd.directory.attributes import Definition, Visible, Writer
from imsd.directory.entry import Entry, Kind
from imsd.store.ids import EntryId


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks: entry 0 is nobody in particular. shut: containers in which he finds nothing,
    with those below them."""

    entry: EntryId
    level: Visible
    shut: frozenset[EntryId] = frozenset()


ANONYMOUS = Viewer(EntryId(0), Visible.EVERYONE)
SERVER = Viewer(EntryId(0), Visible.ADMINISTRATOR)
"""The server itself, and imsctl."""


def viewer_of(entry: Entry) -> Viewer:
    """Whoever this entry is of, when logged in; `searchrights.holding` adds what is shut to him."""
    return Viewer(entry.id, Visible.ADMINISTRATOR if entry.is_admin else Visible.AUTHENTICATED)


def rights_class(viewer: Viewer, entry: Entry) -> Visible:
    """What the viewer is to this entry."""
    if viewer.level is Visible.ADMINISTRATOR:
        return Visible.ADMINISTRATOR
    if viewer.entry and (viewer.entry == entry.id or viewer.entry in entry.owners):
        return Visible.OWNER
    return viewer.level


def sees(rights: Visible, entry: Entry, shut: frozenset[EntryId]) -> bool:
    """Does the entry exist for this rights class, of a viewer to whom these containers are shut?"""
    if rights is Visible.ADMINISTRATOR:
        return True
    if entry.kind == Kind.CONFIGURATION:
        return False
    if entry.hidden or entry.parent in shut:
        return rights is Visible.OWNER
    return rights is not Visible.EVERYONE or entry.kind not in (Kind.OTHER, Kind.REFERRAL)


def seen_as(viewer: Viewer, entry: Entry) -> Visible | None:
    """The viewer's class, None if the entry does not exist for him: both of the above, for each of many."""
    level = viewer.level
    if level is Visible.ADMINISTRATOR:
        return level
    own = viewer.entry
    if own and (own == entry.id or own in entry.owners):
        level = Visible.OWNER
    if entry.kind in _NOT_FOR_ALL or entry.hidden or (viewer.shut and entry.parent in viewer.shut):
        return level if sees(level, entry, viewer.shut) else None
    return level


_NOT_FOR_ALL = frozenset({Kind.CONFIGURATION, Kind.OTHER, Kind.REFERRAL})
"""Kinds of entries that do not exist for every class."""


class Policy:
    """Least classes of attributes: the schema's, with what the settings change."""

    def __init__(self, changed: Mapping[str, Visible] | None = None) -> None:
        self._changed = dict(changed or {})
        self.changed = tuple(sorted(self._changed.items()))

    def sets(self, definition: Definition) -> bool:
        """Do the settings change who reads the attribute?"""
        return definition.visible is not Visible.NOBODY and definition.base in self._changed

    def least(self, definition: Definition) -> Visible:
        """The least class that reads an attribute."""
        return self._changed[definition.base] if self.sets(definition) else definition.visible

    def reads(self, rights: Visible, definition: Definition, entry: Entry | None = None) -> bool:
        """May this class read the attribute, of this entry or (None) in general?"""
        if rights < (self.least(definition) if self._changed else definition.visible):
            return False
        if definition.key == "member" and entry is not None and entry.flag("hide-dl-membership"):
            return rights >= Visible.OWNER
        return True


def writes(viewer: Viewer, entry: Entry, definition: Definition) -> bool:
    """May the viewer change this attribute of this entry?"""
    if definition.writer is Writer.SYSTEM:
        return False
    if viewer.level is Visible.ADMINISTRATOR:
        return True
    if not viewer.entry:
        return False
    if definition.writer is Writer.USER:
        return viewer.entry == entry.id
    return definition.writer is Writer.OWNER and viewer.entry in entry.owners
