"""The names one account sees, with their attributes and its rights: what LIST chooses from.

All three namespaces come from one snapshot. A mailbox without the right `l` is not there
(RFC 4314 4, LIST); special use is told of one's own alone, for a client would take another's
Sent for its own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from imsd.auth.standing import DELEGATE, Standing, actor, identities_of
from imsd.sessions.imap4.places import OTHERS, SHARED
from imsd.slices import in_slices
from imsd.store import acl, mailboxes
from imsd.store.ids import PUBLIC, AccountId, EntryId, MailboxId
from imsd.store.mailboxes import Mailbox
from imsd.store.transaction import Transaction

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount

NOSELECT: Final = b"\\Noselect"
REMOTE: Final = b"\\Remote"


@dataclass(frozen=True, slots=True)
class Names:
    """attributes, rights: by full name; rights as MYRIGHTS has them, without `c` and `d`."""

    attributes: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    rights: dict[str, bytes] = field(default_factory=dict)
    subscriptions: list[str] = field(default_factory=list)

    def add(
        self, name: str, special: str, selectable: bool, rights: frozenset[str], away: bool = False
    ) -> None:
        if "l" in rights and away:
            self.attributes[name] = (REMOTE,)
        elif "l" in rights:
            self.attributes[name] = attributes(special, selectable)
            self.rights[name] = _spelled(rights)


def attributes(special: str, selectable: bool) -> tuple[bytes, ...]:
    """As LIST tells them of a mailbox."""
    if not selectable:
        return (NOSELECT,)
    return (special.encode(),) if special else ()


@lru_cache(maxsize=256)
def _spelled(rights: frozenset[str]) -> bytes:
    return acl.ordered(rights).encode()


OWN: Final = _spelled(frozenset(acl.ALL))
"""Rights on a mailbox of one's own, as MYRIGHTS has them."""


async def names(session: ImapAccount, public: bool, others: bool, remote: bool = False) -> Names:
    """public, others: whether names of these namespaces are wanted. remote: and names of mailboxes
    on other servers (RFC 2193 3): one's own INBOX, and of others what is known here."""
    held, account, places = session.held, session.account, session.places
    own = await places.standing(account.id)
    shared = await places.standing(PUBLIC)
    others = others and not account.anonymous
    identities = await identities_of(held.directory, actor(account)) if others else frozenset()
    delegators = await held.directory.delegators(identities) if others else []
    many = bool(delegators) or await held.db.read_few(mailboxes.are_many, account.id, public)
    seen = await (held.db.read if many else held.db.read_few)(
        _trees, account.id, public, identities if others else frozenset(), tuple(delegators)
    )
    found = Names(subscriptions=seen.subscriptions)
    if not places.elsewhere(account.home):
        await _fill(session, found, "", seen.own, own, special=True)
    elif remote:
        found.attributes["INBOX"] = (REMOTE,)
    await _fill(session, found, SHARED + "/", seen.public, shared)
    if any(name.startswith(SHARED + "/") for name in found.attributes):
        found.attributes[SHARED] = (NOSELECT,)
    delegated = Standing(identities, DELEGATE)
    for owner, tree in seen.delegated.items():
        person = await held.directory.person(owner)
        if person is not None and owner != account.id:
            away = bool(places.elsewhere(person.home))
            if remote or not away:
                await _fill(session, found, f"{OTHERS}/{person.uid}/", tree, delegated, away=away)
    for row, rights in seen.granted:
        if row.account in (account.id, PUBLIC) or row.account in seen.delegated:
            continue
        person = await held.directory.person(row.account)
        if person is not None:
            away = bool(places.elsewhere(person.home))
            if remote or not away:
                name = f"{OTHERS}/{person.uid}/{row.name}"
                found.add(name, "", row.selectable, frozenset(rights), away)
    for name in [name for name in found.attributes if name.startswith(OTHERS + "/")]:
        alias = name[len(OTHERS) + 1 :].partition("/")[0]
        found.attributes[OTHERS] = found.attributes[f"{OTHERS}/{alias}"] = (NOSELECT,)
    return found


@dataclass(frozen=True, slots=True)
class _Tree:
    rows: Sequence[tuple[MailboxId, str, str, int]] = ()
    lists: dict[MailboxId, list[acl.Grant]] = field(default_factory=dict)
    default: Sequence[acl.Grant] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    own: _Tree
    public: _Tree
    delegated: dict[AccountId, _Tree]
    granted: list[tuple[Mailbox, str]]
    subscriptions: list[str]


async def _fill(
    session: ImapAccount,
    found: Names,
    prefix: str,
    tree: _Tree,
    who: Standing,
    special: bool = False,
    away: bool = False,
) -> None:
    await in_slices(_filling(found, prefix, tree, who, special, away), session.held.reactor)


def _filling(
    found: Names, prefix: str, tree: _Tree, who: Standing, special: bool, away: bool
) -> Generator[None, None, None]:
    for count, (mailbox, name, use, selectable) in enumerate(tree.rows):
        if not count % 64:
            yield
        rights = who.rights(tree.lists.get(mailbox) or tree.default)
        found.add(prefix + name, use if special else "", bool(selectable), rights, away)


def _tree(tx: Transaction, account: AccountId) -> _Tree:
    default = acl.PUBLIC_DEFAULT if account == PUBLIC else ()
    return _Tree(mailboxes.names_of(tx, account), acl.of_tree(tx, account), default)


def _trees(
    tx: Transaction,
    account: AccountId,
    public: bool,
    identities: frozenset[EntryId],
    delegators: Sequence[AccountId],
) -> _Seen:
    granted = acl.granted_to(tx, identities) if identities else {}
    return _Seen(
        _tree(tx, account),
        _tree(tx, PUBLIC) if public else _Tree(),
        {owner: _tree(tx, owner) for owner in delegators},
        [(row, granted[row.account, row.id]) for row in mailboxes.get_many(tx, list(granted))],
        mailboxes.subscriptions(tx, account),
    )
