"""Mailbox access keys (RFC 4467 2.2): what the URLs of a mailbox's messages are signed with.

A key is made when it is first needed, and is told to nobody. Without its row, whatever was signed with it
is worth nothing: the row goes with the mailbox, and by RESETKEY.
"""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, Table, bindparam, delete, select

from imsd.store.ids import AccountId, MailboxId
from imsd.store.mailbox_tables import number
from imsd.store.sql import insert_row, sql
from imsd.store.tables import metadata
from imsd.store.transaction import Transaction, Unit

OCTETS: Final = 32
"""Of a key: as many as its HMAC has."""

url_key = Table(
    "url_key",
    metadata,
    number("account"),
    number("mailbox"),
    Column("key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "mailbox"),
    sqlite_with_rowid=False,
)

_k = url_key.c
_here = (_k.account == bindparam("a"), _k.mailbox == bindparam("m"))
_FIND = sql(select(_k.key).where(*_here))
_PUT = insert_row(url_key)
_FORGET = sql(delete(url_key).where(*_here))
_FORGET_ACCOUNT = sql(delete(url_key).where(_k.account == bindparam("a")))


def find(tx: Transaction, account: AccountId, mailbox: MailboxId) -> bytes | None:
    """None where none was needed since the mailbox was made, or since the last was taken away."""
    for (key,) in tx.all(_FIND, a=account, m=mailbox):
        return bytes(key)
    return None


def make(unit: Unit, account: AccountId, mailbox: MailboxId) -> bytes:
    """The key there is, or a new one."""
    key = find(unit, account, mailbox)
    if key is None:
        key = secrets.token_bytes(OCTETS)
        unit.run(_PUT, account=account, mailbox=mailbox, key=key)
    return key


def forget(unit: Unit, account: AccountId, mailbox: MailboxId) -> None:
    """The mailbox is gone, or what was signed must not count any more."""
    unit.run(_FORGET, a=account, m=mailbox)


def forget_account(unit: Unit, account: AccountId) -> None:
    """All of an account."""
    unit.run(_FORGET_ACCOUNT, a=account)
