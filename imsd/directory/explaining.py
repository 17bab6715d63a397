"""Why somebody sees or changes what of an entry: the decisions of `access`, with the rule behind each.

What is decided is asked of `access` itself; only the words are made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from imsd.directory import access, schema, settingtypes
from imsd.directory.access import Policy, Viewer
from imsd.directory.attributes import Definition, Kept, Visible, Writer
from imsd.directory.configuration import Node
from imsd.directory.entry import Entry, Kind
from imsd.directory.schema import definition

_LEAST: Final = {
    Visible.EVERYONE: "everybody",
    Visible.AUTHENTICATED: "who is logged in",
    Visible.OWNER: "the person himself, who owner names, and administrators",
    Visible.ADMINISTRATOR: "administrators",
    Visible.NOBODY: "nobody",
}
_CHANGED_BY: Final = {
    Writer.USER: "the person himself and administrators",
    Writer.OWNER: "who owner names and administrators",
    Writer.ADMINISTRATOR: "administrators",
    Writer.SYSTEM: "the server alone",
}
_NAMES: Final = (Kept.REFERENCE, Kept.BACKLINK)


@dataclass(frozen=True, slots=True)
class Decided:
    """One attribute. present: whether the entry has it."""

    name: str
    present: bool
    sees: bool
    why_seen: str
    changes: bool
    why_changed: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """rights: the viewer's class for this entry. rules: what holds for the entry as a whole."""

    rights: str
    why_rights: str
    seen: bool
    why_seen: str
    attributes: tuple[Decided, ...]
    rules: tuple[str, ...]


def explain(
    viewer: Viewer,
    entry: Entry,
    policy: Policy,
    anonymous: bool = True,
    every: bool = False,
    shut_by: str = "",
) -> Explanation:
    """anonymous: whether strangers are let in at all. every: attributes the entry could have, too.
    shut_by: the name of the container above it that is shut to the viewer."""
    rights = access.rights_class(viewer, entry)
    let_in = bool(viewer.entry) or viewer.level > Visible.EVERYONE or anonymous
    seen = let_in and access.sees(rights, entry, viewer.shut)
    return Explanation(
        rights.name.lower(),
        _why_rights(viewer, entry, rights),
        seen,
        _why_seen(viewer, rights, entry, shut_by)
        if let_in
        else "ldap.anonymous is off: strangers see nothing",
        tuple(_decided(viewer, entry, policy, rights, each, seen) for each in _attributes(entry, every)),
        tuple(_rules(rights, entry)),
    )


def explain_settings(viewer: Viewer, node: Node, every: bool = False) -> Explanation:
    """The same of an entry of cn=Configuration: for administrators, whatever else is set."""
    seen = viewer.level is Visible.ADMINISTRATOR
    keys = set(node.values_by_key)
    if every:
        keys |= {each.definition.key for each in settingtypes.of_section(node.section)}
    found = [wanted for key in keys if (wanted := definition(key)) is not None]
    rights = viewer.level if viewer.entry or seen else Visible.EVERYONE
    return Explanation(
        rights.name.lower(),
        "imsAdministrator is TRUE" if seen else "no administrator",
        seen,
        "administrators see every entry"
        if seen
        else "settings are for administrators: there are none for him",
        tuple(
            _decided_of_settings(wanted, wanted.key in node.values_by_key, seen)
            for wanted in sorted(found, key=lambda wanted: (wanted.type.operational, wanted.key))
        ),
        ("Secrets are shown as sealed:hidden",) if seen else (),
    )


def _decided_of_settings(wanted: Definition, present: bool, seen: bool) -> Decided:
    changes = seen and wanted.key in settingtypes.BY_KEY
    if not seen:
        why = "the entry does not exist for him"
        return Decided(wanted.type.name, present, False, why, False, why)
    return Decided(
        wanted.type.name,
        present,
        True,
        "for administrators",
        changes,
        "administrators change settings" if changes else "the server alone",
    )


def _why_rights(viewer: Viewer, entry: Entry, rights: Visible) -> str:
    if rights is Visible.ADMINISTRATOR:
        return "imsAdministrator is TRUE"
    if rights is Visible.OWNER:
        return "it is his own entry" if viewer.entry == entry.id else "owner names him"
    return "not logged in" if rights is Visible.EVERYONE else "logged in, and nothing more to this entry"


