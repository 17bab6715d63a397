"""Access control lists of mailboxes (RFC 4314): who has which rights, and who is denied some.

1. A grantee is an entry of the directory (a person or a list), or one of the three below zero.
2. What somebody may do is what all his identities are given, less what any of them is denied
   (RFC 4314 2). The owner needs no row; the sessions know him.
3. A public folder without any row has `PUBLIC_DEFAULT`. The first change writes these rows down,
   and one of ANYONE then stays, if with no rights, so that a list emptied is not the default.
4. A mailbox takes its parent's list when it is made, and keeps its own wherever it is moved.
5. The lists of an account whose owner was deleted, and may come back, stand under its negative number:
   nobody else is let in meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, bindparam, delete, select, update

from imsd.errors import LimitReached
from imsd.store.changes import AccountScope, RightsChanged
from imsd.store.ids import PUBLIC, AccountId, EntryId, MailboxId
from imsd.store.mailbox_tables import number
from imsd.store.sql import among, insert_row, sql
from imsd.store.tables import String, metadata
from imsd.store.transaction import Transaction, Unit

ALL = "lrswipkxtea"
"""lookup read seen write insert post create-mailbox delete-mailbox delete-message expunge
administer (RFC 4314 2.1)."""

ANYONE: Final = EntryId(-1)
"""Everybody, whether he logged in or not (RFC 4314 2)."""
AUTHENTICATED: Final = EntryId(-2)
"""Everybody who proved who he is."""
ANONYMOUS: Final = EntryId(-3)
"""Who did not (RFC 4505), and the sender of mail that nobody vouches for."""

MOST = 500
"""Identifiers in the list of one mailbox."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of a list. negative: the rights are denied."""

    grantee: EntryId
    rights: str
    negative: bool = False


PUBLIC_DEFAULT: Final = (Grant(ANYONE, "lrp"), Grant(AUTHENTICATED, "lrsip"))
"""Public folders are read by all, and everybody may post to them."""


def _table(name: str) -> Table:
    return Table(
        name,
        metadata,
        number("account"),
        number("mailbox"),
        number("grantee"),
        Column("rights", String, nullable=False),
        PrimaryKeyConstraint("account", "mailbox", "grantee"),
        Index(f"{name}_grantee", "grantee"),
        sqlite_with_rowid=False,
    )


mailbox_acl = _table("mailbox_acl")
mailbox_denial = _table("mailbox_denial")

_TABLES = (mailbox_acl, mailbox_denial)
"""By `negative`."""


def _here(table: Table) -> tuple:  # type: ignore[type-arg]
    return table.c.account == bindparam("a"), table.c.mailbox == bindparam("m")


_LIST = [sql(select(t.c.grantee, t.c.rights).where(*_here(t)).order_by(t.c.grantee)) for t in _TABLES]
_TREE = [
    sql(select(t.c.mailbox, t.c.grantee, t.c.rights).where(t.c.account == bindparam("a"))) for t in _TABLES
]
_GRANTED = [
    sql(select(t.c.account, t.c.mailbox, t.c.rights).where(among(t.c.grantee, "grantees"))) for t in _TABLES
]
_REVOKE = [sql(delete(t).where(*_here(t), t.c.grantee == bindparam("g"))) for t in _TABLES]
_FORGET = [sql(delete(t).where(*_here(t))) for t in _TABLES]
_FORGET_GRANTEE = [sql(delete(t).where(t.c.grantee == bindparam("g"))) for t in _TABLES]
_TURN_ROUND = [
    sql(update(t).where(t.c.account == bindparam("a")).values(account=bindparam("to"))) for t in _TABLES
]
_GRANT = [insert_row(t) for t in _TABLES]


# Reading -------------------------------------------------------------------------------


def stored(tx: Transaction, account: AccountId, mailbox: MailboxId) -> list[Grant]:
    """The rows of one mailbox."""
    return [
        Grant(EntryId(grantee), rights, negative)
        for negative in (False, True)
        for grantee, rights in tx.all(_LIST[negative], a=account, m=mailbox)
    ]


