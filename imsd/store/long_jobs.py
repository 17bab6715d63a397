"""What administrators have set going and takes long: a row each, from which it goes on after a stop."""

from __future__ import annotations

from sqlalchemy import Column, Table, bindparam, select

from imsd.store.sql import insert, sql
from imsd.store.tables import String, metadata
from imsd.store.transaction import Transaction, Unit

long_job = Table(
    "long_job",
    metadata,
    Column("name", String, primary_key=True),
    # How far it is, as JSON; what it means is known to who does it.
    Column("state", String, nullable=False),
    sqlite_with_rowid=False,
)

_j = long_job.c
_INSERT = insert(long_job).values(name=bindparam("of"), state=bindparam("text"))
_PUT = sql(_INSERT.on_conflict_do_update(index_elements=["name"], set_={"state": _INSERT.excluded.state}))
_READ = sql(select(_j.state).where(_j.name == bindparam("of")))


def read(tx: Transaction, name: str) -> str:
    """The state of a job, "" for one that never was."""
    row = tx.one(_READ, of=name)
    return "" if row is None else str(row[0])


def put(unit: Unit, name: str, state: str) -> None:
    unit.run(_PUT, of=name, text=state)
