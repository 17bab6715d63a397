"""Who somebody is to an access control list: his groups, whose delegate he is, and the names of both.

Lists may hold lists, and each other: what was met is not followed again. An answer is kept until
any entry changes, like everything that is derived from entries.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Final

from imsd.directory.cache import Cache
from imsd.directory.canonical import canonical_address
from imsd.directory.entry import Entry, Kind
from imsd.errors import InvalidDN, InvalidSyntax, NoSuchEntry
from imsd.store import acl
from imsd.store.entries import NameKind
from imsd.store.ids import AccountId, EntryId
from protocols.errors import BadSyntax
from protocols.ldap import preparation

DELEGATES: Final = "public-delegates"
SEND_AS: Final = "imssendas"
MOST_GROUPS: Final = 10_000
"""Groups that somebody is in; more of them are not looked at."""
_BATCH = 200

SPECIAL: Final = {
    "anyone": acl.ANYONE,
    "anonymous": acl.ANONYMOUS,
    "authenticated": acl.AUTHENTICATED,
    "authusers": acl.AUTHENTICATED,
}
_SPELLED: Final = {entry: name for name, entry in reversed(SPECIAL.items())}
GROUP: Final = "$"


class Writes(IntEnum):
    """What somebody may do with another's name in mail (ims_spec 8, 12.3)."""

    NOT = 0
    ON_BEHALF = 1
    """As the author, with himself as the sender (Public-Delegates)."""
    AS = 2
    """As if he were the other (imsSendAs)."""


class Membership:
    """Answers for one directory."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def groups_of(self, entry_id: EntryId) -> frozenset[EntryId]:
        """The distribution lists somebody is a member of, by others of them, too."""
        key = ("groups", entry_id)
        known: frozenset[EntryId] | None = self._cache.derived.get(key)
        if known is not None:
            return known
        before = self._cache.generation
        found: set[EntryId] = set()
        waiting = [entry_id]
        while waiting and len(found) < MOST_GROUPS:
            batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
            for entry in await self._cache.many(batch):
                fresh = [each for each in entry.row.referrers.get("member", ()) if each not in found]
                found.update(fresh)
                waiting.extend(fresh)
        groups = frozenset(found)
        if before == self._cache.generation:
            self._cache.derived.keep(key, groups)
        return groups

    async def delegates(self, owner: AccountId) -> frozenset[EntryId]:
        """Whom a person named as delegates: people, or lists of them."""
        try:
            entry = await self._cache.entry(EntryId(owner))
        except NoSuchEntry:
            return frozenset()
        return frozenset(entry.row.references.get(DELEGATES, ()))

    async def writes_for(self, who: EntryId, whose: EntryId) -> Writes:
        """Whether somebody may write mail in a recipient's name: named himself, or a list that he is in."""
        try:
            named = (await self._cache.entry(whose)).row.references
        except NoSuchEntry:
            return Writes.NOT
        for key, right in ((SEND_AS, Writes.AS), (DELEGATES, Writes.ON_BEHALF)):
            ids = named.get(key, ())
            if ids and (who in ids or not (await self.groups_of(who)).isdisjoint(ids)):
                return right
        return Writes.NOT

    async def named(self, entry_id: EntryId, key: str) -> tuple[EntryId, ...]:
        """Whom an entry names as its delegates (DELEGATES), or as those who write as it (SEND_AS)."""
        return (await self._cache.entry(entry_id)).row.references.get(key, ())

    async def delegators(self, ids: Collection[EntryId]) -> list[AccountId]:
        """Who named one of these as a delegate, ascending."""
        wanted = sorted(ids)
        found: set[EntryId] = set()
        for at in range(0, len(wanted), _BATCH):
            for entry in await self._cache.many(wanted[at : at + _BATCH]):
                found.update(entry.row.referrers.get(DELEGATES, ()))
        people: list[AccountId] = []
        owners = sorted(found)
        for at in range(0, len(owners), _BATCH):
            entries = await self._cache.many(owners[at : at + _BATCH])
            people += [AccountId(entry.id) for entry in entries if entry.kind == Kind.MAILBOX]
        return people

    # Identifiers -----------------------------------------------------------------------

    async def grantee(self, identifier: str) -> EntryId:
        """The person or list of an identifier: alias, address, DN, or one of SPECIAL.

        A list's alias may have `$` before it. Raises NoSuchEntry.
        """
        special = SPECIAL.get(identifier.lower())
        if special is not None:
            return special
        entry = await self._entry(identifier) or await self._list(identifier.removeprefix(GROUP))
        if entry is None or entry.kind not in (Kind.MAILBOX, Kind.LIST):
            raise NoSuchEntry("There is nobody of that name")
        return entry.id

    async def _entry(self, name: str) -> Entry | None:
        try:
            if "=" in name:
                return await self._cache.entry((await self._cache.locate(name))[0])
        except (InvalidDN, NoSuchEntry):
            pass
        try:
            canonical = canonical_address(name) if "@" in name else preparation.canonical(name.strip())
            named = await self._cache.named(canonical)
            if named is None or named[1] is NameKind.FOREIGN:
                return None
            return await self._cache.entry(named[0])
        except (InvalidSyntax, BadSyntax, NoSuchEntry):
            return None

    async def _list(self, alias: str) -> Entry | None:
        """The one list of that alias, which is not unique by itself."""
        try:
            wanted = preparation.canonical(alias.strip())
        except BadSyntax:
            return None
        ids = await self._cache.equal("uid", wanted)
        found = [
            entry
            for entry in await self._cache.many(ids[:_BATCH])
            if entry.kind == Kind.LIST and preparation.canonical(entry.text("uid")) == wanted
        ]
        return found[0] if len(found) == 1 else None

    async def identifier(self, grantee: EntryId) -> str:
        """How a grantee is written; "" for one that is gone."""
        special = _SPELLED.get(grantee)
        if special is not None:
            return special
        try:
            entry = await self._cache.entry(grantee)
        except NoSuchEntry:
            return ""
        alias = entry.text("uid")
        if not alias or alias.lower() in SPECIAL or alias[0] in "-$":
            return entry.text("mail") or await self._cache.dn(entry.id)
        if entry.kind != Kind.LIST:
            return alias
        named = await self._list(alias)
        return GROUP + alias if named is not None and named.id == entry.id else entry.text("mail")
