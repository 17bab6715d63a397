"""Quota roots (RFC 9208): one for each account, `#user/alice`, and `#public` for public folders.

Whoever may read a mailbox may know the quota it counts against (RFC 9208 6); otherwise a root is
its owner's and the administrators', who alone set limits. What they set becomes the mailbox's own
(DXA-Task, imsMessageQuota in its entry), in place of the site's. Limits are decided in the unit that
brings a message (design rule 7), by whichever way it comes; what is told is what holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from imsd.errors import NoSuchMailbox, NotPermitted, Unsupported
from imsd.store import mailboxes
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.mailboxes import MAX_MAILBOXES, NOTHING
from protocols.imap4.values import Quota

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

USER = "#user/"
PUBLIC_ROOT = "#public"
STORAGE, MESSAGE, MAILBOX = b"STORAGE", b"MESSAGE", b"MAILBOX"


async def by_root(session: ImapAccount, root: str) -> Quota:
    """GETQUOTA. Raises NotPermitted, NoSuchMailbox."""
    return await _read(session, await _owner(session, root), root)


async def by_name(session: ImapAccount, name: str) -> Quota:
    """GETQUOTAROOT; a name of the account's own tree need not exist."""
    spot = await session.places.spot(name)
    if spot.account not in (session.account.id, PUBLIC):
        (await session.places.find(name)).need("r")
    if spot.account == PUBLIC:
        return await _read(session, PUBLIC, PUBLIC_ROOT)
    person = await session.held.directory.person(spot.account)
    if person is None:
        raise NoSuchMailbox
    return await _read(session, spot.account, USER + person.uid)


async def change(session: ImapAccount, root: str, limits: Mapping[bytes, int]) -> Quota:
    """SETQUOTA. Raises NotPermitted, Unsupported (a resource whose limit is the system's)."""
    if not session.account.is_admin:
        raise NotPermitted
    owner = await _owner(session, root)
    if not limits.keys() <= {STORAGE, MESSAGE}:
        raise Unsupported("Only STORAGE and MESSAGE can be limited")
    if owner == PUBLIC:
        octets, messages = (
            NOTHING if limits.get(resource) == 0 else limits.get(resource, 0) * unit
            for resource, unit in ((STORAGE, 1024), (MESSAGE, 1))
        )
        await session.held.db.write(mailboxes.set_quota, owner, octets, messages, account=owner)
    else:
        person = await session.held.directory.person(owner)
        if person is None:
            raise NoSuchMailbox("No such quota root")
        await session.held.directory.change(
            person.dn,
            {
                "MDB-Use-Defaults": ["FALSE"],
                "DXA-Task": [str(limits[STORAGE])] if STORAGE in limits else [],
                "imsMessageQuota": [str(limits[MESSAGE])] if MESSAGE in limits else [],
            },
        )
    return await _read(session, owner, root)


async def _owner(session: ImapAccount, root: str) -> AccountId:
    """Whose root it is, for who may know of it."""
    if root == PUBLIC_ROOT:
        return PUBLIC
    person = None
    if root.startswith(USER):
        person = await session.held.directory.person_by_login(root[len(USER) :])
        if person is not None and person.uid.lower() != root[len(USER) :].lower():
            person = None
    if person is not None and person.account == session.account.id:
        return person.account
    # Whether somebody exists is told to administrators alone.
    if not session.account.is_admin:
        raise NotPermitted
    if person is None:
        raise NoSuchMailbox("No such quota root")
    return person.account


async def _read(session: ImapAccount, owner: AccountId, root: str) -> Quota:
    held, count = await session.held.db.read_few(mailboxes.held, owner)
    resources = [(MAILBOX, count, MAX_MAILBOXES)]
    if held.quota_messages:
        resources.insert(0, (MESSAGE, held.messages, max(held.quota_messages, 0)))
    if held.quota_bytes:
        resources.insert(0, (STORAGE, -(-held.bytes // 1024), max(held.quota_bytes, 0) // 1024))
    return Quota(root, tuple(resources))