def of_mailbox(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Sequence[Grant]:
    """The list of one mailbox, the default of public folders included."""
    return stored(tx, account, mailbox) or (PUBLIC_DEFAULT if account == PUBLIC else ())


def of_tree(tx: Transaction, account: AccountId) -> dict[MailboxId, list[Grant]]:
    """The rows of all mailboxes of an account that have some."""
    found: dict[MailboxId, list[Grant]] = {}
    for negative in (False, True):
        for mailbox, grantee, rights in tx.all(_TREE[negative], a=account):
            found.setdefault(MailboxId(mailbox), []).append(Grant(EntryId(grantee), rights, negative))
    return found


def granted_to(tx: Transaction, grantees: Collection[EntryId]) -> dict[tuple[AccountId, MailboxId], str]:
    """The mailboxes on which rows give these identities rights, and what is left of them."""
    found: dict[tuple[AccountId, MailboxId], set[str]] = {}
    wanted = sorted(grantees)
    for account, mailbox, rights in tx.all(_GRANTED[False], grantees=wanted):
        found.setdefault((account, mailbox), set()).update(rights)
    for account, mailbox, rights in tx.all(_GRANTED[True], grantees=wanted):
        if (account, mailbox) in found:
            found[account, mailbox].difference_update(rights)
    return {key: ordered(rights) for key, rights in found.items() if rights}


def effective(grants: Iterable[Grant], grantees: Collection[EntryId], more: str = "") -> frozenset[str]:
    """What these identities may do. more: rights they have without a row; those may be denied, too."""
    given, denied = set(more), set[str]()
    for grant in grants:
        if grant.grantee in grantees:
            (denied if grant.negative else given).update(grant.rights)
    return frozenset(given - denied)


def ordered(rights: Iterable[str]) -> str:
    """Rights in the order of RFC 4314 2.1."""
    held = set(rights)
    return "".join(letter for letter in ALL if letter in held)


# Changing ------------------------------------------------------------------------------


def change(
    unit: Unit,
    account: AccountId,
    mailbox: MailboxId,
    grantee: EntryId,
    rights: str,
    how: str = "",
    negative: bool = False,
) -> None:
    """Set the rights of one identifier. how: "+" adds to, "-" takes from what it has; "" replaces.

    Raises LimitReached.
    """
    before = stored(unit, account, mailbox)
    if not before and account == PUBLIC:
        for default in PUBLIC_DEFAULT:
            _put(unit, account, mailbox, default)
        before = list(PUBLIC_DEFAULT)
    old = next(
        (set(each.rights) for each in before if each.grantee == grantee and each.negative == negative), None
    )
    held = old or set()
    kept = held | set(rights) if how == "+" else held - set(rights) if how == "-" else set(rights)
    if kept and old is None and len(before) >= MOST:
        raise LimitReached(f"At most {MOST} identifiers in one access control list")
    unit.run(_REVOKE[negative], a=account, m=mailbox, g=grantee)
    _put(unit, account, mailbox, Grant(grantee, ordered(kept), negative))
    scope = AccountScope(account)
    unit.changed(RightsChanged(scope, *unit.advance(scope), mailbox))


def _put(unit: Unit, account: AccountId, mailbox: MailboxId, grant: Grant) -> None:
    if grant.rights or (account == PUBLIC and grant.grantee == ANYONE and not grant.negative):
        unit.run(
            _GRANT[grant.negative], account=account, mailbox=mailbox, grantee=grant.grantee,
            rights=grant.rights,
        )  # fmt: skip


def grant(unit: Unit, account: AccountId, mailbox: MailboxId, grantee: AccountId, rights: str) -> None:
    """Give a person exactly these rights; "" takes all away."""
    change(unit, account, mailbox, EntryId(grantee), rights)


def inherit(unit: Unit, account: AccountId, parent: MailboxId, mailbox: MailboxId) -> None:
    """A new mailbox takes the list of its parent (RFC 4314 4, CREATE)."""
    for each in stored(unit, account, parent):
        _put(unit, account, mailbox, each)


def forget(unit: Unit, account: AccountId, mailbox: MailboxId) -> None:
    """The mailbox is gone."""
    for statement in _FORGET:
        unit.run(statement, a=account, m=mailbox)


def forget_grantee(unit: Unit, grantee: EntryId) -> None:
    """The entry is gone."""
    for statement in _FORGET_GRANTEE:
        unit.run(statement, g=grantee)


def suspend(unit: Unit, account: AccountId) -> None:
    """Let nobody but the owner in, until `resume`. Repeating it is harmless."""
    _turn_round(unit, account, AccountId(-account))


def resume(unit: Unit, account: AccountId) -> None:
    """Have the lists hold again that were suspended. Repeating it is harmless."""
    _turn_round(unit, AccountId(-account), account)


def _turn_round(unit: Unit, before: AccountId, after: AccountId) -> None:
    mailboxes = of_tree(unit, before)
    for statement in _TURN_ROUND:
        unit.run(statement, a=before, to=after)
    scope = AccountScope(AccountId(abs(before)))
    for mailbox in mailboxes:
        unit.changed(RightsChanged(scope, *unit.advance(scope), mailbox))
