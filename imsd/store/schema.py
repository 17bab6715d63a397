"""Every table: importing this module defines them all on `metadata`."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from sqlalchemy.schema import CreateIndex, CreateTable

from imsd.store.sql import DIALECTS
from imsd.store.tables import metadata

for _module in pkgutil.iter_modules([str(Path(__file__).parent)]):
    if _module.name not in {"schema", "database", "migrations"}:
        importlib.import_module(f"imsd.store.{_module.name}")


def statements(dialect: int) -> list[str]:
    """The statements that create everything in an empty database."""
    made: list[str] = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=DIALECTS[dialect])))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            made.append(str(CreateIndex(index).compile(dialect=DIALECTS[dialect])))
    return made
