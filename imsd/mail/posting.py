"""Who may post to a public folder by mail: the right `p` of its list (RFC 4314 2.1).

Whoever submits with a login posts as himself; all other mail is of nobody's, whatever it says of
its sender: `anyone` and `anonymous` decide. Administrators always may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsd.auth.standing import NOBODY, identities_of
from imsd.directory.values import PublicFolder, Recipient
from imsd.errors import NoSuchMailbox, PostingDenied
from imsd.store import acl, mailboxes
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.transaction import Transaction

if TYPE_CHECKING:
    from imsd.directory.directory import Directory


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


def _list(tx: Transaction, pathname: str) -> list[acl.Grant]:
    return list(acl.of_mailbox(tx, PUBLIC, mailboxes.get(tx, PUBLIC, pathname).id))
