"""What a control asks of an update besides the update, and what the update says of what it did.

An assertion is decided in the unit, against the rows (rule 7), so that nothing comes between; so are
the entry's images before and after. `check` runs there: it has no effect, and reads nothing but
its transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from imsd.directory import schema
from imsd.directory.access import Policy, Viewer, rights_class, sees
from imsd.directory.attributes import Definition, Kept
from imsd.directory.cache import HIDING, Cache
from imsd.directory.entry import Entry, Kind
from imsd.directory.tree import Tree
from imsd.directory.view import View
from imsd.errors import AssertionFailed, NoSuchEntry
from imsd.store import credentials, entries
from imsd.store.credentials import Credentials
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction
from protocols.ldap.evaluation import Test

Check = Callable[[Transaction, Tree, Entry, Viewer], None]
Shown = Callable[[Entry, Credentials], Mapping[str, tuple[bytes, ...]]]


@dataclass(frozen=True, slots=True)
class Conditions:
    """check: raises AssertionFailed (RFC 4528). permissive: adding what is there, and removing what
    is not, are no errors. relax: operational attributes may be given, by administrators
    (draft-zeilenga-ldap-relax). tree: delete what is below, too. images: rows are wanted.
    manage: referral entries are entries like others (RFC 3296 3)."""

    check: Check | None = None
    permissive: bool = False
    relax: bool = False
    tree: bool = False
    manage: bool = False
    images: bool = False


PLAIN: Final = Conditions()


@dataclass(frozen=True, slots=True)
class Changed:
    """The entry, and its rows before and after, where they were wanted and exist."""

    entry: EntryId
    before: EntryRow | None = None
    after: EntryRow | None = None


def asserting(cache: Cache, policy: Policy, test: Test, fetched: frozenset[str]) -> Check:
    """A check that a filter, prepared outside, is True of the entry as the viewer sees it."""

    def check(tx: Transaction, here: Tree, entry: Entry, asking: Viewer) -> None:
        rights = rights_class(asking, entry)
        view = View(cache, policy, entry, rights, 0, asking.shut)
        if not sees(rights, entry, asking.shut):
            raise NoSuchEntry
        for key in fetched:
            wanted = schema.definition(key)
            if wanted is not None and view.reads(wanted):
                view.hold(key, _fetched(tx, here, view, wanted, cache.shown_of_password))
        if test(view) is not True:
            raise AssertionFailed

    return check


def _fetched(tx: Transaction, here: Tree, view: View, wanted: Definition, shown: Shown) -> tuple[bytes, ...]:
    """What `View.prepare` has at hand, by rows."""
    row = view.entry.row
    if wanted.kept is Kept.STATE:
        if view.entry.kind != Kind.MAILBOX:
            return ()
        return shown(view.entry, credentials.read(tx, row.id)).get(wanted.key, ())
    match wanted.key:
        case "entrydn":
            return (_name(tx, here, row.id),)
        case "creatorsname" | "modifiersname":
            actor = row.creator if wanted.key == "creatorsname" else row.modifier
            return _names(tx, here, view, wanted, (actor,)) if actor else ()
        case "numsubordinates" | "hassubordinates":
            if row.id in view.shut:
                count = 0
            elif view.sees_all:
                count = entries.count_children(tx, row.id)
            else:
                count = entries.count_listed(tx, row.id, Kind.CONFIGURATION, *HIDING)
            return (b"%d" % count if wanted.key == "numsubordinates" else b"TRUE" if count else b"FALSE",)
    return _names(tx, here, view, wanted, view.ids(wanted))


def _names(
    tx: Transaction, here: Tree, view: View, wanted: Definition, ids: tuple[EntryId, ...]
) -> tuple[bytes, ...]:
    others = map(Entry, entries.load_many(tx, ids))
    return tuple(_name(tx, here, other.id) for other in others if view.shows(wanted, other))


def _name(tx: Transaction, here: Tree, entry_id: EntryId) -> bytes:
    parts = []
    at = Entry(entries.load(tx, entry_id))
    while at.parent:
        parts.append(at.rdn)
        at = Entry(entries.load(tx, at.parent))
    return here.name(",".join(parts), 0).encode()
