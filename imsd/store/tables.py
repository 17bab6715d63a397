"""The shared metadata, the column types every table uses, and the tables of the store itself.

Other tables stand beside the functions that use them, on the same `metadata`. Only four
types exist: whole numbers, small numbers (truth is 0 or 1), bytes and text; a time is a
whole number of microseconds since the epoch, UTC. What comes from a message is bytes.
"""

from __future__ import annotations

import time as _time

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

Id = BigInteger().with_variant(Integer(), "sqlite")
"""The type of a single-column numeric primary key (SQLite: the rowid itself)."""
Number = BigInteger()
Int = Integer()
"""For arguments of functions that take no larger number; columns are Number."""
Small = SmallInteger()
Bytes = LargeBinary()
String = Text(collation="C").with_variant(Text(), "sqlite")
"""Text that compares by code point on both databases (rule 21)."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

counter = Table(
    "counter",
    metadata,
    Column("kind", Small, primary_key=True, autoincrement=False),
    Column("owner", Number, primary_key=True, autoincrement=False),
    Column("value", Number, nullable=False),
    sqlite_with_rowid=False,
)
"""One row per scope of changes that has no counter column of its own (rule 2)."""

store = Table(
    "store",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    sqlite_with_rowid=False,
)
"""Facts about the store: schema number, oldest compatible number, incarnation (rule 22)."""


def now() -> int:
    """Microseconds since the epoch, UTC."""
    return _time.time_ns() // 1000


def clean(text: str) -> str:
    """Text that every database takes: without NUL, without half characters."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
