"""The keywords of a mailbox: names for the bits above the system flags.

A name gets the lowest free bit at first use and keeps it while the mailbox lives;
names compare without case and keep their first spelling (RFC 9051 2.3.2).
"""

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from imsd.errors import LimitReached
from imsd.store import mailbox_tables as t
from imsd.store.flags import MAX_KEYWORDS
from imsd.store.ids import AccountId, MailboxId
from imsd.store.sql import insert_row, sql
from imsd.store.transaction import Transaction, Unit

_k = t.keyword.c
_NAMES = sql(select(_k.bit, _k.name).where(_k.account == bindparam("a"), _k.mailbox == bindparam("m")))
_ADD = insert_row(t.keyword)

MAX_NAME = 128


def names(tx: Transaction, account: AccountId, mailbox: MailboxId) -> list[str]:
    """Names by bit: bits are handed out without gaps."""
    return [name for _bit, name in sorted(tx.all(_NAMES, a=account, m=mailbox))]


def mask(tx: Transaction, account: AccountId, mailbox: MailboxId, wanted: Iterable[str]) -> int:
    """The bits of those names that the mailbox knows."""
    known = {name.lower(): bit for bit, name in tx.all(_NAMES, a=account, m=mailbox)}
    bits = 0
    for name in wanted:
        bit = known.get(name.lower())
        if bit is not None:
            bits |= 1 << bit
    return bits


def make(
    unit: Unit, account: AccountId, mailbox: MailboxId, wanted: Iterable[str]
) -> tuple[int, tuple[str, ...]]:
    """The bits of the names, made where missing; and all names when some were.

    The caller announces new names (KeywordsAdded). Raises LimitReached.
    """
    wanted = list(wanted)
    if not wanted:
        return 0, ()
    rows = sorted(unit.all(_NAMES, a=account, m=mailbox))
    known = {name.lower(): bit for bit, name in rows}
    spelled = [name for _bit, name in rows]
    bits = 0
    for name in wanted:
        bit = known.get(name.lower())
        if bit is None:
            bit = len(spelled)
            if bit >= MAX_KEYWORDS or len(name) > MAX_NAME:
                raise LimitReached("Too many keywords in this mailbox")
            unit.run(_ADD, account=account, mailbox=mailbox, bit=bit, name=name)
            known[name.lower()] = bit
            spelled.append(name)
        bits |= 1 << bit
    return bits, tuple(spelled) if len(spelled) > len(rows) else ()