def _why_seen(viewer: Viewer, rights: Visible, entry: Entry, shut_by: str) -> str:
    if rights is Visible.ADMINISTRATOR:
        return "administrators see every entry"
    if entry.kind == Kind.CONFIGURATION:
        return "what stands below cn=Configuration is for administrators"
    if entry.hidden:
        if rights is Visible.OWNER:
            return "hidden by Hide-From-Address-Book, but not from its own person and who owner names"
        return "hidden by Hide-From-Address-Book: for him it does not exist"
    if entry.parent in viewer.shut:
        shut = f"imsSearchableBy of {shut_by or 'a container above it'} does not let him search"
        if rights is Visible.OWNER:
            return f"{shut}, but its own person and who owner names see it"
        return f"{shut}: for him it does not exist"
    if rights is Visible.EVERYONE and entry.kind in (Kind.OTHER, Kind.REFERRAL):
        return "strangers see recipients and what they stand in, and this is neither"
    return "not hidden"


def _attributes(entry: Entry, every: bool) -> list[Definition]:
    """Those the entry has; with every, all that its classes allow."""
    present = _present(entry)
    keys = set(present)
    if every:
        must, may = schema.allowed(entry.classes)
        keys |= must | may
    found = [wanted for key in sorted(keys) if (wanted := definition(key)) is not None]
    return sorted(found, key=lambda wanted: (wanted.type.operational, wanted.key))


def _present(entry: Entry) -> set[str]:
    linked = {
        each.key
        for each in schema.definitions()
        if each.kept is Kept.BACKLINK and entry.row.referrers.get(each.backlink_of.lower())
    }
    kinds = (Kept.COMPUTED, Kept.STATE) if entry.kind == Kind.MAILBOX else (Kept.COMPUTED,)
    computed = {
        each.key
        for each in schema.definitions()
        if each.kept in kinds and each.type.usage.value == "directoryOperation"
    }
    unserved = {"objectclasses", "attributetypes", "matchingrules", "matchingruleuse", "ditcontentrules"}
    return {*entry.user, *entry.row.references, *linked, *computed} - unserved - {"ldapsyntaxes"}


def _decided(
    viewer: Viewer, entry: Entry, policy: Policy, rights: Visible, wanted: Definition, seen: bool
) -> Decided:
    reads = seen and policy.reads(rights, wanted, entry)
    writes = seen and access.writes(viewer, entry, wanted)
    return Decided(
        wanted.type.name,
        wanted.key in _present(entry),
        reads,
        _why_read(policy, rights, wanted, entry) if seen else "the entry does not exist for him",
        writes,
        _why_written(viewer, wanted) if seen else "the entry does not exist for him",
    )


def _why_read(policy: Policy, rights: Visible, wanted: Definition, entry: Entry) -> str:
    least = policy.least(wanted)
    if least is Visible.NOBODY:
        return "passwords are not shown to anybody"
    said = "by the setting ldap.attributes" if policy.sets(wanted) else "by the schema"
    if rights >= least and wanted.key == "member" and entry.flag("hide-dl-membership"):
        return "Hide-DL-Membership: members are for who owner names and for administrators"
    return f"for {_LEAST[least]}, {said}"


def _why_written(viewer: Viewer, wanted: Definition) -> str:
    if wanted.writer is not Writer.SYSTEM and viewer.level is Visible.ADMINISTRATOR:
        return "administrators change whatever the server does not keep itself"
    return f"for {_CHANGED_BY[wanted.writer]}"


def _rules(rights: Visible, entry: Entry) -> list[str]:
    if rights is Visible.ADMINISTRATOR:
        return []
    rules = ["What is not seen is Undefined in filters, sorting, comparing and assertions"]
    if entry.row.references or any(entry.row.referrers.values()):
        rules.append("Names of entries that he does not see are left out of values")
    if entry.row.referrers.get("member"):
        rules.append("memberOf leaves out lists with Hide-DL-Membership")
    return rules
