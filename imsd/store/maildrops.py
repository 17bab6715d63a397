"""Locks of POP3 maildrops between nodes: rows with a lease (rule 24)."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Column, Table, bindparam, delete, select, update

from imsd.store.ids import AccountId
from imsd.store.sql import among, insert, sql
from imsd.store.tables import Bytes, Number, metadata
from imsd.store.transaction import Unit

maildrop = Table(
    "maildrop",
    metadata,
    Column("account", Number, primary_key=True, autoincrement=False),
    Column("token", Bytes, nullable=False),
    Column("lease", Number, nullable=False),
    sqlite_with_rowid=False,
)

_INSERT = insert(maildrop).values(account=bindparam("of"), token=bindparam("mark"), lease=bindparam("until"))
_TAKE = sql(
    _INSERT.on_conflict_do_update(
        index_elements=["account"],
        set_={"token": _INSERT.excluded.token, "lease": _INSERT.excluded.lease},
        where=maildrop.c.lease < bindparam("now"),
    )
)
_EXTEND = sql(
    update(maildrop)
    .where(among(maildrop.c.account, "accounts"), maildrop.c.token == bindparam("mark"))
    .values(lease=bindparam("until"))
)
_HELD = sql(
    select(maildrop.c.account).where(
        among(maildrop.c.account, "accounts"), maildrop.c.token == bindparam("mark")
    )
)
_FREE = sql(
    delete(maildrop).where(maildrop.c.account == bindparam("of"), maildrop.c.token == bindparam("mark"))
)


def take(unit: Unit, account: AccountId, token: bytes, now: int, lease: int) -> bool:
    """Lock for `lease` microseconds; False while somebody else's lease runs. token: the node's."""
    return unit.run(_TAKE, of=account, mark=token, until=now + lease, now=now) == 1


def extend(
    unit: Unit, accounts: Collection[AccountId], token: bytes, now: int, lease: int
) -> frozenset[AccountId]:
    """Hold those locks for longer; the ones that are still ours."""
    unit.run(_EXTEND, accounts=list(accounts), mark=token, until=now + lease)
    held = unit.all(_HELD, accounts=list(accounts), mark=token)
    return frozenset(AccountId(account) for (account,) in held)


def free(unit: Unit, account: AccountId, token: bytes) -> None:
    """Give a lock back, if it is still ours."""
    unit.run(_FREE, of=account, mark=token)
