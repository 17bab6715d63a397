"""Adding entries below one that was found, one by one or many in a unit.

A mailbox comes with its entry, in the same unit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from imsd.directory import draft
from imsd.directory.access import Viewer
from imsd.directory.attributes import COMPUTED, Definition, Kept, Writer
from imsd.directory.changes import Given
from imsd.directory.entry import Entry, Kind
from imsd.directory.limits import bounds_of
from imsd.directory.tree import Tree
from imsd.directory.working import Rules, Working, known
from imsd.errors import ConstraintViolation, InvalidSyntax, NoSuchEntry
from imsd.store import (
    credentials,
    deleted_entries,
    entries,
    entry_changes,
    entry_index,
    mailboxes,
    new_accounts,
    quotas,
)
from imsd.store.credentials import NewPassword
from imsd.store.entries import Draft
from imsd.store.entry_additions import Additions
from imsd.store.ids import AccountId, EntryId
from imsd.store.quotas import Bounds
from imsd.store.transaction import Transaction, Unit
from protocols.errors import BadSyntax
from protocols.ldap import dn

NO_PASSWORD = "userPassword: mailboxes alone have one"
UUID_TAKEN = "entryUUID: another entry has it"


def taken_by_others(unit: Unit, own: EntryId = entries.ROOT) -> Callable[[str], bool]:
    """Whether an address is somebody's who is there, or may come back."""

    def is_taken(name: str) -> bool:
        found = entries.named(unit, name)
        if found is None:
            # No address is made that somebody had who may come back.
            return deleted_entries.named(unit, name) is not None
        return found[0] != own

    return is_taken


def references(tx: Transaction, here: Tree, definition: Definition, values: Sequence[bytes]) -> list[EntryId]:
    """The entries that DN values name. Raises InvalidSyntax, ConstraintViolation."""
    found = []
    for value in values:
        try:
            found.append(here.find(tx, dn.parse(value.decode())))
        except (BadSyntax, UnicodeDecodeError):
            raise InvalidSyntax(f"{definition.type.name}: not a name") from None
        except NoSuchEntry:
            raise ConstraintViolation(f"{definition.type.name}: names no entry here") from None
    return found


def add_below(
    unit: Unit,
    here: Tree | None,
    above: Entry | None,
    rdn: dn.RDN,
    given: Given,
    rules: Rules,
    now: int,
    asking: Viewer,
    verifier: NewPassword | None = None,
    uuid: bytes | None = None,
) -> EntryId:
    """Add an entry below one that was found; the topmost one below nothing."""
    if uuid is not None and has_uuid(unit, uuid):
        raise ConstraintViolation(UUID_TAKEN)
    uuid = uuid or new_uuid()

    def refer(definition: Definition, values: Sequence[bytes]) -> list[EntryId]:
        assert here is not None
        return references(unit, here, definition, values)

    made = _drafted(above, rdn, given, rules, taken_by_others(unit), refer, uuid)
    entry_id = entry_changes.add(unit, made, now, asking.entry, uuid)
    if made.kind == Kind.MAILBOX:
        mailboxes.create_account_mailboxes(unit, AccountId(entry_id), now, rules.furniture)
        limit(unit, AccountId(entry_id), made, rules)
        if verifier is not None:
            credentials.set_password(unit, entry_id, verifier)
    elif verifier is not None:
        raise ConstraintViolation(NO_PASSWORD)
    return entry_id


def new_uuid() -> bytes:
    """Of random octets (RFC 9562 5.4)."""
    made = bytearray(os.urandom(16))
    made[6] = made[6] & 0x0F | 0x40
    made[8] = made[8] & 0x3F | 0x80
    return bytes(made)


def has_uuid(tx: Transaction, uuid: bytes) -> bool:
    """Is there an entry with it? No two have the same (RFC 4530 2)."""
    return bool(entry_index.equal(tx, "entryuuid", uuid.hex(), 1))


