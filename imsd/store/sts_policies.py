"""MTA-STS policies that were fetched (RFC 8461), one row for each domain until it ends."""

from __future__ import annotations

from sqlalchemy import Column, Table, bindparam, delete, select

from imsd.store.sql import insert, sql
from imsd.store.tables import Number, String, metadata
from imsd.store.transaction import Transaction, Unit
from protocols.values import value

sts_policy = Table(
    "sts_policy",
    metadata,
    Column("domain", String, primary_key=True),
    Column("record", String, nullable=False),
    Column("mode", String, nullable=False),
    # One pattern a line.
    Column("mx", String, nullable=False),
    Column("fetched", Number, nullable=False),
    Column("expires", Number, nullable=False),
    sqlite_with_rowid=False,
)


@value(frozen=True, slots=True)
class Kept:
    """record: the id of the DNS record it was fetched for. fetched, expires: microseconds."""

    domain: str
    record: str
    mode: str
    mx: str
    fetched: int
    expires: int


_NAMES = Kept.__slots__
_PUT = insert(sts_policy).values({name: bindparam(name) for name in _NAMES})
_UPSERT = sql(
    _PUT.on_conflict_do_update(
        index_elements=["domain"], set_={name: _PUT.excluded[name] for name in _NAMES[1:]}
    )
)
_COLUMNS = [sts_policy.c[name] for name in _NAMES]
_ONE = sql(select(*_COLUMNS).where(sts_policy.c.domain == bindparam("of")))
_ALL = sql(select(*_COLUMNS).order_by(sts_policy.c.domain))
_FORGET = sql(delete(sts_policy).where(sts_policy.c.expires <= bindparam("now")))


def kept(tx: Transaction, domain: str) -> Kept | None:
    """The policy of a domain, ended or not."""
    row = tx.one(_ONE, of=domain)
    return None if row is None else Kept(*row)


def all_kept(tx: Transaction) -> list[Kept]:
    return [Kept(*row) for row in tx.all(_ALL)]


def keep(unit: Unit, policy: Kept) -> None:
    unit.run(_UPSERT, **{name: getattr(policy, name) for name in _NAMES})


def forget(unit: Unit, now: int) -> None:
    """Remove what has ended."""
    unit.run(_FORGET, now=now)
