"""SETACL, DELETEACL, GETACL, LISTRIGHTS on the store (RFC 4314 3).

An identifier is whatever names a person or a distribution list of the directory; GETACL answers
with one form of it. Who always has rights stands in the list with them: the owner, and his
delegates less what is denied them. Of administrators' rights on public folders LISTRIGHTS tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from imsd.auth.standing import ANY, DELEGATE
from imsd.errors import NotPermitted
from imsd.sessions.imap4.places import Place
from imsd.store import acl, mailboxes
from imsd.store.ids import PUBLIC, AccountId, EntryId
from imsd.store.mailboxes import Mailbox
from imsd.store.permits import under
from imsd.store.transaction import Unit
from protocols.imap4.values import Acl, Grantable

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount
    from imsd.sessions.imap4.held import PeopleDirectory

NEGATIVE: Final = "-"


async def show(session: ImapAccount, name: str) -> Acl:
    place = await _administered(session, name)
    grants = await session.held.db.read_few(acl.of_mailbox, *place.key)
    return Acl(name, await entries(session.held.directory, place.mailbox.account, grants))


async def entries(
    directory: PeopleDirectory, owner: AccountId, grants: Iterable[acl.Grant]
) -> tuple[tuple[str, str], ...]:
    """A list as it is shown: (identifier, rights)."""
    lines: dict[tuple[EntryId, bool], str] = {}
    if owner != PUBLIC:
        lines[EntryId(owner), False] = acl.ALL
        for delegate in sorted(await directory.delegates(owner)):
            lines[delegate, False] = acl.ordered(DELEGATE)
    for grant in grants:
        key = (grant.grantee, grant.negative)
        lines[key] = acl.ordered(lines.get(key, "") + grant.rights)
    shown = []
    for (grantee, negative), rights in lines.items():
        identifier = await directory.identifier(grantee) if rights else ""
        if identifier:
            shown.append((NEGATIVE + identifier if negative else identifier, rights))
    return tuple(shown)


async def change(session: ImapAccount, name: str, identifier: str, rights: str, how: str) -> None:
    place = await _administered(session, name)
    grantee, negative = await grantee_of(session.held.directory, identifier)
    owner = place.mailbox.account
    if owner != PUBLIC and grantee == EntryId(owner):
        if negative or how == "-" or (not how and set(rights) != set(acl.ALL)):
            raise NotPermitted("The owner of a mailbox has all rights on it")
        return
    await session.held.db.write(
        under(place.needs("a"), change_row), place.mailbox, grantee, rights, how, negative, account=owner
    )


def change_row(unit: Unit, mailbox: Mailbox, grantee: EntryId, rights: str, how: str, negative: bool) -> None:
    """`acl.change` of a mailbox that is still there."""
    mailboxes.get_by_id(unit, mailbox.account, mailbox.id)
    acl.change(unit, mailbox.account, mailbox.id, grantee, rights, how, negative)


async def grantable(session: ImapAccount, name: str, identifier: str) -> Grantable:
    place = await _administered(session, name)
    directory, owner = session.held.directory, place.mailbox.account
    grantee, negative = await grantee_of(directory, identifier)
    required = ""
    if owner != PUBLIC and not negative:
        if grantee == EntryId(owner):
            required = acl.ALL
        elif grantee in await directory.delegates(owner):
            required = acl.ordered(DELEGATE)
    return Grantable(required, tuple(letter for letter in acl.ALL if letter not in required))


async def grantee_of(directory: PeopleDirectory, identifier: str) -> tuple[EntryId, bool]:
    """Who an identifier is, and whether rights are denied him. Raises NoSuchEntry."""
    negative = identifier.startswith(NEGATIVE)
    return await directory.grantee(identifier[len(NEGATIVE) :] if negative else identifier), negative


async def _administered(session: ImapAccount, name: str) -> Place:
    """Right a; who has no right at all is not told that there is such a mailbox (RFC 4314 6)."""
    place = await session.places.find(name, ANY)
    place.need("a")
    return place