def _drafted(
    above: Entry | None,
    rdn: dn.RDN,
    given: Given,
    rules: Rules,
    is_taken: Callable[[str], bool],
    refer: Callable[[Definition, Sequence[bytes]], list[EntryId]],
    uuid: bytes,
) -> Draft:
    """What a new entry is to be. refer: the entries that values name."""
    working = Working(above.id if above else entries.ROOT, rdn)
    for description, values in given:
        definition = known(description)
        kept = definition.kept
        if kept in COMPUTED or definition.writer is Writer.SYSTEM:
            raise ConstraintViolation(f"{definition.type.name}: not to be given")
        if kept is Kept.CREDENTIAL:
            continue
        if not values:
            raise InvalidSyntax(f"{definition.type.name}: a value is needed")
        if kept is Kept.REFERENCE:
            working.refer(definition, refer(definition, values))
        else:
            working.add(definition, list(values))
    parent = Kind(above.kind) if above else None
    made = draft.finish(working, rules, is_taken, parent=parent, uuid=uuid, fill=True)
    draft.place(working, parent)
    return made


def limit(unit: Unit, account: AccountId, made: Draft, rules: Rules) -> None:
    """Have the store enforce what the entry, or the site, says of the mailbox."""
    quotas.limit(unit, account, *bounds_of(made.attributes, rules.bounds))


class NewEntries:
    """Entries that one unit adds for the server. They are written together, by `write`; until then what is
    read of the unit's rows does not have them. What `add` refuses leaves nothing of itself.
    """

    def __init__(self, unit: Unit, here: Tree, most: int, rules: Rules, now: int) -> None:
        self._unit = unit
        self._here = here
        self._most = most
        self._rules = rules
        self._now = now
        self._additions: Additions | None = Additions(unit, most, now)
        self._accounts: list[tuple[AccountId, Bounds, bool]] = []
        self._passwords: list[tuple[EntryId, NewPassword]] = []
        self._uuids: set[bytes] = set()

    def child(self, parent: EntryId, rdn_normal: str) -> bool:
        """Is there an entry of that name right below parent?"""
        return self._gathered().child(parent, rdn_normal)

    def add(
        self, above: Entry, rdn: dn.RDN, given: Given, verifier: NewPassword | None, uuid: bytes | None
    ) -> None:
        """Add an entry below one that is stored. Raises what `add_below` does."""
        if uuid is not None and (uuid in self._uuids or has_uuid(self._unit, uuid)):
            raise ConstraintViolation(UUID_TAKEN)
        uuid = uuid or new_uuid()
        made = _drafted(above, rdn, given, self._rules, self._is_taken, self._refer, uuid)
        if verifier is not None and made.kind != Kind.MAILBOX:
            raise ConstraintViolation(NO_PASSWORD)
        entry_id = self._gathered().add(made, uuid)
        self._uuids.add(uuid)
        if made.kind == Kind.MAILBOX:
            self._accounts.append((AccountId(entry_id), *bounds_of(made.attributes, self._rules.bounds)))
            if verifier is not None:
                self._passwords.append((entry_id, verifier))

    def write(self) -> None:
        """May be followed by more."""
        if self._additions is None:
            return
        self._additions.write()
        self._additions = None
        new_accounts.create(self._unit, self._accounts, self._now, self._rules.furniture)
        for entry_id, verifier in self._passwords:
            credentials.set_password(self._unit, entry_id, verifier)
        self._accounts, self._passwords = [], []

    def _gathered(self) -> Additions:
        if self._additions is None:
            self._additions = Additions(self._unit, self._most, self._now)
        return self._additions

    def _refer(self, definition: Definition, values: Sequence[bytes]) -> list[EntryId]:
        self.write()  # it may refer to one of these
        return references(self._unit, self._here, definition, values)

    def _is_taken(self, name: str) -> bool:
        # No address is made that somebody had who may come back.
        return self._gathered().named(name) or deleted_entries.named(self._unit, name) is not None
