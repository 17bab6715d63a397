"""Who may post to a public folder by mail, and who may send to a recipient that accepts from some alone.

A folder asks the right `p` of its list (RFC 4314 2.1). Whoever submits with a login posts as himself; all
other mail is of nobody's, whatever it says of its sender: `anyone` and `anonymous` decide. Administrators
always may.

Recipients have lists of their own (ims_spec 12.4; `imsd.directory.restrictions`), lists among them standing
for their members, nested ones too. Rejecting wins.
1. Who did not log in is whoever has his reverse-path in the directory. As a contact he may be accepted,
   for he cannot log in; as somebody with a mailbox here only rejected: anybody can write that address.
2. Who is nobody in the directory is on no list: where only some are accepted he is not.
3. The null reverse-path brings reports on what a recipient sent himself; only lists refuse it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsd.auth.standing import NOBODY, identities_of
from imsd.directory.values import Contact, DistributionList, PublicFolder, Recipient
from imsd.errors import NoSuchEntry, NoSuchMailbox, NoSuchRecipient, PostingDenied
from imsd.store import acl, mailboxes
from imsd.store.ids import PUBLIC, AccountId, EntryId
from imsd.store.transaction import Transaction

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.connectors import Originator


async def may_post(directory: Directory, recipient: Recipient | None, account: int | None) -> None:
    """account: who submits, None for nobody. Raises PostingDenied."""
    if not isinstance(recipient, PublicFolder):
        return
    identities = NOBODY
    if account is not None:
        person = await directory.person(AccountId(account))
        if person is not None and person.is_admin:
            return
        identities = await identities_of(directory, AccountId(account))
    try:
        grants = await directory.db.read_few(_list, recipient.pathname)
    except NoSuchMailbox:
        return  # delivery says so
    if "p" not in acl.effective(grants, identities):
        raise PostingDenied


async def posts(directory: Directory, folder: PublicFolder, account: int | None) -> bool:
    """Whether `may_post` lets a message into a folder that comes there by a list or later."""
    try:
        await may_post(directory, folder, account)
    except PostingDenied:
        return False
    return True


async def admits(directory: Directory, recipient: Recipient, originator: Originator) -> bool:
    """Whether a recipient accepts from an originator."""
    if not recipient.restricted or originator.system:
        return True
    if originator.account is None and not originator.address and not isinstance(recipient, DistributionList):
        return True
    try:
        restrictions = await directory.restrictions(recipient.entry)
    except NoSuchEntry:
        return True  # delivery says so
    sender, proved = await _sender(directory, originator)
    named = frozenset() if sender is None else {sender} | await directory.groups_of(sender)
    if named & restrictions.reject:
        return False
    return not restrictions.accept or (proved and bool(named & restrictions.accept))


async def _sender(directory: Directory, originator: Originator) -> tuple[EntryId | None, bool]:
    """The originator's entry, and whether that counts for being accepted."""
    if originator.account is not None:
        return EntryId(originator.account), True
    try:
        found = await directory.resolve(originator.address)
    except NoSuchRecipient:
        return None, False
    return found.entry, isinstance(found, Contact)


def _list(tx: Transaction, pathname: str) -> list[acl.Grant]:
    return list(acl.of_mailbox(tx, PUBLIC, mailboxes.get(tx, PUBLIC, pathname).id))
