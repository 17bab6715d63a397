"""Rights on mailboxes of other people (RFC 4314 letters, checked by the sessions).

An owner has all rights on what is his and needs no row. A row gives one account rights on
one mailbox of another.
"""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, bindparam, delete, select

from imsd.store.ids import AccountId, MailboxId
from imsd.store.mailbox_tables import number
from imsd.store.sql import insert_row, sql
from imsd.store.tables import String, metadata
from imsd.store.transaction import Transaction, Unit

ALL = "lrswipkxtea"
"""lookup read seen write insert post create-mailbox delete-mailbox delete-message expunge
administer (RFC 4314 2.1)."""

mailbox_acl = Table(
    "mailbox_acl",
    metadata,
    number("account"),
    number("mailbox"),
    number("grantee"),
    Column("rights", String, nullable=False),
    PrimaryKeyConstraint("account", "mailbox", "grantee"),
    Index("mailbox_acl_grantee", "grantee"),
    sqlite_with_rowid=False,
)

_c = mailbox_acl.c
_key = (_c.account == bindparam("a"), _c.mailbox == bindparam("m"), _c.grantee == bindparam("g"))
_GRANTED = sql(select(_c.account, _c.mailbox, _c.rights).where(_c.grantee == bindparam("g")))
_REVOKE = sql(delete(mailbox_acl).where(*_key))
_FORGET = sql(delete(mailbox_acl).where(_c.account == bindparam("a"), _c.mailbox == bindparam("m")))
_FORGET_GRANTEE = sql(delete(mailbox_acl).where(_c.grantee == bindparam("g")))
_GRANT = insert_row(mailbox_acl)


def granted_to(tx: Transaction, grantee: AccountId) -> dict[tuple[AccountId, MailboxId], str]:
    """The mailboxes of others on which grantee has rights, and which."""
    return {(account, mailbox): rights for account, mailbox, rights in tx.all(_GRANTED, g=grantee)}


def grant(unit: Unit, account: AccountId, mailbox: MailboxId, grantee: AccountId, rights: str) -> None:
    """Give grantee exactly these rights; "" takes all away."""
    unit.run(_REVOKE, a=account, m=mailbox, g=grantee)
    kept = "".join(letter for letter in ALL if letter in rights)
    if kept:
        unit.run(_GRANT, account=account, mailbox=mailbox, grantee=grantee, rights=kept)


def forget(unit: Unit, account: AccountId, mailbox: MailboxId) -> None:
    """The mailbox is gone."""
    unit.run(_FORGET, a=account, m=mailbox)


def forget_grantee(unit: Unit, grantee: AccountId) -> None:
    """The account is gone."""
    unit.run(_FORGET_GRANTEE, g=grantee)
