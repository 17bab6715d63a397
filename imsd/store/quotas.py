"""Limits of mailboxes, as the store enforces them, and who was warned.

What lets messages in looks at the account's own row alone (`messages.enter`): its `quota_bytes` and
`quota_messages` are what holds, from the mailbox's entry or from the site. This table says which,
and keeps what is needed to warn:

own                     the entry has limits of its own; the site's are not put over them
warn_bytes, send_bytes  its thresholds, where own
level, warned           the last warning, and when

A limit of 0 is none, NOTHING lets nothing in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, SmallInteger, Table, bindparam, select, update

from imsd.store import mailbox_tables as t
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.mailbox_tables import number
from imsd.store.sql import among, insert, sql
from imsd.store.tables import metadata
from imsd.store.transaction import Transaction, Unit

NOTHING: Final = -1
BATCH: Final = 500
"""Accounts looked at in one unit or read."""

quota = Table(
    "quota",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("own", SmallInteger, nullable=False),
    number("warn_bytes"),
    number("send_bytes"),
    Column("level", SmallInteger, nullable=False),
    # Microseconds.
    number("warned"),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Octets (and messages) from which to warn, from which sending is refused, and held at most."""

    warn: int = 0
    send: int = 0
    most: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Fullness:
    """An account at some limit, and the last warning it had."""

    account: AccountId
    used: int
    bounds: Bounds
    level: int
    warned: int


_a, _q = t.account.c, quota.c
_PUT = insert(quota).values(
    account=bindparam("account"), own=bindparam("own"), warn_bytes=bindparam("warn_bytes"),
    send_bytes=bindparam("send_bytes"), level=bindparam("level"), warned=bindparam("warned"),
)  # fmt: skip
_LIMIT = sql(
    _PUT.on_conflict_do_update(
        index_elements=["account"],
        set_={
            "own": _PUT.excluded.own,
            "warn_bytes": _PUT.excluded.warn_bytes,
            "send_bytes": _PUT.excluded.send_bytes,
        },
    )
)
_WARNED = sql(
    _PUT.on_conflict_do_update(
        index_elements=["account"], set_={"level": _PUT.excluded.level, "warned": _PUT.excluded.warned}
    )
)
_LAST = sql(select(_q.level, _q.warned).where(_q.account == bindparam("a")))
_ENFORCE = sql(
    update(t.account)
    .where(_a.account == bindparam("a"))
    .values(quota_bytes=bindparam("most_bytes"), quota_messages=bindparam("most_messages"))
)
_PAGE = sql(
    select(_a.account, _a.quota_bytes, _a.quota_messages, _q.own)
    .outerjoin_from(t.account, quota, _a.account == _q.account)
    .where(_a.account > bindparam("after"))
    .order_by(_a.account)
    .limit(bindparam("most"))
)
_ENFORCE_MANY = sql(
    update(t.account)
    .where(among(_a.account, "accounts"))
    .values(quota_bytes=bindparam("most_bytes"), quota_messages=bindparam("most_messages"))
)
_FULL = sql(
    select(
        _a.account, _a.used_bytes, _a.quota_bytes, _a.quota_messages, _q.own, _q.warn_bytes, _q.send_bytes,
        _q.level, _q.warned,
    )
    .outerjoin_from(t.account, quota, _a.account == _q.account)
    .where(_a.account > bindparam("after"), _a.used_bytes > 0)
    .order_by(_a.account)
    .limit(bindparam("most"))
)  # fmt: skip
_OWN = sql(select(_q.warn_bytes, _q.send_bytes).where(_q.account == bindparam("a"), _q.own == 1))


def limit(unit: Unit, account: AccountId, bounds: Bounds, own: bool) -> bool:
    """What holds for an account from now on; False where there is no such account.

    What it holds may exceed it; nothing is removed.
    """
    if not unit.run(_ENFORCE, a=account, most_bytes=bounds.most, most_messages=bounds.messages):
        return False
    unit.run(
        _LIMIT, account=account, own=int(own), warn_bytes=bounds.warn, send_bytes=bounds.send, level=0,
        warned=0,
    )  # fmt: skip
    return True


def default(unit: Unit, after: int, bounds: Bounds) -> int | None:
    """Put the site's limits on up to BATCH accounts with greater ids that have none of their own.

    The last account looked at, None when there are no more. May be repeated.
    """
    page = unit.all(_PAGE, after=after, most=BATCH)
    wrong = [
        account
        for account, most_bytes, most_messages, own in page
        if not own and account != PUBLIC and (most_bytes, most_messages) != (bounds.most, bounds.messages)
    ]
    if wrong:
        unit.run(_ENFORCE_MANY, accounts=wrong, most_bytes=bounds.most, most_messages=bounds.messages)
    return page[-1][0] if len(page) == BATCH else None


def own_bounds(tx: Transaction, account: AccountId) -> Bounds | None:
    """The thresholds an account has of its own; None: it follows the site."""
    row = tx.one(_OWN, a=account)
    return None if row is None else Bounds(row[0], row[1])


def page(tx: Transaction, after: int, site: Bounds) -> tuple[list[Fullness], int | None]:
    """Up to BATCH accounts that hold something, with what holds for them; where to go on."""
    rows = tx.all(_FULL, after=after, most=BATCH)
    found = [
        Fullness(
            account,
            used,
            Bounds(warn if own else site.warn, send if own else site.send, most, messages),
            level or 0,
            warned or 0,
        )
        for account, used, most, messages, own, warn, send, level, warned in rows
        if account != PUBLIC
    ]
    return found, rows[-1][0] if len(rows) == BATCH else None


def claim_warning(unit: Unit, account: AccountId, level: int, now: int, before: int) -> bool:
    """True for the one who is to warn: no warning of this level was sent since `before`."""
    last = unit.one(_LAST, a=account)
    if last is not None and last[0] >= level and last[1] > before:
        return False
    unit.run(_WARNED, account=account, own=0, warn_bytes=0, send_bytes=0, level=level, warned=now)
    return True
