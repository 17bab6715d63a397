"""Who asks for an update, and what there is for him: by the rows of its unit (rule 18)."""

from __future__ import annotations

from dataclasses import replace

from imsd.directory import access, referring, searchrights, tree
from imsd.directory.access import Viewer
from imsd.directory.attributes import Visible
from imsd.directory.entry import Entry, Kind
from imsd.directory.tree import Tree
from imsd.errors import HeldElsewhere, NoSuchEntry, NotPermitted
from imsd.store import entries
from imsd.store.entries import EntryRow
from imsd.store.transaction import Transaction


def standing(tx: Transaction, asking: Viewer) -> tuple[Viewer, Tree]:
    """Whoever asks, with the rights the rows give him now, and the tree.

    Raises NotPermitted once he is deleted, NoSuchEntry while there is no organisation."""
    found, here = entries.one_and_top(tx, asking.entry, _viewer_of, tree.of_top)
    if not asking.entry:
        return searchrights.holding(tx, asking), tree.there(here)
    if found is None:
        raise NotPermitted
    if found.level > asking.level:
        # Who acts for an administrator has come without an administrator's rights.
        found = replace(found, level=asking.level)
    return searchrights.holding(tx, found), tree.there(here)


def _viewer_of(row: EntryRow) -> Viewer | None:
    """Whoever this is of; None of one who may not ask."""
    entry = Entry(row)
    if entry.kind != Kind.MAILBOX or entry.flag("imsaccountdisabled"):
        return None
    return access.viewer_of(entry)


def seen(
    tx: Transaction, here: Tree, name: str, asking: Viewer, manage: bool = False, referrers: bool = True
) -> Entry:
    """The entry of a name, if it exists for whoever asks. referrers: with those.

    Raises NoSuchEntry, HeldElsewhere."""
    wanted = tree.parse(name)
    try:
        path, _ = here.locate(wanted)
        row = entries.load_descendant(tx, here.root, [rdn.normal for rdn in path], referrers)
        # Where there is none, how far the name is right.
        entry = Entry(entries.load(tx, here.find(tx, wanted)) if row is None else row)
    except NoSuchEntry as missing:
        if missing.matched:
            refer_on(tx, here, missing.matched, name, asking)
        if asking.level is Visible.ADMINISTRATOR:
            raise
        # How far the name is right might tell of an entry that is not to be seen.
        raise NoSuchEntry from None
    if not sees(asking, entry):
        raise NoSuchEntry
    if entry.kind == Kind.REFERRAL and not manage and asking != access.SERVER:
        raise HeldElsewhere(*referring.urls(entry, name))
    return entry


def refer_on(tx: Transaction, here: Tree, matched: str, name: str, asking: Viewer) -> None:
    """Raises HeldElsewhere if the deepest entry of a name that is here is a referral."""
    found = tree.parse(matched)
    entry = Entry(entries.load(tx, here.find(tx, found)))
    if entry.kind == Kind.REFERRAL and sees(asking, entry):
        rdns = tree.parse(name).rdns
        below = ",".join(map(str, rdns[: len(rdns) - len(found)]))
        raise HeldElsewhere(*referring.urls(entry, matched, below))


def sees(asking: Viewer, entry: Entry) -> bool:
    return access.sees(access.rights_class(asking, entry), entry, asking.shut)
