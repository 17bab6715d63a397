"""Adding users, lists, contacts and public folders the way a person asks for them.

Each is attributes handed to `adding.add_below`: what LDAP adds and what imsctl adds is the
same. Members and owners are given as addresses, aliases or DNs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imsd.directory import adding, deleting, update
from imsd.directory.access import SERVER
from imsd.directory.canonical import canonical_address
from imsd.directory.changes import Change, Modification
from imsd.directory.entry import Entry, Kind
from imsd.directory.tree import Tree, parse, require
from imsd.directory.working import Rules
from imsd.errors import ConstraintViolation, EntryExists, InvalidDN, MailboxExists, NoSuchEntry
from imsd.store import credentials, deleted_entries, entries, mailboxes
from imsd.store.credentials import NewPassword
from imsd.store.ids import PUBLIC, EntryId
from imsd.store.transaction import Transaction, Unit
from protocols.ldap import preparation
from protocols.ldap.dn import AVA, RDN

Attributes = dict[str, list[str]]


def find(tx: Transaction, who: str) -> Entry:
    """The entry of an address, an alias or a DN. Raises NoSuchEntry."""
    here = require(tx)
    if "=" in who:
        try:
            return Entry(entries.load(tx, here.find(tx, parse(who))))
        except InvalidDN:
            pass
    name = canonical_address(who) if "@" in who else preparation.canonical(who)
    named = entries.named(tx, name)
    if named is None:
        raise NoSuchEntry(f"There is no {who[:100]!a}")
    return Entry(entries.load(tx, named[0]))


def container(tx: Transaction, here: Tree) -> Entry:
    """cn=Recipients of the first site. Raises NoSuchEntry."""
    for site in entries.children(tx, here.root):
        found = entries.child(tx, site, "cn=recipients")
        if found is not None:
            return Entry(entries.load(tx, found))
    raise NoSuchEntry("There is no container for recipients")


def add(
    unit: Unit,
    name: str,
    alias: str,
    attributes: Attributes,
    rules: Rules,
    now: int,
    verifier: NewPassword | None = None,
) -> EntryId:
    """Add a recipient below cn=Recipients, by the alias or one with a number (no alias given).

    name: a directory name to begin with. Raises what `adding.add_below` does.
    """
    here = require(unit)
    above = container(unit, here)
    wanted = alias or _free_name(unit, above.id, name)
    given = {**attributes, "uid": [wanted]}
    return adding.add_below(
        unit,
        here,
        above,
        RDN((AVA("cn", wanted),)),
        [(key, [value.encode() for value in values]) for key, values in given.items() if values],
        rules,
        now,
        SERVER,
        verifier,
    )


def _free_name(tx: Transaction, parent: EntryId, name: str) -> str:
    for number in range(1, 10_000):
        wanted = f"{name}{number if number > 1 else ''}"
        normal = RDN((AVA("cn", wanted),)).normal
        alias = preparation.canonical(wanted)
        if (
            entries.child(tx, parent, normal) is None
            and entries.named(tx, alias) is None
            and deleted_entries.named(tx, alias) is None
        ):
            return wanted
    raise EntryExists


def add_user(
    unit: Unit,
    address: str,
    name: str,
    given_name: str,
    surname: str,
    alias: str,
    admin: bool,
    verifier: NewPassword | None,
    others: Sequence[str],
    rules: Rules,
    now: int,
) -> EntryId:
    """others: secondary addresses."""
    local = address.rpartition("@")[0].strip('"')
    display = name or " ".join(filter(None, (given_name, surname))) or local
    words = display.split()
    attributes = {
        "objectClass": ["inetOrgPerson"],
        "cn": [display],
        "sn": [surname or words[-1]],
        "givenName": [given_name or (words[0] if len(words) > 1 else "")],
        "mail": [address],
        "otherMailbox": [f"smtp${other}" for other in others],
        "imsAdministrator": ["TRUE"] if admin else [],
    }
    attributes["givenName"] = [value for value in attributes["givenName"] if value]
    return add(unit, local, alias, attributes, rules, now, verifier)


def add_group(
    unit: Unit, address: str, name: str, members: Iterable[str], owner: str, rules: Rules, now: int
) -> EntryId:
    here = require(unit)
    local = address.rpartition("@")[0]
    attributes = {
        "objectClass": ["groupOfNames"],
        "cn": [name or local],
        "mail": [address],
        "member": [name_of(unit, here, find(unit, member)) for member in members],
        "owner": [name_of(unit, here, find(unit, owner))] if owner else [],
    }
    return add(unit, local, "", attributes, rules, now)


def add_contact(unit: Unit, address: str, target: str, name: str, rules: Rules, now: int) -> EntryId:
    local = address.rpartition("@")[0]
    attributes = {
        "objectClass": ["inetOrgPerson", "remote-address"],
        "cn": [name or local],
        "mail": [address],
        "Target-Address": [f"SMTP:{target}" if ":" not in target.partition("@")[0] else target],
    }
    return add(unit, local, "", attributes, rules, now)


def add_folder(
    unit: Unit, address: str, pathname: str, name: str, hidden: bool, rules: Rules, now: int
) -> EntryId:
    """Also makes the folder in the public tree where it is not there yet."""
    last = pathname.rpartition("/")[2]
    if not last:
        raise ConstraintViolation("A public folder needs a name")
    attributes = {
        "objectClass": ["public-folder"],
        "cn": [name or last],
        "mail": [address] if address else [],
        "Folder-Pathname": [pathname],
        # The product hides public folders from the address book until told otherwise.
        "Hide-From-Address-Book": ["TRUE" if hidden else "FALSE"],
    }
    try:
        mailboxes.create(unit, PUBLIC, pathname, now)
    except MailboxExists:
        pass
    return add(unit, address.rpartition("@")[0] or last, "", attributes, rules, now)


def change_members(
    unit: Unit, who: str, come: Iterable[str], gone: Iterable[str], rules: Rules, now: int
) -> EntryId:
    """Members that are there already, or were not, are no error."""
    here = require(unit)
    group = find(unit, who)
    if group.kind != Kind.LIST:
        raise NoSuchEntry(f"{who[:100]!a} is not a distribution list")
    present = set(group.row.references.get("member", ()))
    arriving = [entry for member in come if (entry := find(unit, member)).id not in present]
    leaving = [entry for member in gone if (entry := find(unit, member)).id in present]
    modifications = [
        Modification(change, "member", tuple(name_of(unit, here, entry).encode() for entry in listed))
        for change, listed in ((Change.ADD, arriving), (Change.DELETE, leaving))
        if listed
    ]
    update.modify_entry(unit, here, group, modifications, rules, now, SERVER)
    return group.id


def change(
    unit: Unit, who: str, attributes: Attributes, rules: Rules, now: int, verifier: NewPassword | None = None
) -> EntryId:
    """Replace attributes; no values removes one."""
    entry = find(unit, who)
    modifications = [
        Modification(Change.REPLACE, key, tuple(value.encode() for value in values))
        for key, values in attributes.items()
    ]
    update.modify_entry(unit, require(unit), entry, modifications, rules, now, SERVER)
    if verifier is not None:
        credentials.set_password(unit, entry.id, verifier)
    return entry.id


def delete(unit: Unit, who: str, kind: Kind | None, delete_mailbox: bool, rules: Rules, now: int) -> EntryId:
    """kind: what it must be. The public folder itself stays: others may have its messages."""
    entry = find(unit, who)
    if kind is not None and entry.kind != kind:
        raise NoSuchEntry(f"There is no such {kind.name.lower()}: {who[:100]!a}")
    deleting.delete_entry(unit, entry, rules, now, delete_mailbox)
    return entry.id


def name_of(tx: Transaction, here: Tree, entry: Entry) -> str:
    """The DN under the first suffix, by rows."""
    parts = []
    at = entry
    while at.parent:
        parts.append(at.rdn)
        at = Entry(entries.load(tx, at.parent))
    return here.name(",".join(parts), 0)
