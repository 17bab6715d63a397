"""Stored settings: one row for each dotted key, its JSON value and its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Table, bindparam, delete, select

from imsd.store.changes import SETTINGS, SettingsChanged
from imsd.store.sql import among, insert, sql
from imsd.store.tables import Number, String, metadata
from imsd.store.transaction import Transaction, Unit

setting = Table(
    "setting",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    # The number of the change of settings that wrote it.
    Column("version", Number, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Setting:
    key: str
    value: str
    version: int


_PUT = insert(setting).values(key=bindparam("key"), value=bindparam("value"), version=bindparam("version"))
_UPSERT = sql(
    _PUT.on_conflict_do_update(
        index_elements=["key"],
        set_={"value": _PUT.excluded.value, "version": _PUT.excluded.version},
    )
)
_ALL = sql(select(setting.c.key, setting.c.value, setting.c.version).order_by(setting.c.key))
_DELETE = sql(delete(setting).where(among(setting.c.key, "keys")))


def stored(tx: Transaction) -> list[Setting]:
    """Every stored setting, by key."""
    return [Setting(*row) for row in tx.all(_ALL)]


def values(tx: Transaction) -> dict[str, str]:
    """Dotted keys with their JSON values, as `LiveSettings.replace` takes them."""
    return {row[0]: row[1] for row in tx.all(_ALL)}


def change(unit: Unit, put: Mapping[str, str], remove: tuple[str, ...] = ()) -> int:
    """Write some keys, forget others (their defaults hold again); the version they got."""
    previous, version = unit.advance(SETTINGS)
    for key, value in put.items():
        unit.run(_UPSERT, key=key, value=value, version=version)
    if remove:
        unit.run(_DELETE, keys=remove)
    unit.changed(SettingsChanged(SETTINGS, previous, version, (*put, *remove)))
    return version
