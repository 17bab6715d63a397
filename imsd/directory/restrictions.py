"""What an entry says of who may send to it, and where else its mail goes (ims_spec 12.3, 12.4).

Auth-Orig, DL-Mem-Submit-Perms     only these, and members of these lists
Unauth-Orig, DL-Mem-Reject-Perms   not these, nor members of these lists
Alt-Recipient                      gets the mail; with Deliver-And-Redirect, the mailbox does, too
Report-To-Owner                    the owner of a list hears of failures, and not the sender
Report-To-Originator               FALSE: the sender does not
Hide-DL-Membership                 who is not told the members is not told of their failures either:
                                   the owner is, else the postmaster (RFC 3461 5.2.7.4)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from imsd.directory.entry import Entry
from imsd.store.ids import EntryId

_ACCEPT = ("auth-orig", "dl-mem-submit-perms")
_REJECT = ("unauth-orig", "dl-mem-reject-perms")


@dataclass(frozen=True, slots=True)
class Restrictions:
    """accept: nobody else, unless it is empty. People, contacts, and lists for their members."""

    accept: frozenset[EntryId] = frozenset()
    reject: frozenset[EntryId] = frozenset()


class Reports(Enum):
    """Who hears of what cannot be delivered to a list's members."""

    ORIGINATOR = "originator"
    OWNER = "owner"
    POSTMASTER = "postmaster"
    NOBODY = "nobody"


def restrictions_of(entry: Entry) -> Restrictions:
    return Restrictions(_named(entry, _ACCEPT), _named(entry, _REJECT))


def _named(entry: Entry, keys: tuple[str, ...]) -> frozenset[EntryId]:
    return frozenset(each for key in keys for each in entry.row.references.get(key, ()))


def is_restricted(entry: Entry) -> bool:
    references = entry.row.references
    return any(key in references for key in (*_ACCEPT, *_REJECT))


def alternate_of(entry: Entry) -> EntryId | None:
    found = entry.row.references.get("alt-recipient")
    return found[0] if found else None


def reports_of(entry: Entry) -> Reports:
    """The owner where he is named, and is one; without a word, the sender."""
    if entry.owners and (entry.flag("report-to-owner") or entry.flag("hide-dl-membership")):
        return Reports.OWNER
    if entry.user.get("report-to-originator") and not entry.flag("report-to-originator"):
        return Reports.NOBODY
    return Reports.POSTMASTER if entry.flag("hide-dl-membership") else Reports.ORIGINATOR
