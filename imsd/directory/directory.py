"""The facade that sessions, auth, mail and imsctl hold.

Questions are answered from the process's cache; a first question costs a few rows. Changes are
one unit each, and are seen by every question asked after they returned.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from imsd.directory import bootstrap, deleting, homes, passwords, people, protocols, update
from imsd.directory.access import Policy, Viewer
from imsd.directory.attributes import Kept, Visible
from imsd.directory.cache import Cache
from imsd.directory.canonical import canonical_address
from imsd.directory.changes import Change, Given, Modification
from imsd.directory.conditions import PLAIN, Changed, Conditions
from imsd.directory.configuration import Configuration
from imsd.directory.domains import Domains, rules_of, visibility_of
from imsd.directory.elsewhere import Elsewhere
from imsd.directory.entry import Entry, Kind, Values
from imsd.directory.limits import Limits, limits_of
from imsd.directory.membership import Membership, Writes
from imsd.directory.passwords import PasswordState, not_again, replacement, state
from imsd.directory.recipients import Admits, Recipients, everybody, recipient_of
from imsd.directory.restrictions import Restrictions
from imsd.directory.schema import definition
from imsd.directory.values import Expansion, Person, Recipient
from imsd.directory.working import Rules
from imsd.errors import (
    ConstraintViolation,
    InvalidDN,
    InvalidSyntax,
    NoSuchEntry,
    NoSuchRecipient,
    Refusal,
    StepRefused,
    Temporary,
)
from imsd.settings import LiveSettings
from imsd.settings.connectors import Ims
from imsd.settings.directory import Addressing, Ldap
from imsd.settings.passwords import PasswordPolicy
from imsd.settings.routing import Rerouting
from imsd.store import credentials, entries
from imsd.store import settings as setting_rows
from imsd.store.credentials import Credentials, NewPassword
from imsd.store.database import Database
from imsd.store.entries import NameKind
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Unit
from protocols.errors import BadSyntax
from protocols.ldap import dn, preparation


class PasswordMaker(Protocol):
    """What the directory needs of auth (`imsd.auth.passwords.Passwords`)."""

    async def make(self, password: str, former: Sequence[str] = (), known: Sequence[str] = ()) -> str:
        """The verifier of a password that is none of the former. known: names and addresses of its owner.

        Raises ConstraintViolation, TryLater.
        """
        ...


Step = Callable[[Unit], Changed]
"""A change as a function over a unit."""

Done = TypeVar("Done")


class Directory:
    """People and recipients. `start` must have returned before anything else is called.

    clock: IReactorTime; its seconds are those of the epoch.
    """

    def __init__(self, db: Database, settings: LiveSettings, clock: Any, passwords: PasswordMaker) -> None:
        self.db = db
        self.settings = settings
        self.clock = clock
        self.cache = Cache(db)
        self.cache.shown_of_password = self._shown_of_password
        self.following = 0
        """Searches that stay open and tell of changes."""
        self._passwords = passwords
        self.configuration = Configuration(settings)
        self.read_settings: Callable[[], Awaitable[None]] = self._read_settings
        """Take the stored settings as they are now; the server has its own way."""
        self._settings_changed()
        self._recipients = Recipients(self.cache, lambda: self.domains)
        self._membership = Membership(self.cache)
        self._unwatch: Any = None

    async def start(self) -> None:
        """Watch changes and read the tree, if there is one."""
        self._settings_changed()
        self._unwatch = self.settings.on_change(self._settings_changed)
        await self.cache.start()

    def stop(self) -> None:
        self.cache.stop()
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _settings_changed(self) -> None:
        page, ldap = self.settings[Addressing], self.settings[Ldap]
        self.domains = Domains.of(page, self.settings[Rerouting], self.settings[Ims])
        self.rules: Rules = rules_of(self.settings, self.domains)
        self.policy = Policy(visibility_of(ldap))
        self.elsewhere = Elsewhere.of(ldap)
        self.cache.forget_answers()

    async def _read_settings(self) -> None:
        self.settings.replace(await self.db.read(setting_rows.values))

    def now(self) -> int:
        """Microseconds since the epoch."""
        return int(self.clock.seconds() * 1_000_000)

    # Recipients ----------------------------------------------------------------------

    def serves(self, domain: str) -> bool:
        """Is mail for this domain ours to deliver or refuse?"""
        return self._recipients.serves(domain)

    async def resolve(self, address: str) -> Recipient:
        """Who receives mail for this address (no source route, no angle brackets).

        Raises NoSuchRecipient for an unknown address, in a domain of ours or not (ask
        `serves` first). Addresses are unique by the database, so none is ambiguous.
        """
        return self.known_recipient(address) or await self._recipients.resolve(address)

    def known_recipient(self, address: str) -> Recipient | None:
        """What `resolve` says, where it has lately been asked; None where it must be asked."""
        found: Recipient | None = self.cache.derived.get(("recipient", address))
        return found

    async def resolve_foreign(self, kind: str, value: str) -> Recipient:
        """Who has an address of another type: X400, MS, CCMAIL, or EX, a name of the directory.

        Raises NoSuchRecipient.
        """
        return await self._recipients.resolve_foreign(kind, value)

    async def entries_of(self, names: tuple[str, ...]) -> frozenset[EntryId]:
        """The entries that addresses or DNs name; a list stands for its members, nested ones too."""
        return await self._recipients.entries_of(names)

    def share_host(self, domain: str) -> str:
        """The host that shares an inbound domain with us, "" where none does (ims_spec 4.1)."""
        return self.domains.shared.find(domain) or "" if self.domains.shared else ""

    async def recipient(self, entry_id: EntryId) -> Recipient:
        """Who receives mail for an entry. Raises NoSuchRecipient."""
        return await self._recipients.recipient(entry_id)

    async def rest(self) -> None:
        """Let others have a turn of the reactor."""
        await self.cache.rest()

    async def restrictions(self, entry_id: EntryId) -> Restrictions:
        """Who may send to an entry. Raises NoSuchEntry."""
        return await self._recipients.restrictions(entry_id)

    async def secret(self, purpose: bytes) -> bytes:
        """A key of the organisation's for one purpose."""
        key: bytes = await self.db.write(credentials.server_key)
        return hmac.new(key, purpose, sha256).digest()

    async def expand(
        self, recipient: Recipient, limit: int | None = None, admits: Admits = everybody
    ) -> Expansion:
        """The recipients behind a list, nested lists included, each once, cycles cut.

        admits: asked for members that not everybody may send to.

        Raises TooManyRecipients beyond limit (default: the setting).
        """
        return await self._recipients.expand(recipient, limit, admits)

    # People --------------------------------------------------------------------------

    async def person_by_login(self, name: str) -> Person | None:
        r"""By alias, any SMTP address, DN in either suffix, or DOMAIN\alias; None if unknown."""
        key = ("login", name)
        known: AccountId | None = self.cache.derived.get(key)
        if known is not None:
            return await self.person(known)
        before = self.cache.generation
        entry_id = await self._login(name)
        person = None if entry_id is None else await self.person(AccountId(entry_id))
        if person is not None and before == self.cache.generation:
            self.cache.derived.keep(key, person.account)
        return person

    async def _login(self, name: str) -> EntryId | None:
        if len(name) > 1024:
            return None
        if "=" in name:
            found = await self._login_by_dn(name)
            if found is not None:
                return found
        if "\\" in name:
            name = name.rpartition("\\")[2]
        try:
            canonical = canonical_address(name) if "@" in name else preparation.canonical(name.strip())
        except (InvalidSyntax, BadSyntax):
            return None
        named = await self.cache.named(canonical)
        return None if named is None or named[1] is NameKind.FOREIGN else named[0]

    async def _login_by_dn(self, name: str) -> EntryId | None:
        """A DN of ours; or cn=alias,cn=DOMAIN and dc=DOMAIN,cn=alias (ims_spec 7.5)."""
        try:
            return (await self.cache.locate(name))[0]
        except (InvalidDN, NoSuchEntry):
            pass
        try:
            rdns = dn.parse(name).rdns
        except BadSyntax:
            return None
        names = [rdn.value for rdn in rdns if rdn.type.lower() == "cn"]
        if not 1 <= len(rdns) <= 2 or not names or (await self.cache.the_tree()).holds(dn.parse(name)):
            return None
        named = await self.cache.named(preparation.canonical(names[0]))
        return None if named is None or named[1] is not NameKind.LOGIN else named[0]

    async def person(self, account: AccountId) -> Person | None:
        """The person with this account as it now is; None once deleted."""
        known: Person | None = self.cache.derived.get(("person", account))
        if known is not None:
            return known
        before = self.cache.generation
        try:
            entry = await self.cache.entry(EntryId(account))
            if entry.kind != Kind.MAILBOX:
                return None
            person = _person(entry, await self.cache.dn(entry.id))
        except NoSuchEntry:
            return None
        if before == self.cache.generation:
            self.cache.derived.keep(("person", account), person)
        return person

    async def administrator(self) -> Person | None:
        """The administrator that was there first, of those that may log in."""
        for entry_id in sorted(await self.cache.equal("imsadministrator", "TRUE")):
            person = await self.person(AccountId(entry_id))
            if person is not None and person.is_admin and not person.disabled:
                return person
        return None

    async def limits(self, account: AccountId) -> Limits:
        """What the mailbox may hold, send and receive. Raises NoSuchEntry."""
        known = self.known_limits(account)
        if known is not None:
            return known
        before = self.cache.generation
        found = limits_of((await self.cache.entry(EntryId(account))).user, self.rules.bounds)
        if before == self.cache.generation:
            self.cache.derived.keep(("limits", account), found)
        return found

    def known_limits(self, account: AccountId) -> Limits | None:
        """What `limits` says, where it has lately been asked; None where it must be asked."""
        found: Limits | None = self.cache.derived.get(("limits", account))
        return found

    async def people(self) -> list[Person]:
        """Every person, ordered by alias."""
        found = [await self.person(AccountId(entry.id)) for entry in await self._of_kind(Kind.MAILBOX)]
        return sorted((one for one in found if one is not None), key=lambda person: person.uid.casefold())

    async def recipients(self, kind: Kind) -> list[Recipient]:
        """Every list, contact or public folder that mail can be sent to."""
        found = []
        for entry in await self._of_kind(kind):
            try:
                found.append(recipient_of(entry))
            except NoSuchRecipient:
                continue
        return found

    async def _of_kind(self, kind: Kind) -> list[Entry]:
        found: list[Entry] = []
        after = 0
        while True:
            ids = await self.db.read(entries.of_kind, kind, after, 200)
            if not ids:
                return found
            after = ids[-1]
            found.extend(await self.cache.many(ids))

    async def attributes(self, who: str) -> tuple[str, dict[str, list[str]]]:
        """DN and attributes of an entry, by address, alias or DN, for administrators to read.

        Raises NoSuchEntry.
        """
        entry = await self.cache.entry((await self.db.read(people.find, who)).id)
        shown: dict[str, list[str]] = {}
        for key, values in entry.user.items():
            found = definition(key)
            name = key if found is None else found.type.name
            shown[name] = [value.decode("utf-8", "backslashreplace") for value in values]
        for key, ids in (*entry.row.references.items(), ("memberof", entry.row.referrers.get("member", ()))):
            found = definition(key)
            if ids and found is not None:
                shown[found.type.name] = [await self.cache.dn(each) for each in ids]
        return await self.cache.dn(entry.id), shown

    async def language(self, account: AccountId) -> str:
        """What somebody chose (RFC 2798 2.7), "" if nothing."""
        try:
            entry = await self.cache.entry(EntryId(account))
        except NoSuchEntry:
            return ""
        return entry.text("preferredlanguage") or entry.text("language")

    async def place(self) -> tuple[str, str]:
        """The names of the organisation and of its first site, "" for what there is not."""
        try:
            top = (await self.cache.the_tree()).root
            name = (await self.cache.entry(top)).row.rdn_value
        except NoSuchEntry:
            return "", ""
        below = await self.cache.many(await self.db.read_few(entries.children, top))
        return name, next((each.row.rdn_value for each in below if each.kind == Kind.SITE), "")

    @property
    def contact(self) -> str:
        """The address of who runs the server (RFC 5321 4.5.1)."""
        return f"postmaster@{next(iter(self.domains.served), 'localhost')}"

    # Access --------------------------------------------------------------------------

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]:
        """The lists somebody is a member of, by other lists, too."""
        return await self._membership.groups_of(entry_id)

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]:
        """Whom a person named as delegates (Public-Delegates): people or lists."""
        return await self._membership.delegates(owner)

    async def writes_for(self, who: EntryId, whose: EntryId) -> Writes:
        """Whether somebody may write mail in a recipient's name."""
        return await self._membership.writes_for(who, whose)

    async def named(self, entry_id: EntryId, key: str) -> tuple[EntryId, ...]:
        """Whom an entry names by the attribute of that key."""
        return await self._membership.named(entry_id, key)

    async def delegators(self, ids: Collection[EntryId]) -> list[AccountId]:
        """Who named one of these as a delegate."""
        return await self._membership.delegators(ids)

    async def grantee(self, identifier: str) -> EntryId:
        """Who an identifier of an access control list is. Raises NoSuchEntry."""
        return await self._membership.grantee(identifier)

    async def identifier(self, grantee: EntryId) -> str:
        """How a grantee is written in an access control list; "" for one that is gone."""
        return await self._membership.identifier(grantee)

    # Changing people and other recipients ----------------------------------------------

    async def bootstrap(self, organization: str, site: str, domain: str, admin_password: str) -> Person:
        """Make the organisation in an empty store. Raises EntryExists where there is one."""
        known = (organization, domain, "administrator")
        verifier = NewPassword(await self._passwords.make(admin_password, known=known))
        entry_id = await self.db.write(
            bootstrap.create_organisation, organization, site, domain, verifier, self.now()
        )
        # Its domain is ours from here on, not from whenever the settings are read next.
        self.settings.replace(await self.db.read(setting_rows.values))
        return await self._made(entry_id)

    async def _made(self, entry_id: EntryId) -> Person:
        person = await self.person(AccountId(entry_id))
        if person is None:
            raise NoSuchEntry
        return person

    async def add_user(
        self,
        address: str,
        *,
        name: str = "",
        given_name: str = "",
        surname: str = "",
        alias: str = "",
        password: str | None = None,
        admin: bool = False,
        other_addresses: Sequence[str] = (),
    ) -> Person:
        """A person: entry, addresses and mailboxes in one unit.

        Raises ConstraintViolation (address or alias taken, password), EntryExists, InvalidSyntax.
        """
        known = (address, name, given_name, surname, alias)
        verifier = None if password is None else await self._new_password(password, known, reset=True)
        entry_id = await self.db.write(
            people.add_user, address, name, given_name, surname, alias, admin, verifier,
            tuple(other_addresses), self.rules, self.now(),
        )  # fmt: skip
        return await self._made(entry_id)

    async def add_group(
        self, address: str, *, name: str = "", members: Sequence[str] = (), owner: str = ""
    ) -> EntryId:
        """A distribution list; members and owner are addresses, aliases or DNs."""
        return await self.db.write(
            people.add_group, address, name, tuple(members), owner, self.rules, self.now()
        )

    async def change_members(
        self, group: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> EntryId:
        """Members that are there already, or were not, are no error."""
        return await self.db.write(
            people.change_members, group, tuple(add), tuple(remove), self.rules, self.now()
        )

    async def add_contact(self, address: str, target: str, *, name: str = "") -> EntryId:
        """A custom recipient: mail for address goes to target."""
        return await self.db.write(people.add_contact, address, target, name, self.rules, self.now())

    async def add_folder(
        self, address: str, pathname: str, *, name: str = "", hidden: bool = True
    ) -> EntryId:
        """A public folder with an address (generated when ""), made in the public tree if need be."""
        return await self.db.write(people.add_folder, address, pathname, name, hidden, self.rules, self.now())

    async def change(self, who: str, attributes: Mapping[str, Sequence[str]]) -> EntryId:
        """Replace attributes of an entry (address, alias or DN); no values removes one."""
        given = {key: list(values) for key, values in attributes.items()}
        return await self.db.write(people.change, who, given, self.rules, self.now())

    async def set_disabled(self, account: AccountId, disabled: bool) -> None:
        """A disabled person cannot log in; mail is still received."""
        person = await self._made(EntryId(account))
        await self.change(person.dn, {"imsAccountDisabled": ["TRUE"] if disabled else []})

    async def set_password(
        self, account: AccountId, password: str, *, reset: bool = False, must_change: bool | None = None
    ) -> None:
        """Raises NoSuchEntry, ConstraintViolation; the person's sessions end.

        reset: not the person himself sets it. must_change: whether he must set another then; None for what
        the policy says.
        """
        person = await self._made(EntryId(account))
        new = await self._new_password(password, await self._known_of(person.entry), person.entry, reset)
        if must_change is not None:
            new = replace(new, must_change=must_change)
        await self.db.write(people.change, person.dn, {}, self.rules, self.now(), new)

    async def password_state(self, entry: EntryId) -> PasswordState:
        """What the policy says of somebody's password now."""
        held = await self.db.read_few(credentials.read, entry)
        return state(held, self.settings[PasswordPolicy], self.now())

    def _shown_of_password(self, entry: Entry, held: Credentials) -> Mapping[str, Values]:
        disabled = entry.flag("imsaccountdisabled")
        return passwords.shown(held, self.settings[PasswordPolicy], self.now(), disabled)

    async def unlock(self, account: AccountId) -> None:
        """Forget wrong passwords. Raises NoSuchEntry."""
        await self.db.write(credentials.unlock, (await self._made(EntryId(account))).entry)

    async def _new_password(
        self, password: str, known: Sequence[str], entry: EntryId | None = None, reset: bool = False
    ) -> NewPassword:
        """known: what others know of its owner. entry: whose former passwords it may not be.

        Raises ConstraintViolation, TryLater.
        """
        page = self.settings[PasswordPolicy]
        held = Credentials() if entry is None else await self.db.read_few(credentials.read, entry)
        return replacement(await self._passwords.make(password, not_again(held, page), known), page, reset)

    async def _known_of(self, entry: EntryId | None) -> list[str]:
        """What others know of a person: names and addresses."""
        if entry is None:
            return []
        try:
            found = await self.cache.entry(entry)
        except NoSuchEntry:
            return []
        return [value.decode("utf-8", "replace") for key in KNOWN for value in found.user.get(key, ())]

    async def delete_user(self, who: str, *, delete_mailbox: bool, at_once: bool = False) -> None:
        """Delete a person. A mailbox that is not empty goes only with delete_mailbox.

        Raises UnwillingToPerform, NoSuchEntry.
        """
        await self.delete(who, Kind.MAILBOX, delete_mailbox=delete_mailbox, at_once=at_once)

    async def delete(
        self, who: str, kind: Kind | None = None, *, delete_mailbox: bool = False, at_once: bool = False
    ) -> None:
        """Delete any entry; kind says what it must be. at_once: it cannot be brought back."""
        rules = replace(self.rules, keep_days=0) if at_once else self.rules
        await self.db.write(people.delete, who, kind, delete_mailbox, rules, self.now())

    # Changing entries as somebody (LDAP) -----------------------------------------------

    async def add_entry(
        self,
        name: str,
        given: Given,
        asking: Viewer,
        uuid: bytes | None = None,
        conditions: Conditions = PLAIN,
    ) -> Changed:
        """RFC 4511 4.7. uuid: the entry's identity, where it comes from an export."""
        return await self.db.write(await self.adding(name, given, asking, uuid, conditions))

    async def adding(
        self, name: str, given: Given, asking: Viewer, uuid: bytes | None, conditions: Conditions
    ) -> Step:
        """The same as one step of a unit, with its password hashed."""
        administrator = asking.level is Visible.ADMINISTRATOR
        verifier = await self.verifier_of(given, reset=True) if administrator else None
        rules, now = self.rules, self.now()
        return lambda unit: update.add(unit, name, given, rules, now, asking, verifier, uuid, conditions)

    async def modify_entry(
        self,
        name: str,
        modifications: Sequence[Modification],
        asking: Viewer,
        conditions: Conditions = PLAIN,
    ) -> Changed:
        """RFC 4511 4.6. A password is replaced, or taken away; a former one cannot be named."""
        return await self.db.write(await self.modifying(name, modifications, asking, conditions))

    async def modifying(
        self, name: str, modifications: Sequence[Modification], asking: Viewer, conditions: Conditions
    ) -> Step:
        """The same as one step of a unit, with its password hashed."""
        verifier: NewPassword | None = None
        for modification in modifications:
            # Hashing is work: it is done for those alone who may set a password. Others are
            # refused in the unit, where it is also known whether the entry exists for them.
            if not is_password(modification.attribute) or not await self._may_set(name, asking):
                continue
            if not modification.values:
                verifier = NewPassword("", self.settings[PasswordPolicy].history)
            elif modification.change is Change.DELETE:
                raise ConstraintViolation("userPassword: replace it, or use Password Modify")
            else:
                entry = await self._whose(name)
                known = await self._known_of(entry)
                verifier = await self._verifier(
                    modification.values, known, entry, reset=entry != asking.entry
                )
        rules, now = self.rules, self.now()
        return lambda unit: update.modify(unit, name, modifications, rules, now, asking, verifier, conditions)

    async def _may_set(self, name: str, asking: Viewer) -> bool:
        """May this one set the password of that entry? As far as is known before the unit."""
        if asking.level is Visible.ADMINISTRATOR:
            return True
        return bool(asking.entry) and await self._whose(name) == asking.entry

    async def _whose(self, name: str) -> EntryId | None:
        try:
            return (await self.cache.locate(name))[0]
        except (NoSuchEntry, InvalidDN):
            return None  # the unit says so

    async def verifier_of(self, given: Given, reset: bool = False) -> NewPassword | None:
        """The password among attributes; None where there is none. reset: the policy of resets holds.

        Raises ConstraintViolation, InvalidSyntax.
        """
        for description, values in given:
            if is_password(description):
                return await self._verifier(values, _known(given), None, reset) if values else NewPassword("")
        return None

    async def _verifier(
        self, values: Sequence[bytes], known: Sequence[str], entry: EntryId | None, reset: bool
    ) -> NewPassword:
        if len(values) != 1:
            raise ConstraintViolation("userPassword: one value")
        try:
            return await self._new_password(values[0].decode(), known, entry, reset)
        except UnicodeDecodeError:
            raise InvalidSyntax("userPassword: UTF-8") from None

    async def delete_entry(self, name: str, asking: Viewer, conditions: Conditions = PLAIN) -> Changed:
        """RFC 4511 4.8."""
        return await self.db.write(self.deleting(name, asking, conditions))

    def deleting(self, name: str, asking: Viewer, conditions: Conditions) -> Step:
        rules, now = self.rules, self.now()
        return lambda unit: deleting.delete(unit, name, rules, now, asking, False, conditions)

    async def rename_entry(
        self,
        name: str,
        new_rdn: str,
        delete_old: bool,
        new_superior: str | None,
        asking: Viewer,
        conditions: Conditions = PLAIN,
    ) -> Changed:
        """RFC 4511 4.9."""
        return await self.db.write(self.renaming(name, new_rdn, delete_old, new_superior, asking, conditions))

    def renaming(
        self,
        name: str,
        new_rdn: str,
        delete_old: bool,
        new_superior: str | None,
        asking: Viewer,
        conditions: Conditions,
    ) -> Step:
        rules, now = self.rules, self.now()
        return lambda unit: update.rename(
            unit, name, new_rdn, delete_old, new_superior, rules, now, asking, conditions
        )

    async def together(self, steps: Sequence[Callable[[Unit], Done]]) -> list[Done]:
        """Several changes in one unit, all or none. Raises StepRefused."""
        return await self.db.write(_together, steps)


def _together(unit: Unit, steps: Sequence[Callable[[Unit], Done]]) -> list[Done]:
    done: list[Done] = []
    for number, step in enumerate(steps):
        try:
            done.append(step(unit))
        except Temporary:
            raise
        except Refusal as refusal:
            raise StepRefused(number, refusal) from None
    return done


KNOWN = ("cn", "sn", "givenname", "displayname", "uid", "mail", "initials", "telephonenumber", "company")
"""Attributes that make a password no harder to guess."""


def _known(given: Given) -> list[str]:
    return [
        value.decode("utf-8", "replace")
        for description, values in given
        if description.partition(";")[0].lower() in KNOWN
        for value in values
    ]


def is_password(description: str) -> bool:
    """Does it name what a person logs in with?"""
    found = definition(description)
    return found is not None and found.kept is Kept.CREDENTIAL


def _person(entry: Entry, name: str) -> Person:
    addresses = tuple(canonical_address(proxy.value) for proxy in entry.proxies if proxy.type == "SMTP")
    return Person(
        account=AccountId(entry.id),
        entry=entry.id,
        dn=name,
        uid=entry.text("uid"),
        name=entry.display,
        addresses=addresses,
        rights_version=entry.row.version,
        is_admin=entry.is_admin,
        disabled=entry.flag("imsaccountdisabled"),
        protocols=protocols.lenient(entry.user.get(protocols.KEY, ())),
        capabilities_off=tuple(
            value.decode("ascii", "ignore").upper() for value in entry.user.get("imscapabilitiesoff", ())
        ),
        home=homes.server_name((entry.text("home-mta"), entry.text("home-mdb"))),
    )
