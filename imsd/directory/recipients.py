"""From an address to who receives its mail (ims_spec 3.11.3).

1. An address is looked up in its canonical form among all proxy addresses.
2. In a domain of ours, `user+detail` is `user` where that is a mailbox (RFC 5233); the longest
   user that exists is taken.
3. postmaster is known in every domain of ours (RFC 5321 4.5.1): it is the administrator's mailbox
   of the settings, else whoever has postmaster@ another of our domains, else an administrator; and
   everybody may write to it. So is abuse (RFC 2142 4), where nobody has that address.
4. What is for nobody in a domain with a catch-all address goes there (ims_spec 13).
5. Addresses of other types are looked up as they are; those of type EX name an entry (4.4).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from imsd.directory.addressing import Proxy
from imsd.directory.cache import Cache
from imsd.directory.canonical import canonical_address, canonical_domain
from imsd.directory.domains import Domains
from imsd.directory.entry import Entry, Kind
from imsd.directory.imcea import distinguished_name
from imsd.directory.restrictions import (
    Reports,
    Restrictions,
    alternate_of,
    is_restricted,
    reports_of,
    restrictions_of,
)
from imsd.directory.values import Contact, DistributionList, Expansion, Local, PublicFolder, Recipient
from imsd.errors import InvalidDN, InvalidSyntax, NoSuchEntry, NoSuchRecipient, TooManyRecipients
from imsd.store.entries import NameKind
from imsd.store.ids import AccountId, EntryId
from protocols.errors import BadSyntax
from protocols.message.flatten import Form

FORMS: Final[dict[int, Form]] = {
    393216: "plain",
    917504: "html",
    1441792: "both",
    2228224: "uuencode",
    131072: "binhex",
}
"""Values of Internet-Encoding (ims_spec 8)."""

_SMTP = (NameKind.PRIMARY, NameKind.SECONDARY)
MOST_RESTRICTED = 1_000_000
"""Members of a list that restricts a connector."""

IMCEA = re.compile(r"imcea[a-z0-9]+-")
"""What holds an address of another type is taken apart, not caught."""

Admits = Callable[[Recipient], Awaitable[bool]]


async def everybody(_: Recipient) -> bool:
    """Whoever sends, he may."""
    return True


_BATCH = 200
"""Members looked at between two turns of the reactor."""


_canonical = lru_cache(4_096)(canonical_domain)


class Recipients:
    """Answers for one directory."""

    def __init__(self, cache: Cache, domains: Callable[[], Domains]) -> None:
        self._cache = cache
        self._domains = domains

    def serves(self, domain: str) -> bool:
        domains = self._domains()
        if domain in domains:
            return True
        try:
            return _canonical(domain) in domains
        except InvalidSyntax:
            return False

    async def resolve(self, address: str) -> Recipient:
        """Raises NoSuchRecipient."""
        key = ("recipient", address)
        known: Recipient | None = self._cache.derived.get(key)
        if known is not None:
            return known
        before = self._cache.generation
        found = await self._find(address)
        if before == self._cache.generation:
            self._cache.derived.keep(key, found)
        return found

    async def _find(self, address: str) -> Recipient:
        try:
            canonical = canonical_address(address)
        except InvalidSyntax:
            raise NoSuchRecipient from None
        found = await self._owner(canonical)
        if found is not None:
            return recipient_of(found, canonical)
        local, _, domain = canonical.rpartition("@")
        domains = self._domains()
        if domain not in domains:
            raise NoSuchRecipient
        if local in ("postmaster", "abuse"):
            return replace(await self._postmaster(canonical, domains), restricted=False)
        try:
            return await self._subaddressed(canonical, local, domain, domains.separator)
        except NoSuchRecipient:
            caught = domains.catch_all.find(domain)
            if caught is None or IMCEA.match(local) or self.is_shared(domain):
                raise
            return await self._instead(caught, canonical)

    def is_shared(self, domain: str) -> bool:
        """Who shares a domain knows of more people than we do; nothing is caught there."""
        shared = self._domains().shared
        return bool(shared) and shared.find(domain) is not None

    async def _instead(self, address: str, asked: str) -> Recipient:
        """Whoever has `address`, for mail to the address that was asked for."""
        try:
            found = await self._owner(canonical_address(address))
        except InvalidSyntax:
            found = None
        if found is None:
            raise NoSuchRecipient
        return recipient_of(found, asked)

    async def _owner(self, canonical: str) -> Entry | None:
        named = await self._cache.named(canonical)
        if named is None or named[1] not in _SMTP:
            return None
        try:
            return await self._cache.entry(named[0])
        except NoSuchEntry:
            return None

    async def _subaddressed(self, canonical: str, local: str, domain: str, separator: str) -> Recipient:
        end = local.rfind(separator) if separator else -1
        while end > 0:
            found = await self._owner(f"{local[:end]}@{domain}")
            if found is not None:
                if found.kind != Kind.MAILBOX:
                    raise NoSuchRecipient
                to = recipient_of(found, canonical)
                assert isinstance(to, Local)
                return replace(to, detail=local[end + 1 :])
            end = local.rfind(separator, 0, end)
        raise NoSuchRecipient

    async def _postmaster(self, canonical: str, domains: Domains) -> Recipient:
        if domains.admin_mailbox:
            try:
                return await self._instead(domains.admin_mailbox, canonical)
            except NoSuchRecipient:
                pass
        for domain in domains.served:
            found = await self._owner(f"postmaster@{domain}")
            if found is not None:
                return recipient_of(found, canonical)
        for entry_id in await self._cache.equal("imsadministrator", "TRUE"):
            entry = await self._cache.entry(entry_id)
            if entry.is_admin:
                return recipient_of(entry, canonical)
        raise NoSuchRecipient

    async def recipient(self, entry_id: EntryId) -> Recipient:
        """Raises NoSuchRecipient."""
        try:
            return recipient_of(await self._cache.entry(entry_id))
        except NoSuchEntry:
            raise NoSuchRecipient from None

    async def restrictions(self, entry_id: EntryId) -> Restrictions:
        """Raises NoSuchEntry."""
        return restrictions_of(await self._cache.entry(entry_id))

    async def resolve_foreign(self, kind: str, value: str) -> Recipient:
        """Raises NoSuchRecipient."""
        try:
            if kind == "EX":
                name = distinguished_name(value)
                if name is None:
                    raise NoSuchRecipient
                return recipient_of(await self._cache.entry((await self._cache.locate(name))[0]))
            named = await self._cache.named(Proxy(kind, value, False).name)
            if named is None or named[1] is not NameKind.FOREIGN:
                raise NoSuchRecipient
            return recipient_of(await self._cache.entry(named[0]))
        except (InvalidDN, NoSuchEntry, InvalidSyntax, BadSyntax):
            raise NoSuchRecipient from None

    async def entries_of(self, names: tuple[str, ...]) -> frozenset[EntryId]:
        """Names of nobody count for nothing."""
        key = ("entries", names)
        known: frozenset[EntryId] | None = self._cache.derived.get(key)
        if known is not None:
            return known
        before = self._cache.generation
        found: set[EntryId] = set()
        for name in names:
            try:
                found |= await self._entries_of(name)
            except (NoSuchRecipient, NoSuchEntry, InvalidDN, InvalidSyntax):
                continue
        if before == self._cache.generation:
            self._cache.derived.keep(key, frozenset(found))
        return frozenset(found)

    async def _entries_of(self, name: str) -> set[EntryId]:
        try:
            found = await self._owner(canonical_address(name))
        except InvalidSyntax:
            found = await self._cache.entry((await self._cache.locate(name))[0])
        if found is None or found.kind != Kind.LIST:
            return set() if found is None else {found.id}
        start = DistributionList(found.id, "")
        expansion = await self.expand(start, MOST_RESTRICTED)
        return {each.entry for each in expansion.recipients}

    async def expand(
        self, start: Recipient, limit: int | None = None, admits: Admits = everybody
    ) -> Expansion:
        """Raises TooManyRecipients."""
        if not isinstance(start, DistributionList):
            return Expansion((start,))
        most = self._domains().list_limit if limit is None else limit
        found: dict[EntryId, Local | Contact | PublicFolder] = {}
        lists: dict[EntryId, None] = {start.entry: None}
        missing: dict[EntryId, None] = {}
        refused: dict[EntryId, Recipient] = {}
        seen = {start.entry}
        # Of each list, the one that decides who hears of its members' failures.
        deciding = {start.entry: start}
        told: dict[EntryId, DistributionList] = {}
        waiting = [start.entry]
        while waiting:
            group = await self._cache.entry(waiting.pop())
            decides = deciding[group.id]
            members = [each for each in group.row.references.get("member", ()) if each not in seen]
            seen.update(members)
            for begin in range(0, len(members), _BATCH):
                if begin:
                    await self._cache.rest()
                for entry in await self._cache.many(members[begin : begin + _BATCH]):
                    try:
                        recipient = recipient_of(entry)
                    except NoSuchRecipient:
                        missing[entry.id] = None
                        continue
                    if decides is not start:
                        told[entry.id] = decides
                    if recipient.restricted and not await admits(recipient):
                        refused[entry.id] = recipient
                        continue
                    if isinstance(recipient, DistributionList):
                        lists[entry.id] = None
                        own = recipient.reports is not Reports.ORIGINATOR
                        deciding[entry.id] = recipient if own else decides
                        waiting.append(entry.id)
                        continue
                    found[entry.id] = recipient
                    if len(found) > most:
                        raise TooManyRecipients
        return Expansion(tuple(found.values()), tuple(lists), tuple(missing), tuple(refused.values()), told)


def recipient_of(entry: Entry, address: str = "") -> Recipient:
    """Who receives mail for this entry. address: what was asked for, "" for the primary one.

    Raises NoSuchRecipient for what mail cannot be sent to.
    """
    address = address or primary_address(entry)
    match entry.kind:
        case Kind.MAILBOX if address:
            return Local(
                AccountId(entry.id),
                entry.id,
                address,
                restricted=is_restricted(entry),
                alternate=alternate_of(entry),
                keeps=entry.flag("deliver-and-redirect"),
            )
        case Kind.LIST:
            owner = entry.owners[0] if entry.owners else None
            return DistributionList(
                entry.id, address, is_restricted(entry), reports_of(entry), owner, form_of(entry)
            )
        case Kind.CONTACT:
            kind, _, target = entry.text("target-address").partition(":")
            if kind and target:
                kind = kind.upper()
                asked = address or (target if kind == "SMTP" else f"{kind}:{target}")
                return Contact(entry.id, asked, target, kind, is_restricted(entry), form_of(entry))
        case Kind.FOLDER if address:
            pathname = entry.text("folder-pathname") or entry.row.rdn_value
            return PublicFolder(entry.id, address, pathname, is_restricted(entry))
    raise NoSuchRecipient


def form_of(entry: Entry) -> Form | None:
    """Internet-Encoding; None where it says nothing, as its 1310720 does."""
    text = entry.text("internet-encoding")
    return FORMS.get(int(text)) if text else None


def primary_address(entry: Entry) -> str:
    """In canonical form; "" where there is none."""
    mail = entry.text("mail")
    return canonical_address(mail) if mail else ""
