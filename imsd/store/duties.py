"""What one node at a time does, of those that share a database: rows with a lease (rule 24)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Column, Table, bindparam, delete, or_, select, update

from imsd.store.sql import among, insert, sql
from imsd.store.tables import Number, String, metadata
from imsd.store.transaction import Transaction, Unit

duty = Table(
    "duty",
    metadata,
    Column("name", String, primary_key=True),
    # The number of the node's home (`Database.node`), and what administrators know it by.
    Column("node", Number, nullable=False),
    Column("holder", String, nullable=False),
    Column("lease", Number, nullable=False),
    # What the holder says of it, and when somebody else last said that he makes use of it.
    Column("state", String, nullable=False),
    Column("used", Number, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """Who has it. lease: until when, in microseconds."""

    ours: bool
    holder: str
    lease: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What its holder says of a duty, while his lease runs, and when it was last used, in microseconds."""

    state: str = ""
    used: int = 0


_d = duty.c
_INSERT = insert(duty).values(
    name=bindparam("of"),
    node=bindparam("by"),
    holder=bindparam("who"),
    lease=bindparam("until"),
    state="",
    used=0,
)
_TAKE = sql(
    _INSERT.on_conflict_do_update(
        index_elements=["name"],
        set_={
            "node": _INSERT.excluded.node,
            "holder": _INSERT.excluded.holder,
            "lease": _INSERT.excluded.lease,
            "state": _INSERT.excluded.state,
            "used": _INSERT.excluded.used,
        },
        where=or_(_d.lease < bindparam("now"), _d.node == bindparam("by")),
    )
)
_HELD = sql(select(_d.node, _d.holder, _d.lease).where(_d.name == bindparam("of")))
_EXTEND = sql(
    update(duty).where(among(_d.name, "names"), _d.node == bindparam("by")).values(lease=bindparam("until"))
)
_OURS = sql(select(_d.name).where(among(_d.name, "names"), _d.node == bindparam("by")))
_SHOW = sql(
    update(duty).where(_d.name == bindparam("of"), _d.node == bindparam("by")).values(state=bindparam("says"))
)
_USE = sql(update(duty).where(_d.name == bindparam("of")).values(used=bindparam("now")))
_SHOWN = sql(select(_d.state, _d.used).where(_d.name == bindparam("of"), _d.lease > bindparam("now")))
_HOLDERS = sql(select(_d.name, _d.holder).where(_d.lease > bindparam("now")).order_by(_d.name))
_FREE = sql(delete(duty).where(among(_d.name, "names"), _d.node == bindparam("by")))


def take(unit: Unit, name: str, node: int, holder: str, now: int, lease: int) -> Taken:
    """Have a duty for `lease` microseconds, unless somebody else's lease runs. A node that was killed
    and comes again has its own at once."""
    unit.run(_TAKE, of=name, by=node, who=holder, until=now + lease, now=now)
    ((by, who, until),) = unit.all(_HELD, of=name)
    return Taken(by == node, who, until)


def extend(unit: Unit, names: Collection[str], node: int, now: int, lease: int) -> frozenset[str]:
    """Have those for longer; the ones that are still ours."""
    unit.run(_EXTEND, names=list(names), by=node, until=now + lease)
    return frozenset(name for (name,) in unit.all(_OURS, names=list(names), by=node))


def show(unit: Unit, name: str, node: int, state: str) -> None:
    """Say how a duty is, if it is ours. Who takes it next says something else."""
    unit.run(_SHOW, of=name, by=node, says=state)


def use(unit: Unit, name: str, now: int) -> None:
    """Somebody makes use of what another looks after."""
    unit.run(_USE, of=name, now=now)


def shown(tx: Transaction, name: str, now: int) -> Shown:
    """How a duty is."""
    found = tx.all(_SHOWN, of=name, now=now)
    return Shown(*found[0]) if found else Shown()


def holders(tx: Transaction, now: int) -> dict[str, str]:
    """Who has each duty."""
    return dict(tx.all(_HOLDERS, now=now))


def free(unit: Unit, names: Collection[str], node: int) -> None:
    """Give those back that are ours."""
    unit.run(_FREE, names=list(names), by=node)
